/*
 * touch_keys.hpp - which columns must be equal for changes of two tables of a keyed query to matter to each other.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/* Fills plan->point_keys; the points are there. */
void find_point_keys(ViewPlan *plan);

} // namespace tw::analyze
