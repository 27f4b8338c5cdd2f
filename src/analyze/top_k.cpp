/*
 * top_k.cpp - what ORDER BY ... LIMIT shows of the inner relation it reads.
 */
#include "analyze/top_k.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

namespace
{

/* The value of LIMIT or OFFSET; false where it is not constant, or not allowed. */
bool
constant_limit(Node *node, int64 otherwise, int64 *value)
{
	*value = otherwise;
	if (node == nullptr)
		return true;

	Const *constant = (Const *) eval_const_expressions(nullptr, (Node *) copyObject(node));
	if (!IsA(constant, Const))
		return false;
	if (!constant->constisnull)
		*value = DatumGetInt64(constant->constvalue);
	return constant->constisnull || *value >= 0;
}

bool
find_range(const Query *query, TopK *top)
{
	int64 count;

	if (!constant_limit(query->limitOffset, 0, &top->first) ||
		!constant_limit(query->limitCount, kNoEnd, &count))
		return false;
	top->end = kNoEnd;
	top->with_ties = query->limitOption == LIMIT_OPTION_WITH_TIES;
	if (count != kNoEnd && pg_add_s64_overflow(top->first, count, &top->end))
		top->end = kNoEnd;
	return count != 0;
}

bool
find_keys(Query *query, TopK *top)
{
	ListCell *lc;

	top->keys = (SortKey *) palloc0(sizeof(SortKey) * list_length(query->sortClause));
	foreach (lc, query->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		SortKey *key = &top->keys[top->nkeys++];
		Node *expr = get_sortgroupclause_expr(clause, query->targetList);

		key->expr = (Expr *) expr;
		key->type = exprType(expr);
		key->typmod = exprTypmod(expr);
		key->collation = exprCollation(expr);
		key->op = clause->sortop;
		key->nulls_first = clause->nulls_first;
		if (get_typtype(getBaseType(key->type)) == TYPTYPE_PSEUDO)
			return false;
	}
	return true;
}

/* Columns of the view come first; false where they do not. */
bool
find_shown(Query *query, TopK *top)
{
	int column = 0;
	ListCell *lc;

	top->shown_keys = (int *) palloc(sizeof(int) * list_length(query->targetList));
	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int key = 0;

		if (tle->resjunk)
			continue;
		if (tle->resno != ++column)
			return false;
		while (key < top->nkeys && !equal(top->keys[key].expr, tle->expr))
			key++;
		if (key == top->nkeys)
		{
			top->shown_keys = nullptr;
			return true;
		}
		top->shown_keys[column - 1] = key;
	}
	return true;
}

catalog::OrderIndex
find_index(Oid inner, const TopK *top)
{
	catalog::OrderColumn *columns = (catalog::OrderColumn *) palloc(sizeof(catalog::OrderColumn) *
																	top->nkeys);

	for (int i = 0; i < top->nkeys; i++)
	{
		const SortKey *key = &top->keys[i];

		if (!IsA(key->expr, Var))
			return {InvalidOid, InvalidOid};
		columns[i] = {((Var *) key->expr)->varattno, key->op, key->collation, key->nulls_first};
	}
	return catalog::find_order_index(inner, columns, top->nkeys);
}

} // namespace

TopK *
find_limits(const ViewPlan *plan)
{
	Query *query = plan->query;
	TopK *top = (TopK *) palloc0(sizeof(TopK));

	if (query->hasSubLinks || query->hasTargetSRFs || !find_range(query, top) ||
		!find_keys(query, top) || !find_shown(query, top))
		return nullptr;
	top->index = find_index(linitial_node(RangeTblEntry, query->rtable)->relid, top);
	return top;
}

} // namespace tw::analyze
