/*
 * recursion.hpp - keeps the content of a recursive query, by rounds over what changed.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"
#include "capture/zset.hpp"
#include "exec/keyed.hpp"
#include "state/writer.hpp"

namespace tw::state
{

/* A recursive view made ready to run; lives as long as the view's plan. */
struct RecursionOperator;

/* writer: of the view, whose content is the recursion's state. */
RecursionOperator *make_recursion_operator(const analyze::ViewPlan *plan, WriterCache *writer,
										   TupleDesc view, const bool *stale);

/*
 * Adds the view's delta to `out`, given the deltas (List of capture::Delta) of
 * the relations that changed. Needs an active snapshot that sees their new
 * state and the view's old content. Where evaluating the query again is the
 * better way it adds nothing and says so.
 */
exec::Touched run_recursion(RecursionOperator *op, List *deltas, capture::ZSet *out);

} // namespace tw::state
