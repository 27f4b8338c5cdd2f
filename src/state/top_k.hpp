/*
 * top_k.hpp - follows ORDER BY ... LIMIT by its boundaries.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"
#include "capture/zset.hpp"
#include "exec/keyed.hpp"

namespace tw::state
{

/* A LIMIT over an inner relation made ready to run; lives as long as the view's plan. */
struct TopKOperator;

/*
 * One end of what the view shows: the row at a place in the order of the inner
 * relation's rows, and all that sort as it does.
 */
struct Boundary
{
	int64 count;  /* the row is this one, counted from 1 */
	bool is_end;  /* else of what OFFSET leaves out */
	bool known;   /* false: to be found anew */
	bool changed; /* against what is kept */
	bool none;    /* there are fewer rows */
	bool crowded; /* too many rows sort as it does to be counted */
	int64 before; /* number of rows that come before it; of all, where it is none */
	int64 equal;  /* and of those that sort as it does */
	Datum *keys;
	bool *nulls;
};

struct Boundaries
{
	int n;
	Boundary at[2]; /* that of OFFSET first */
};

/* Columns of the table that keeps the boundaries: a number, the counts, the sort keys. */
TupleDesc boundary_descriptor(const analyze::ViewPlan *plan);

/* state and index: the table of the boundaries, and the index on their numbers. */
TopKOperator *make_top_k_operator(const analyze::ViewPlan *plan, Oid state, Oid index,
								  TupleDesc view, const bool *stale);

/*
 * Adds the view's delta to `out`, given that of the inner relation, and gives
 * the boundaries as they are now. kEverything: only the boundaries, and the
 * query is to be evaluated. Needs an active snapshot that sees the inner
 * relation's new state and the boundaries as they were. Nothing is written.
 */
exec::Touched follow_top_k(TopKOperator *op, List *deltas, capture::ZSet *out,
						   Boundaries *boundaries);

/* True if rows beyond a boundary tie with it, so that the query chooses which of them it shows. */
bool leave_choice(const TopKOperator *op, const Boundaries *boundaries);

/* Writes what has changed. One transaction at a time may do so. */
void keep_boundaries(TopKOperator *op, const Boundaries *boundaries);

/* True if a delta that was followed under two snapshots left the boundaries alone, or moved them to the same place. */
bool moved_alike(TopKOperator *op, const Boundaries *a, const Boundaries *b);

/* True if what is kept is what the inner relation gives. */
bool boundaries_are_right(TopKOperator *op);

} // namespace tw::state
