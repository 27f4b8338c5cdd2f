/*
 * correlation.cpp - see correlation.hpp.
 */
#include "analyze/correlation.hpp"

namespace tw::analyze
{

namespace
{

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

} // namespace

bool
is_correlated(Query *query)
{
	OuterSearch references = references_of_query(query);

	return references.outer || references.other;
}

bool
follows_default_equality(Oid opno, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY | TYPECACHE_EQ_OPR);

	return OidIsValid(entry->eq_opr) && OidIsValid(entry->btree_opf) &&
		   get_op_opfamily_strategy(opno, entry->btree_opf) == BTEqualStrategyNumber;
}

namespace
{

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

} // namespace

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

Var *
item_column(Query *item, int rti, AttrNumber resno)
{
	Node *expr = (Node *) list_nth_node(TargetEntry, item->targetList, resno - 1)->expr;

	return makeVar(rti, resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

namespace
{

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

} // namespace

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

} // namespace tw::analyze
