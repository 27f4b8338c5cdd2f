/*
 * columns.hpp - the columns of an aggregate operator's input, groups, results and state table.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"

namespace tw::state
{

/* Columns of the state: groups, row count, then the columns of each aggregate; and their number. */
TupleDesc state_columns(const analyze::ViewPlan *plan);
int state_natts(const analyze::ViewPlan *plan);

/* Columns of the state table (attribute numbers) that two states of equal groups need not agree in. */
Bitmapset *incidental_columns(const analyze::ViewPlan *plan);

/* The group columns. */
TupleDesc key_descriptor(const analyze::ViewPlan *plan);

/* The group columns and the results of the aggregates. */
TupleDesc result_descriptor(const analyze::ViewPlan *plan, TupleDesc keys);

/* The columns of the input block; where there are distinct inputs, then which one a row is of. */
TupleDesc input_descriptor(const analyze::ViewPlan *plan);

} // namespace tw::state
