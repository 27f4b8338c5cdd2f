/*
 * pushdown.cpp - carries a restriction by keys into subqueries.
 *
 * The planner moves a join condition into a subquery only if it can merge the
 * subquery with its parent. A grouped one it computes as a whole, although the
 * keys say which few groups matter. So where a key column is equal to a column
 * of such a subquery by which its rows are grouped (partitioned, told apart),
 * the condition "column is among the keys" is put inside it. Rows that this
 * removes could only join rows that the restriction of the parent removes.
 *
 * Through an outer join equality carries from the preserved to the nullable
 * side only; a full join is restricted by what it matches on both sides.
 */
#include "analyze/pushdown.hpp"
#include "analyze/block.hpp"
#include "analyze/full_join.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

namespace
{

/* from = to: what restricts `from` also restricts `to`. */
struct Implication
{
	Var *from;
	Var *to;
};

void
add_implication(List **implications, Var *from, Var *to)
{
	Implication *implication = (Implication *) palloc(sizeof(Implication));

	implication->from = from;
	implication->to = to;
	*implications = lappend(*implications, implication);
}

/* Where `nullable` is given, only implications into it count. */
void
collect_equalities(Node *quals, Bitmapset *nullable, List **implications)
{
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) quals))
	{
		OpExpr *op = (OpExpr *) lfirst(lc);

		if (is_andclause(op))
		{
			ListCell *la;

			foreach (la, ((BoolExpr *) op)->args)
				collect_equalities((Node *) lfirst(la), nullable, implications);
			continue;
		}
		if (!is_opclause(op) || list_length(op->args) != 2)
			continue;

		Var *left = (Var *) linitial(op->args);
		Var *right = (Var *) lsecond(op->args);
		if (!IsA(left, Var) || !IsA(right, Var) || left->varlevelsup > 0 ||
			right->varlevelsup > 0 || left->vartype != right->vartype ||
			op->opno != lookup_type_cache(left->vartype, TYPECACHE_EQ_OPR)->eq_opr)
			continue;
		if (!nullable || bms_is_member(right->varno, nullable))
			add_implication(implications, left, right);
		if (!nullable || bms_is_member(left->varno, nullable))
			add_implication(implications, right, left);
	}
}

void
collect_implications(Node *node, List **implications)
{
	if (IsA(node, FromExpr))
	{
		FromExpr *from = (FromExpr *) node;
		ListCell *lc;

		foreach (lc, from->fromlist)
			collect_implications((Node *) lfirst(lc), implications);
		collect_equalities(from->quals, nullptr, implications);
	}
	else if (IsA(node, JoinExpr) && ((JoinExpr *) node)->jointype != JOIN_FULL)
	{
		JoinExpr *join = (JoinExpr *) node;

		collect_implications(join->larg, implications);
		collect_implications(join->rarg, implications);
		if (join->jointype == JOIN_INNER)
			collect_equalities(join->quals, nullptr, implications);
		else
			collect_equalities(join->quals,
							   relations_in(join->jointype == JOIN_LEFT ? join->rarg : join->larg),
							   implications);
	}
}

/* The variables that are restricted if `start` is. */
List *
restricted_vars(Var *start, List *implications)
{
	List *vars = list_make1(start);
	ListCell *lc;

	/* The list grows while it is read. */
	foreach (lc, vars)
	{
		Var *var = (Var *) lfirst(lc);
		ListCell *li;

		foreach (li, implications)
		{
			Implication *implication = (Implication *) lfirst(li);

			if (implication->from->varno == var->varno &&
				implication->from->varattno == var->varattno)
				vars = list_append_unique(vars, implication->to);
		}
	}
	return vars;
}

bool
is_opaque(Query *query)
{
	return query->hasAggs || query->groupClause != NIL || query->hasWindowFuncs ||
		   query->distinctClause != NIL;
}

/* True if rows can be left out by this column without changing the rows that stay. */
bool
is_separable(Query *query, TargetEntry *tle)
{
	ListCell *lc;

	if (query->limitCount || query->limitOffset || query->groupingSets != NIL ||
		query->cteList != NIL || contain_aggs_of_level((Node *) tle->expr, 0) ||
		contain_windowfuncs((Node *) tle->expr) || expression_returns_set((Node *) tle->expr) ||
		checkExprHasSubLink((Node *) tle->expr))
		return false;
	if ((query->hasAggs || query->havingQual) && query->groupClause == NIL)
		return false;
	if (query->hasDistinctOn && !targetIsInSortList(tle, InvalidOid, query->distinctClause))
		return false;
	foreach (lc, query->windowClause)
		if (!targetIsInSortList(tle, InvalidOid, lfirst_node(WindowClause, lc)->partitionClause))
			return false;
	return true;
}

/* expr = ANY (SELECT column FROM keys) */
Node *
among_keys(Node *expr, int column, List *key_exprs)
{
	SubLink *sublink = makeNode(SubLink);
	Query *select = makeNode(Query);
	Param *param = makeNode(Param);
	Oid type = exprType(expr);
	Var *key;

	select->commandType = CMD_SELECT;
	select->canSetTag = true;
	select->jointree = makeFromExpr(NIL, nullptr);
	read_keys(select, key_exprs);
	key = makeVar(1, column, type, exprTypmod(expr), exprCollation(expr), 0);
	select->targetList = list_make1(makeTargetEntry((Expr *) key, 1, pstrdup("key"), false));

	param->paramkind = PARAM_SUBLINK;
	param->paramid = 1;
	param->paramtype = type;
	param->paramtypmod = exprTypmod(expr);
	param->paramcollid = exprCollation(expr);
	param->location = -1;

	OpExpr *equal_key = makeNode(OpExpr);
	equal_key->opno = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	equal_key->opfuncid = get_opcode(equal_key->opno);
	equal_key->opresulttype = BOOLOID;
	equal_key->inputcollid = exprCollation(expr);
	equal_key->args = list_make2(copyObject(expr), param);
	equal_key->location = -1;

	sublink->subLinkType = ANY_SUBLINK;
	sublink->testexpr = (Node *) equal_key;
	sublink->operName = list_make1(makeString(pstrdup("=")));
	sublink->subselect = (Node *) select;
	sublink->location = -1;
	return (Node *) sublink;
}

void push_into_from(Query *query, Var *restricted, int column, List *key_exprs);

/* Restricts the rows of a subquery by one of its columns. */
void
push_into(Query *query, AttrNumber attno, int column, List *key_exprs)
{
	Oid type = exprType((Node *) list_nth(key_exprs, column - 1));
	ListCell *lc;

	if (query->setOperations)
	{
		if (query->limitCount || query->limitOffset ||
			list_nth_oid(((SetOperationStmt *) query->setOperations)->colTypes, attno - 1) != type)
			return;
		foreach (lc, from_relations(query))
			push_into(rt_fetch(lfirst_int(lc), query->rtable)->subquery, attno, column, key_exprs);
		return;
	}

	TargetEntry *tle = get_tle_by_resno(query->targetList, attno);
	if (!tle || exprType((Node *) tle->expr) != type || !is_separable(query, tle))
		return;
	if (is_opaque(query))
	{
		List *quals = list_make1(among_keys((Node *) tle->expr, column, key_exprs));

		if (query->jointree->quals)
			quals = lcons(query->jointree->quals, quals);
		query->jointree->quals = (Node *) make_ands_explicit(quals);
		query->hasSubLinks = true;
	}
	if (IsA(tle->expr, Var) && ((Var *) tle->expr)->varlevelsup == 0)
		push_into_from(query, (Var *) tle->expr, column, key_exprs);
}

/* A variable of the query's FROM is restricted: so are the subqueries that equalities connect with it. */
void
push_into_from(Query *query, Var *restricted, int column, List *key_exprs)
{
	List *implications = NIL;
	ListCell *lc;

	collect_implications((Node *) query->jointree, &implications);
	foreach (lc, restricted_vars(restricted, implications))
	{
		Var *var = (Var *) lfirst(lc);
		RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);

		if (rte->rtekind == RTE_SUBQUERY && var->varattno > 0)
			push_into(rte->subquery, var->varattno, column, key_exprs);
	}
}

struct KeyColumn
{
	List *exprs;
	int column;
};

Node *
operand_among_keys(void *arg, Node *operand)
{
	const KeyColumn *key = (const KeyColumn *) arg;

	return among_keys(operand, key->column, key->exprs);
}

Node *
operand_is_null(void *arg, Node *operand)
{
	NullTest *test = makeNode(NullTest);

	test->arg = (Expr *) copyObject(operand);
	test->nulltesttype = IS_NULL;
	test->argisrow = false;
	test->location = -1;
	return (Node *) test;
}

} // namespace

void
push_down_null_key(Query *query, Node *expr)
{
	restrict_full_join(query, expr, operand_is_null, nullptr);
}

void
push_down_keys(Query *query, List *exprs)
{
	int column = 0;
	ListCell *lc;

	foreach (lc, exprs)
	{
		Node *expr = (Node *) lfirst(lc);

		column++;
		if (IsA(expr, Var) && ((Var *) expr)->varlevelsup == 0)
			push_into_from(query, (Var *) expr, column, exprs);
		if (IsA(expr, CoalesceExpr))
		{
			KeyColumn key = {exprs, column};

			restrict_full_join(query, (Node *) copyObject(expr), operand_among_keys, &key);
			query->hasSubLinks = true;
		}
	}
}

} // namespace tw::analyze
