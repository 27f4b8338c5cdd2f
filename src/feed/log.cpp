/*
 * log.cpp - change log tables: creation, removal, and the writer of changes.
 *
 * A log has the columns xid, seq, diff, then the view's columns by position
 * (dropped attributes left out), and one unique index on (xid, seq). Its name
 * and column names never depend on the user's, so it is made with the
 * backend's C functions and no SQL text.
 *
 * `xid` is the top-level transaction, whatever subtransaction writes: the row
 * itself disappears with a rolled back subtransaction, and versions know only
 * top-level transactions. `seq` counts in the top-level transaction over all
 * logs; numbers that a rolled back subtransaction used are not used again.
 */
#include "feed/log.hpp"

#include "catalog/internal_table.hpp"
#include "worker/shmem.hpp"

namespace tw::feed
{

namespace
{

constexpr int kLeadingColumns = 3; /* xid, seq, diff */

/* Position within the current top-level transaction. */
uint64 current_xid = 0;
int32 current_seq = 0;

TupleDesc
log_descriptor(Relation view)
{
	TupleDesc from = RelationGetDescr(view);
	int live = 0;

	for (int i = 0; i < from->natts; i++)
		if (!TupleDescAttr(from, i)->attisdropped)
			live++;

	TupleDesc desc = CreateTemplateTupleDesc(kLeadingColumns + live);
	TupleDescInitEntry(desc, 1, "xid", XID8OID, -1, 0);
	TupleDescInitEntry(desc, 2, "seq", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 3, "diff", INT4OID, -1, 0);
	for (int i = 0, column = 1; i < from->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(from, i);

		if (att->attisdropped)
			continue;

		AttrNumber attno = kLeadingColumns + column;
		TupleDescInitEntry(desc, attno, psprintf("c%d", column), att->atttypid, att->atttypmod,
						   att->attndims);
		TupleDescInitEntryCollation(desc, attno, att->attcollation);
		TupleDescAttr(desc, attno - 1)->attstorage = att->attstorage;
		TupleDescAttr(desc, attno - 1)->attcompression = att->attcompression;
		column++;
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

} // namespace

Oid
create_log(Oid view)
{
	Relation view_rel = relation_open(view, AccessShareLock);
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

void
LogWriter::open(Oid log)
{
	log_ = table_open(log, RowExclusiveLock);

	List *indexes = RelationGetIndexList(log_);
	if (list_length(indexes) != 1)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("change log \"%s\" must have exactly one index",
					   RelationGetRelationName(log_)),
				errhint("Drop the indexes that were added to it."));
	index_ = index_open(linitial_oid(indexes), RowExclusiveLock);
	list_free(indexes);
	index_info_ = BuildIndexInfo(index_);
	row_ = MakeSingleTupleTableSlot(RelationGetDescr(log_), &TTSOpsVirtual);
}

void
LogWriter::append(TupleTableSlot *view_row, int32 diff)
{
	uint64 xid = U64FromFullTransactionId(GetTopFullTransactionId());

	if (xid != current_xid)
	{
		current_xid = xid;
		current_seq = 0;
	}
	if (current_seq == PG_INT32_MAX)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many changes of live views in one transaction"));
	current_seq++;

	slot_getallattrs(view_row);
	ExecClearTuple(row_);

	Datum *values = row_->tts_values;
	bool *nulls = row_->tts_isnull;
	TupleDesc from = view_row->tts_tupleDescriptor;

	memset(nulls, false, kLeadingColumns);
	values[0] = FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
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
	ExecStoreVirtualTuple(row_);

	table_tuple_insert(log_, row_, GetCurrentCommandId(true), 0, nullptr);
	index_insert(index_, values, nulls, &row_->tts_tid, log_, UNIQUE_CHECK_YES, false, index_info_);
	worker::note_log_written();
}

void
LogWriter::close()
{
	ExecDropSingleTupleTableSlot(row_);
	pfree(index_info_);
	index_close(index_, NoLock);
	table_close(log_, NoLock);
}

} // namespace tw::feed
