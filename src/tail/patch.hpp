/*
 * patch.hpp - puts a function of ours in the place of the server's pg_parse_query().
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::tail
{

/* Replaces the entry of pg_parse_query(). A WARNING says why where it cannot. Postmaster only. */
void patch_parser();

} // namespace tw::tail
