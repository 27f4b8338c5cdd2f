/*
 * boundary.hpp - the boundaries of ORDER BY ... LIMIT: rows, their places, and what is kept.
 */
#pragma once

#include "state/top_k.hpp"
#include "exec/plan.hpp"
#include "state/writer.hpp"

namespace tw::state
{

struct TopKOperator
{
	const analyze::ViewPlan *plan;
	const analyze::TopK *top;
	MemoryContext context;
	const bool *stale;
	Oid input; /* the inner relation */
	TupleDesc view;
	WriterCache *writer;
	exec::CachedQuery *first[2]; /* the keys of the rows up to a boundary; null: not made yet */
	SortSupport sort;            /* by key */

	/* null: not compiled yet */
	ExprContext *econtext;
	ProjectionInfo *keys; /* of a row of the inner relation */
	ProjectionInfo *row;  /* the view's */
};

/* How many rows more than those up to the boundary are looked at for such that sort as it does. */
constexpr int64 kMostEqual = 100;

/* The sort keys of a row of the inner relation, valid until it is called for another one. */
TupleTableSlot *keys_of(TopKOperator *op, TupleTableSlot *row);

/* Adds the view's row of the one whose keys were asked for last. */
void add_row(TopKOperator *op, capture::ZSet *out, int64 weight);

/* The boundary gets copies of the keys. */
void take_keys(TopKOperator *op, TupleTableSlot *keys, Boundary *boundary);

/* < 0 if a row with the keys comes before the boundary, 0: sorts as it does. */
int place_of(TopKOperator *op, TupleTableSlot *keys, const Boundary *boundary);
bool same_keys(TopKOperator *op, const Boundary *a, const Boundary *b);
bool same_boundaries(TopKOperator *op, const Boundaries *a, const Boundaries *b);

/* Those of the view; nothing is known of them yet. */
Boundaries boundaries_of(const analyze::TopK *top);

/* As they are kept, where they are. */
Boundaries read_boundaries(TopKOperator *op);

/* Finds them by reading all rows up to them. */
void find_boundaries(TopKOperator *op, Boundaries *boundaries);

} // namespace tw::state
