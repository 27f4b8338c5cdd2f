/*
 * content.hpp - what a view should hold, against what it holds.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/zset.hpp"
#include "maintain/session.hpp"

namespace tw::maintain
{

/*
 * Evaluates the view's query as a whole, rebuilds its state, and adds to `out`
 * the difference to the view's present content. Needs an active snapshot and a
 * lock that keeps writers from the base tables or from the view.
 */
void recompute(const ViewRuntime *view, capture::ZSet *out);

/* Adds what the query gives (weight 1) to `out`; state is not touched. */
void evaluate(const ViewRuntime *view, capture::ZSet *out);

/* The same by the query as it was written, without the view's inner relations. */
void evaluate_whole(const analyze::ViewPlan *plan, capture::ZSet *out);

/*
 * Removes the rows of a small view of groups, so that its first content is
 * packed loosely (state/writer.hpp): CREATE fills pages to the brim.
 */
void make_room(const ViewRuntime *view);

/* Adds the table's rows, as the active snapshot sees them, to `out` with the weight. */
void read_table(Oid table, int64 weight, capture::ZSet *out);

/* Adds the view's rows to `out` with the weight. */
void read_view(const ViewRuntime *view, int64 weight, capture::ZSet *out);

/* True if content and state are what the query gives, as the active snapshot, a copy of its own, sees all of them. */
bool is_right(const ViewRuntime *view);

} // namespace tw::maintain
