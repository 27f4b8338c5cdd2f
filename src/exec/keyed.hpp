/*
 * keyed.hpp - evaluates touched keys again.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"
#include "capture/zset.hpp"
#include "exec/plan.hpp"
#include "exec/snapshot.hpp"

namespace tw::exec
{

/* A keyed view made ready to run; lives as long as the view's plan. */
struct KeyedOperator;

KeyedOperator *make_keyed_operator(const analyze::ViewPlan *plan, TupleDesc view,
								   const bool *stale);

enum class Touched
{
	kSomeKeys,  /* the delta was added to the set */
	kEverything /* any row may be touched: nothing was added */
};

/* What to do where somebody else evaluates a touched key. */
enum class Locking
{
	kWait,
	kGiveUp /* as if everything was touched: who already holds locks of this kind must not wait for more of them */
};

/*
 * Adds the view's delta to `out`, given the deltas (List of capture::Delta) of
 * the relations that changed. Needs an active snapshot that sees their new
 * state and the view's old content.
 */
Touched run_keyed(KeyedOperator *op, List *deltas, capture::ZSet *out,
				  Locking locking = Locking::kWait);

} // namespace tw::exec
