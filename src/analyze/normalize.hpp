/*
 * normalize.hpp - brings a query into the form that the rest of analysis expects.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * Replaces CTEs by subqueries and join alias variables by what they stand for,
 * at all levels. Returns the changed query; recursive CTEs stay.
 */
Query *normalize(Query *query);

} // namespace tw::analyze
