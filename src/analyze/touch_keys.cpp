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
 * kept apart (maintain/key_guard.cpp). Where its conditions lead from the change to S over
 * other tables, the rows of these tell such keys; whoever looks them up must keep the writers of these
 * tables off first. Where neither touch query reads the other table, they need not be kept apart at all.
 */
#include "analyze/touch_keys.hpp"
#include "analyze/places.hpp"
#include "analyze/touch.hpp"

namespace tw::analyze
{

namespace
{

/* The tables that a touch query reads, and what is known of their columns. */
struct Trace
{
	Query *query; /* null: any row may be touched */
	Places places;
	int change; /* the place of the delta */
};

Trace
trace_of(const ViewPlan *plan, int point)
{
	Trace trace = {};
	Bitmapset *known = nullptr;
	int n = 0;
	ListCell *lc;

	trace.query = touch_query(plan->query, &plan->points[point], NIL, &known);
	if (!trace.query)
		return trace;
	trace.places = find_places(trace.query);
	foreach (lc, trace.places.list)
	{
		if (((const Place *) lfirst(lc))->rte->rtekind == RTE_NAMEDTUPLESTORE)
			trace.change = n;
		n++;
	}
	return trace;
}

/* The places (integers) where the touch query reads the table; the change is none of them. */
List *
readings(const Trace *trace, Oid relid)
{
	List *found = NIL;
	int n = 0;
	ListCell *lc;

	foreach (lc, trace->places.list)
	{
		const RangeTblEntry *rte = ((const Place *) lfirst(lc))->rte;

		if (rte->rtekind == RTE_RELATION && rte->relid == relid)
			found = lappend_int(found, n);
		n++;
	}
	return found;
}

/* True if each place where the table is read has the column equal to that of the change. */
bool
always_equal(const Trace *trace, AttrNumber changed, Oid relid, AttrNumber column)
{
	ListCell *lc;

	foreach (lc, readings(trace, relid))
	{
		List *pairs = equal_pairs(&trace->places.equal, trace->change, lfirst_int(lc));
		bool equal = false;

		for (int i = 0; i < list_length(pairs); i += 2)
			equal |= ((EqualColumn *) list_nth(pairs, i))->column == changed &&
					 ((EqualColumn *) list_nth(pairs, i + 1))->column == column;
		if (!equal)
			return false;
	}
	return true;
}

/* Fills in the columns of the key, the change of `from` being that of side `side`; false where there are none. */
bool
find_columns(const Trace *from, const Trace *to, int side, JoinKey *key)
{
	Oid changed_relid = key->sides[side].relid;
	Oid other_relid = key->sides[1 - side].relid;
	List *pairs = equal_pairs(&from->places.equal, from->change,
							  linitial_int(readings(from, other_relid)));

	for (int i = 0; i < list_length(pairs); i += 2)
	{
		const EqualColumn *changed = (const EqualColumn *) list_nth(pairs, i);
		const EqualColumn *other = (const EqualColumn *) list_nth(pairs, i + 1);

		if (!always_equal(from, changed->column, other_relid, other->column) ||
			!always_equal(to, other->column, changed_relid, changed->column))
			continue;
		take_columns(changed, other, side, key);
		return true;
	}
	return false;
}

/* The way from the change to the only place where the table is read; NIL where there are others. */
List *
only_way(const Trace *trace, Oid relid)
{
	List *there = readings(trace, relid);

	if (list_length(there) != 1)
		return NIL;
	return find_way(&trace->places, trace->change, linitial_int(there));
}

/* True if both ways, of different queries, compare the same columns of the same tables. */
bool
are_alike(const Trace *trace, List *way, const Trace *other_trace, List *other_way)
{
	if (list_length(way) != list_length(other_way))
		return false;
	for (int i = 0; i < list_length(way); i++)
	{
		const Hop *hop = (const Hop *) list_nth(way, i);
		const Hop *other = (const Hop *) list_nth(other_way, i);

		if (hop->from.column != other->from.column || hop->to.column != other->to.column ||
			hop->to.hash != other->to.hash || hop->to.collation != other->to.collation ||
			place(&trace->places, hop->to.place)->rte->relid !=
				place(&other_trace->places, other->to.place)->rte->relid)
			return false;
	}
	return true;
}

/*
 * Makes a way over other tables the key: where `from` reads the table of `to` once, and `to` does not
 * read that of `from`, or by the same way.
 */
bool
find_lookup(const Trace *from, const Trace *to, int side, JoinKey *key)
{
	List *way = only_way(from, key->sides[1 - side].relid);

	if (list_length(way) < 2)
		return false;
	if (readings(to, key->sides[side].relid) != NIL &&
		!are_alike(to, only_way(to, key->sides[side].relid), from, reverse_way(way)))
		return false;
	take_way(&from->places, way, side, key);
	return true;
}

/* True if the writers of both points' tables can be kept apart by keys, or need not be. */
bool
compare_points(const ViewPlan *plan, const Trace *traces, JoinKey *key)
{
	const Trace *first = &traces[key->sides[0].occurrence];
	const Trace *second = &traces[key->sides[1].occurrence];

	if (!plan->points[key->sides[0].occurrence].followed ||
		!plan->points[key->sides[1].occurrence].followed || !first->query || !second->query)
		return false;

	bool first_reads = readings(first, key->sides[1].relid) != NIL;
	bool second_reads = readings(second, key->sides[0].relid) != NIL;
	if (!first_reads && !second_reads)
		return true;
	return (first_reads && find_columns(first, second, 0, key)) ||
		   (second_reads && find_columns(second, first, 1, key)) ||
		   (first_reads && find_lookup(first, second, 0, key)) ||
		   (second_reads && find_lookup(second, first, 1, key));
}

/* True if whoever looks for the key's values has kept the writers of all tables off that he reads for it. */
bool
reads_what_stays(const ViewPlan *plan, const JoinKey *key)
{
	Oid finder = key->sides[key->finder].relid;

	for (int i = 0; i < plan->npoint_keys; i++)
	{
		const JoinKey *other = &plan->point_keys[i];

		for (int side = 0; side < 2; side++)
			if (other->sides[side].relid == finder &&
				list_member_oid(key->between, other->sides[1 - side].relid) &&
				(other->distance == 0 || other->distance >= key->distance))
				return false;
	}
	return true;
}

/* What is left without a key is locked as a whole, before anything is looked up. */
void
drop_unstable(ViewPlan *plan)
{
	int kept = 0;

	sort_keys(plan->point_keys, plan->npoint_keys);
	for (int i = 0; i < plan->npoint_keys; i++)
	{
		const JoinKey *key = &plan->point_keys[i];

		if (key->distance < 2 || reads_what_stays(plan, key))
			plan->point_keys[kept++] = *key;
	}
	plan->npoint_keys = kept;
}

} // namespace

void
find_point_keys(ViewPlan *plan)
{
	int n = plan->npoints;
	Trace *traces = (Trace *) palloc(sizeof(Trace) * Max(n, 1));

	plan->npoint_keys = 0;
	plan->point_keys = (JoinKey *) palloc(sizeof(JoinKey) * Max(n * (n - 1) / 2, 1));
	for (int i = 0; i < n; i++)
		traces[i] = trace_of(plan, i);
	for (int p = 0; p < n; p++)
		for (int q = p + 1; q < n; q++)
		{
			JoinKey *key = &plan->point_keys[plan->npoint_keys];

			*key = {};
			key->sides[0] = {p, plan->points[p].relid, InvalidAttrNumber, InvalidOid};
			key->sides[1] = {q, plan->points[q].relid, InvalidAttrNumber, InvalidOid};
			if (!compare_points(plan, traces, key))
				continue;
			if (key->distance == 0)
				plan->points[p].apart = plan->points[q].apart = false;
			plan->npoint_keys++;
		}
	drop_unstable(plan);
}

} // namespace tw::analyze
