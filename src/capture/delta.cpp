/*
 * delta.cpp - reads the rows of a delta.
 */
#include "capture/delta.hpp"

namespace tw::capture
{

int
rewound_pointer(Tuplestorestate *rows)
{
	int pointer = tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND);

	tuplestore_select_read_pointer(rows, pointer);
	tuplestore_rescan(rows);
	return pointer;
}

Tuplestorestate *
begin_store(ResourceOwner owner)
{
	ResourceOwner old = CurrentResourceOwner;

	CurrentResourceOwner = owner;
	Tuplestorestate *store = tuplestore_begin_heap(false, owner == nullptr, work_mem);
	CurrentResourceOwner = old;
	return store;
}

namespace
{

bool
is_of_delta(const DeltaPart *part, TupleTableSlot *row)
{
	if (!part->filter)
		return true;
	ResetExprContext(part->econtext);
	part->econtext->ecxt_scantuple = row;
	return ExecQual(part->filter, part->econtext);
}

void
each_row_of_part(const Delta *delta, const DeltaPart *part, RowCallback callback, void *arg)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(part->desc, &TTSOpsMinimalTuple);
	TupleTableSlot *converted = part->map ? MakeSingleTupleTableSlot(delta->desc, &TTSOpsVirtual)
										  : nullptr;
	int pointer = rewound_pointer(part->rows);

	while (tuplestore_gettupleslot(part->rows, true, false, slot))
	{
		TupleTableSlot *row = slot;

		if (part->map)
			row = execute_attr_map_slot(part->map->attrMap, slot, converted);
		if (is_of_delta(part, row))
			callback(arg, row, part->weight);
		/* The callback may have read the same store. */
		tuplestore_select_read_pointer(part->rows, pointer);
	}
	ExecDropSingleTupleTableSlot(slot);
	if (converted)
		ExecDropSingleTupleTableSlot(converted);
}

struct Consolidation
{
	ZSet *set;
	const Bitmapset *used;
	Datum *values;
	bool *nulls;
};

void
consolidate_row(void *arg, TupleTableSlot *row, int64 weight)
{
	Consolidation *c = static_cast<Consolidation *>(arg);
	int natts = c->set->desc->natts;
	bool whole = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, c->used);

	slot_getallattrs(row);
	for (int i = 0; i < natts; i++)
	{
		bool keep = whole || bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, c->used);

		c->values[i] = keep ? row->tts_values[i] : (Datum) 0;
		c->nulls[i] = keep ? row->tts_isnull[i] : true;
	}
	zset_add_values(c->set, c->values, c->nulls, weight);
}

} // namespace

bool
any_reset(List *deltas)
{
	ListCell *lc;

	foreach (lc, deltas)
		if (((Delta *) lfirst(lc))->reset)
			return true;
	return false;
}

void
each_row(const Delta *delta, RowCallback callback, void *arg)
{
	ListCell *lc;

	foreach (lc, delta->parts)
		each_row_of_part(delta, (DeltaPart *) lfirst(lc), callback, arg);
	if (!delta->set)
		return;

	TupleTableSlot *slot = MakeSingleTupleTableSlot(delta->desc, &TTSOpsMinimalTuple);
	ZParts parts = read_parts(delta->set);
	while (const ZSet *part = next_part(&parts))
		for (int i = 0; i < part->nentries; i++)
		{
			ZEntry *entry = &part->entries[i];

			if (entry->weight == 0)
				continue;
			ExecStoreMinimalTuple(entry->row, slot, false);
			callback(arg, slot, entry->weight);
		}
	ExecDropSingleTupleTableSlot(slot);
}

namespace
{

/* Adds the rows of a part to the store, which is made for the first one. */
void
store_part(const ZSet *part, TupleTableSlot *slot, TupleDesc weighted, Consolidation *c,
		   Tuplestorestate **store, RowCounts *counts)
{
	int natts = part->desc->natts;

	for (int i = 0; i < part->nentries; i++)
	{
		ZEntry *entry = &part->entries[i];

		if (entry->weight == 0)
			continue;
		if (!*store)
			*store = tuplestore_begin_heap(false, false, work_mem);
		ExecStoreMinimalTuple(entry->row, slot, false);
		slot_getallattrs(slot);
		memcpy(c->values, slot->tts_values, sizeof(Datum) * natts);
		memcpy(c->nulls, slot->tts_isnull, sizeof(bool) * natts);
		c->values[natts] = Int64GetDatum(entry->weight);
		c->nulls[natts] = false;
		tuplestore_putvalues(*store, weighted, c->values, c->nulls);
		counts->all++;
		counts->gone += entry->weight < 0;
	}
}

} // namespace

Tuplestorestate *
weighted_store(const Delta *delta, const Bitmapset *used, TupleDesc weighted, RowCounts *counts)
{
	int natts = delta->desc->natts;
	Consolidation c = {make_large_zset(delta->desc, CurrentMemoryContext), used,
					   (Datum *) palloc(sizeof(Datum) * (natts + 1)),
					   (bool *) palloc(sizeof(bool) * (natts + 1))};
	Tuplestorestate *store = nullptr;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(delta->desc, &TTSOpsMinimalTuple);

	*counts = {0, 0};
	each_row(delta, consolidate_row, &c);
	ZParts parts = read_parts(c.set);
	while (const ZSet *part = next_part(&parts))
		store_part(part, slot, weighted, &c, &store, counts);
	ExecDropSingleTupleTableSlot(slot);
	clear_zset(c.set);
	return store;
}

} // namespace tw::capture
