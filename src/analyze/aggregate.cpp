/*
 * aggregate.cpp - grouped queries that are kept in state.
 *
 * A grouped query is split in three: the input block, which gives for each row
 * of the join the group columns and the arguments of the aggregates; the state
 * of each group (see state/aggregate.cpp for what each kind keeps); and the
 * finalization, which computes the view's columns and HAVING from group columns
 * and aggregate results. ORDER BY in an aggregate that state can follow makes no difference. SELECT DISTINCT is grouping by all columns.
 *
 * Aggregates with DISTINCT take the distinct values of each group, which are
 * groups themselves, with a state of their own that counts how often each is there.
 *
 * An input that is not linear is evaluated again for the keys of its own rows
 * that a change touches (keyed.cpp); what comes and goes is added to the state.
 *
 * Group columns must be of types whose equal values look the same: otherwise
 * what a group shows depends on which of its rows is met first.
 */
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/determinism.hpp"
#include "analyze/key.hpp"
#include "analyze/keyed.hpp"

namespace tw::analyze
{

namespace
{

struct Split
{
	ViewPlan *plan;
	List *groups;     /* expressions */
	List *operators;  /* equality operators, of the declared groups only */
	List *aggregates; /* AggregateSpec */
	List *columns;    /* expressions of the input block: groups, then arguments */
	const char *reason;
};

/* The built-in aggregates that state can follow, and how many columns of state they take. */
struct KnownAggregate
{
	Oid function;
	AggregateKind kind;
	int nstate;
};

const KnownAggregate kKnown[] = {
	{F_COUNT_, AggregateKind::kCount, 1},
	{F_COUNT_ANY, AggregateKind::kCount, 1},
	{F_REGR_COUNT, AggregateKind::kCount, 1},
	{F_SUM_INT2, AggregateKind::kSumInt, 2},
	{F_SUM_INT4, AggregateKind::kSumInt, 2},
	{F_AVG_INT2, AggregateKind::kAvgInt, 2},
	{F_AVG_INT4, AggregateKind::kAvgInt, 2},
	{F_SUM_INT8, AggregateKind::kSumNumeric, 7},
	{F_SUM_NUMERIC, AggregateKind::kSumNumeric, 7},
	{F_AVG_INT8, AggregateKind::kAvgNumeric, 7},
	{F_AVG_NUMERIC, AggregateKind::kAvgNumeric, 7},
	{F_VAR_POP_INT2, AggregateKind::kVarNumeric, 8},
	{F_VAR_POP_INT4, AggregateKind::kVarNumeric, 8},
	{F_VAR_POP_INT8, AggregateKind::kVarNumeric, 8},
	{F_VAR_POP_NUMERIC, AggregateKind::kVarNumeric, 8},
	{F_VAR_SAMP_INT2, AggregateKind::kVarNumeric, 8},
	{F_VAR_SAMP_INT4, AggregateKind::kVarNumeric, 8},
	{F_VAR_SAMP_INT8, AggregateKind::kVarNumeric, 8},
	{F_VAR_SAMP_NUMERIC, AggregateKind::kVarNumeric, 8},
	{F_VARIANCE_INT2, AggregateKind::kVarNumeric, 8},
	{F_VARIANCE_INT4, AggregateKind::kVarNumeric, 8},
	{F_VARIANCE_INT8, AggregateKind::kVarNumeric, 8},
	{F_VARIANCE_NUMERIC, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_POP_INT2, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_POP_INT4, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_POP_INT8, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_POP_NUMERIC, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_SAMP_INT2, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_SAMP_INT4, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_SAMP_INT8, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_SAMP_NUMERIC, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_INT2, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_INT4, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_INT8, AggregateKind::kVarNumeric, 8},
	{F_STDDEV_NUMERIC, AggregateKind::kVarNumeric, 8},
	{F_SUM_FLOAT4, AggregateKind::kFloatSum, 1},
	{F_SUM_FLOAT8, AggregateKind::kFloatSum, 1},
	{F_AVG_FLOAT4, AggregateKind::kFloatOne, 1},
	{F_AVG_FLOAT8, AggregateKind::kFloatOne, 1},
	{F_VAR_POP_FLOAT4, AggregateKind::kFloatOne, 1},
	{F_VAR_POP_FLOAT8, AggregateKind::kFloatOne, 1},
	{F_VAR_SAMP_FLOAT4, AggregateKind::kFloatOne, 1},
	{F_VAR_SAMP_FLOAT8, AggregateKind::kFloatOne, 1},
	{F_VARIANCE_FLOAT4, AggregateKind::kFloatOne, 1},
	{F_VARIANCE_FLOAT8, AggregateKind::kFloatOne, 1},
	{F_STDDEV_POP_FLOAT4, AggregateKind::kFloatOne, 1},
	{F_STDDEV_POP_FLOAT8, AggregateKind::kFloatOne, 1},
	{F_STDDEV_SAMP_FLOAT4, AggregateKind::kFloatOne, 1},
	{F_STDDEV_SAMP_FLOAT8, AggregateKind::kFloatOne, 1},
	{F_STDDEV_FLOAT4, AggregateKind::kFloatOne, 1},
	{F_STDDEV_FLOAT8, AggregateKind::kFloatOne, 1},
	{F_REGR_SXX, AggregateKind::kFloatTwo, 1},
	{F_REGR_SYY, AggregateKind::kFloatTwo, 1},
	{F_REGR_SXY, AggregateKind::kFloatTwo, 1},
	{F_REGR_AVGX, AggregateKind::kFloatTwo, 1},
	{F_REGR_AVGY, AggregateKind::kFloatTwo, 1},
	{F_REGR_R2, AggregateKind::kFloatTwo, 1},
	{F_REGR_SLOPE, AggregateKind::kFloatTwo, 1},
	{F_REGR_INTERCEPT, AggregateKind::kFloatTwo, 1},
	{F_COVAR_POP, AggregateKind::kFloatTwo, 1},
	{F_COVAR_SAMP, AggregateKind::kFloatTwo, 1},
	{F_CORR, AggregateKind::kFloatTwo, 1},
	{F_SUM_INTERVAL, AggregateKind::kSumInterval, 4},
	{F_AVG_INTERVAL, AggregateKind::kAvgInterval, 4},
	{F_SUM_MONEY, AggregateKind::kSumMoney, 2},
	{F_BOOL_AND, AggregateKind::kBoolAnd, 2},
	{F_EVERY, AggregateKind::kBoolAnd, 2},
	{F_BOOL_OR, AggregateKind::kBoolOr, 2},
	{F_BIT_AND_INT2, AggregateKind::kBitAnd, 2},
	{F_BIT_AND_INT4, AggregateKind::kBitAnd, 2},
	{F_BIT_AND_INT8, AggregateKind::kBitAnd, 2},
	{F_BIT_OR_INT2, AggregateKind::kBitOr, 2},
	{F_BIT_OR_INT4, AggregateKind::kBitOr, 2},
	{F_BIT_OR_INT8, AggregateKind::kBitOr, 2},
	{F_BIT_XOR_INT2, AggregateKind::kBitXor, 2},
	{F_BIT_XOR_INT4, AggregateKind::kBitXor, 2},
	{F_BIT_XOR_INT8, AggregateKind::kBitXor, 2},
};

/* Kind of a built-in aggregate; false where it is not one that state can follow. */
bool
aggregate_kind(Aggref *agg, AggregateSpec *spec)
{
	spec->function = server_aggregate(agg->aggfnoid);
	for (const KnownAggregate &known : kKnown)
	{
		if (known.function != spec->function)
			continue;
		spec->kind = known.kind;
		spec->nstate = known.nstate;
		if (agg->aggstar && !agg->aggfilter)
		{
			spec->kind = AggregateKind::kCountStar;
			spec->nstate = 0;
		}
		return pg::kIntervalsAreFinite || (spec->kind != AggregateKind::kSumInterval &&
										   spec->kind != AggregateKind::kAvgInterval);
	}
	return false;
}

/* min and max are known by their sort operator, for every type. */
bool
extreme_kind(Aggref *agg, AggregateSpec *spec)
{
	HeapTuple tup = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(agg->aggfnoid));
	Oid sortop = InvalidOid;
	Oid opfamily;
	Oid opcintype;
	int16 strategy;

	if (HeapTupleIsValid(tup))
	{
		sortop = ((Form_pg_aggregate) GETSTRUCT(tup))->aggsortop;
		ReleaseSysCache(tup);
	}
	if (!OidIsValid(sortop) || agg->aggfnoid >= FirstNormalObjectId ||
		list_length(agg->aggargtypes) != 1 ||
		!get_ordering_op_properties(sortop, &opfamily, &opcintype, &strategy))
		return false;

	spec->one_image = equality_is_image((Node *) linitial_node(TargetEntry, agg->args)->expr);
	spec->kind = strategy == BTLessStrategyNumber ? AggregateKind::kMin : AggregateKind::kMax;
	spec->compare = get_opfamily_proc(opfamily, opcintype, opcintype, BTORDER_PROC);
	spec->nstate = 4;
	return OidIsValid(spec->compare);
}

/* True if DISTINCT makes no difference. */
bool
ignores_duplicates(AggregateKind kind)
{
	switch (kind)
	{
		case AggregateKind::kMin:
		case AggregateKind::kMax:
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
			return true;
		default:
			return false;
	}
}

Node *
call(Oid function, Oid result, Node *left, Node *right)
{
	return (Node *) makeFuncExpr(function, result,
								 right ? list_make2(left, right) : list_make1(left), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

/* CASE WHEN value = NaN THEN NaN ELSE value + 0 END: -0 becomes 0, and all NaN the same one. */
Node *
canonical_float(Node *expr, Oid type, Oid equals, Oid plus)
{
	bool is_double = type == FLOAT8OID;
	auto constant = [&](float8 value)
	{
		return makeConst(type, -1, InvalidOid, is_double ? sizeof(float8) : sizeof(float4),
						 is_double ? Float8GetDatum(value) : Float4GetDatum((float4) value), false,
						 is_double ? FLOAT8PASSBYVAL : true);
	};
	Const *nan = constant(get_float8_nan());
	CaseExpr *result = makeNode(CaseExpr);
	CaseWhen *when = makeNode(CaseWhen);

	when->expr = (Expr *) call(equals, BOOLOID, expr, (Node *) nan);
	when->result = (Expr *) nan;
	when->location = -1;
	result->casetype = type;
	result->args = list_make1(when);
	result->defresult = (Expr *) call(plus, type, (Node *) copyObject(expr), (Node *) constant(0));
	result->location = -1;
	return (Node *) result;
}

/* An expression that is the same, also in its looks, for equal values; null where none is known. */
Node *
canonical_value(Node *expr)
{
	if (equality_is_image(expr))
		return expr;
	switch (exprType(expr))
	{
		case NUMERICOID:
			return call(F_TRIM_SCALE, NUMERICOID, expr, nullptr);
		case FLOAT8OID:
			return canonical_float(expr, FLOAT8OID, F_FLOAT8EQ, F_FLOAT8PL);
		case FLOAT4OID:
			return canonical_float(expr, FLOAT4OID, F_FLOAT4EQ, F_FLOAT4PL);
		default:
			return nullptr;
	}
}

/*
 * Column of the input for an argument of the aggregate. Where FILTER leaves a row
 * out the argument is not computed, since that might fail.
 */
AttrNumber
argument_column(Split *split, Aggref *agg, Node *arg)
{
	if (!agg->aggfilter || IsA(arg, Var) || IsA(arg, Const))
		return number_of(&split->columns, arg);

	CaseWhen *when = makeNode(CaseWhen);
	CaseExpr *guarded = makeNode(CaseExpr);

	when->expr = agg->aggfilter;
	when->result = (Expr *) arg;
	when->location = guarded->location = -1;
	guarded->casetype = exprType(arg);
	guarded->casecollid = exprCollation(arg);
	guarded->args = list_make1(when);
	guarded->defresult = (Expr *) makeNullConst(exprType(arg), exprTypmod(arg), exprCollation(arg));
	return number_of(&split->columns, (Node *) guarded);
}

int
find_aggregate(Split *split, Aggref *agg)
{
	int i = 0;
	ListCell *lc;

	foreach (lc, split->aggregates)
	{
		if (equal(((AggregateSpec *) lfirst(lc))->aggref, agg))
			return i;
		i++;
	}
	return -1;
}

void
add_aggregate(Split *split, Aggref *agg)
{
	AggregateSpec *spec;

	if (find_aggregate(split, agg) >= 0)
		return;
	spec = (AggregateSpec *) palloc0(sizeof(AggregateSpec));
	if (agg->aggdirectargs || agg->agglevelsup > 0 ||
		(!aggregate_kind(agg, spec) && !extreme_kind(agg, spec)))
	{
		split->reason = psprintf("aggregate %s()", get_func_name(agg->aggfnoid));
		return;
	}
	Node *arg = agg->args == NIL ? nullptr : (Node *) linitial_node(TargetEntry, agg->args)->expr;
	if (agg->aggdistinct && !ignores_duplicates(spec->kind))
	{
		/* What is only counted may be replaced by what equals it. */
		if (spec->kind == AggregateKind::kCount && list_length(agg->aggargtypes) == 1)
			arg = canonical_value(arg);
		else if (list_length(agg->aggargtypes) != 1 || !equality_is_image(arg))
			arg = nullptr;
		if (!arg)
		{
			split->reason = "DISTINCT over values that may be equal and look different";
			return;
		}
		spec->distinct = 1; /* see add_distinct_inputs() */
	}
	spec->aggref = agg;
	if (arg)
	{
		spec->argument = argument_column(split, agg, arg);
		spec->argtype = exprType(arg);
		spec->collation = agg->inputcollid;
		get_typlenbyval(spec->argtype, &spec->typlen, &spec->typbyval);
	}
	if (list_length(agg->aggargtypes) > 1)
		spec->second = argument_column(split, agg,
									   (Node *) lsecond_node(TargetEntry, agg->args)->expr);
	if (agg->aggfilter)
		spec->filter = number_of(&split->columns, (Node *) agg->aggfilter);
	split->aggregates = lappend(split->aggregates, spec);
}

/* Collects aggregates, and columns that follow from the groups by a primary key. */
bool
collect_walker(Node *node, Split *split)
{
	ListCell *lc;

	if (node == nullptr || split->reason)
		return false;
	foreach (lc, split->groups)
		if (equal(lfirst(lc), node))
			return false;
	if (IsA(node, Aggref))
	{
		add_aggregate(split, (Aggref *) node);
		return false;
	}
	if (IsA(node, GroupingFunc))
	{
		split->reason = "GROUPING()";
		return false;
	}
	if (IsA(node, SubLink))
	{
		split->reason = "a subquery over groups";
		return false;
	}
	if (IsA(node, Var))
	{
		split->groups = lappend(split->groups, node);
		return false;
	}
	return pg::walk_expression(node, collect_walker, split);
}

Node *
finalize_mutator(Node *node, Split *split)
{
	int i = 0;
	ListCell *lc;

	if (node == nullptr)
		return nullptr;
	foreach (lc, split->groups)
	{
		Node *group = (Node *) lfirst(lc);

		i++;
		if (equal(group, node))
			return (Node *) makeVar(OUTER_VAR, i, exprType(group), exprTypmod(group),
									exprCollation(group), 0);
	}
	if (IsA(node, Aggref))
	{
		i = list_length(split->groups) + find_aggregate(split, (Aggref *) node) + 1;
		return (Node *) makeVar(OUTER_VAR, i, exprType(node), exprTypmod(node), exprCollation(node),
								0);
	}
	return pg::mutate_expression(node, finalize_mutator, split);
}

const char *
collect_groups(Query *query, Split *split)
{
	List *clauses = query->distinctClause ? query->distinctClause : query->groupClause;
	ListCell *lc;

	foreach (lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);

		split->groups = lappend(split->groups, get_sortgroupclause_expr(clause, query->targetList));
		split->operators = lappend_oid(split->operators, clause->eqop);
	}
	foreach (lc, shown_targets(query))
		(void) collect_walker((Node *) lfirst_node(TargetEntry, lc)->expr, split);
	(void) collect_walker(query->havingQual, split);
	if (split->reason)
		return split->reason;

	foreach (lc, split->groups)
	{
		Node *group = (Node *) lfirst(lc);

		if (!equality_is_image(source_of(query, group)))
			return psprintf("a group column of type %s, whose equal values may look different",
							format_type_be(exprType(group)));
	}
	return nullptr;
}

/* SELECT groups, arguments FROM ... WHERE ..., without grouping. */
Query *
input_query(Query *query, List *columns)
{
	Query *input = (Query *) copyObject(query);
	AttrNumber resno = 0;
	ListCell *lc;

	input->targetList = NIL;
	foreach (lc, columns)
	{
		resno++;
		input->targetList = lappend(input->targetList,
									makeTargetEntry((Expr *) copyObject(lfirst(lc)), resno,
													psprintf("c%d", resno), false));
	}
	input->groupClause = NIL;
	input->distinctClause = NIL;
	input->havingQual = nullptr;
	input->hasAggs = false;
	input->sortClause = NIL;
	return input;
}

/* Groups by the view's groups and one more column, which show these columns. */
ViewPlan *
distinct_plan(const ViewPlan *plan, const Query *input, AttrNumber argument)
{
	ViewPlan *part = (ViewPlan *) palloc0(sizeof(ViewPlan));
	Query *query = (Query *) copyObject(input);
	List *columns = list_copy_head(input->targetList, plan->ngroup);
	AttrNumber resno = 0;
	ListCell *lc;

	columns = lappend(columns, list_nth(input->targetList, argument - 1));
	query->targetList = NIL;
	foreach (lc, columns)
	{
		Node *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;
		Var *var = makeVar(OUTER_VAR, ++resno, exprType(expr), exprTypmod(expr),
						   exprCollation(expr), 0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) copyObject(expr), resno,
													psprintf("c%d", resno), false));
		part->finalize = lappend(part->finalize, makeTargetEntry((Expr *) var, resno,
																 psprintf("c%d", resno), false));
	}
	part->context = plan->context;
	part->view = plan->view;
	part->strategy = Strategy::kAggregate;
	part->ngroup = resno;
	part->input = make_opaque_block(query);
	return part;
}

/* Gives each aggregate with DISTINCT its input; those with the same argument and filter share one. */
void
add_distinct_inputs(ViewPlan *plan, const Query *input)
{
	plan->distinct = (DistinctInput *) palloc0(sizeof(DistinctInput) * Max(plan->naggregates, 1));
	for (int i = 0; i < plan->naggregates; i++)
	{
		AggregateSpec *spec = &plan->aggregates[i];
		int part = 0;

		if (spec->distinct == 0)
			continue;
		while (part < plan->ndistinct && (plan->distinct[part].argument != spec->argument ||
										  plan->distinct[part].filter != spec->filter))
			part++;
		if (part == plan->ndistinct)
			plan->distinct[plan->ndistinct++] = {spec->argument, spec->filter,
												 distinct_plan(plan, input, spec->argument)};
		spec->distinct = part + 1;
	}
}

} // namespace

bool
aggregate_sees_order(Aggref *agg)
{
	AggregateSpec spec = {};

	if (aggregate_kind(agg, &spec))
		return false;
	return !extreme_kind(agg, &spec) || !spec.one_image;
}

bool
sums_floats(Oid aggregate)
{
	for (const KnownAggregate &known : kKnown)
		if (known.function == aggregate)
			return known.kind == AggregateKind::kFloatSum ||
				   known.kind == AggregateKind::kFloatOne || known.kind == AggregateKind::kFloatTwo;
	return false;
}

const char *
plan_aggregate(ViewPlan *plan)
{
	return plan_groups(plan, plan->query, nullptr);
}

const char *
plan_groups(ViewPlan *plan, Query *query, Node *multiplicity)
{
	Split split = {plan, NIL, NIL, NIL, NIL, nullptr};
	bool distinct = query->distinctClause != NIL;
	const char *reason;
	ListCell *lc;

	if (query->setOperations || query->groupingSets || query->hasWindowFuncs ||
		query->hasDistinctOn || query->limitCount || query->limitOffset || query->hasTargetSRFs)
		return "a clause beside the grouping";
	if (distinct && (query->hasAggs || query->groupClause != NIL || query->havingQual))
		return "DISTINCT over groups";
	const char *not_linear = not_linear_from(query);
	reason = collect_groups(query, &split);
	if (reason)
		return not_linear ? not_linear : reason;
	(void) collect_walker(multiplicity, &split);

	/* Groups first, so that their columns have the groups' numbers. */
	List *columns = (List *) copyObject(split.groups);
	int ngroup = list_length(columns);

	split.columns = columns;
	List *found = split.aggregates;
	split.aggregates = NIL;
	foreach (lc, found)
		add_aggregate(&split, ((AggregateSpec *) lfirst(lc))->aggref);

	Query *input = input_query(query, split.columns);
	if (not_linear)
	{
		if (!is_order_independent(input))
			return "rows of the input that depend on the order of others";
		plan->keyed_input = plan_keyed_input(plan, input);
		if (!plan->keyed_input)
			return not_linear;
		plan->reason = not_linear;
	}

	plan->ngroup = ngroup;
	plan->naggregates = list_length(split.aggregates);
	plan->aggregates = (AggregateSpec *) palloc0(sizeof(AggregateSpec) * Max(plan->naggregates, 1));
	AttrNumber state = ngroup + 2; /* after the groups and their row count */
	for (int i = 0; i < plan->naggregates; i++)
	{
		plan->aggregates[i] = *(AggregateSpec *) list_nth(split.aggregates, i);
		plan->aggregates[i].state = state;
		state += plan->aggregates[i].nstate;
	}

	add_distinct_inputs(plan, input);

	List *targets = NIL;
	foreach (lc, shown_targets(query))
		targets = lappend(targets, flatCopyTargetEntry(lfirst_node(TargetEntry, lc)));
	plan->finalize = (List *) finalize_mutator((Node *) targets, &split);
	plan->having = finalize_mutator(query->havingQual, &split);
	plan->multiplicity = finalize_mutator(multiplicity, &split);

	List *keys = list_copy_head(split.groups, list_length(split.operators));
	plan->restricted = (Query *) copyObject(input);
	plan->restricted_nulls = (Query *) copyObject(input);
	restrict_to_keys(plan->restricted, keys, split.operators, NullKeys::kNeverMatch);
	restrict_to_keys(plan->restricted_nulls, keys, split.operators, NullKeys::kMatch);
	plan->nrestrict = list_length(keys);
	plan->input = not_linear ? make_opaque_block(input) : make_block(input);
	return nullptr;
}

} // namespace tw::analyze
