/*
 * keyed.hpp - views whose touched keys are evaluated again.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/*
 * Chooses key columns for the plan's query and fills in its points and its
 * restricted queries. Returns null, or why no key can be followed.
 */
const char *plan_keyed(ViewPlan *plan);

} // namespace tw::analyze
