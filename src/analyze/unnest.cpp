/*
 * unnest.cpp - subqueries in expressions as items of FROM.
 *
 *   WHERE EXISTS (SELECT ... FROM s WHERE s.k = t.k AND ...)
 *     is a join with (SELECT DISTINCT s.k FROM s WHERE ...)
 *   WHERE t.x IN (SELECT s.y ...)
 *     likewise, with (SELECT DISTINCT s.y ...)
 *   WHERE t.x < (SELECT avg(s.y) FROM s WHERE s.k = t.k)
 *     is a join with (SELECT s.k, avg(s.y) FROM s GROUP BY s.k), where a missing
 *     group, for which the subquery gives null, fails the condition anyway
 *   (SELECT count(s.y) FROM s WHERE s.k = t.k), elsewhere
 *     is a column of a left join with (SELECT s.k, count(s.y) FROM s GROUP BY s.k);
 *     where the group is missing, counts are 0 and other aggregates null
 *   (SELECT max(s.y) FROM s), EXISTS (SELECT ... FROM s), anywhere
 *     is a column of a subquery of one row
 *
 * The join finds at most one row: the columns it compares are distinct by the
 * default equality of their type, and the comparison must be of that equality's
 * operator family. NOT IN, NOT EXISTS and conditions under OR stay as they are.
 */
#include "analyze/unnest.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/correlation.hpp"
#include "analyze/stage.hpp"
#include "analyze/unnest_scalar.hpp"

namespace tw::analyze
{

namespace
{

/* ---- conditions that are subqueries ---- */

/* FROM and WHERE, whatever the target list, and nothing else. */
bool
is_plain(Query *query)
{
	return query->cteList == NIL && !query->setOperations && !query->hasAggs &&
		   query->groupClause == NIL && query->groupingSets == NIL && !query->havingQual &&
		   !query->hasWindowFuncs && !query->hasTargetSRFs && !query->limitCount &&
		   !query->limitOffset && !query->hasForUpdate && query->jointree->fromlist != NIL;
}

/* SELECT DISTINCT of the subquery's columns and those by which it is connected. */
int
add_distinct_item(Query *query, Query *subquery)
{
	subquery->sortClause = NIL;
	subquery->distinctClause = NIL;
	subquery->hasDistinctOn = false;
	make_distinct(subquery);
	return add_item(query, from_item(subquery, "unnested"));
}

bool
has_equality(Node *expr)
{
	TypeCacheEntry *entry = lookup_type_cache(exprType(expr), TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR |
																  TYPECACHE_HASH_PROC);

	return OidIsValid(entry->eq_opr) && (OidIsValid(entry->lt_opr) || OidIsValid(entry->hash_proc));
}

/* EXISTS (...) as a condition; returns the condition that replaces it, null where it must stay. */
Node *
unnest_exists(Query *query, SubLink *sublink)
{
	Query *subquery = (Query *) copyObject(sublink->subselect);
	List *links = NIL;
	ListCell *lc;

	drop_limit(subquery);
	if (!is_plain(subquery) || !take_links(subquery, &links) || links == NIL)
		return nullptr;
	subquery->targetList = NIL;
	foreach (lc, links)
		add_target(subquery, ((Link *) lfirst(lc))->inner);

	int rti = add_distinct_item(query, subquery);
	return conjunction(link_conditions(links, subquery, rti, 1));
}

struct ParamContext
{
	Query *subquery;
	int rti;
};

Node *
param_mutator(Node *node, ParamContext *context)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_SUBLINK)
		return (Node *) item_column(context->subquery, context->rti, ((Param *) node)->paramid);
	return pg::mutate_expression(node, param_mutator, context);
}

/* True if each comparison of the test is the default equality of the subquery's column. */
bool
tests_equality(Node *test, Query *subquery)
{
	List *conditions = NIL;
	ListCell *lc;

	flatten_conditions(test, &conditions);
	if (list_length(conditions) != list_length(subquery->targetList))
		return false;
	foreach (lc, conditions)
	{
		OpExpr *op = (OpExpr *) lfirst(lc);

		if (!IsA(op, OpExpr) || list_length(op->args) != 2)
			return false;

		Param *param = (Param *) strip_implicit_coercions((Node *) lsecond(op->args));
		if (!IsA(param, Param) || param->paramkind != PARAM_SUBLINK ||
			param->paramid > list_length(subquery->targetList) ||
			checkExprHasSubLink((Node *) linitial(op->args)))
			return false;

		Node *column = (Node *) list_nth_node(TargetEntry, subquery->targetList, param->paramid - 1)
						   ->expr;
		if (!follows_default_equality(op->opno, exprType(column)) || !has_equality(column) ||
			op->inputcollid != exprCollation(column))
			return false;
	}
	return true;
}

/* x IN (...) as a condition; returns the condition that replaces it, null where it must stay. */
Node *
unnest_in(Query *query, SubLink *sublink)
{
	Query *subquery = (Query *) copyObject(sublink->subselect);
	List *links = NIL;
	ListCell *lc;

	foreach (lc, subquery->targetList)
		if (lfirst_node(TargetEntry, lc)->resjunk)
			return nullptr;
	if (subquery->cteList != NIL || !tests_equality(sublink->testexpr, subquery))
		return nullptr;
	if (is_plain(subquery) && !subquery->hasDistinctOn)
	{
		if (!take_links(subquery, &links))
			return nullptr;
	}
	else if (is_correlated(subquery))
		return nullptr;
	else
		subquery = select_all_from(subquery);

	int ncolumns = list_length(subquery->targetList);
	foreach (lc, links)
		add_target(subquery, ((Link *) lfirst(lc))->inner);

	int rti = add_distinct_item(query, subquery);
	ParamContext context = {subquery, rti};
	return conjunction(lcons(param_mutator(sublink->testexpr, &context),
							 link_conditions(links, subquery, rti, ncolumns + 1)));
}

/* Replaces one condition of WHERE, as far as it can be. */
Node *
unnest_condition(Query *query, Node *condition)
{
	List *sublinks = NIL;
	Node *replaced = nullptr;
	ListCell *lc;

	if (IsA(condition, SubLink))
	{
		SubLink *sublink = (SubLink *) condition;

		if (sublink->subLinkType == EXISTS_SUBLINK)
			replaced = unnest_exists(query, sublink);
		else if (sublink->subLinkType == ANY_SUBLINK)
			replaced = unnest_in(query, sublink);
		return replaced ? replaced : condition;
	}
	(void) collect_sublinks(condition, &sublinks);
	if (list_length(sublinks) != 1)
		return condition;
	foreach (lc, sublinks)
		replaced = unnest_scalar(query, condition, (SubLink *) lfirst(lc));
	return replaced ? replaced : condition;
}

bool
has_sublinks(Query *query)
{
	ListCell *lc;

	if (checkExprHasSubLink((Node *) query->targetList) ||
		checkExprHasSubLink((Node *) query->jointree) || checkExprHasSubLink(query->havingQual))
		return true;
	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (checkExprHasSubLink((Node *) rte->functions) ||
			checkExprHasSubLink((Node *) rte->values_lists) ||
			checkExprHasSubLink((Node *) rte->securityQuals))
			return true;
	}
	return false;
}

} // namespace

void
unnest(Query *query)
{
	List *conditions = NIL;
	List *replaced = NIL;
	ListCell *lc;

	if (!query->hasSubLinks || query->limitCount || query->limitOffset)
		return;
	flatten_conditions(query->jointree->quals, &conditions);
	foreach (lc, conditions)
		replaced = lappend(replaced, unnest_condition(query, (Node *) lfirst(lc)));
	query->jointree->quals = conjunction(replaced);
	unnest_constants(query);
	unnest_outer(query);
	query->hasSubLinks = has_sublinks(query);
}

} // namespace tw::analyze
