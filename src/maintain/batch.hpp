/*
 * batch.hpp - brings all live views up to date with a set of changes.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/delta.hpp"
#include "capture/zset.hpp"
#include "maintain/reach.hpp"
#include "maintain/session.hpp"

namespace tw::maintain
{

/*
 * Propagates the changes (List of capture::Change) to every live view that
 * reads the changed relations, and to the views that read those, in
 * topological order.
 */
void run_batch(List *changes);

/* Adds the view's delta, given those of its inputs (List of capture::Delta), under the active snapshot. */
void compute_delta(const ViewRuntime *view, List *deltas, capture::ZSet *out);
/*
 * Deltas (List of capture::Delta) of the view's inputs: from the captured
 * changes, and from those live views it reads that were done before. NIL: none
 * of them changed.
 */
List *input_deltas(const ViewRuntime *view, List *changes, List *view_deltas);

/* What of a view's delta is wanted after it was applied. */
enum class Keep
{
	kDelta,
	kNothing
};

/*
 * Maintains one view under the active snapshot, a copy of its own; returns the
 * view's delta, which is in the memory context and may lack rows if it is not to be kept.
 */
capture::Delta *maintain_view(const ViewRuntime *view, List *deltas, MemoryContext context,
							  Keep keep);

/* An empty set for a delta of the view, in which rows of one key stay together. */
capture::ZSet *make_view_delta(const ViewRuntime *view, MemoryContext context);

enum class Publish
{
	kYes,
	kNo
};

/* Applies a delta to a view and, where published, its log, under the active snapshot. Returns the number of changed rows. */
int64 apply_to_view(const ViewRuntime *view, capture::ZSet *delta, Publish publish);

} // namespace tw::maintain
