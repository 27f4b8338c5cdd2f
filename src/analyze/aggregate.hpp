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

/*
 * The same for a grouped query that stands for the view's. Each of its groups is
 * as many rows of the view as the multiplicity says, an expression (int8) over
 * the groups and aggregates; null: one.
 */
const char *plan_groups(ViewPlan *plan, Query *query, Node *multiplicity);

/* True if the aggregate's result may depend on the order of its inputs; sums of floats are taken as exact. */
bool aggregate_sees_order(Aggref *agg);

/* True if the built-in aggregate's result is made of sums of floats. */
bool sums_floats(Oid aggregate);

} // namespace tw::analyze
