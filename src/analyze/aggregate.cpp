/*
 * aggregate.cpp - grouped queries that are kept in state.
 *
 * A grouped query is split in three: the input block, which gives for each row
 * of the join the group columns and the arguments of the aggregates; the state
 * of each group (see state/aggregate.cpp for what each kind keeps); and the
 * finalization, which computes the view's columns and HAVING from group columns
 * and aggregate results. SELECT DISTINCT is grouping by all columns.
 *
 * Group columns must be of types whose equal values look the same: otherwise
 * what a group shows depends on which of its rows is met first.
 */
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/key.hpp"

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

/* Kind of a built-in aggregate; false where it is not one that state can follow. */
bool
aggregate_kind(Aggref *agg, AggregateSpec *spec)
{
	switch (agg->aggfnoid)
	{
		case F_COUNT_:
			spec->kind = agg->aggfilter ? AggregateKind::kCount : AggregateKind::kCountStar;
			spec->nstate = agg->aggfilter ? 1 : 0;
			return true;
		case F_COUNT_ANY:
			spec->kind = AggregateKind::kCount;
			spec->nstate = 4;
			return true;
		case F_SUM_INT2:
		case F_SUM_INT4:
			spec->kind = AggregateKind::kSumInt;
			spec->nstate = 2;
			return true;
		case F_AVG_INT2:
		case F_AVG_INT4:
			spec->kind = AggregateKind::kAvgInt;
			spec->nstate = 2;
			return true;
		case F_SUM_INT8:
		case F_SUM_NUMERIC:
			spec->kind = AggregateKind::kSumNumeric;
			spec->nstate = 7;
			return true;
		case F_AVG_INT8:
		case F_AVG_NUMERIC:
			spec->kind = AggregateKind::kAvgNumeric;
			spec->nstate = 7;
			return true;
		case F_BOOL_AND:
		case F_EVERY:
			spec->kind = AggregateKind::kBoolAnd;
			spec->nstate = 2;
			return true;
		case F_BOOL_OR:
			spec->kind = AggregateKind::kBoolOr;
			spec->nstate = 2;
			return true;
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
		list_length(agg->args) != 1 ||
		!get_ordering_op_properties(sortop, &opfamily, &opcintype, &strategy))
		return false;

	TargetEntry *arg = linitial_node(TargetEntry, agg->args);
	if (!equality_is_image((Node *) arg->expr))
		return false;
	spec->kind = strategy == BTLessStrategyNumber ? AggregateKind::kMin : AggregateKind::kMax;
	spec->compare = get_opfamily_proc(opfamily, opcintype, opcintype, BTORDER_PROC);
	spec->nstate = 4;
	return OidIsValid(spec->compare);
}

AttrNumber
input_column(Split *split, Node *expr)
{
	AttrNumber i = 0;
	ListCell *lc;

	foreach (lc, split->columns)
	{
		i++;
		if (equal(lfirst(lc), expr))
			return i;
	}
	split->columns = lappend(split->columns, copyObject(expr));
	return i + 1;
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
	if (agg->aggdistinct || agg->aggorder || agg->aggdirectargs || agg->agglevelsup > 0)
	{
		split->reason = "an aggregate with DISTINCT or ORDER BY";
		return;
	}
	spec = (AggregateSpec *) palloc0(sizeof(AggregateSpec));
	if (!aggregate_kind(agg, spec) && !extreme_kind(agg, spec))
	{
		split->reason = psprintf("aggregate %s()", get_func_name(agg->aggfnoid));
		return;
	}
	spec->aggref = agg;
	if (agg->args != NIL)
	{
		Node *arg = (Node *) linitial_node(TargetEntry, agg->args)->expr;

		spec->argument = input_column(split, arg);
		spec->argtype = exprType(arg);
		spec->collation = agg->inputcollid;
		get_typlenbyval(spec->argtype, &spec->typlen, &spec->typbyval);
	}
	if (agg->aggfilter)
		spec->filter = input_column(split, (Node *) agg->aggfilter);
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
	foreach (lc, query->targetList)
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			(void) collect_walker((Node *) lfirst_node(TargetEntry, lc)->expr, split);
	(void) collect_walker(query->havingQual, split);
	if (split->reason)
		return split->reason;

	foreach (lc, split->groups)
	{
		Node *group = (Node *) lfirst(lc);

		if (!equality_is_image(group))
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

} // namespace

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
	reason = not_linear_from(query);
	if (!reason)
		reason = collect_groups(query, &split);
	if (reason)
		return reason;
	(void) collect_walker(multiplicity, &split);

	/* Groups first, so that their columns have the groups' numbers. */
	List *columns = (List *) copyObject(split.groups);
	int ngroup = list_length(columns);

	split.columns = columns;
	List *found = split.aggregates;
	split.aggregates = NIL;
	foreach (lc, found)
		add_aggregate(&split, ((AggregateSpec *) lfirst(lc))->aggref);

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

	List *targets = NIL;
	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			targets = lappend(targets, flatCopyTargetEntry(tle));
	}
	plan->finalize = (List *) finalize_mutator((Node *) targets, &split);
	plan->having = finalize_mutator(query->havingQual, &split);
	plan->multiplicity = finalize_mutator(multiplicity, &split);

	Query *input = input_query(query, split.columns);
	List *keys = list_copy_head(split.groups, list_length(split.operators));
	plan->restricted = (Query *) copyObject(input);
	plan->restricted_nulls = (Query *) copyObject(input);
	restrict_to_keys(plan->restricted, keys, split.operators, NullKeys::kNeverMatch);
	restrict_to_keys(plan->restricted_nulls, keys, split.operators, NullKeys::kMatch);
	plan->nrestrict = list_length(keys);
	plan->input = make_block(input);
	return nullptr;
}

} // namespace tw::analyze
