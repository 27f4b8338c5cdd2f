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

} // namespace tw::analyze
