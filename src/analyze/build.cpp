/*
 * build.cpp - small queries around other queries.
 *
 * The planner pulls them up again.
 */
#include "analyze/build.hpp"

namespace tw::analyze
{

const char *
column_name(const TargetEntry *tle)
{
	return tle->resname ? tle->resname : "?column?";
}

List *
shown_targets(Query *query)
{
	List *shown = NIL;
	ListCell *lc;

	foreach (lc, query->targetList)
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			shown = lappend(shown, lfirst(lc));
	return shown;
}

AttrNumber
number_of(List **exprs, Node *expr)
{
	AttrNumber number = 0;
	ListCell *lc;

	foreach (lc, *exprs)
	{
		number++;
		if (equal(lfirst(lc), expr))
			return number;
	}
	*exprs = lappend(*exprs, copyObject(expr));
	return number + 1;
}

RangeTblEntry *
from_item(Query *query, const char *alias)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List *names = NIL;
	ListCell *lc;

	foreach (lc, shown_targets(query))
		names = lappend(names, makeString(pstrdup(column_name(lfirst_node(TargetEntry, lc)))));
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->eref = makeAlias(alias, names);
	rte->inFromCl = true;
	return rte;
}

Query *
select_from(RangeTblEntry *rte)
{
	Query *query = makeNode(Query);
	RangeTblRef *ref = makeNode(RangeTblRef);

	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref), nullptr);
	return query;
}

namespace
{

/* left UNION ALL right, of columns as the targets show them. */
SetOperationStmt *
union_of(Node *left, Node *right, List *targets)
{
	SetOperationStmt *setop = makeNode(SetOperationStmt);
	ListCell *lc;

	setop->op = SETOP_UNION;
	setop->all = true;
	setop->larg = left;
	setop->rarg = right;
	foreach (lc, targets)
	{
		Node *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

		setop->colTypes = lappend_oid(setop->colTypes, exprType(expr));
		setop->colTypmods = lappend_int(setop->colTypmods, exprTypmod(expr));
		setop->colCollations = lappend_oid(setop->colCollations, exprCollation(expr));
	}
	return setop;
}

} // namespace

Query *
union_all(List *queries)
{
	Query *query = makeNode(Query);
	Node *tree = nullptr;
	ListCell *lc;

	if (list_length(queries) == 1)
		return linitial_node(Query, queries);
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, nullptr);
	foreach (lc, shown_targets(linitial_node(Query, queries)))
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node *expr = (Node *) tle->expr;
		Var *var = makeVar(1, tle->resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var,
													list_length(query->targetList) + 1,
													pstrdup(column_name(tle)), false));
	}
	foreach (lc, queries)
	{
		RangeTblRef *ref = makeNode(RangeTblRef);

		query->rtable = lappend(query->rtable, from_item(lfirst_node(Query, lc), "arm"));
		ref->rtindex = list_length(query->rtable);
		tree = tree ? (Node *) union_of(tree, (Node *) ref, query->targetList) : (Node *) ref;
	}
	query->setOperations = tree;
	return query;
}

Query *
select_columns(Query *inner, List *order, List *types, List *typmods)
{
	Query *query = select_from(from_item(inner, "arm"));
	ListCell *lc;
	ListCell *lt;
	ListCell *lm;

	IncrementVarSublevelsUp((Node *) inner, 1, 1);
	forthree (lc, order, lt, types, lm, typmods)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, inner->targetList, lfirst_int(lc) - 1);
		Node *expr = (Node *) tle->expr;

		expr = (Node *) makeVar(1, tle->resno, exprType(expr), exprTypmod(expr),
								exprCollation(expr), 0);
		expr = coerce_to_target_type(nullptr, expr, exprType(expr), lfirst_oid(lt), lfirst_int(lm),
									 COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) expr,
													list_length(query->targetList) + 1,
													pstrdup(column_name(tle)), false));
	}
	return query;
}

} // namespace tw::analyze
