/*
 * explain.hpp - the circuit of a view as text.
 */
#pragma once

#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/* Lines (List of char *) that show how the materialized view is, or would be, kept up to date. */
List *explain(Oid view);

/* The class of the plan's costliest operator, those of its inner relations included. */
const char *strategy_name(const ViewPlan *plan);

} // namespace tw::analyze
