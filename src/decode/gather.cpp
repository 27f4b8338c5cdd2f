/*
 * gather.cpp - collects decoded changes by relation.
 *
 * Rows go to one pair of tuplestores (old, new) for each relation, which spill
 * to disk beyond work_mem. Decoding runs under historic catalogs: nothing is
 * looked up here but in the hash of relevant relations. A relation whose row
 * type changes while a batch is gathered begins a new Change; whoever reads
 * them sees by the descriptor that the rows are not of today's.
 *
 * Values that are stored out of line are put together by the reorder buffer,
 * in memory that goes with the change, so they are made inline. What an UPDATE
 * left alone is not in the log a second time; it is taken from the old row,
 * which REPLICA IDENTITY FULL logs as a whole.
 */
#include "decode/gather.hpp"
#include "capture/statement.hpp"

namespace tw::decode
{

using capture::Change;
using feed::StoredSnapshot;

namespace
{

/* Changes that belong together, in a memory context of their own. */
struct Collection
{
	MemoryContext context;
	uint64 xid;        /* of a transaction that is kept for later; 0: the batch itself */
	XLogRecPtr commit; /* its commit record */
	List *changes;
};

struct Relevant
{
	Oid relid; /* hash key */
	Change *last;
	TupleDesc last_desc; /* the relation cache's, which is pinned by us */
};

MemoryContext gather_context = nullptr; /* parent of all */
Collection batch;
List *kept = NIL; /* Collection *, in gather_context */
HTAB *relevant = nullptr;
const StoredSnapshot *frontier_seen;
const StoredSnapshot *batch_sees;
Collection
	*current = nullptr; /* where changes of the transaction being decoded go; null: nowhere */

void
init_collection(Collection *collection, uint64 xid, XLogRecPtr commit)
{
	collection->context = AllocSetContextCreate(gather_context, "tailwater decoded changes",
												ALLOCSET_DEFAULT_SIZES);
	collection->xid = xid;
	collection->commit = commit;
	collection->changes = NIL;
}

void
end_collection(Collection *collection)
{
	ListCell *lc;

	foreach (lc, collection->changes)
	{
		Change *change = (Change *) lfirst(lc);

		if (change->old_rows)
			tuplestore_end(change->old_rows);
		if (change->new_rows)
			tuplestore_end(change->new_rows);
	}
	if (collection->context)
		MemoryContextDelete(collection->context);
	*collection = {};
}

/* The transaction's id with its epoch: it is not newer than the next one to be given out. */
uint64
full_xid(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32 epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

void
forget_last_changes()
{
	HASH_SEQ_STATUS seq;
	Relevant *entry;

	if (!relevant)
		return;
	hash_seq_init(&seq, relevant);
	while ((entry = (Relevant *) hash_seq_search(&seq)) != nullptr)
		entry->last = nullptr;
}

/* What was kept and the batch's snapshot sees becomes part of the batch. */
void
join_kept()
{
	ListCell *lc;

	foreach (lc, kept)
	{
		Collection *later = (Collection *) lfirst(lc);
		MemoryContext old;

		if (!batch_sees->sees(later->xid))
			continue;
		old = MemoryContextSwitchTo(batch.context);
		batch.changes = list_concat(batch.changes, later->changes);
		MemoryContextSwitchTo(old);
		MemoryContextSetParent(later->context, batch.context);
		pfree(later);
		kept = foreach_delete_current (kept, lc);
	}
}

/* Of a batch that is tried again: its changes grow, and what was compared went with the transaction. */
void
forget_comparisons()
{
	ListCell *lc;

	foreach (lc, batch.changes)
	{
		((Change *) lfirst(lc))->compared = false;
		((Change *) lfirst(lc))->touched = nullptr;
	}
}

Change *
make_change(Relation rel)
{
	MemoryContext old = MemoryContextSwitchTo(current->context);
	Change *change = (Change *) palloc0(sizeof(Change));

	change->relid = RelationGetRelid(rel);
	change->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	change->exact = true;
	current->changes = lappend(current->changes, change);
	MemoryContextSwitchTo(old);
	return change;
}

/* The change to which rows of the relation, as it is at this point of the log, are added. */
Change *
change_of(Relevant *entry, Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);
	ListCell *lc;

	/* Only the batch's own change is remembered: transactions that are kept are few. */
	if (current == &batch && entry->last && entry->last_desc == desc)
		return entry->last;

	Change *change = nullptr;
	foreach (lc, current->changes)
	{
		Change *candidate = (Change *) lfirst(lc);

		if (candidate->relid == entry->relid && equalTupleDescs(candidate->desc, desc))
			change = candidate;
	}
	if (!change)
		change = make_change(rel);
	if (current == &batch)
	{
		/* A descriptor is freed at its last release, so the address stays its own. */
		if (entry->last_desc && --entry->last_desc->tdrefcount == 0)
			FreeTupleDesc(entry->last_desc);
		if (desc->tdrefcount > 0)
			desc->tdrefcount++;
		entry->last_desc = desc->tdrefcount > 0 ? desc : nullptr;
		entry->last = change;
	}
	return change;
}

/* The row with all values inline; `before` is the row that an UPDATE replaced, or null. */
HeapTuple
make_inline(HeapTuple row, HeapTuple before, TupleDesc desc)
{
	Datum *values = (Datum *) palloc(sizeof(Datum) * desc->natts);
	bool *nulls = (bool *) palloc(sizeof(bool) * desc->natts);
	Datum *old_values = (Datum *) palloc(sizeof(Datum) * desc->natts);
	bool *old_nulls = (bool *) palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(row, desc, values, nulls);
	if (before)
		heap_deform_tuple(before, desc, old_values, old_nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (nulls[i] || att->attisdropped || att->attlen != -1 ||
			!VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			continue;
		if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(values[i])))
			values[i] = PointerGetDatum(detoast_attr((varlena *) DatumGetPointer(values[i])));
		else if (before)
		{
			values[i] = old_values[i];
			nulls[i] = old_nulls[i];
		}
		else
			elog(ERROR, "value of column \"%s\" is not in the write-ahead log",
				 NameStr(att->attname));
	}
	return heap_form_tuple(desc, values, nulls);
}

void
add_row(Tuplestorestate **store, HeapTuple row, HeapTuple before, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(current->context);

	if (!*store)
		*store = capture::begin_store(nullptr);
	if (!HeapTupleHasExternal(row))
		tuplestore_puttuple(*store, row);
	else
	{
		MemoryContext scratch = AllocSetContextCreate(current->context, "tailwater decoded row",
													  ALLOCSET_SMALL_SIZES);

		MemoryContextSwitchTo(scratch);
		tuplestore_puttuple(*store, make_inline(row, before, desc));
		MemoryContextSwitchTo(old);
		MemoryContextDelete(scratch);
	}
	MemoryContextSwitchTo(old);
}

Relevant *
find_relevant(Relation rel)
{
	Oid relid = RelationGetRelid(rel);

	return current ? (Relevant *) hash_search(relevant, &relid, HASH_FIND, nullptr) : nullptr;
}

void
release_relevant()
{
	HASH_SEQ_STATUS seq;
	Relevant *entry;

	if (!relevant)
		return;
	hash_seq_init(&seq, relevant);
	while ((entry = (Relevant *) hash_seq_search(&seq)) != nullptr)
		if (entry->last_desc && --entry->last_desc->tdrefcount == 0)
			FreeTupleDesc(entry->last_desc);
	hash_destroy(relevant);
	relevant = nullptr;
}

} // namespace

void
begin_gathering(const StoredSnapshot *frontier, const StoredSnapshot *snapshot, List *relations)
{
	HASHCTL ctl = {};
	ListCell *lc;

	if (!gather_context)
		gather_context = AllocSetContextCreate(TopMemoryContext, "tailwater decoding",
											   ALLOCSET_DEFAULT_SIZES);
	if (!batch.context)
		init_collection(&batch, 0, InvalidXLogRecPtr);
	current = nullptr;
	frontier_seen = frontier;
	batch_sees = snapshot;
	join_kept();
	forget_comparisons();

	release_relevant();
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Relevant);
	ctl.hcxt = gather_context;
	relevant = hash_create("tailwater relevant relations", 64, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach (lc, relations)
	{
		bool found;
		Oid relid = lfirst_oid(lc);
		Relevant *entry = (Relevant *) hash_search(relevant, &relid, HASH_ENTER, &found);

		entry->last = nullptr;
		entry->last_desc = nullptr;
	}
}

List *
gathered_changes()
{
	return batch.changes;
}

void
end_batch()
{
	forget_last_changes();
	end_collection(&batch);
}

XLogRecPtr
first_kept_commit()
{
	XLogRecPtr first = InvalidXLogRecPtr;
	ListCell *lc;

	foreach (lc, kept)
	{
		const Collection *later = (const Collection *) lfirst(lc);

		if (XLogRecPtrIsInvalid(first) || later->commit < first)
			first = later->commit;
	}
	return first;
}

void
forget_gathered()
{
	ListCell *lc;

	release_relevant();
	end_collection(&batch);
	foreach (lc, kept)
		end_collection((Collection *) lfirst(lc));
	kept = NIL;
	current = nullptr;
	if (gather_context)
		MemoryContextReset(gather_context);
}

void
gather_begin(ReorderBufferTXN *txn)
{
	uint64 xid = full_xid(txn->xid);

	current = nullptr;
	if (frontier_seen->sees(xid))
		return;
	if (batch_sees->sees(xid))
	{
		current = &batch;
		return;
	}

	MemoryContext old = MemoryContextSwitchTo(gather_context);
	Collection *later = (Collection *) palloc0(sizeof(Collection));

	init_collection(later, xid, txn->final_lsn);
	kept = lappend(kept, later);
	current = later;
	MemoryContextSwitchTo(old);
}

void
gather_row(Relation rel, ReorderBufferChange *decoded)
{
	Relevant *entry = find_relevant(rel);
	HeapTuple old_row = pg::decoded_old_tuple(decoded);
	HeapTuple new_row = pg::decoded_new_tuple(decoded);

	if (!entry)
		return;

	Change *change = change_of(entry, rel);
	TupleDesc desc = RelationGetDescr(rel);

	/* Somebody changed the replica identity meanwhile: what went is not known. */
	if (!old_row && decoded->action != REORDER_BUFFER_CHANGE_INSERT)
		change->truncated = true;
	if (old_row)
		add_row(&change->old_rows, old_row, nullptr, desc);
	if (new_row)
		add_row(&change->new_rows, new_row, old_row, desc);
}

void
gather_truncate(int n, Relation *relations)
{
	for (int i = 0; i < n; i++)
	{
		Relevant *entry = find_relevant(relations[i]);

		if (entry)
			change_of(entry, relations[i])->truncated = true;
	}
}

} // namespace tw::decode
