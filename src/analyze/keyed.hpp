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

/*
 * The keyed plan of the input of a grouped view, a query without grouping, whose
 * first columns are the view's groups. Returns null where no row of the input can be told by keys.
 */
ViewPlan *plan_keyed_input(const ViewPlan *plan, const Query *input);

/* Number of places where base tables are read whose changes the keys cannot follow. */
int count_unfollowed(const ViewPlan *plan);

/* True if the delta of the query itself is known for a change of any one of its tables. */
bool follows_each(const ViewPlan *plan);

/* True if the keyed input is told by group columns alone: its groups may as well be evaluated again. */
bool is_keyed_by_groups(const ViewPlan *plan);

} // namespace tw::analyze
