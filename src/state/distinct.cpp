/*
 * distinct.cpp - the distinct values that some aggregates of a group take.
 *
 * count(DISTINCT x) GROUP BY g follows the rows of SELECT DISTINCT g, x. These
 * are groups, too: by g and x, with a state table that counts how often each is
 * there. A batch is added to them first; the values that came to be there and
 * those that are gone are then rows of the input of the groups proper. They are
 * told from the others by a number in a column more, and only aggregates that
 * take the input of this number see them.
 */
#include "state/distinct.hpp"
#include "capture/delta.hpp"

namespace tw::state
{

using analyze::DistinctInput;
using analyze::ViewPlan;

namespace
{

/* Adds the row's group and argument to a distinct input. */
void
pass_on(Groups *part, const DistinctInput *distinct, int ngroup, TupleTableSlot *row, int64 weight)
{
	const Datum *values = row->tts_values;
	const bool *nulls = row->tts_isnull;
	int argument = distinct->argument - 1;
	int filter = distinct->filter - 1;

	if (nulls[argument] || (filter >= 0 && (nulls[filter] || !DatumGetBool(values[filter]))))
		return;

	/* The columns of the input are those of the groups: no aggregates. */
	TupleTableSlot *slot = part->row;
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, sizeof(Datum) * ngroup);
	memcpy(slot->tts_isnull, nulls, sizeof(bool) * ngroup);
	slot->tts_values[ngroup] = values[argument];
	slot->tts_isnull[ngroup] = false;
	add_input(part, ExecStoreVirtualTuple(slot), weight);
}

struct Taking
{
	Groups *groups;
	int part;
};

/* A RowCallback: a value of a distinct input that came or went. */
void
take_value(void *arg, TupleTableSlot *row, int64 weight)
{
	Taking *taking = static_cast<Taking *>(arg);
	const ViewPlan *plan = taking->groups->plan;
	const DistinctInput *distinct = &plan->distinct[taking->part];
	TupleTableSlot *slot = taking->groups->tagged;
	int natts = slot->tts_tupleDescriptor->natts;

	slot_getallattrs(row);
	ExecClearTuple(slot);
	memset(slot->tts_values, 0, sizeof(Datum) * natts);
	memset(slot->tts_isnull, true, sizeof(bool) * natts);
	memcpy(slot->tts_values, row->tts_values, sizeof(Datum) * plan->ngroup);
	memcpy(slot->tts_isnull, row->tts_isnull, sizeof(bool) * plan->ngroup);
	slot->tts_values[distinct->argument - 1] = row->tts_values[plan->ngroup];
	slot->tts_isnull[distinct->argument - 1] = false;
	if (distinct->filter > 0)
	{
		slot->tts_values[distinct->filter - 1] = BoolGetDatum(true);
		slot->tts_isnull[distinct->filter - 1] = false;
	}
	slot->tts_values[natts - 1] = Int32GetDatum(taking->part + 1);
	slot->tts_isnull[natts - 1] = false;
	add_input(taking->groups, ExecStoreVirtualTuple(slot), weight);
}

} // namespace

TupleTableSlot *
tag_row(Groups *groups, TupleTableSlot *row, int64 weight)
{
	const ViewPlan *plan = groups->plan;
	TupleTableSlot *slot = groups->tagged;
	int natts = slot->tts_tupleDescriptor->natts - 1;

	/* Not by the number of columns: rows of a delta query have their weight as last column. */
	if (row->tts_tupleDescriptor == groups->input)
		return row;
	for (int i = 0; groups->distinct && i < plan->ndistinct; i++)
		pass_on(groups->distinct[i], &plan->distinct[i], plan->ngroup, row, weight);

	ExecClearTuple(slot);
	memcpy(slot->tts_values, row->tts_values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, row->tts_isnull, sizeof(bool) * natts);
	slot->tts_values[natts] = Int32GetDatum(0);
	slot->tts_isnull[natts] = false;
	return ExecStoreVirtualTuple(slot);
}

void
take_distinct(Groups *groups, void (*settle)(Groups *, capture::ZSet *))
{
	for (int i = 0; groups->distinct && i < groups->plan->ndistinct; i++)
	{
		Groups *part = groups->distinct[i];
		capture::ZSet *changes = capture::make_large_zset(result_columns(part->op),
														  CurrentMemoryContext);
		capture::Delta delta = {};
		Taking taking = {groups, i};

		settle(part, changes);
		delta.desc = changes->desc;
		delta.set = changes;
		capture::each_row(&delta, take_value, &taking);
		capture::clear_zset(changes);
	}
}

} // namespace tw::state
