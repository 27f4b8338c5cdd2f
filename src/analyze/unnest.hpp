/*
 * unnest.hpp - subqueries in expressions as items of FROM.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * Turns subqueries in the expressions of a query into joined subqueries in its FROM
 * where that gives the same rows: EXISTS and IN that are conditions of WHERE and
 * connected by equality, scalar subqueries that are one aggregate, connected by
 * equality or not at all. Others stay. The query is changed.
 */
void unnest(Query *query);

} // namespace tw::analyze
