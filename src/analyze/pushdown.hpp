/*
 * pushdown.hpp - carries a restriction by keys into subqueries.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * The query is restricted so that each expression, a result column of it, is
 * among the values of its column of the keys tuplestore. Restricts subqueries
 * in FROM that the planner cannot reach by itself (grouped, distinct, windowed,
 * set operations) to the same values, where an equality connects them.
 */
void push_down_keys(Query *query, List *exprs);

} // namespace tw::analyze
