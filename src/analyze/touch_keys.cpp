/*
 * touch_keys.cpp - which columns must be equal for changes of two tables of a keyed query to matter to each other.
 *
 * Two transactions change R and S at the same time, neither seeing the other.
 * Each evaluates the keys that it touches again. What it evaluates is right
 * where the other one touches none of these keys, and those that both touch are
 * locked. So all that could go wrong is that one of them fails to find a key,
 * since the way from its change to the key leads over a row of the other: the
 * touch query of R reads S. Where its conditions say that a column of S is equal
 * to one of the change of R, such rows have equal keys, by which the writers are
 * kept apart (maintain/key_guard.cpp). Where neither touch query reads the other
 * table, they need not be kept apart at all.
 */
#include "analyze/touch_keys.hpp"
#include "analyze/block.hpp"
#include "analyze/equalities.hpp"
#include "analyze/touch.hpp"

namespace tw::analyze
{

namespace
{

/* The tables that a touch query reads, and what is known of their columns. */
struct Trace
{
	Query *query;
	List *places; /* RangeTblEntry, at any depth; their position is the place's number */
	int change;   /* the place of the delta, -1: none */
	Equalities equal;
};

/* Queries around the present one, innermost first. */
using Stack = List;

int
place_of(Trace *trace, RangeTblEntry *rte)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, trace->places)
	{
		if (lfirst(lc) == rte)
			return n;
		n++;
	}
	return -1;
}

void
add_places(Trace *trace, Query *query)
{
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (rte->rtekind == RTE_SUBQUERY)
			add_places(trace, rte->subquery);
		else if (rte->rtekind == RTE_RELATION || rte->rtekind == RTE_NAMEDTUPLESTORE)
		{
			if (rte->rtekind == RTE_NAMEDTUPLESTORE)
				trace->change = list_length(trace->places);
			trace->places = lappend(trace->places, rte);
		}
	}
}

/* Follows a column through subqueries to the table it comes from; false where it is computed. */
bool
trace_column(Trace *trace, Stack *stack, const Var *var, EqualColumn *column)
{
	Stack *level = list_copy_tail(stack, var->varlevelsup);
	Query *query = linitial_node(Query, level);
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);

	if (rte->rtekind == RTE_SUBQUERY)
	{
		Node *expr =
			(Node *) list_nth_node(TargetEntry, rte->subquery->targetList, var->varattno - 1)->expr;

		if (!IsA(expr, Var) || ((Var *) expr)->varattno <= 0 || rte->subquery->setOperations)
			return false;
		return trace_column(trace, lcons(rte->subquery, level), (Var *) expr, column);
	}
	column->place = place_of(trace, rte);
	column->column = var->varattno;
	return column->place >= 0;
}

void
add_equalities(Trace *trace, Stack *outer, Query *query)
{
	Stack *stack = lcons(query, list_copy(outer));
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) query->jointree->quals))
	{
		const Var *left;
		const Var *right;
		EqualColumn a;
		EqualColumn b;

		if (read_equality((Node *) lfirst(lc), &left, &right, &a, &b) &&
			trace_column(trace, stack, left, &a) && trace_column(trace, stack, right, &b))
			add_equality(&trace->equal, a, b);
	}
	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (rte->rtekind == RTE_SUBQUERY)
			add_equalities(trace, stack, rte->subquery);
	}
}

Trace
trace_of(const ViewPlan *plan, int point)
{
	Trace trace = {};
	Bitmapset *known = nullptr;

	trace.change = -1;
	trace.query = touch_query(plan->query, &plan->points[point], NIL, &known);
	if (!trace.query)
		return trace;
	add_places(&trace, trace.query);
	add_equalities(&trace, NIL, trace.query);
	return trace;
}

bool
reads(const Trace *trace, Oid relid)
{
	ListCell *lc;

	foreach (lc, trace->places)
		if (((RangeTblEntry *) lfirst(lc))->rtekind == RTE_RELATION &&
			((RangeTblEntry *) lfirst(lc))->relid == relid)
			return true;
	return false;
}

/* True if each place where the table is read has the column equal to that of the change. */
bool
always_equal(const Trace *trace, AttrNumber changed, Oid relid, AttrNumber column)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, trace->places)
	{
		const RangeTblEntry *rte = (const RangeTblEntry *) lfirst(lc);
		int place = n++;
		bool equal = false;

		if (rte->rtekind != RTE_RELATION || rte->relid != relid)
			continue;
		List *pairs = equal_pairs(&trace->equal, trace->change, place);
		for (int i = 0; i < list_length(pairs); i += 2)
			equal |= ((EqualColumn *) list_nth(pairs, i))->column == changed &&
					 ((EqualColumn *) list_nth(pairs, i + 1))->column == column;
		if (!equal)
			return false;
	}
	return true;
}

/* Columns by which the change and the other table's rows meet (EqualColumn of the change, then of the table). */
List *
meeting_pairs(const Trace *trace, Oid relid)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, trace->places)
	{
		const RangeTblEntry *rte = (const RangeTblEntry *) lfirst(lc);
		int place = n++;

		if (rte->rtekind == RTE_RELATION && rte->relid == relid)
			return equal_pairs(&trace->equal, trace->change, place);
	}
	return NIL;
}

/* Fills in the columns of the key, the change of `from` being that of side `side`; false where there are none. */
bool
find_key(const Trace *from, const Trace *to, const Oid *relids, int side, JoinKey *key)
{
	List *pairs = meeting_pairs(from, relids[1 - side]);

	for (int i = 0; i < list_length(pairs); i += 2)
	{
		const EqualColumn *changed = (const EqualColumn *) list_nth(pairs, i);
		const EqualColumn *other = (const EqualColumn *) list_nth(pairs, i + 1);

		if (!always_equal(from, changed->column, relids[1 - side], other->column) ||
			!always_equal(to, other->column, relids[side], changed->column))
			continue;
		key->sides[side].column = changed->column;
		key->sides[side].hash = changed->hash;
		key->sides[1 - side].column = other->column;
		key->sides[1 - side].hash = other->hash;
		key->collation = changed->collation;
		return true;
	}
	return false;
}

bool
is_read_once(const ViewPlan *plan, int point)
{
	for (int i = 0; i < plan->npoints; i++)
		if (i != point && plan->points[i].relid == plan->points[point].relid)
			return false;
	return plan->points[point].followed;
}

/* True if the writers of both points' tables can be kept apart by keys, or need not be. */
bool
compare_points(const ViewPlan *plan, const Trace *traces, int p, int q, JoinKey *key)
{
	Oid relids[2] = {plan->points[p].relid, plan->points[q].relid};

	if (!is_read_once(plan, p) || !is_read_once(plan, q) || traces[p].change < 0 ||
		traces[q].change < 0)
		return false;
	*key = {};
	key->sides[0].occurrence = p;
	key->sides[1].occurrence = q;

	bool p_reads_q = reads(&traces[p], relids[1]);
	if (!p_reads_q && !reads(&traces[q], relids[0]))
		return true;
	return p_reads_q ? find_key(&traces[p], &traces[q], relids, 0, key)
					 : find_key(&traces[q], &traces[p], relids, 1, key);
}

} // namespace

void
find_point_keys(ViewPlan *plan)
{
	Trace *traces = (Trace *) palloc(sizeof(Trace) * Max(plan->npoints, 1));

	plan->npoint_keys = 0;
	plan->point_keys = (JoinKey *) palloc(sizeof(JoinKey) *
										  Max(plan->npoints * (plan->npoints - 1) / 2, 1));
	for (int i = 0; i < plan->npoints; i++)
		traces[i] = trace_of(plan, i);
	for (int p = 0; p < plan->npoints; p++)
		for (int q = p + 1; q < plan->npoints; q++)
		{
			const JoinKey *key = &plan->point_keys[plan->npoint_keys];

			if (!compare_points(plan, traces, p, q, &plan->point_keys[plan->npoint_keys]))
				continue;
			if (key->sides[0].column == InvalidAttrNumber)
				plan->points[p].apart = plan->points[q].apart = false;
			plan->npoint_keys++;
		}
}

} // namespace tw::analyze
