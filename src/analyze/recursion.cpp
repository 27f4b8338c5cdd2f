/*
 * recursion.cpp - views that hold the content of a recursive query.
 *
 * Recursion in SQL is linear: the step reads the recursive relation once. So the
 * step is a block like any other whose one input is the view itself, and its
 * delta for rows that came or went in the view is the next round of the
 * recursion. How the rounds are put together is told in state/recursion.cpp.
 */
#include "analyze/recursion.hpp"
#include "analyze/build.hpp"
#include "analyze/key.hpp"

namespace tw::analyze
{

namespace
{

/* ---- the shape of the query ---- */

/* Column numbers of the recursive query in the order in which the query shows them; NIL if it does more. */
List *
shown_columns(Query *query)
{
	List *columns = NIL;
	ListCell *lc;

	if (query->commandType != CMD_SELECT || list_length(query->cteList) != 1 ||
		query->setOperations || query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs ||
		query->hasSubLinks || query->groupClause != NIL || query->groupingSets != NIL ||
		query->havingQual || query->distinctClause != NIL || query->limitCount ||
		query->limitOffset || query->jointree->quals)
		return NIL;
	if (list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef))
		return NIL;

	CommonTableExpr *cte = linitial_node(CommonTableExpr, query->cteList);
	int rti = linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex;
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	if (!cte->cterecursive || rte->rtekind != RTE_CTE || rte->ctelevelsup != 0)
		return NIL;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Var *var = (Var *) tle->expr;

		if (tle->resjunk)
			continue;
		if (!IsA(var, Var) || var->varno != rti || var->varattno <= 0 ||
			list_member_int(columns, var->varattno))
			return NIL;
		columns = lappend_int(columns, var->varattno);
	}
	return list_length(columns) == list_length(cte->ctecoltypes) ? columns : NIL;
}

/* What stands for the recursive query in the step. */
struct SelfReference
{
	const char *name;
	Oid view;
	List *columns; /* of the recursive query, in the view's order */
	int found;
};

struct SelfVars
{
	const SelfReference *self;
	int rti;
	int levels_up;
	bool whole_row;
};

/* Columns of the recursive query become those of the view. */
bool
renumber_walker(Node *node, SelfVars *vars)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;
		int place = 0;
		ListCell *lc;

		if (var->varno != vars->rti || (int) var->varlevelsup != vars->levels_up)
			return false;
		if (var->varattno <= 0)
			vars->whole_row = true;
		foreach (lc, vars->self->columns)
		{
			place++;
			if (lfirst_int(lc) == var->varattno)
			{
				var->varattno = var->varattnosyn = place;
				break;
			}
		}
		return false;
	}
	if (IsA(node, Query))
	{
		vars->levels_up++;
		(void) pg::walk_query((Query *) node, renumber_walker, vars, 0);
		vars->levels_up--;
		return false;
	}
	return pg::walk_expression(node, renumber_walker, vars);
}

void
read_view_instead(RangeTblEntry *rte, Oid view)
{
	Relation rel = table_open(view, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	List *names = NIL;

	for (int i = 0; i < desc->natts; i++)
		names = lappend(names, makeString(pstrdup(NameStr(TupleDescAttr(desc, i)->attname))));
	rte->rtekind = RTE_RELATION;
	rte->relid = view;
	rte->relkind = RELKIND_MATVIEW;
	rte->rellockmode = AccessShareLock;
	rte->inh = false;
	rte->inFromCl = true;
	rte->eref = makeAlias(rte->eref->aliasname, names);
	rte->ctename = nullptr;
	rte->ctelevelsup = 0;
	rte->self_reference = false;
	rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
	table_close(rel, NoLock);
}

/* Replaces the self-reference, wherever in FROM it is; false where that cannot be. */
bool
replace_self(Query *query, SelfReference *self, int levels_up)
{
	int rti = 0;
	ListCell *lc;

	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		rti++;
		if (rte->rtekind == RTE_SUBQUERY && !replace_self(rte->subquery, self, levels_up + 1))
			return false;
		if (rte->rtekind != RTE_CTE)
			continue;
		if ((int) rte->ctelevelsup != levels_up || strcmp(rte->ctename, self->name) != 0)
			return false;

		SelfVars vars = {self, rti, 0, false};
		(void) pg::walk_query(query, renumber_walker, &vars, 0);
		if (vars.whole_row)
			return false;
		read_view_instead(rte, self->view);
		self->found++;
	}
	return true;
}

/* ---- base and step ---- */

bool
make_union_all(Node *node, bool is_set)
{
	if (!IsA(node, SetOperationStmt))
		return true;

	SetOperationStmt *setop = (SetOperationStmt *) node;
	if (setop->op != SETOP_UNION || (!setop->all && !is_set))
		return false;
	/* The recursion removes duplicates anyway. */
	setop->all = true;
	setop->groupClauses = NIL;
	return make_union_all(setop->larg, is_set) && make_union_all(setop->rarg, is_set);
}

/* Where the recursion removes duplicates, an arm need not. */
void
drop_distinct(Query *query)
{
	ListCell *lc;

	if (query->setOperations)
		foreach (lc, from_relations(query))
			drop_distinct(rt_fetch(lfirst_int(lc), query->rtable)->subquery);
	if (query->hasDistinctOn || query->hasAggs || query->groupClause != NIL ||
		query->hasWindowFuncs || query->limitCount || query->limitOffset)
		return;
	query->distinctClause = NIL;
}

/* The part of the recursive query that does not refer to itself; null where it is not linear. */
Query *
base_query(Query *recursive, bool is_set)
{
	SetOperationStmt *top = castNode(SetOperationStmt, recursive->setOperations);

	if (IsA(top->larg, RangeTblRef))
		return (Query *) copyObject(
			rt_fetch(((RangeTblRef *) top->larg)->rtindex, recursive->rtable)->subquery);

	Query *base = (Query *) copyObject(recursive);
	RangeTblEntry *nothing = makeNode(RangeTblEntry);
	int step = castNode(RangeTblRef, top->rarg)->rtindex;

	base->setOperations = castNode(SetOperationStmt, base->setOperations)->larg;
	if (!make_union_all(base->setOperations, is_set))
		return nullptr;
	nothing->rtekind = RTE_RESULT;
	nothing->eref = makeAlias("*RESULT*", NIL);
	lfirst(list_nth_cell(base->rtable, step - 1)) = nothing;
	return base;
}

/* Result columns that show a column of a table, or are constant, in every arm. */
List *
plain_columns(Query *query)
{
	List *columns = NIL;
	ListCell *lc;

	if (query->setOperations)
	{
		bool first = true;

		foreach (lc, from_relations(query))
		{
			List *arm = plain_columns(rt_fetch(lfirst_int(lc), query->rtable)->subquery);

			columns = first ? arm : list_intersection_int(columns, arm);
			first = false;
		}
		return columns;
	}
	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk && (IsA(tle->expr, Var) || IsA(tle->expr, Const)))
			columns = lappend_int(columns, tle->resno);
	}
	return columns;
}

bool
shows_only_constants(Query *query, List *columns)
{
	ListCell *lc;

	if (query->setOperations)
		return false;
	foreach (lc, columns)
		if (IsA(list_nth_node(TargetEntry, query->targetList, lfirst_int(lc) - 1)->expr, Var))
			return false;
	return true;
}

/*
 * Columns of the view by which rows of the arm are looked up: those that are
 * not computed, since computing others for rows that the query leaves out could
 * fail; all of them where nothing else is left.
 */
List *
lookup_columns(Query *arm, List *order)
{
	List *plain = plain_columns(arm);
	List *columns = NIL;
	int place = 0;
	ListCell *lc;
	bool all = shows_only_constants(arm, plain);

	foreach (lc, order)
	{
		place++;
		if (all || list_member_int(plain, lfirst_int(lc)))
			columns = lappend_int(columns, place);
	}
	return columns;
}

/* ---- how the step joins ---- */

/* The view's column that the expression of a query shows; 0: none. */
AttrNumber
column_of_self(Query *query, Node *expr, Oid view)
{
	expr = strip_implicit_coercions(expr);
	if (!IsA(expr, Var) || ((Var *) expr)->varlevelsup > 0 || ((Var *) expr)->varattno <= 0)
		return InvalidAttrNumber;

	Var *var = (Var *) expr;
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind == RTE_RELATION && rte->relid == view)
		return var->varattno;
	if (rte->rtekind != RTE_SUBQUERY || rte->subquery->setOperations)
		return InvalidAttrNumber;
	return column_of_self(
		rte->subquery,
		(Node *) list_nth_node(TargetEntry, rte->subquery->targetList, var->varattno - 1)->expr,
		view);
}

struct JoinSearch
{
	Query *query;
	Oid view;
	List *columns;
};

bool
joined_walker(Node *node, JoinSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return false;
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr *op = (OpExpr *) node;
		Node *left = (Node *) linitial(op->args);
		Node *right = (Node *) lsecond(op->args);
		AttrNumber column = column_of_self(search->query, left, search->view);

		if (column == InvalidAttrNumber)
			column = column_of_self(search->query, right, search->view);
		if (column != InvalidAttrNumber && op_mergejoinable(op->opno, exprType(left)))
			search->columns = list_append_unique_int(search->columns, column);
	}
	return pg::walk_expression(node, joined_walker, search);
}

/* Columns of the view that the query, with its subqueries, equates with something. */
List *
joined_columns(Query *query, Oid view)
{
	JoinSearch search = {query, view, NIL};
	ListCell *lc;

	(void) joined_walker((Node *) query->jointree, &search);
	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY)
			search.columns = list_concat_unique_int(search.columns,
													joined_columns(rte->subquery, view));
	}
	return search.columns;
}

int
occurrence_of(const Block *block, Oid relid)
{
	int place = -1;

	for (int i = 0; i < block->noccurrences; i++)
		if (block->relids[i] == relid)
			place = i;
	return place;
}

bool
images_are_equal(Query *query)
{
	ListCell *lc;

	foreach (lc, query->targetList)
		if (!lfirst_node(TargetEntry, lc)->resjunk &&
			!equality_is_image((Node *) lfirst_node(TargetEntry, lc)->expr))
			return false;
	return true;
}

} // namespace

bool
is_recursive_content(Query *query)
{
	return shown_columns(query) != NIL;
}

bool
is_recursive_set(Query *query)
{
	if (!is_recursive_content(query))
		return false;

	CommonTableExpr *cte = linitial_node(CommonTableExpr, query->cteList);
	SetOperationStmt *top = (SetOperationStmt *) castNode(Query, cte->ctequery)->setOperations;
	return top && top->op == SETOP_UNION && !top->all;
}

namespace
{

bool
recursion_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return ((Query *) node)->cteList != NIL ||
			   pg::walk_query((Query *) node, recursion_walker, unused, 0);
	return pg::walk_expression(node, recursion_walker, unused);
}

} // namespace

bool
reads_recursion(Query *query)
{
	return recursion_walker((Node *) query, nullptr);
}

const char *
plan_recursion(ViewPlan *plan)
{
	List *order = shown_columns(plan->query);
	const char *reason;

	if (order == NIL)
		return "a recursive query below other operators";

	CommonTableExpr *cte = linitial_node(CommonTableExpr, plan->query->cteList);
	Query *recursive = castNode(Query, cte->ctequery);
	SetOperationStmt *top = (SetOperationStmt *) recursive->setOperations;
	if (!top || top->op != SETOP_UNION || !IsA(top->rarg, RangeTblRef) ||
		recursive->cteList != NIL || recursive->limitCount || recursive->limitOffset)
		return "a recursive query of an unusual form";
	if (!top->all && !images_are_equal(plan->query))
		return "a recursive query with a column whose equal values may look different";

	Query *base = base_query(recursive, !top->all);
	Query *step = (Query *) copyObject(
		rt_fetch(castNode(RangeTblRef, top->rarg)->rtindex, recursive->rtable)->subquery);
	SelfReference self = {cte->ctename, plan->view, order, 0};
	if (!base || step->setOperations || !replace_self(step, &self, 2) || self.found != 1)
		return "a recursive query of an unusual form";
	if (!top->all)
	{
		drop_distinct(base);
		drop_distinct(step);
	}
	reason = not_linear(base);
	if (!reason)
		reason = not_linear(step);
	if (reason)
		return psprintf("a recursive query with %s", reason);

	Recursion *recursion = (Recursion *) palloc0(sizeof(Recursion));
	List *types = NIL;
	List *typmods = NIL;
	ListCell *lc;

	foreach (lc, order)
	{
		types = lappend_oid(types, list_nth_oid(top->colTypes, lfirst_int(lc) - 1));
		typmods = lappend_int(typmods, list_nth_int(top->colTypmods, lfirst_int(lc) - 1));
	}
	recursion->is_set = !top->all;
	recursion->joined = joined_columns(step, plan->view);
	recursion->base_keys = lookup_columns(base, order);
	recursion->step_keys = lookup_columns(step, order);
	recursion->base = make_block(select_columns(base, order, types, typmods));
	recursion->step = make_block(select_columns(step, order, types, typmods));
	recursion->self = occurrence_of(recursion->step, plan->view);
	plan->recursion = recursion;
	return nullptr;
}

Query *
restricted_term(const Block *block, const circuit::Part *parts, List *columns, NullKeys nulls)
{
	Query *term = delta_query(block, parts, Match::kAny);
	Query *query = select_from(from_item(term, "term"));
	List *exprs = NIL;
	List *operators = NIL;
	ListCell *lc;

	foreach (lc, term->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node *expr = (Node *) tle->expr;
		Var *var = makeVar(1, tle->resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var, tle->resno,
													pstrdup(column_name(tle)), false));
		if (!list_member_int(columns, tle->resno))
			continue;
		exprs = lappend(exprs, var);
		operators = lappend_oid(operators,
								lookup_type_cache(exprType(expr), TYPECACHE_EQ_OPR)->eq_opr);
	}
	restrict_to_keys(query, exprs, operators, nulls);
	return query;
}

} // namespace tw::analyze
