/*
 * log.cpp - change log tables: creation, removal, and the writer of changes.
 *
 * A log has the columns xid, seq, diff, then the view's columns by position
 * (dropped attributes left out), then rows, which is null except where it holds
 * many rows in place of one (packed.hpp), and one unique index on (xid, seq). Its
 * name and column names never depend on the user's, so it is made with the
 * backend's C functions and no SQL text.
 *
 * `xid` is the top-level transaction, whatever subtransaction writes: the row
 * itself disappears with a rolled back subtransaction, and versions know only
 * top-level transactions. `seq` counts in the top-level transaction over all
 * logs; numbers that a rolled back subtransaction used are not used again.
 */
#include "feed/log.hpp"

#include "catalog/internal_table.hpp"
#include "feed/packed.hpp"
#include "worker/shmem.hpp"

namespace tw::feed
{

namespace
{

constexpr int kLeadingColumns = 3; /* xid, seq, diff */

/* Position within the current top-level transaction. */
uint64 current_xid = 0;
int32 current_seq = 0;

/* Bytes of the leading columns. */
constexpr int kLeadingSize = sizeof(int64) + 2 * sizeof(int32);

/* Bytes that a row without nulls takes, its values that can be moved out of it not counted. */
Size
fixed_size(TupleDesc desc)
{
	Size size = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->attlen > 0)
			size = att_align_nominal(size, att->attalign) + att->attlen;
	}
	return size;
}

/* Rows wider than that are not packed; the column would be one too many for the widest views. */
constexpr Size kPackedWidth = BLCKSZ / 8;

bool
may_pack(TupleDesc view)
{
	return fixed_size(view) <= kPackedWidth && view->natts <= MaxTupleAttributeNumber / 8;
}

TupleDesc
log_descriptor(Relation view)
{
	TupleDesc from = RelationGetDescr(view);
	int live = 0;

	for (int i = 0; i < from->natts; i++)
		if (!TupleDescAttr(from, i)->attisdropped)
			live++;

	bool packs = may_pack(from);
	TupleDesc desc = CreateTemplateTupleDesc(kLeadingColumns + live + (packs ? 1 : 0));
	TupleDescInitEntry(desc, 1, "xid", XID8OID, -1, 0);
	TupleDescInitEntry(desc, 2, "seq", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 3, "diff", INT4OID, -1, 0);

	AttrNumber attno = kLeadingColumns;
	for (int i = 0; i < from->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(from, i);

		if (att->attisdropped)
			continue;
		attno++;
		TupleDescInitEntry(desc, attno, psprintf("c%d", attno - kLeadingColumns), att->atttypid,
						   att->atttypmod, att->attndims);
		TupleDescInitEntryCollation(desc, attno, att->attcollation);
		TupleDescAttr(desc, attno - 1)->attstorage = att->attstorage;
		TupleDescAttr(desc, attno - 1)->attcompression = att->attcompression;
	}
	if (packs)
	{
		attno++;
		TupleDescInitEntry(desc, attno, kPackedName, BYTEAOID, -1, 0);
		TupleDescAttr(desc, attno - 1)->attstorage = TYPSTORAGE_EXTERNAL;
	}
	return desc;
}

void
create_log_index(Oid log, Oid view)
{
	Relation rel = table_open(log, ShareLock);
	IndexInfo *info = makeNode(IndexInfo);
	char *xid_name = pstrdup("xid");
	char *seq_name = pstrdup("seq");
	Oid collations[2] = {InvalidOid, InvalidOid};
	Oid opclasses[2] = {GetDefaultOpClass(XID8OID, BTREE_AM_OID),
						GetDefaultOpClass(INT4OID, BTREE_AM_OID)};
	int16 options[2] = {0, 0};

	info->ii_NumIndexAttrs = 2;
	info->ii_NumIndexKeyAttrs = 2;
	info->ii_IndexAttrNumbers[0] = 1;
	info->ii_IndexAttrNumbers[1] = 2;
	info->ii_Unique = true;
	info->ii_ReadyForInserts = true;
	info->ii_Am = BTREE_AM_OID;
	info->ii_Context = CurrentMemoryContext;

	pg::create_index(rel, psprintf("log_%u_pkey", view), info, list_make2(xid_name, seq_name),
					 BTREE_AM_OID, collations, opclasses, options);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* A table has a limit of columns, and a row one of bytes, which the log must keep too. */
void
check_room(Relation view)
{
	TupleDesc desc = RelationGetDescr(view);
	Size header = MAXALIGN(SizeofHeapTupleHeader);
	Size row = fixed_size(desc);
	bool too_many = desc->natts + kLeadingColumns > MaxHeapAttributeNumber;

	/* A row that is too long for the view itself never gets here. */
	if (!too_many && (header + MAXALIGN(row) > MaxHeapTupleSize ||
					  header + MAXALIGN(kLeadingSize + row) <= MaxHeapTupleSize))
		return;
	ereport(ERROR, errcode(ERRCODE_TOO_MANY_COLUMNS),
			errmsg("materialized view \"%s\" is too wide for a change log",
				   RelationGetRelationName(view)),
			too_many ? errdetail("The log has %d columns more than the view, and a table can have "
								 "at most %d columns.",
								 kLeadingColumns, MaxHeapAttributeNumber)
					 : errdetail("The log has %d bytes more than the view in each row, which must "
								 "fit into a page.",
								 kLeadingSize),
			errhint("Set tailwater.feed = off: the view is kept up to date, without history of "
					"its changes."));
}

} // namespace

Oid
create_log(Oid view)
{
	Relation view_rel = relation_open(view, AccessShareLock);

	check_room(view_rel);
	Oid log = catalog::create_internal_table(psprintf("log_%u", view), log_descriptor(view_rel));

	relation_close(view_rel, NoLock);
	create_log_index(log, view);
	return log;
}

void
drop_log(Oid log)
{
	catalog::drop_internal_table(log);
}

/* Rows that are gathered before they are inserted together: one by one if they are few. */
constexpr int kBufferedRows = 1024;
constexpr Size kBufferedBytes = 64 * 1024;
constexpr int kFewRows = 16;

struct LogCache
{
	Oid log;
	MemoryContext context;
	const bool *stale;
	uint64 user; /* top-level transaction that writes, 0: none; may be left behind by an error */
	bool filled;
	int nindexes;
	Oid indexes[kMostIndexes];
	IndexInfo *index_info; /* of each of them */
	TupleDesc desc;
	Datum *values; /* of a row */
	bool *nulls;
	AttrNumber packed;     /* the column for packed rows, or 0 */
	MemoryContext scratch; /* of the rows' tuples */
	HeapTuple rows[kBufferedRows];
	int32 seqs[kBufferedRows];
	TupleTableSlot *slots[kFewRows]; /* for writing them; made when needed */
	int nrows;                       /* after an error there may be some still */
	Size nbytes;
};

namespace
{

bool
is_on_xid_and_seq(Relation index)
{
	const FormData_pg_index *form = index->rd_index;

	return form->indnatts == 2 && form->indkey.values[0] == 1 && form->indkey.values[1] == 2 &&
		   RelationGetIndexPredicate(index) == NIL;
}

/*
 * The indexes of the log: the one that was made with it, and the one that REINDEX CONCURRENTLY
 * makes to take its place.
 */
void
find_indexes(LogCache *cache, Relation log)
{
	ListCell *lc;

	foreach (lc, RelationGetIndexList(log))
	{
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);

		if (!is_on_xid_and_seq(index) || cache->nindexes == kMostIndexes)
			ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("change log \"%s\" has an index that was added to it",
						   RelationGetRelationName(log)),
					errhint("Drop index \"%s\".", RelationGetRelationName(index)));
		if (cache->nindexes == 0)
			cache->index_info = BuildIndexInfo(index);
		cache->indexes[cache->nindexes++] = lfirst_oid(lc);
		index_close(index, NoLock);
	}
	if (cache->nindexes == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("change log \"%s\" has lost its index", RelationGetRelationName(log)),
				errhint("Switch the feed off and on: ALTER MATERIALIZED VIEW ... SET "
						"(tailwater.feed = off)."));
}

void
fill_cache(LogCache *cache, Relation log)
{
	MemoryContext old = MemoryContextSwitchTo(cache->context);

	find_indexes(cache, log);
	cache->desc = CreateTupleDescCopy(RelationGetDescr(log));
	cache->values = (Datum *) palloc(sizeof(Datum) * cache->desc->natts);
	cache->nulls = (bool *) palloc0(sizeof(bool) * cache->desc->natts);
	cache->packed = packed_column(cache->desc);
	if (cache->packed)
		cache->nulls[cache->packed - 1] = true;
	cache->scratch = AllocSetContextCreate(cache->context, "tailwater log rows",
										   ALLOCSET_SMALL_SIZES);
	cache->filled = true;
	MemoryContextSwitchTo(old);
}

} // namespace

LogCache *
make_log_cache(Oid log, MemoryContext context, const bool *stale)
{
	LogCache *cache = (LogCache *) MemoryContextAllocZero(context, sizeof(LogCache));

	cache->log = log;
	cache->context = context;
	cache->stale = stale;
	return cache;
}

namespace
{

/* Nothing is buffered any more. */
void
clear_buffer(LogCache *cache)
{
	for (int i = 0; i < kFewRows && cache->slots[i]; i++)
		ExecClearTuple(cache->slots[i]);
	MemoryContextReset(cache->scratch);
	cache->nrows = 0;
	cache->nbytes = 0;
}

} // namespace

void
LogWriter::open(LogCache *cache)
{
	xid_ = U64FromFullTransactionId(GetTopFullTransactionId());
	log_ = table_open(cache->log, RowExclusiveLock);

	/*
	 * Staleness is looked at under the lock. A writer that is at work, or that a
	 * subtransaction of this transaction left behind, is not disturbed.
	 */
	if (*cache->stale || cache->user == xid_)
		cache = make_log_cache(cache->log, CurrentMemoryContext, cache->stale);
	if (!cache->filled)
	{
		cache->nindexes = 0;
		fill_cache(cache, log_);
	}
	cache->user = xid_;
	clear_buffer(cache);
	for (int i = 0; i < cache->nindexes; i++)
		indexes_[i] = catalog::open_index_of_locked(cache->indexes[i]);
	cache_ = cache;
}

namespace
{

/* Puts a row into the slot for the i-th row to be written. */
void
load_slot(LogCache *cache, int i, HeapTuple row)
{
	TupleTableSlot **slot = &cache->slots[i];

	if (*slot == nullptr)
	{
		MemoryContext old = MemoryContextSwitchTo(cache->context);

		*slot = MakeSingleTupleTableSlot(cache->desc, &TTSOpsHeapTuple);
		MemoryContextSwitchTo(old);
	}
	ExecStoreHeapTuple(row, *slot, false);
}

/* The row that stands for all buffered ones. */
HeapTuple
pack_buffer(LogCache *cache, uint64 xid)
{
	int natts = cache->desc->natts;
	bool *nulls = (bool *) palloc(sizeof(bool) * natts);
	Datum *values = (Datum *) palloc(sizeof(Datum) * natts);

	for (int i = 0; i < cache->nrows; i++)
		if (HeapTupleHasExternal(cache->rows[i]))
			cache->rows[i] = toast_flatten_tuple(cache->rows[i], cache->desc);
	memset(nulls, true, sizeof(bool) * natts);
	values[0] = FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
	values[1] = Int32GetDatum(cache->seqs[0]);
	values[cache->packed - 1] = pack_rows(cache->rows, cache->nrows);
	nulls[0] = nulls[1] = nulls[cache->packed - 1] = false;
	return heap_form_tuple(cache->desc, values, nulls);
}

} // namespace

void
LogWriter::append(TupleTableSlot *view_row, int32 diff)
{
	if (xid_ != current_xid)
	{
		current_xid = xid_;
		current_seq = 0;
	}
	if (current_seq == PG_INT32_MAX)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many changes of live views in one transaction"));
	current_seq++;

	Datum *values = cache_->values;
	bool *nulls = cache_->nulls;
	TupleDesc from = view_row->tts_tupleDescriptor;

	slot_getallattrs(view_row);
	values[0] = FullTransactionIdGetDatum(FullTransactionIdFromU64(xid_));
	values[1] = Int32GetDatum(current_seq);
	values[2] = Int32GetDatum(diff);
	for (int i = 0, to = kLeadingColumns; i < from->natts; i++)
	{
		if (TupleDescAttr(from, i)->attisdropped)
			continue;
		values[to] = view_row->tts_values[i];
		nulls[to] = view_row->tts_isnull[i];
		to++;
	}

	MemoryContext old = MemoryContextSwitchTo(cache_->scratch);
	HeapTuple tuple = heap_form_tuple(cache_->desc, values, nulls);
	MemoryContextSwitchTo(old);

	cache_->rows[cache_->nrows] = tuple;
	cache_->seqs[cache_->nrows++] = current_seq;
	cache_->nbytes += tuple->t_len;
	if (cache_->nrows == kBufferedRows || cache_->nbytes > kBufferedBytes)
		flush();
}

/* Writes rows as rows of the log, with their index entries. */
void
LogWriter::write(HeapTuple *rows, const int32 *seqs, int n)
{
	TupleTableSlot **slots = cache_->slots;
	CommandId cid = GetCurrentCommandId(true);

	for (int i = 0; i < n; i++)
		load_slot(cache_, i, rows[i]);
	if (n == 1)
		table_tuple_insert(log_, slots[0], cid, 0, nullptr);
	else
		table_multi_insert(log_, slots, n, cid, 0, nullptr);
	for (int i = 0; i < n; i++)
	{
		Datum key[2] = {FullTransactionIdGetDatum(FullTransactionIdFromU64(xid_)),
						Int32GetDatum(seqs[i])};
		bool nulls[2] = {false, false};

		/* (xid, seq) is unique by construction: nothing needs to be looked up. */
		for (int n = 0; n < cache_->nindexes; n++)
			if (indexes_[n]->rd_index->indisready)
				index_insert(indexes_[n], key, nulls, &slots[i]->tts_tid, log_, UNIQUE_CHECK_NO,
							 false, cache_->index_info);
	}
}

void
LogWriter::flush()
{
	MemoryContext old = MemoryContextSwitchTo(cache_->scratch);
	int n = cache_->nrows;

	/* Wide rows are better off by themselves: what is long in them is compressed. */
	if (n > kFewRows && cache_->packed && cache_->nbytes / n <= kPackedWidth)
	{
		HeapTuple packed = pack_buffer(cache_, xid_);

		write(&packed, cache_->seqs, 1);
	}
	else
		for (int i = 0; i < n; i += kFewRows)
			write(cache_->rows + i, cache_->seqs + i, Min(n - i, kFewRows));
	MemoryContextSwitchTo(old);
	if (n > 0)
		worker::note_log_written();
	clear_buffer(cache_);
}

void
LogWriter::close()
{
	flush();
	cache_->user = 0;
	for (int i = 0; i < cache_->nindexes; i++)
		index_close(indexes_[i], NoLock);
	table_close(log_, NoLock);
}

} // namespace tw::feed
