/*
 * explain.hpp - the circuit of a view as text.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* Lines (List of char *) that show how the materialized view is, or would be, kept up to date. */
List *explain(Oid view);

} // namespace tw::analyze
