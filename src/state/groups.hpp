/*
 * groups.hpp - what a batch changes in the groups of an aggregate.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"
#include "capture/spill.hpp"
#include "capture/zset.hpp"
#include "state/accumulator.hpp"
#include "state/aggregate.hpp"

namespace tw::state
{

struct Groups
{
	AggregateOperator *op;
	const analyze::ViewPlan *plan;
	MemoryContext context;
	capture::ZSet *keys; /* weight: change of the number of rows */
	char *changes;       /* accumulators: change_size bytes for each group */
	Size change_size;
	Size value_size; /* about what the accumulators of a group point to */
	int capacity;

	/* rows of groups beyond memory */
	Size limit;
	ResourceOwner owner;
	TupleDesc
		input; /* columns of the input block; where there are distinct inputs, and which one a row is of */
	capture::Spill *spill; /* or null */
	TupleTableSlot *rank;  /* of the group columns */

	/* aggregates with DISTINCT */
	TupleTableSlot *row;    /* of a distinct input: of its own `input` */
	TupleTableSlot *tagged; /* of `input`; null where there are none */
	Groups **distinct;      /* by input; null where rows are not passed on to them */
};

/* The same as begin_groups(), but rows are not passed on to distinct inputs. */
Groups *begin_plain_groups(AggregateOperator *op);

/* What an accumulator that points to something points to, about. */
constexpr Size kValues = 64;

/* True if memory is full: no new group should be added. */
bool is_full(const Groups *groups);

/* If the row's group is not in memory, sends the row to the spill and returns true. */
bool spill_input(Groups *groups, TupleTableSlot *row, int64 weight);

/* First part of the order of groups: the first column, where it is passed by value. The slot is for the key. */
int64 group_rank(MinimalTuple key, TupleTableSlot *keys);

/* Reads the spill group by group. */
struct SpilledGroups
{
	Groups *groups;
	MemoryContext context; /* of the present group, and of the row ahead */
	MemoryContext other;   /* takes turns with it */
	TupleTableSlot *row;
	capture::Spilled ahead; /* first row of the next group */
	bool done;
};

SpilledGroups begin_spilled(Groups *groups);

/* The next group as the only one of a Groups of its own, valid until leave_spilled(). */
Groups *next_spilled(SpilledGroups *spilled);
void leave_spilled(SpilledGroups *spilled);

/* Removes the spill. */
void end_spilled(SpilledGroups *spilled);

} // namespace tw::state
