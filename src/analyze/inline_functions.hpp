/*
 * inline_functions.hpp - SQL functions as the queries that they are.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * The query, which has been rewritten, with the bodies of SQL functions in place of their
 * calls: of those that have one SELECT as their body and run as who calls them, and of
 * IMMUTABLE ones that read nothing. What cannot be replaced stays. If bodies is not
 * null, the bodies as they were analyzed, before they were rewritten, are added to it.
 */
Query *inline_functions(Query *query, List **bodies);

} // namespace tw::analyze
