/*
 * groups.cpp - the groups of a batch that are beyond memory.
 *
 * A group that is in memory stays there; rows of others are spilled with their
 * group's place in the order in which all sessions take groups, and come back
 * group by group.
 */
#include "state/groups.hpp"

namespace tw::state
{

int64
group_rank(MinimalTuple key, TupleTableSlot *keys)
{
	bool isnull = true;
	Datum first = 0;

	if (keys->tts_tupleDescriptor->natts == 0 ||
		!TupleDescAttr(keys->tts_tupleDescriptor, 0)->attbyval)
		return PG_INT64_MIN;
	ExecStoreMinimalTuple(key, keys, false);
	first = slot_getattr(keys, 1, &isnull);
	return isnull ? PG_INT64_MIN : (int64) first;
}

bool
is_full(const Groups *groups)
{
	return groups->keys->used +
			   (Size) groups->keys->nentries * (groups->change_size + groups->value_size) >
		   groups->limit;
}

bool
spill_input(Groups *groups, TupleTableSlot *row, int64 weight)
{
	MinimalTuple key = capture::form_image(groups->keys->desc, row->tts_values, row->tts_isnull);

	if (capture::zset_find_image(groups->keys, key))
	{
		pfree(key);
		return false;
	}
	if (!groups->spill)
	{
		groups->spill = capture::make_spill(groups->context, groups->owner);
		groups->rank = MakeSingleTupleTableSlot(groups->keys->desc, &TTSOpsMinimalTuple);
	}

	MinimalTuple image = capture::form_image(groups->input, row->tts_values, row->tts_isnull);
	int64 rank = group_rank(key, groups->rank);

	ExecClearTuple(groups->rank);
	capture::spill_put(groups->spill, rank, key, weight, image);
	pfree(image);
	pfree(key);
	return true;
}

namespace
{

void
read_ahead(SpilledGroups *spilled, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	spilled->done = !capture::spill_next(spilled->groups->spill, &spilled->ahead);
	MemoryContextSwitchTo(old);
}

} // namespace

SpilledGroups
begin_spilled(Groups *groups)
{
	SpilledGroups spilled = {groups, nullptr, nullptr, nullptr, {}, true};

	if (!groups->spill)
		return spilled;
	spilled.context = AllocSetContextCreate(CurrentMemoryContext, "tailwater spilled group",
											ALLOCSET_DEFAULT_SIZES);
	spilled.other = AllocSetContextCreate(CurrentMemoryContext, "tailwater spilled group",
										  ALLOCSET_DEFAULT_SIZES);
	spilled.row = MakeSingleTupleTableSlot(groups->input, &TTSOpsMinimalTuple);
	capture::spill_rewind(groups->spill);
	read_ahead(&spilled, spilled.context);
	return spilled;
}

Groups *
next_spilled(SpilledGroups *spilled)
{
	MemoryContext old = MemoryContextSwitchTo(spilled->context);
	Groups *single = begin_plain_groups(spilled->groups->op);
	MinimalTuple key = spilled->ahead.image;

	single->limit = SIZE_MAX;
	do
	{
		ExecStoreMinimalTuple(spilled->ahead.row, spilled->row, false);
		add_input(single, spilled->row, spilled->ahead.weight);
		MemoryContextReset(spilled->other);
		read_ahead(spilled, spilled->other);
	} while (!spilled->done && capture::same_image(spilled->ahead.image, key));
	ExecClearTuple(spilled->row);
	MemoryContextSwitchTo(old);
	return single;
}

void
leave_spilled(SpilledGroups *spilled)
{
	MemoryContext context = spilled->context;

	spilled->context = spilled->other;
	spilled->other = context;
	MemoryContextReset(context);
}

void
end_spilled(SpilledGroups *spilled)
{
	if (!spilled->row)
		return;
	ExecDropSingleTupleTableSlot(spilled->row);
	capture::end_spill(spilled->groups->spill);
	spilled->groups->spill = nullptr;
}

} // namespace tw::state
