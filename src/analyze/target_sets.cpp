/*
 * target_sets.cpp - set-returning functions of the select list as items of FROM.
 */
#include "analyze/target_sets.hpp"
#include "analyze/stage.hpp"

namespace tw::analyze
{

namespace
{

struct Sets
{
	List *calls;  /* FuncExpr, each once */
	List *whole;  /* group columns, if only those are looked at */
	Index rti;    /* of the item that takes their place */
	bool grouped; /* the query has groups */
	bool failed;
};

int
call_number(Sets *sets, Node *node)
{
	int number = 0;
	ListCell *lc;

	foreach (lc, sets->calls)
	{
		number++;
		if (equal(lfirst(lc), node))
			return number;
	}
	return 0;
}

/* Collects the calls; what is not a plain one stays, and then they all do. */
bool
collect_walker(Node *node, Sets *sets)
{
	if (node == nullptr || sets->failed || IsA(node, SubLink))
		return false;
	if (IsA(node, OpExpr) && ((OpExpr *) node)->opretset)
		sets->failed = true;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcretset)
	{
		FuncExpr *call = (FuncExpr *) node;
		TypeFuncClass type = get_expr_result_type(node, nullptr, nullptr);

		if (type != TYPEFUNC_SCALAR || expression_returns_set((Node *) call->args) ||
			checkExprHasSubLink((Node *) call->args))
			sets->failed = true;
		else if (call_number(sets, node) == 0)
			sets->calls = lappend(sets->calls, node);
		return false;
	}
	return pg::walk_expression(node, collect_walker, sets);
}

Node *
column_mutator(Node *node, Sets *sets)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcretset)
		return (Node *) makeVar(sets->rti, call_number(sets, node), exprType(node),
								exprTypmod(node), exprCollation(node), 0);
	return pg::mutate_expression(node, column_mutator, sets);
}

/* Over groups, only the group columns are computed before. */
Node *
group_mutator(Node *node, Sets *sets)
{
	if (node == nullptr)
		return nullptr;
	if (list_member(sets->whole, node))
		return column_mutator(node, sets);
	return pg::mutate_expression(node, group_mutator, sets);
}

void
collect(Query *query, Sets *sets)
{
	ListCell *lc;

	if (!sets->grouped)
	{
		(void) collect_walker((Node *) query->targetList, sets);
		return;
	}
	foreach (lc, query->groupClause)
	{
		Node *group = get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc), query->targetList);

		if (!expression_returns_set(group))
			continue;
		(void) collect_walker(group, sets);
		sets->whole = lappend(sets->whole, group);
	}
}

/* ROWS FROM (calls), each with one column. */
RangeTblEntry *
rows_from(List *calls)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List *names = NIL;
	ListCell *lc;

	foreach (lc, calls)
	{
		RangeTblFunction *function = makeNode(RangeTblFunction);

		function->funcexpr = (Node *) lfirst(lc);
		function->funccolcount = 1;
		rte->functions = lappend(rte->functions, function);
		names = lappend(names, makeString(psprintf("c%d", list_length(names) + 1)));
	}
	rte->rtekind = RTE_FUNCTION;
	rte->eref = makeAlias("sets", names);
	rte->lateral = contain_vars_of_level((Node *) calls, 0);
	rte->inFromCl = true;
	return rte;
}

/*
 * True if the server computes the sets of the select list after it has put the rows
 * in order, and has taken the first ones of those that are DISTINCT ON: where no set is sorted by.
 */
bool
come_after_sorting(Query *query)
{
	ListCell *lc;

	if (!query->hasDistinctOn && !query->limitCount && !query->limitOffset)
		return false;
	foreach (lc, query->sortClause)
		if (expression_returns_set(
				get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc), query->targetList)))
			return false;
	return true;
}

} // namespace

void
move_target_sets(Query *query)
{
	Sets sets = {};

	sets.grouped = query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL ||
				   query->havingQual;
	if (!query->hasTargetSRFs || query->setOperations || (query->hasWindowFuncs && !sets.grouped) ||
		(!sets.grouped && come_after_sorting(query)))
		return;
	collect(query, &sets);
	if (sets.failed || sets.calls == NIL)
		return;

	auto *move = sets.grouped ? group_mutator : column_mutator;
	sets.rti = add_item(query, rows_from((List *) copyObject(sets.calls)));
	query->targetList = (List *) move((Node *) query->targetList, &sets);
	query->havingQual = move(query->havingQual, &sets);
	query->hasTargetSRFs = expression_returns_set((Node *) query->targetList);
}

} // namespace tw::analyze
