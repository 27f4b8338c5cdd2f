/*
 * truncate.hpp - the locks of TRUNCATE, taken so that it meets no writer half way.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::maintain
{

/* To be called before the server truncates the tables, if a live view follows them. */
void prepare_truncate(const TruncateStmt *statement);

} // namespace tw::maintain
