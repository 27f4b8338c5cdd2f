/*
 * set_operation.hpp - set operations that are kept in state, as groups.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/*
 * Plans the view, whose query is a set operation other than UNION ALL alone, as
 * groups with a multiplicity. Returns null, or why that cannot be; the plan is
 * then unchanged.
 */
const char *plan_set_operation(ViewPlan *plan);

} // namespace tw::analyze
