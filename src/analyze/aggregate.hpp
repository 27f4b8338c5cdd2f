/*
 * aggregate.hpp - grouped queries that are kept in state.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/*
 * Fills input, groups, aggregates, finalization and restriction of the plan
 * from its query, which is grouped, has aggregates or is SELECT DISTINCT.
 * Returns null, or why the query cannot be kept in state; the plan is then
 * unchanged.
 */
const char *plan_aggregate(ViewPlan *plan);

/* True if the aggregate's result may depend on the order of its inputs; sums of floats are taken as exact. */
bool is_order_sensitive(Aggref *agg);

/* True if the built-in aggregate's result is made of sums of floats. */
bool sums_floats(Oid aggregate);

} // namespace tw::analyze
