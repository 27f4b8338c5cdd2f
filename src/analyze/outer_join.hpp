/*
 * outer_join.hpp - a query with one of its outer joins taken apart.
 *
 * All of these look at one level of a query: an item of its FROM, by range table
 * index, and an outer join above it that shows nulls for the item where the other
 * side has no match. "The side" is the one with the item.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* The outer joins that may show nulls for the item, outermost first. List of JoinExpr. */
List *nulling_joins(Query *query, int rti);

/* True if rows of both sides match by an equality that can be hashed. */
bool matches_by_equality(JoinExpr *join, int rti);

/* Makes the join leave out rows in which the side takes no part. */
void keep_matched(Query *query, JoinExpr *join, int rti);

/*
 * SELECT (nothing yet) FROM the side WHERE the join's condition holds, to stand in
 * a condition on the other side.
 */
Query *matches_of(Query *query, JoinExpr *join, int rti);

/* Makes the join give the rows of the other side that meet the conditions, with nulls for the side. */
void keep_unmatched(Query *query, JoinExpr *join, int rti, List *conditions);

/*
 * Makes those outer joins of the query inner ones that are so for the rows that a row of the item, a
 * range table index of its FROM, is part of, or takes the place of nulls in: where a condition that holds of
 * these is not true of nulls.
 */
void keep_joins_of(Query *query, int rti);

} // namespace tw::analyze
