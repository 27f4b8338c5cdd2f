/*
 * full_join.cpp - what tells the rows of a full join.
 *
 * Neither side of a full join shows its columns in all rows that a change of it
 * touches: rows of the other side that lose their last match, or get their
 * first, show their own columns only. What all these rows share is the value by
 * which they match, COALESCE(left, right), which is also what USING shows. So
 * that is the key, and a restriction to keys may be put on each side alone: rows
 * with other values could only match rows with other values.
 */
#include "analyze/full_join.hpp"
#include "analyze/block.hpp"

namespace tw::analyze
{

namespace
{

Bitmapset *
relations_of(Node *expr)
{
	return pull_varnos(nullptr, expr);
}

} // namespace

List *
merged_keys(JoinExpr *join)
{
	Bitmapset *left_side = relations_in(join->larg);
	Bitmapset *right_side = relations_in(join->rarg);
	List *keys = NIL;
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) join->quals))
	{
		OpExpr *op = (OpExpr *) lfirst(lc);

		if (!is_opclause(op) || list_length(op->args) != 2)
			continue;

		Node *left = (Node *) linitial(op->args);
		Node *right = (Node *) lsecond(op->args);
		if (exprType(left) != exprType(right) ||
			op->opno != lookup_type_cache(exprType(left), TYPECACHE_EQ_OPR)->eq_opr)
			continue;
		if (bms_is_subset(relations_of(left), right_side))
		{
			left = (Node *) lsecond(op->args);
			right = (Node *) linitial(op->args);
		}
		if (bms_is_empty(relations_of(left)) || bms_is_empty(relations_of(right)) ||
			!bms_is_subset(relations_of(left), left_side) ||
			!bms_is_subset(relations_of(right), right_side))
			continue;

		MergedKey *key = (MergedKey *) palloc(sizeof(MergedKey));
		key->left = left;
		key->right = right;
		keys = lappend(keys, key);
	}
	return keys;
}

bool
is_merged_key(Node *expr, const MergedKey *key)
{
	CoalesceExpr *merged = (CoalesceExpr *) expr;

	if (!IsA(expr, CoalesceExpr) || list_length(merged->args) != 2)
		return false;
	return (equal(linitial(merged->args), key->left) && equal(lsecond(merged->args), key->right)) ||
		   (equal(linitial(merged->args), key->right) && equal(lsecond(merged->args), key->left));
}

namespace
{

/* Nullable sides are left out: a key there is not shown in rows that lack a match. */
void
collect_merged(Node *node, List **columns)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
		foreach (lc, ((FromExpr *) node)->fromlist)
			collect_merged((Node *) lfirst(lc), columns);
	if (!IsA(node, JoinExpr))
		return;

	JoinExpr *join = (JoinExpr *) node;
	if (join->jointype != JOIN_RIGHT && join->jointype != JOIN_FULL)
		collect_merged(join->larg, columns);
	if (join->jointype == JOIN_INNER || join->jointype == JOIN_RIGHT)
		collect_merged(join->rarg, columns);
	if (join->jointype != JOIN_FULL)
		return;
	foreach (lc, merged_keys(join))
	{
		const MergedKey *key = (const MergedKey *) lfirst(lc);
		CoalesceExpr *merged = makeNode(CoalesceExpr);

		merged->coalescetype = exprType(key->left);
		merged->coalescecollid = exprCollation(key->left);
		merged->args = list_make2(copyObject(key->left), copyObject(key->right));
		merged->location = -1;
		*columns = lappend(*columns, merged);
	}
}

Node *
with_condition(Node *side, Node *condition)
{
	return condition ? (Node *) makeFromExpr(list_make1(side), condition) : side;
}

void
restrict_below(Node *node, Node *expr, RestrictOperand condition, void *arg)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
		foreach (lc, ((FromExpr *) node)->fromlist)
			restrict_below((Node *) lfirst(lc), expr, condition, arg);
	if (!IsA(node, JoinExpr))
		return;

	JoinExpr *join = (JoinExpr *) node;
	if (join->jointype == JOIN_INNER || join->jointype == JOIN_LEFT)
		restrict_below(join->larg, expr, condition, arg);
	if (join->jointype == JOIN_INNER || join->jointype == JOIN_RIGHT)
		restrict_below(join->rarg, expr, condition, arg);
	if (join->jointype != JOIN_FULL)
		return;
	foreach (lc, merged_keys(join))
	{
		const MergedKey *key = (const MergedKey *) lfirst(lc);

		if (!is_merged_key(expr, key))
			continue;
		/* An operand may be the merged key of a full join below. */
		restrict_below(join->larg, key->left, condition, arg);
		restrict_below(join->rarg, key->right, condition, arg);
		join->larg = with_condition(join->larg, condition(arg, key->left));
		join->rarg = with_condition(join->rarg, condition(arg, key->right));
		return;
	}
}

} // namespace

List *
merged_columns(Query *query)
{
	List *columns = NIL;

	if (!query->setOperations)
		collect_merged((Node *) query->jointree, &columns);
	return columns;
}

void
restrict_full_join(Query *query, Node *expr, RestrictOperand condition, void *arg)
{
	if (IsA(expr, CoalesceExpr) && !query->setOperations)
		restrict_below((Node *) query->jointree, expr, condition, arg);
}

} // namespace tw::analyze
