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

/* The same for a single key that is null: into full joins, whose sides have rows that match nothing. */
void push_down_null_key(Query *query, Node *expr);

} // namespace tw::analyze
