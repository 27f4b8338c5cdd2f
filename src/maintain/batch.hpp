/*
 * batch.hpp - brings all live views up to date with a set of changes.
 */
#pragma once

#include "pg/postgres.hpp"
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
