/*
 * aggregate.hpp - keeps the groups of an aggregate operator in a state table.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"
#include "capture/zset.hpp"
#include "exec/plan.hpp"

namespace tw::state
{

/* An aggregate operator made ready to run; lives as long as the view's plan. */
struct AggregateOperator;

/* relation and index: the operator's state table and the index on its group columns. */
AggregateOperator *make_aggregate_operator(const analyze::ViewPlan *plan, Oid relation, Oid index,
										   TupleDesc view, const bool *stale);

/* The operator of a distinct input of the plan, by number from 0. To be set for all before use. */
void set_distinct_operator(AggregateOperator *op, int part, AggregateOperator *distinct);

/* Columns of the operator's groups and results. */
TupleDesc result_columns(const AggregateOperator *op);

/* Columns of the state table: groups, row count, then the columns of each aggregate, or one for all of them. */
TupleDesc state_descriptor(const analyze::ViewPlan *plan);

/* The groups that a batch touches, with what changed in each; allocated in the current context. */
struct Groups;
Groups *begin_groups(AggregateOperator *op);

/* Adds one row of the input block: group columns, then arguments. A capture::RowCallback. */
void add_input(void *groups, TupleTableSlot *row, int64 weight);

/*
 * Adds the groups to the state table and the view's changes to `out`. Needs an
 * active snapshot, which it replaces by newer ones where it must wait.
 */
void fold_groups(Groups *groups, capture::ZSet *out);

/* Fills an empty state table with the groups, which hold all input rows, and adds the view's rows to `out`. */
void store_groups(Groups *groups, capture::ZSet *out);

} // namespace tw::state
