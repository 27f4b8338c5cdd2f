/*
 * record.cpp - changes of the inputs of a view that is being built.
 *
 * For each input there is a table with the columns xid, weight and the input's
 * columns at their places. Writers append to it in their own transactions,
 * with the top-level transaction's id, so that what was recorded tells which
 * snapshots see the change. A weight of 0 stands for a change beyond rows.
 */
#include "maintain/record.hpp"
#include "catalog/internal_table.hpp"
#include "capture/statement.hpp"

namespace tw::maintain
{

using capture::Delta;

namespace
{

constexpr int kLeadingColumns = 2; /* xid, weight */

TupleDesc
changes_descriptor(TupleDesc from)
{
	TupleDesc desc = CreateTemplateTupleDesc(kLeadingColumns + from->natts);

	TupleDescInitEntry(desc, 1, "xid", XID8OID, -1, 0);
	TupleDescInitEntry(desc, 2, "weight", INT8OID, -1, 0);
	for (int i = 0; i < from->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(from, i);
		AttrNumber attno = kLeadingColumns + i + 1;
		char *name = psprintf("c%d", i + 1);

		if (att->attisdropped)
		{
			TupleDescInitEntry(desc, attno, name, INT4OID, -1, 0);
			continue;
		}
		TupleDescInitEntry(desc, attno, name, att->atttypid, att->atttypmod, att->attndims);
		TupleDescInitEntryCollation(desc, attno, att->attcollation);
		TupleDescAttr(desc, attno - 1)->attstorage = att->attstorage;
		TupleDescAttr(desc, attno - 1)->attcompression = att->attcompression;
	}
	return desc;
}

struct Recorder
{
	Relation rel;
	TupleTableSlot *slot;
	BulkInsertState bulk;
	FullTransactionId xid;
	MemoryContext row;
};

void
record_values(Recorder *recorder, const Datum *values, const bool *nulls, int64 weight)
{
	TupleTableSlot *slot = recorder->slot;
	int natts = slot->tts_tupleDescriptor->natts - kLeadingColumns;
	MemoryContext old = MemoryContextSwitchTo(recorder->row);

	ExecClearTuple(slot);
	slot->tts_values[0] = FullTransactionIdGetDatum(recorder->xid);
	slot->tts_values[1] = Int64GetDatum(weight);
	memset(slot->tts_isnull, values ? false : true, slot->tts_tupleDescriptor->natts);
	slot->tts_isnull[0] = slot->tts_isnull[1] = false;
	if (values)
	{
		memcpy(slot->tts_values + kLeadingColumns, values, sizeof(Datum) * natts);
		memcpy(slot->tts_isnull + kLeadingColumns, nulls, sizeof(bool) * natts);
	}
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(recorder->rel, slot, GetCurrentCommandId(true), 0, recorder->bulk);
	ExecClearTuple(slot);
	MemoryContextSwitchTo(old);
	MemoryContextReset(recorder->row);
}

/* A capture::RowCallback. */
void
record_row(void *arg, TupleTableSlot *row, int64 weight)
{
	slot_getallattrs(row);
	record_values(static_cast<Recorder *>(arg), row->tts_values, row->tts_isnull, weight);
}

void
record_delta(const Recording *recording, const Delta *delta)
{
	Relation rel = table_open(recording->changes, RowExclusiveLock);
	Recorder recorder = {rel, MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual),
						 GetBulkInsertState(), GetTopFullTransactionId(),
						 AllocSetContextCreate(CurrentMemoryContext, "tailwater recorded row",
											   ALLOCSET_SMALL_SIZES)};

	if (delta->reset)
		record_values(&recorder, nullptr, nullptr, 0);
	else
		capture::each_row(delta, record_row, &recorder);
	FreeBulkInsertState(recorder.bulk);
	ExecDropSingleTupleTableSlot(recorder.slot);
	MemoryContextDelete(recorder.row);
	table_close(rel, NoLock);
}

bool
has_recording(List *recordings, const Recording *recording)
{
	ListCell *lc;

	foreach (lc, recordings)
		if (((Recording *) lfirst(lc))->changes == recording->changes)
			return true;
	return false;
}

} // namespace

Oid
create_changes(Oid view, Oid base)
{
	Relation rel = relation_open(base, AccessShareLock);
	Oid table = catalog::create_internal_table(psprintf("changes_%u_%u", view, base),
											   changes_descriptor(RelationGetDescr(rel)));

	relation_close(rel, NoLock);
	return table;
}

void
record_changes(List *relids, List *changes, List *view_deltas)
{
	List *recordings = NIL;
	ListCell *lc;

	foreach (lc, view_deltas)
		relids = list_append_unique_oid(relids, ((Delta *) lfirst(lc))->relid);
	foreach (lc, relids)
	{
		ListCell *lr;

		foreach (lr, recordings_of_base(lfirst_oid(lc)))
			if (!((Recording *) lfirst(lr))->broken &&
				!has_recording(recordings, (Recording *) lfirst(lr)))
				recordings = lappend(recordings, lfirst(lr));
	}
	foreach (lc, recordings)
	{
		const Recording *recording = (const Recording *) lfirst(lc);
		Delta *delta = capture::delta_of(recording->base, changes, !recording->alone);
		ListCell *ld;

		if (delta)
			record_delta(recording, delta);
		foreach (ld, view_deltas)
			if (((Delta *) lfirst(ld))->relid == recording->base)
				record_delta(recording, (Delta *) lfirst(ld));
	}
}

Frontier
make_frontier(Snapshot snapshot)
{
	Frontier frontier = {snapshot->xmin, snapshot->xmax, nullptr, snapshot->xcnt};

	frontier.xip = (TransactionId *) palloc(sizeof(TransactionId) * Max(snapshot->xcnt, 1));
	memcpy(frontier.xip, snapshot->xip, sizeof(TransactionId) * snapshot->xcnt);
	return frontier;
}

namespace
{

/* Whether the snapshot of the frontier saw the transaction, which has committed since or before. */
bool
was_seen(const Frontier *frontier, TransactionId xid)
{
	if (TransactionIdPrecedes(xid, frontier->xmin))
		return true;
	if (!TransactionIdPrecedes(xid, frontier->xmax))
		return false;
	for (uint32 i = 0; i < frontier->xcnt; i++)
		if (frontier->xip[i] == xid)
			return false;
	return true;
}

} // namespace

Delta *
read_changes(const Recording *recording, const Frontier *frontier, int64 *nrows)
{
	Relation base = relation_open(recording->base, AccessShareLock);
	Relation rel = table_open(recording->changes, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, nullptr);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, nullptr);
	Delta *delta = (Delta *) palloc0(sizeof(Delta));

	delta->relid = recording->base;
	delta->desc = CreateTupleDescCopy(RelationGetDescr(base));
	delta->set = capture::make_large_zset(delta->desc, CurrentMemoryContext);
	*nrows = 0;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);

		FullTransactionId xid = DatumGetFullTransactionId(slot->tts_values[0]);
		int64 weight = DatumGetInt64(slot->tts_values[1]);
		if (was_seen(frontier, XidFromFullTransactionId(xid)))
			continue;
		(*nrows)++;
		if (weight == 0)
			delta->reset = true;
		else
			(void) capture::zset_add_values(delta->set, slot->tts_values + kLeadingColumns,
											slot->tts_isnull + kLeadingColumns, weight);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	relation_close(base, NoLock);
	if (*nrows > 0)
		return delta;
	capture::end_zset(delta->set);
	return nullptr;
}

} // namespace tw::maintain
