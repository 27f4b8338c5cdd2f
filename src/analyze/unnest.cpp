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
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/determinism.hpp"
#include "analyze/stage.hpp"

namespace tw::analyze
{

namespace
{

/* ---- references to outer queries ---- */

struct OuterSearch
{
	int depth;
	bool inner; /* found: a column of the query itself */
	bool outer; /* found: a column of the query around it */
	bool other; /* found: one from further out, or something else of an outer query */
};

void
note_level(OuterSearch *search, Index levelsup)
{
	int level = (int) levelsup - search->depth;

	if (level == 0)
		search->inner = true;
	else if (level == 1)
		search->outer = true;
	else if (level > 1)
		search->other = true;
}

bool
outer_walker(Node *node, OuterSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
	{
		note_level(search, ((Var *) node)->varlevelsup);
		return false;
	}
	if (IsA(node, Aggref) && (int) ((Aggref *) node)->agglevelsup > search->depth)
		search->other = true;
	if (IsA(node, GroupingFunc) && (int) ((GroupingFunc *) node)->agglevelsup > search->depth)
		search->other = true;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_CTE && (int) rte->ctelevelsup > search->depth)
			search->other = true;
		return false;
	}
	if (IsA(node, Query))
	{
		search->depth++;
		(void) pg::walk_query((Query *) node, outer_walker, search, QTW_EXAMINE_RTES_BEFORE);
		search->depth--;
		return false;
	}
	return pg::walk_expression(node, outer_walker, search);
}

OuterSearch
references_of(Node *node)
{
	OuterSearch search = {0, false, false, false};

	(void) outer_walker(node, &search);
	return search;
}

/* References of a subquery: its own columns are of depth 0. */
OuterSearch
references_of_query(Query *query)
{
	OuterSearch search = {0, false, false, false};

	(void) pg::walk_query(query, outer_walker, &search, QTW_EXAMINE_RTES_BEFORE);
	return search;
}

bool
is_correlated(Query *query)
{
	OuterSearch references = references_of_query(query);

	return references.outer || references.other;
}

/* ---- correlation by equality ---- */

/* A condition of a subquery: its own expression equals one of the query around it. */
struct Link
{
	Node *inner;
	Node *outer;
	OpExpr *op;
	bool inner_first;
};

/* True if values that the type's default equality holds for equal are so for the operator. */
bool
follows_default_equality(Oid opno, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY | TYPECACHE_EQ_OPR);

	return OidIsValid(entry->eq_opr) && OidIsValid(entry->btree_opf) &&
		   get_op_opfamily_strategy(opno, entry->btree_opf) == BTEqualStrategyNumber;
}

bool
make_link(Node *node, Link *link)
{
	OpExpr *op = (OpExpr *) node;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 || contain_volatile_functions(node) ||
		checkExprHasSubLink(node))
		return false;

	Node *left = (Node *) linitial(op->args);
	Node *right = (Node *) lsecond(op->args);
	OuterSearch of_left = references_of(left);
	OuterSearch of_right = references_of(right);

	if (of_left.other || of_right.other)
		return false;
	link->op = op;
	if (of_left.inner && !of_left.outer && of_right.outer && !of_right.inner)
	{
		link->inner_first = true;
		link->inner = left;
		link->outer = right;
	}
	else if (of_right.inner && !of_right.outer && of_left.outer && !of_left.inner)
	{
		link->inner_first = false;
		link->inner = right;
		link->outer = left;
	}
	else
		return false;
	return follows_default_equality(op->opno, exprType(link->inner)) &&
		   op->inputcollid == exprCollation(link->inner);
}

void
flatten_conditions(Node *quals, List **conditions)
{
	ListCell *lc;

	if (quals == nullptr)
		return;
	if (IsA(quals, List) || is_andclause(quals))
	{
		foreach (lc, IsA(quals, List) ? (List *) quals : ((BoolExpr *) quals)->args)
			flatten_conditions((Node *) lfirst(lc), conditions);
		return;
	}
	*conditions = lappend(*conditions, quals);
}

Node *
conjunction(List *conditions)
{
	return conditions == NIL ? nullptr : (Node *) make_ands_explicit(conditions);
}

/*
 * Takes the links out of the conditions of the subquery, which is changed. Returns
 * false where something else in it, too, refers to the query around it.
 */
bool
take_links(Query *subquery, List **links)
{
	List *conditions = NIL;
	List *rest = NIL;
	ListCell *lc;

	flatten_conditions(subquery->jointree->quals, &conditions);
	foreach (lc, conditions)
	{
		Link *link = (Link *) palloc(sizeof(Link));

		if (make_link((Node *) lfirst(lc), link))
			*links = lappend(*links, link);
		else
			rest = lappend(rest, lfirst(lc));
	}
	subquery->jointree->quals = conjunction(rest);
	return !is_correlated(subquery);
}

/* The condition of a link, one level further out, with the column of the item in place of the inner side. */
Node *
link_condition(const Link *link, Node *column)
{
	OpExpr *op = (OpExpr *) copyObject(link->op);
	Node *outer = (Node *) copyObject(link->outer);

	IncrementVarSublevelsUp(outer, -1, 1);
	op->args = link->inner_first ? list_make2(column, outer) : list_make2(outer, column);
	return (Node *) op;
}

Var *
item_column(Query *item, int rti, AttrNumber resno)
{
	Node *expr = (Node *) list_nth_node(TargetEntry, item->targetList, resno - 1)->expr;

	return makeVar(rti, resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

/* The conditions of links with columns of the item, of which `first` is the first. */
List *
link_conditions(List *links, Query *item, int rti, AttrNumber first)
{
	List *conditions = NIL;
	ListCell *lc;

	foreach (lc, links)
		conditions = lappend(conditions, link_condition((Link *) lfirst(lc),
														(Node *) item_column(item, rti, first++)));
	return conditions;
}

void
add_target(Query *query, Node *expr)
{
	AttrNumber resno = list_length(query->targetList) + 1;

	query->targetList = lappend(query->targetList, makeTargetEntry((Expr *) expr, resno,
																   psprintf("c%d", resno), false));
}

/* ---- forms of subqueries ---- */

/* FROM and WHERE, whatever the target list, and nothing else. */
bool
is_plain(Query *query)
{
	return query->cteList == NIL && !query->setOperations && !query->hasAggs &&
		   query->groupClause == NIL && query->groupingSets == NIL && !query->havingQual &&
		   !query->hasWindowFuncs && !query->hasTargetSRFs && !query->limitCount &&
		   !query->limitOffset && !query->hasForUpdate && query->jointree->fromlist != NIL;
}

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

/* EXISTS takes no notice of an ordinary LIMIT. */
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

/* ---- conditions that are subqueries ---- */

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
	if (is_plain(subquery))
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

/* ---- scalar subqueries ---- */

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

/*
 * A scalar subquery, of one aggregate and connected by equality, in a condition
 * that is not true where it is null. Returns the new condition, or null.
 */
Node *
unnest_scalar(Query *query, Node *condition, SubLink *sublink)
{
	Query *subquery = (Query *) copyObject(sublink->subselect);
	List *links = NIL;

	if (sublink->subLinkType != EXPR_SUBLINK || !is_one_aggregate_row(subquery) ||
		!take_links(subquery, &links) || links == NIL)
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

/* Replaces scalar subqueries of one aggregate that are connected by equality. */
void
unnest_outer(Query *query)
{
	ReplaceContext context = {NIL, NIL};
	List *sublinks = NIL;
	List *joined = NIL;
	ListCell *lc;

	if (!has_sublink_over_groups(query))
		(void) collect_sublinks((Node *) query->targetList, &sublinks);
	(void) collect_sublinks(query->jointree->quals, &sublinks);
	foreach (lc, sublinks)
	{
		SubLink *sublink = (SubLink *) lfirst(lc);
		Query *subquery = (Query *) copyObject(sublink->subselect);
		List *links = NIL;

		if (sublink->subLinkType != EXPR_SUBLINK || !is_one_aggregate_row(subquery) ||
			!take_links(subquery, &links) || links == NIL)
			continue;

		Node *expr = (Node *) linitial_node(TargetEntry, subquery->targetList)->expr;
		if (unlike_groups_walker(expr, nullptr))
			continue;
		GroupValue value = {query, join_groups(query, subquery, links, &joined)};
		context.what = lappend(context.what, sublink);
		context.by = lappend(context.by, group_value_mutator(expr, &value));
	}
	query->targetList = (List *) replace_mutator((Node *) query->targetList, &context);
	query->jointree->quals = replace_mutator(query->jointree->quals, &context);
}

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

/* Replaces the query's subqueries that have one value for all rows. */
void
unnest_constants(Query *query)
{
	ReplaceContext context = {NIL, NIL};
	List *sublinks = NIL;
	ListCell *lc;

	if (!has_sublink_over_groups(query))
		(void) collect_sublinks((Node *) query->targetList, &sublinks);
	(void) collect_sublinks(query->jointree->quals, &sublinks);
	foreach (lc, sublinks)
	{
		SubLink *sublink = (SubLink *) lfirst(lc);
		Query *row = one_row(sublink);

		if (!row)
			continue;

		int rti = add_item(query, from_item(row, "unnested"));
		context.what = lappend(context.what, sublink);
		context.by = lappend(context.by, item_column(row, rti, 1));
	}
	query->targetList = (List *) replace_mutator((Node *) query->targetList, &context);
	query->jointree->quals = replace_mutator(query->jointree->quals, &context);
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
