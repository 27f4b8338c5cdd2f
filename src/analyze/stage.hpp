/*
 * stage.hpp - splits a query into stages, each a subquery of the next.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* SELECT the columns that the query shows FROM the query. */
Query *select_all_from(Query *query);

/* Adds a relation to the range table and FROM of the query; returns its range table index. */
int add_item(Query *query, RangeTblEntry *rte);

/* Groups the query by its result columns, which all types allow. */
void make_distinct(Query *query);

/*
 * A query that is limited, or grouped and then windowed, made distinct or
 * filtered by subqueries, becomes one over a subquery that does all but the
 * last of it; likewise where columns by which it could be followed are not shown,
 * and grouping sets become a union of groupings. Other queries are returned as they are.
 */
Query *split_stages(Query *query);

/* True if the query has groups, be it one. */
bool is_grouped(Query *query);

/* True if the query is grouped and its result has subqueries that may look at groups. */
bool has_sublink_over_groups(Query *query);

/* True if the result of the query is a LIMIT of the rows of the one item in its FROM, in an order. */
bool is_top_k(Query *query);

/* True if the query's own windows and aggregates, not those of subqueries, may depend on the order in which rows arrive. */
bool query_sees_order(Query *query);

} // namespace tw::analyze
