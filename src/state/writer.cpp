/*
 * writer.cpp - writes a materialized view or a state table through the access methods.
 *
 * Rows are read under an MVCC snapshot and changed optimistically: a change
 * that meets a newer version of its row is reported as a conflict, and the
 * caller searches again. Under REPEATABLE READ and SERIALIZABLE a conflict is a
 * serialization failure.
 *
 * What is kept between batches: slots, the ResultRelInfo with its IndexInfos,
 * the executor state, and how the key index is searched. Relations are opened
 * anew for each batch, by the OIDs in the ResultRelInfo, and no buffer stays
 * pinned and no descriptor of the relation cache referenced. The kept writer is
 * given out only while its `stale` flag says that neither relation nor indexes
 * changed since it was made; the flag is looked at after the relation is locked.
 * After an error the kept writer may point to what the resource owner has
 * released: it is marked as being used by a transaction, and if that one is not
 * the present one, its memory is thrown away and it is made again. A writer
 * that is in use (by an outer batch, or by a subtransaction that failed) is not
 * given out twice: the second caller gets one of his own.
 */
#include "state/writer.hpp"
#include "state/row_hash.hpp"
#include "catalog/internal_table.hpp"
#include "exec/snapshot.hpp"

namespace tw::state
{

namespace
{

WriteResult
conflict(TM_Result result, const char *relation)
{
	switch (result)
	{
		case TM_Ok:
			return WriteResult::kDone;
		case TM_Updated:
		case TM_Deleted:
			/* A newer snapshot, in which to look again, is not to be had. */
			if (IsolationUsesXactSnapshot() || exec::snapshot_is_fixed())
				serialization_failure();
			return WriteResult::kConflict;
		default:
			elog(ERROR, "unexpected result %d of a write to \"%s\"", (int) result, relation);
	}
	pg_unreachable();
}

/* The open relation of an index; it is among those the writer maintains. */
Relation
opened_index(const ResultRelInfo *result, Oid index)
{
	for (int i = 0; i < result->ri_NumIndices; i++)
		if (RelationGetRelid(result->ri_IndexRelationDescs[i]) == index)
			return result->ri_IndexRelationDescs[i];
	elog(ERROR, "index %u of relation \"%s\" is not there", index,
		 RelationGetRelationName(result->ri_RelationDesc));
	return nullptr;
}

void
describe_index(Writer *writer, Oid index)
{
	ListCell *lc;
	int i = 0;

	if (!OidIsValid(index))
		return;
	writer->index = opened_index(writer->result, index);

	List *columns = index_columns(writer->index, &writer->form);

	writer->ncolumns = list_length(columns);
	writer->columns = (AttrNumber *) palloc(sizeof(AttrNumber) * Max(writer->ncolumns, 1));
	writer->equals = (FmgrInfo *) palloc0(sizeof(FmgrInfo) * Max(writer->ncolumns, 1));
	writer->keys = (ScanKeyData *) palloc0(sizeof(ScanKeyData) * Max(writer->ncolumns, 1));
	foreach (lc, columns)
		writer->columns[i++] = lfirst_int(lc);
	if (writer->form != IndexForm::kColumns)
		return;
	for (i = 0; i < writer->ncolumns; i++)
		fmgr_info(get_opcode(get_opfamily_member(writer->index->rd_opfamily[i],
												 writer->index->rd_opcintype[i],
												 writer->index->rd_opcintype[i],
												 BTEqualStrategyNumber)),
				  &writer->equals[i]);
}

} // namespace

List *
index_columns(Relation index, IndexForm *form)
{
	List *exprs = RelationGetIndexExpressions(index);
	List *columns = NIL;
	List *args;
	ListCell *lc;

	if (exprs == NIL)
	{
		*form = IndexForm::kColumns;
		for (int i = 0; i < index->rd_index->indnkeyatts; i++)
			columns = lappend_int(columns, index->rd_index->indkey.values[i]);
		return columns;
	}

	FuncExpr *call = (FuncExpr *) linitial(exprs);
	*form = IndexForm::kOther;
	if (!IsA(call, FuncExpr) || index->rd_index->indnatts != 1)
		return NIL;
	args = call->args;
	if (call->funcid == F_HASH_RECORD && IsA(linitial(args), RowExpr))
	{
		*form = IndexForm::kRecordHash;
		args = linitial_node(RowExpr, args)->args;
	}
	else if (get_func_namespace(call->funcid) == get_namespace_oid("tailwater_internal", true) &&
			 strcmp(get_func_name(call->funcid), "row_hash") == 0)
		*form = IndexForm::kRowHash;
	else
		return NIL;
	foreach (lc, args)
	{
		if (!IsA(lfirst(lc), Var))
		{
			*form = IndexForm::kOther;
			return NIL;
		}
		columns = lappend_int(columns, lfirst_node(Var, lc)->varattno);
	}
	return columns;
}

namespace
{

Writer *
make_writer(Relation rel, Oid index)
{
	Writer *writer = (Writer *) palloc0(sizeof(Writer));
	TupleDesc desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));

	writer->context = writer->batch = CurrentMemoryContext;
	writer->rel = rel;
	writer->estate = CreateExecutorState();
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, writer->rel, 0, nullptr, 0);
	ExecOpenIndices(writer->result, false);
	writer->row = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	writer->found = MakeSingleTupleTableSlot(desc, table_slot_callbacks(rel));
	describe_index(writer, index);
	for (int i = 0; i < writer->result->ri_NumIndices; i++)
	{
		Relation other = writer->result->ri_IndexRelationDescs[i];

		if (RelationGetRelid(other) != index && other->rd_index->indisunique)
			writer->other_unique = true;
	}
	return writer;
}

/* Ends what a batch holds beyond memory. */
void
release(Writer *writer)
{
	if (writer->scan)
		index_endscan(writer->scan);
	writer->scan = nullptr;
	ExecClearTuple(writer->row);
	ExecClearTuple(writer->found);
	for (int i = 0; i < writer->result->ri_NumIndices; i++)
		index_close(writer->result->ri_IndexRelationDescs[i], NoLock);
	table_close(writer->rel, NoLock);
}

} // namespace

struct WriterCache
{
	Oid relid;
	Oid index;
	MemoryContext parent;
	const bool *stale;
	Writer *writer;         /* null: to be made */
	Oid *indexes;           /* of the relation, as in the ResultRelInfo */
	FullTransactionId user; /* who has it open */
};

WriterCache *
make_writer_cache(Oid relid, Oid index, MemoryContext context, const bool *stale)
{
	WriterCache *cache = (WriterCache *) MemoryContextAllocZero(context, sizeof(WriterCache));

	cache->relid = relid;
	cache->index = index;
	cache->parent = context;
	cache->stale = stale;
	cache->user = InvalidFullTransactionId;
	return cache;
}

namespace
{

/*
 * Other access methods than btree keep pointers to open relations in their
 * IndexInfo, and user-written expressions may be anything.
 */
bool
can_be_kept(const Writer *writer)
{
	for (int i = 0; i < writer->result->ri_NumIndices; i++)
	{
		Relation index = writer->result->ri_IndexRelationDescs[i];
		const IndexInfo *info = writer->result->ri_IndexRelationInfo[i];

		bool computes = info->ii_Predicate != NIL ||
						(info->ii_Expressions != NIL && index != writer->index);

		if (index->rd_rel->relam != BTREE_AM_OID || (computes && !catalog::is_index_of_ours(index)))
			return false;
	}
	return true;
}

void
fill_cache(WriterCache *cache, Relation rel)
{
	MemoryContext context = AllocSetContextCreate(cache->parent, "tailwater writer",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Writer *writer = make_writer(rel, cache->index);
	int n = writer->result->ri_NumIndices;

	cache->indexes = (Oid *) palloc(sizeof(Oid) * Max(n, 1));
	for (int i = 0; i < n; i++)
		cache->indexes[i] = RelationGetRelid(writer->result->ri_IndexRelationDescs[i]);
	writer->cache = cache;
	cache->writer = writer;
	MemoryContextSwitchTo(old);
}

/* Opens the relations of a kept writer again. */
void
reopen(WriterCache *cache, Relation rel)
{
	Writer *writer = cache->writer;
	ResultRelInfo *result = writer->result;

	writer->rel = rel;
	result->ri_RelationDesc = rel;
	for (int i = 0; i < result->ri_NumIndices; i++)
		result->ri_IndexRelationDescs[i] = catalog::open_index_of_locked(cache->indexes[i]);
	if (OidIsValid(cache->index))
		writer->index = opened_index(result, cache->index);
}

void
drop_kept(WriterCache *cache)
{
	MemoryContext context = cache->writer->context;

	cache->writer = nullptr;
	MemoryContextDelete(context);
}

} // namespace

Writer *
open_writer(Oid relid, Oid index)
{
	return make_writer(table_open(relid, RowExclusiveLock), index);
}

Writer *
open_writer(WriterCache *cache)
{
	Relation rel = table_open(cache->relid, RowExclusiveLock);
	FullTransactionId self = GetTopFullTransactionId();
	bool in_use = FullTransactionIdIsValid(cache->user);

	if (*cache->stale || (in_use && FullTransactionIdEquals(cache->user, self)))
		return make_writer(rel, cache->index);
	if (in_use && cache->writer)
		drop_kept(cache);

	cache->user = self;
	if (cache->writer)
		reopen(cache, rel);
	else
		fill_cache(cache, rel);
	cache->writer->batch = CurrentMemoryContext;
	cache->writer->nloose = 0;
	cache->writer->npages = 0;
	return cache->writer;
}

void
close_writer(Writer *writer)
{
	WriterCache *cache = writer->cache;
	bool keep = cache && can_be_kept(writer);

	release(writer);
	if (keep)
		cache->user = InvalidFullTransactionId;
	else if (cache)
	{
		drop_kept(cache);
		cache->user = InvalidFullTransactionId;
	}
	else
		FreeExecutorState(writer->estate);
}

namespace
{

/*
 * Makes the next row go to a new page unless the one this row went to has room
 * for another of its size, and then for a new version of each, a little longer.
 * A few rows without room would take it from those of other pages, and so on. When
 * all new versions have come less than a tenth of the page is free, so that the
 * server prunes it when it is read the next time.
 */
void
leave_room(Relation rel, ItemPointer tid)
{
	constexpr Size kFilled = BLCKSZ / 32 * 15;

	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return;

	Buffer buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(tid));
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	Page page = BufferGetPage(buffer);
	Size used = BLCKSZ - PageGetHeapFreeSpace(page);
	Size length = ItemIdGetLength(PageGetItemId(page, ItemPointerGetOffsetNumber(tid)));
	UnlockReleaseBuffer(buffer);
	if (used + length > kFilled)
		RelationSetTargetBlock(rel, pg::extend_relation(rel));
}

} // namespace

void
insert_row(Writer *writer, TupleTableSlot *row, Packing packing)
{
	table_tuple_insert(writer->rel, row, GetCurrentCommandId(true), 0, nullptr);
	if (writer->result->ri_NumIndices > 0)
		pg::insert_index_tuples(writer->result, row, writer->estate);
	ResetPerTupleExprContext(writer->estate);
	if (packing == Packing::kHalf && writer->nloose++ < kLooseRows)
		leave_room(writer->rel, &row->tts_tid);
}

WriteResult
update_row(Writer *writer, ItemPointer tid, TupleTableSlot *row)
{
	TM_FailureData failure;
	pg::UpdateIndexes update_indexes;
	LockTupleMode lockmode;
	TM_Result result = table_tuple_update(writer->rel, tid, row, GetCurrentCommandId(true),
										  InvalidSnapshot, InvalidSnapshot, true, &failure,
										  &lockmode, &update_indexes);

	if (result != TM_Ok)
		return conflict(result, RelationGetRelationName(writer->rel));
	pg::update_index_tuples(writer->result, row, writer->estate, update_indexes);
	ResetPerTupleExprContext(writer->estate);
	return WriteResult::kDone;
}

WriteResult
delete_row(Writer *writer, ItemPointer tid)
{
	TM_FailureData failure;
	TM_Result result = table_tuple_delete(writer->rel, tid, GetCurrentCommandId(true),
										  InvalidSnapshot, InvalidSnapshot, true, &failure, false);

	return conflict(result, RelationGetRelationName(writer->rel));
}

namespace
{

void
set_key(Writer *writer, int i, Datum value, bool isnull)
{
	Oid collation = writer->index->rd_indcollation[i];

	if (isnull)
		ScanKeyEntryInitialize(&writer->keys[i], SK_ISNULL | SK_SEARCHNULL, i + 1, InvalidStrategy,
							   InvalidOid, collation, InvalidOid, (Datum) 0);
	else
		ScanKeyEntryInitializeWithInfo(&writer->keys[i], 0, i + 1, BTEqualStrategyNumber,
									   InvalidOid, collation, &writer->equals[i], value);
}

} // namespace

Search
begin_search(Writer *writer, Snapshot snapshot, const Datum *values, const bool *nulls)
{
	Search search = {nullptr, nullptr};
	ScanKeyData *keys = writer->keys;
	int nkeys = 0;

	if (!writer->index)
	{
		search.table_scan = table_beginscan(writer->rel, snapshot, 0, nullptr);
		return search;
	}
	if (writer->form != IndexForm::kColumns)
	{
		TupleDesc desc = RelationGetDescr(writer->rel);
		int32 hash = writer->form == IndexForm::kRecordHash
						 ? record_hash(desc, writer->columns, writer->ncolumns, values, nulls)
						 : row_hash(desc, writer->columns, writer->ncolumns, values, nulls);

		ScanKeyInit(&keys[nkeys++], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(hash));
	}
	else
		for (int i = 0; i < writer->ncolumns; i++)
		{
			AttrNumber column = writer->columns[i] - 1;

			set_key(writer, i, values[column], nulls[column]);
			nkeys++;
		}
	if (!writer->scan)
	{
		MemoryContext old = MemoryContextSwitchTo(writer->batch);

		writer->scan = index_beginscan(writer->rel, writer->index, snapshot, nkeys, 0);
		MemoryContextSwitchTo(old);
	}
	writer->scan->xs_snapshot = snapshot;
	index_rescan(writer->scan, keys, nkeys, nullptr, 0);
	search.scan = writer->scan;
	return search;
}

bool
next_row(Writer *writer, Search *search)
{
	if (search->scan)
	{
		/* The access method may allocate something that goes with the scan. */
		MemoryContext old = MemoryContextSwitchTo(writer->batch);
		IndexScanDesc scan = search->scan;
		bool found = false;

		/* As index_getnext_slot() does, but for noting the place. */
		while (!found)
		{
			if (!scan->xs_heap_continue)
			{
				ItemPointer tid = index_getnext_tid(scan, ForwardScanDirection);

				if (!tid)
					break;
				writer->root = *tid;
			}
			found = index_fetch_heap(scan, writer->found);
		}
		MemoryContextSwitchTo(old);
		return found;
	}
	return table_scan_getnextslot(search->table_scan, ForwardScanDirection, writer->found);
}

void
end_search(Search *search)
{
	if (search->table_scan)
		table_endscan(search->table_scan);
}

void
serialization_failure()
{
	ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			errmsg("could not serialize access due to concurrent update of a live view"),
			errhint("The transaction might succeed if retried."));
}

} // namespace tw::state
