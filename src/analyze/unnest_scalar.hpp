/*
 * unnest_scalar.hpp - subqueries that give one value as items of FROM.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * A scalar subquery, of one aggregate and connected by equality, in a condition
 * that is not true where it is null. Returns the new condition, or null.
 */
Node *unnest_scalar(Query *query, Node *condition, SubLink *sublink);

/* Replaces scalar subqueries of one aggregate that are connected by equality, by left joins. */
void unnest_outer(Query *query);

/* Replaces the query's subqueries that have one value for all rows. */
void unnest_constants(Query *query);

/* Adds the SubLinks of an expression, not those within others. */
bool collect_sublinks(Node *node, List **found);

/* EXISTS takes no notice of an ordinary LIMIT. */
void drop_limit(Query *query);

} // namespace tw::analyze
