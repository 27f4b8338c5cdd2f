/*
 * scale.cpp - numeric expressions that always show the same number of decimals.
 *
 * 1.0 and 1.00 are equal and look different, so a numeric column may only be
 * grouped by, or its extremes kept, where that cannot happen: its scale is
 * declared, or follows from declared ones by the server's rules for addition,
 * multiplication and sums.
 */
#include "analyze/scale.hpp"

namespace tw::analyze
{

namespace
{

int
const_scale(Const *value)
{
	if (value->constisnull)
		return -1;

	NullableDatum args[1] = {{value->constvalue, false}};
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, nullptr, 1, InvalidOid, nullptr, nullptr);
	fcinfo->args[0] = args[0];

	/* Null for NaN and infinities. */
	Datum scale = numeric_scale(fcinfo);
	return fcinfo->isnull ? -1 : DatumGetInt32(scale);
}

int
call_scale(Oid function, List *args)
{
	int left = args == NIL ? -1 : fixed_scale((Node *) linitial(args));
	int right = list_length(args) < 2 ? -1 : fixed_scale((Node *) lsecond(args));

	switch (function)
	{
		case F_NUMERIC_INT2:
		case F_NUMERIC_INT4:
		case F_NUMERIC_INT8:
			return 0;
		case F_NUMERIC_UMINUS:
			return left;
		case F_NUMERIC_ADD:
		case F_NUMERIC_SUB:
			return left < 0 || right < 0 ? -1 : Max(left, right);
		case F_NUMERIC_MUL:
			return left < 0 || right < 0 ? -1 : left + right;
		default:
			return -1;
	}
}

int
aggregate_scale(Aggref *agg)
{
	switch (agg->aggfnoid)
	{
		case F_SUM_INT8:
			return 0;
		case F_SUM_NUMERIC:
		case F_MAX_NUMERIC:
		case F_MIN_NUMERIC:
			return fixed_scale((Node *) linitial_node(TargetEntry, agg->args)->expr);
		default:
			return -1;
	}
}

} // namespace

int
fixed_scale(Node *expr)
{
	if (exprType(expr) != NUMERICOID)
		return -1;

	/* As numeric_typmod_scale() of the server, which shows no negative number of decimals. */
	int32 typmod = exprTypmod(expr);
	if (typmod >= (int32) VARHDRSZ)
		return Max((((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024, 0);
	if (IsA(expr, Const))
		return const_scale((Const *) expr);
	if (IsA(expr, OpExpr))
		return call_scale(((OpExpr *) expr)->opfuncid, ((OpExpr *) expr)->args);
	if (IsA(expr, FuncExpr))
		return call_scale(((FuncExpr *) expr)->funcid, ((FuncExpr *) expr)->args);
	if (IsA(expr, Aggref))
		return aggregate_scale((Aggref *) expr);
	return -1;
}

namespace
{

struct Inference
{
	List *rtables; /* of the query and those around it, innermost first */
};

/* The type modifier that the subquery's column has, or may be given. */
int32
column_typmod(RangeTblEntry *rte, Var *var)
{
	constexpr int kMostScale = 1000;
	TargetEntry *tle = rte->rtekind == RTE_SUBQUERY && !rte->subquery->setOperations
						   ? get_tle_by_resno(rte->subquery->targetList, var->varattno)
						   : nullptr;

	if (!tle || tle->resjunk)
		return -1;

	int scale = fixed_scale((Node *) tle->expr);
	return scale < 0 || scale > kMostScale ? -1 : ((1000 << 16) | scale) + VARHDRSZ;
}

bool
infer_walker(Node *node, Inference *inference)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		ListCell *lc;

		inference->rtables = lcons(query->rtable, inference->rtables);
		/* Subqueries first: what is known of their columns is used above them. */
		foreach (lc, query->rtable)
			if (lfirst_node(RangeTblEntry, lc)->rtekind == RTE_SUBQUERY)
				(void) infer_walker((Node *) lfirst_node(RangeTblEntry, lc)->subquery, inference);
		(void) pg::walk_query(query, infer_walker, inference,
							  QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_JOINALIASES);
		inference->rtables = list_delete_first(inference->rtables);
		return false;
	}
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->vartype == NUMERICOID && var->vartypmod < (int32) VARHDRSZ && var->varattno > 0 &&
			(int) var->varlevelsup < list_length(inference->rtables))
			var->vartypmod = column_typmod(rt_fetch(var->varno,
													(List *) list_nth(inference->rtables,
																	  var->varlevelsup)),
										   var);
		return false;
	}
	return pg::walk_expression(node, infer_walker, inference);
}

} // namespace

void
infer_scales(Query *query)
{
	Inference inference = {NIL};

	(void) infer_walker((Node *) query, &inference);
}

} // namespace tw::analyze
