/*
 * determinism.cpp - whether a query has one result, whatever plan computes it.
 *
 * What is kept in state by adding and subtracting must be the same when it goes
 * as it was when it came, although another plan computed it. So the parts of a
 * query on which that depends are looked at here: each must give the same rows
 * in whatever order its input comes.
 */
#include "analyze/determinism.hpp"
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/key.hpp"
#include "analyze/stage.hpp"

namespace tw::analyze
{

namespace
{

List *
sort_exprs(List *clauses, List *targets)
{
	List *exprs = NIL;
	ListCell *lc;

	foreach (lc, clauses)
		exprs = lappend(exprs, get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc), targets));
	return exprs;
}

bool
have_one_image(Query *query, List *exprs)
{
	ListCell *lc;

	foreach (lc, exprs)
		if (!equality_is_image(source_of(query, (Node *) lfirst(lc))))
			return false;
	return true;
}

/* True if no two rows of the query's FROM agree in the expressions. */
bool
tell_input_rows(Query *query, List *exprs)
{
	Query *rows = (Query *) copyObject(query);
	AttrNumber resno = 0;
	bool exists = false;
	ListCell *lc;

	if (query->setOperations)
		return false;
	rows->groupClause = rows->groupingSets = NIL;
	rows->hasAggs = false;
	rows->havingQual = nullptr;
	rows->targetList = NIL;
	foreach (lc, exprs)
		rows->targetList = lappend(rows->targetList,
								   makeTargetEntry((Expr *) copyObject(lfirst(lc)), ++resno,
												   nullptr, false));
	rows->distinctClause = rows->sortClause = rows->windowClause = NIL;
	rows->hasDistinctOn = rows->hasWindowFuncs = rows->hasTargetSRFs = false;
	rows->limitCount = rows->limitOffset = nullptr;
	(void) derive_key(rows, &exists);
	return exists;
}

/* The same of the rows that the query sorts, or numbers by windows. */
bool
tell_rows(Query *query, List *exprs)
{
	return !is_grouped(query) && tell_input_rows(query, exprs);
}

/* True if rows that agree in the sort expressions look the same as well, or cannot be two. */
bool
is_total_order(Query *query, List *exprs)
{
	List *shown = NIL;
	ListCell *lc;

	foreach (lc, shown_targets(query))
		shown = lappend(shown, lfirst_node(TargetEntry, lc)->expr);
	if (list_difference(shown, exprs) == NIL && have_one_image(query, shown))
		return true;
	return tell_rows(query, exprs);
}

bool
sorts_totally(Query *query)
{
	return is_total_order(query, sort_exprs(query->sortClause, query->targetList));
}

bool
set_operation_depends(Node *node)
{
	if (!IsA(node, SetOperationStmt))
		return false;

	SetOperationStmt *setop = (SetOperationStmt *) node;
	ListCell *lt;
	ListCell *lm;
	ListCell *lc;

	if (setop->op != SETOP_UNION || !setop->all)
		forthree (lt, setop->colTypes, lm, setop->colTypmods, lc, setop->colCollations)
			if (!equality_is_image(
					(Node *) makeNullConst(lfirst_oid(lt), lfirst_int(lm), lfirst_oid(lc))))
				return true;
	return set_operation_depends(setop->larg) || set_operation_depends(setop->rarg);
}

bool
clauses_depend(Query *query)
{
	if (query->setOperations && set_operation_depends(query->setOperations))
		return true;
	if (!have_one_image(query, sort_exprs(query->groupClause, query->targetList)))
		return true;
	if (query->hasDistinctOn)
	{
		if (!sorts_totally(query))
			return true;
	}
	else if (!have_one_image(query, sort_exprs(query->distinctClause, query->targetList)))
		return true;
	return (query->limitOffset ||
			(query->limitCount && query->limitOption != LIMIT_OPTION_WITH_TIES)) &&
		   !sorts_totally(query);
}

bool
aggregate_depends(Aggref *agg, Query *query)
{
	List *args = NIL;
	ListCell *lc;

	if (!aggregate_sees_order(agg))
		return false;
	foreach (lc, agg->args)
		if (!lfirst_node(TargetEntry, lc)->resjunk &&
			!IsA(lfirst_node(TargetEntry, lc)->expr, Const))
			args = lappend(args, lfirst_node(TargetEntry, lc)->expr);

	/* It has a list of its own where its inputs do not tie, or look the same where they do. */
	List *sorted = sort_exprs(agg->aggorder, agg->args);
	if (agg->aggorder != NIL && agg->agglevelsup == 0 && tell_input_rows(query, sorted))
		return false;
	return agg->aggorder == NIL || list_difference(args, sorted) != NIL ||
		   !have_one_image(query, args) ||
		   agg->aggfnoid >= FirstNormalObjectId; /* may do more than list them */
}

struct Search
{
	Query *query; /* the innermost */
};

bool
window_depends(WindowFunc *function, Query *query)
{
	WindowClause *window = (WindowClause *) list_nth(query->windowClause, function->winref - 1);
	List *exprs = sort_exprs(list_concat_copy(window->partitionClause, window->orderClause),
							 query->targetList);

	switch (function->winfnoid)
	{
		case F_RANK_:
		case F_DENSE_RANK_:
		case F_PERCENT_RANK_:
		case F_CUME_DIST_:
			return false;
	}
	if (function->winagg)
	{
		Aggref *agg = makeNode(Aggref);

		agg->aggfnoid = function->winfnoid;
		agg->aggstar = function->winstar;
		agg->inputcollid = function->inputcollid;
		ListCell *lc;
		AttrNumber resno = 0;
		foreach (lc, function->args)
		{
			agg->args = lappend(agg->args,
								makeTargetEntry((Expr *) lfirst(lc), ++resno, nullptr, false));
			agg->aggargtypes = lappend_oid(agg->aggargtypes, exprType((Node *) lfirst(lc)));
		}
		if (aggregate_sees_order(agg))
			return true;
		/* A running sum of floats rounds in the order of the rows. */
		if ((window->frameOptions & FRAMEOPTION_ROWS) == 0 && !sums_floats(function->winfnoid))
			return false;
	}
	return !tell_rows(query, exprs);
}

bool
depends_walker(Node *node, Search *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Search inner = {(Query *) node};

		return clauses_depend(inner.query) ||
			   pg::walk_query(inner.query, depends_walker, &inner, 0);
	}
	if (IsA(node, Aggref) && aggregate_depends((Aggref *) node, search->query))
		return true;
	if (IsA(node, WindowFunc) && window_depends((WindowFunc *) node, search->query))
		return true;
	if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == ARRAY_SUBLINK &&
		!sorts_totally(castNode(Query, ((SubLink *) node)->subselect)))
		return true;
	return pg::walk_expression(node, depends_walker, search);
}

constexpr const char kPrefix[] = "exact_";

Oid
function_in(const char *schema, const char *name, Oid like)
{
	Oid *types;
	int n;

	(void) get_func_signature(like, &types, &n);
	return LookupFuncName(list_make2(makeString(pstrdup(schema)), makeString(pstrdup(name))), n,
						  types, false);
}

Oid
exact_aggregate(Oid aggregate)
{
	return function_in("tailwater", psprintf("%s%s", kPrefix, get_func_name(aggregate)), aggregate);
}

/* True if a window function adds in an order that the query states. */
bool
is_ordered(WindowFunc *function, Query *query)
{
	return list_nth_node(WindowClause, query->windowClause, function->winref - 1)->orderClause !=
		   NIL;
}

bool
exact_walker(Node *node, Search *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Search inner = {(Query *) node};

		return pg::walk_query(inner.query, exact_walker, &inner, 0);
	}
	if (IsA(node, Aggref) && sums_floats(((Aggref *) node)->aggfnoid))
		((Aggref *) node)->aggfnoid = exact_aggregate(((Aggref *) node)->aggfnoid);
	if (IsA(node, WindowFunc) && sums_floats(((WindowFunc *) node)->winfnoid) &&
		!is_ordered((WindowFunc *) node, search->query))
		((WindowFunc *) node)->winfnoid = exact_aggregate(((WindowFunc *) node)->winfnoid);
	return pg::walk_expression(node, exact_walker, search);
}

} // namespace

bool
is_order_independent(Query *query)
{
	return !depends_walker((Node *) query, nullptr);
}

Oid
server_aggregate(Oid function)
{
	if (function < FirstNormalObjectId)
		return function;

	char *schema = get_namespace_name(get_func_namespace(function));
	char *name = get_func_name(function);
	if (!schema || strcmp(schema, "tailwater") != 0 || strncmp(name, kPrefix, strlen(kPrefix)) != 0)
		return function;
	return function_in("pg_catalog", name + strlen(kPrefix), function);
}

void
use_exact_floats(Query *query)
{
	(void) exact_walker((Node *) query, nullptr);
}

} // namespace tw::analyze
