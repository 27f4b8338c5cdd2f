/*
 * full_join.hpp - what tells the rows of a full join.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* left = right, by which a full join matches rows; the operands are of one type. */
struct MergedKey
{
	Node *left;
	Node *right;
};

/* The equalities among the conditions of a full join. List of MergedKey. */
List *merged_keys(JoinExpr *join);

/* True if the expression is COALESCE(left, right) or the other way round: what USING shows. */
bool is_merged_key(Node *expr, const MergedKey *key);

/* COALESCE(left, right) for each equality of the full joins in the query's FROM. */
List *merged_columns(Query *query);

/*
 * Given that only rows matter whose expression, the merged key of a full join, is
 * among keys: makes the condition that `condition` gives for an operand hold on
 * both sides of the join.
 */
using RestrictOperand = Node *(*) (void *arg, Node *operand);
void restrict_full_join(Query *query, Node *expr, RestrictOperand condition, void *arg);

} // namespace tw::analyze
