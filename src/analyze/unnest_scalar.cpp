/*
 * unnest_scalar.cpp - see unnest_scalar.hpp.
 *
 * unnest.cpp shows the forms of queries that come out.
 */
#include "analyze/unnest_scalar.hpp"
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/correlation.hpp"
#include "analyze/determinism.hpp"
#include "analyze/stage.hpp"

namespace tw::analyze
{

/* ---- forms of subqueries ---- */

void
drop_limit(Query *query)
{
	Const *count = (Const *) query->limitCount;

	if (!count || query->limitOffset || !IsA(count, Const) || count->constisnull ||
		DatumGetInt64(count->constvalue) <= 0)
		return;
	query->limitCount = nullptr;
	query->limitOption = LIMIT_OPTION_COUNT;
}

namespace
{

/* Exactly one row, made of aggregates. */
bool
is_one_aggregate_row(Query *query)
{
	return query->cteList == NIL && !query->setOperations && query->hasAggs &&
		   query->groupClause == NIL && query->groupingSets == NIL && !query->havingQual &&
		   !query->hasWindowFuncs && !query->hasTargetSRFs && !query->limitCount &&
		   !query->limitOffset && query->distinctClause == NIL && !query->hasForUpdate &&
		   list_length(query->targetList) == 1;
}

/* True if every aggregate of the expression is null over no rows. */
bool
null_when_empty_walker(Node *node, bool *null_when_empty)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Aggref))
	{
		Oid function = ((Aggref *) node)->aggfnoid;
		char *name = get_func_name(function);

		if (function >= FirstNormalObjectId ||
			(strcmp(name, "min") != 0 && strcmp(name, "max") != 0 && strcmp(name, "sum") != 0 &&
			 strcmp(name, "avg") != 0 && strcmp(name, "bool_and") != 0 &&
			 strcmp(name, "bool_or") != 0))
			*null_when_empty = false;
		return false;
	}
	return pg::walk_expression(node, null_when_empty_walker, null_when_empty);
}

Node *
aggregate_as_column_mutator(Node *node, void *unused)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Aggref))
		return (Node *) makeVar(1, 1, exprType(node), exprTypmod(node), exprCollation(node), 0);
	return pg::mutate_expression(node, aggregate_as_column_mutator, unused);
}

/* True if the value is null where there is nothing to aggregate. */
bool
is_null_when_empty(Node *expr)
{
	bool result = true;
	NullTest *test = makeNode(NullTest);

	(void) null_when_empty_walker(expr, &result);
	test->arg = (Expr *) aggregate_as_column_mutator(expr, nullptr);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return result && bms_is_member(1, find_nonnullable_rels((Node *) test));
}

Node *
zero_const()
{
	return (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false,
							  FLOAT8PASSBYVAL);
}

/* True for aggregates that are 0 over no rows; of those that groups can keep, the others are null. */
bool
counts_rows(Aggref *agg)
{
	return agg->aggfnoid == F_COUNT_ || agg->aggfnoid == F_COUNT_ANY ||
		   server_aggregate(agg->aggfnoid) == F_REGR_COUNT;
}

} // namespace

/* ---- connected ones ---- */

bool
collect_sublinks(Node *node, List **found)
{
	if (node == nullptr || IsA(node, Query))
		return false;
	if (IsA(node, SubLink))
	{
		*found = lappend(*found, node);
		return collect_sublinks(((SubLink *) node)->testexpr, found);
	}
	return pg::walk_expression(node, collect_sublinks, found);
}

namespace
{

/* Nodes of a tree, and what takes their place. */
struct ReplaceContext
{
	List *what;
	List *by;
};

Node *
replace_mutator(Node *node, ReplaceContext *context)
{
	ListCell *lc;
	ListCell *lb;

	if (node == nullptr)
		return nullptr;
	forboth (lc, context->what, lb, context->by)
		if (lfirst(lc) == (void *) node)
			return (Node *) copyObject(lfirst(lb));
	return pg::mutate_expression(node, replace_mutator, context);
}

/* Replaces the query's subqueries in expressions by what the function makes of them; null: they stay. */
template <typename Fn>
void
replace_sublinks(Query *query, Fn &&replacement)
{
	ReplaceContext context = {NIL, NIL};
	List *sublinks = NIL;
	ListCell *lc;

	if (!has_sublink_over_groups(query))
		(void) collect_sublinks((Node *) query->targetList, &sublinks);
	(void) collect_sublinks(query->jointree->quals, &sublinks);
	foreach (lc, sublinks)
	{
		Node *value = replacement((SubLink *) lfirst(lc));

		if (!value)
			continue;
		context.what = lappend(context.what, lfirst(lc));
		context.by = lappend(context.by, value);
	}
	query->targetList = (List *) replace_mutator((Node *) query->targetList, &context);
	query->jointree->quals = replace_mutator(query->jointree->quals, &context);
}

/* Groups a subquery of aggregates by what connects it, which it shows after them. */
void
group_by_links(Query *subquery, List *links)
{
	Index ref = 0;
	ListCell *lc;

	foreach (lc, links)
	{
		SortGroupClause *clause = makeNode(SortGroupClause);
		Node *inner = ((Link *) lfirst(lc))->inner;
		bool hashable;

		add_target(subquery, inner);
		llast_node(TargetEntry, subquery->targetList)
			->ressortgroupref = clause->tleSortGroupRef = ++ref;
		get_sort_group_operators(exprType(inner), false, true, false, &clause->sortop,
								 &clause->eqop, nullptr, &hashable);
		clause->hashable = hashable;
		subquery->groupClause = lappend(subquery->groupClause, clause);
	}
}

/* A copy of a scalar subquery of aggregates without the equalities that connect it, which are the links; null: it is none. */
Query *
linked_aggregates(const SubLink *sublink, List **links)
{
	Query *subquery = (Query *) copyObject(sublink->subselect);

	if (sublink->subLinkType != EXPR_SUBLINK || !is_one_aggregate_row(subquery) ||
		!take_links(subquery, links) || *links == NIL)
		return nullptr;
	return subquery;
}

} // namespace

Node *
unnest_scalar(Query *query, Node *condition, SubLink *sublink)
{
	List *links = NIL;
	Query *subquery = linked_aggregates(sublink, &links);

	if (!subquery)
		return nullptr;

	Node *value = (Node *) linitial_node(TargetEntry, subquery->targetList)->expr;
	if (!is_null_when_empty(value))
		return nullptr;

	int rti = list_length(query->rtable) + 1;
	ReplaceContext context = {list_make1(sublink), list_make1(item_column(subquery, rti, 1))};
	Node *replaced = replace_mutator(condition, &context);
	if (!bms_is_member(rti, find_nonnullable_rels(replaced)))
		return nullptr;

	group_by_links(subquery, links);
	subquery->sortClause = NIL;
	(void) add_item(query, from_item(subquery, "unnested"));

	return conjunction(lcons(replaced, link_conditions(links, subquery, rti, 2)));
}

namespace
{

/* A grouped subquery that is joined, and what it is made of. */
struct JoinedGroups
{
	Query *rows; /* without its target list, and without permissions */
	List *links;
	Query *item;
	int rti;
};

bool
links_equal(const List *a, const List *b)
{
	ListCell *la;
	ListCell *lb;

	if (list_length(a) != list_length(b))
		return false;
	forboth (la, a, lb, b)
		if (!equal(((Link *) lfirst(la))->op, ((Link *) lfirst(lb))->op))
			return false;
	return true;
}

/* True if groups can keep all aggregates of the expression, which are 0 or null over no rows. */
bool
unlike_groups_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Aggref))
		return ((Aggref *) node)->aggdirectargs != NIL || aggregate_sees_order((Aggref *) node);
	return IsA(node, SubLink) || pg::walk_expression(node, unlike_groups_walker, unused);
}

/* query LEFT JOIN item ON conditions */
void
left_join_item(Query *query, RangeTblEntry *item, Node *conditions)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	JoinExpr *join = makeNode(JoinExpr);
	List *from = query->jointree->fromlist;

	query->rtable = lappend(query->rtable, item);
	ref->rtindex = list_length(query->rtable);
	rte->rtekind = RTE_JOIN;
	rte->jointype = join->jointype = JOIN_LEFT;
	rte->eref = makeAlias("unnested", NIL);
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	join->rtindex = list_length(query->rtable);
	join->larg = list_length(from) == 1 ? (Node *) linitial(from)
										: (Node *) makeFromExpr(from, nullptr);
	join->rarg = (Node *) ref;
	join->quals = conditions;
	query->jointree->fromlist = list_make1(join);
}

Query *
without_permissions(const Query *query)
{
	Query *result = (Query *) copyObject(query);
	ListCell *lc;

	foreach (lc, result->rtable)
		pg::clear_permissions(lfirst_node(RangeTblEntry, lc));
	return result;
}

/* The query, which reads the same relations as the other one, may read what both read of them. */
void
allow_both(Query *query, Query *other)
{
	ListCell *lc;
	ListCell *lo;

	forboth (lc, query->rtable, lo, other->rtable)
		pg::add_permissions(query, lfirst_node(RangeTblEntry, lc), other,
							lfirst_node(RangeTblEntry, lo));
}

/* The groups of a subquery, as an item that is left joined; one that is there already if it can be. */
JoinedGroups *
join_groups(Query *query, Query *subquery, List *links, List **joined)
{
	JoinedGroups *groups = (JoinedGroups *) palloc(sizeof(JoinedGroups));
	ListCell *lc;

	subquery->targetList = NIL;
	subquery->sortClause = NIL;
	Query *rows = without_permissions(subquery);
	foreach (lc, *joined)
	{
		JoinedGroups *other = (JoinedGroups *) lfirst(lc);

		if (!equal(other->rows, rows) || !links_equal(other->links, links))
			continue;
		allow_both(other->item, subquery);
		return other;
	}
	groups->rows = rows;
	groups->links = links;
	groups->item = subquery;
	groups->rti = list_length(query->rtable) + 1;
	group_by_links(subquery, links);
	left_join_item(query, from_item(subquery, "unnested"),
				   conjunction(link_conditions(links, subquery, groups->rti, 1)));
	*joined = lappend(*joined, groups);
	return groups;
}

struct GroupValue
{
	Query *query;
	JoinedGroups *groups;
};

/* Replaces aggregates by columns of the groups, to which they are added; over no rows counts are 0. */
Node *
group_value_mutator(Node *node, GroupValue *value)
{
	if (node == nullptr)
		return nullptr;
	if (!IsA(node, Aggref))
		return pg::mutate_expression(node, group_value_mutator, value);

	Query *item = value->groups->item;
	RangeTblEntry *rte = rt_fetch(value->groups->rti, value->query->rtable);
	AttrNumber resno = find_target(item->targetList, node);
	if (resno == InvalidAttrNumber)
	{
		add_target(item, (Node *) copyObject(node));
		resno = list_length(item->targetList);
		rte->eref->colnames = lappend(rte->eref->colnames,
									  makeString(pstrdup(
										  column_name(llast_node(TargetEntry, item->targetList)))));
	}

	Node *column = (Node *) item_column(item, value->groups->rti, resno);
	if (!counts_rows((Aggref *) node))
		return column;
	CoalesceExpr *count = makeNode(CoalesceExpr);
	count->coalescetype = INT8OID;
	count->args = list_make2(column, zero_const());
	count->location = -1;
	return (Node *) count;
}

/* The value of a scalar subquery of aggregates that equalities connect, as columns of joined groups; null: it is none. */
Node *
value_of_groups(Query *query, SubLink *sublink, List **joined)
{
	List *links = NIL;
	Query *subquery = linked_aggregates(sublink, &links);

	if (!subquery)
		return nullptr;

	Node *expr = (Node *) linitial_node(TargetEntry, subquery->targetList)->expr;
	if (unlike_groups_walker(expr, nullptr))
		return nullptr;
	GroupValue value = {query, join_groups(query, subquery, links, joined)};
	return group_value_mutator(expr, &value);
}

} // namespace

void
unnest_outer(Query *query)
{
	List *joined = NIL;

	replace_sublinks(query,
					 [&](SubLink *sublink) { return value_of_groups(query, sublink, &joined); });
}

/* ---- those that are not ---- */

namespace
{

/* SELECT count(*) > 0 FROM (subquery) */
Query *
any_rows(Query *subquery)
{
	Query *query = select_from(from_item(subquery, "unnested"));
	Aggref *count = makeNode(Aggref);

	count->aggfnoid = F_COUNT_;
	count->aggtype = INT8OID;
	count->aggtranstype = InvalidOid;
	count->aggstar = true;
	count->aggkind = AGGKIND_NORMAL;
	count->aggsplit = AGGSPLIT_SIMPLE;
	count->aggno = count->aggtransno = -1;
	count->location = -1;

	Node *zero = zero_const();
	Oid greater = lookup_type_cache(INT8OID, TYPECACHE_GT_OPR)->gt_opr;
	add_target(query, (Node *) make_opclause(greater, BOOLOID, false, (Expr *) count, (Expr *) zero,
											 InvalidOid, InvalidOid));
	set_opfuncid((OpExpr *) linitial_node(TargetEntry, query->targetList)->expr);
	query->hasAggs = true;
	return query;
}

/* The one-row query that gives the value of a subquery that is connected with nothing; null: none. */
Query *
one_row(SubLink *sublink)
{
	Query *subquery = castNode(Query, sublink->subselect);

	if (!reads_tables(subquery) || is_correlated(subquery) || subquery->cteList != NIL)
		return nullptr;
	if (sublink->subLinkType == EXPR_SUBLINK && is_one_aggregate_row(subquery))
		return (Query *) copyObject(subquery);
	if (sublink->subLinkType == EXISTS_SUBLINK)
	{
		subquery = (Query *) copyObject(subquery);
		drop_limit(subquery);
		return any_rows(subquery);
	}
	return nullptr;
}

} // namespace

void
unnest_constants(Query *query)
{
	replace_sublinks(query,
					 [&](SubLink *sublink) -> Node *
					 {
						 Query *row = one_row(sublink);

						 return row ? (Node *) item_column(row,
														   add_item(query,
																	from_item(row, "unnested")),
														   1)
									: nullptr;
					 });
}

} // namespace tw::analyze
