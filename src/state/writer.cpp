/*
 * writer.cpp - writes a materialized view or a state table through the access methods.
 *
 * Rows are read under an MVCC snapshot and changed optimistically: a change
 * that meets a newer version of its row is reported as a conflict, and the
 * caller searches again. Under REPEATABLE READ and SERIALIZABLE a conflict is a
 * serialization failure.
 */
#include "state/writer.hpp"
#include "state/row_hash.hpp"

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
			if (IsolationUsesXactSnapshot())
				serialization_failure();
			return WriteResult::kConflict;
		default:
			elog(ERROR, "unexpected result %d of a write to \"%s\"", (int) result, relation);
	}
	pg_unreachable();
}

void
describe_index(Writer *writer, Oid index)
{
	ListCell *lc;
	int i = 0;

	if (!OidIsValid(index))
		return;
	writer->index = index_open(index, AccessShareLock);

	List *columns = index_columns(writer->index, &writer->form);

	writer->ncolumns = list_length(columns);
	writer->columns = (AttrNumber *) palloc(sizeof(AttrNumber) * Max(writer->ncolumns, 1));
	writer->equals = (Oid *) palloc0(sizeof(Oid) * Max(writer->ncolumns, 1));
	foreach (lc, columns)
		writer->columns[i++] = lfirst_int(lc);
	if (writer->form != IndexForm::kColumns)
		return;
	for (i = 0; i < writer->ncolumns; i++)
		writer->equals[i] = get_opcode(
			get_opfamily_member(writer->index->rd_opfamily[i], writer->index->rd_opcintype[i],
								writer->index->rd_opcintype[i], BTEqualStrategyNumber));
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

Writer *
open_writer(Oid relid, Oid index)
{
	Writer *writer = (Writer *) palloc0(sizeof(Writer));

	writer->rel = table_open(relid, RowExclusiveLock);
	writer->estate = CreateExecutorState();
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, writer->rel, 0, nullptr, 0);
	ExecOpenIndices(writer->result, false);
	writer->row = MakeSingleTupleTableSlot(RelationGetDescr(writer->rel), &TTSOpsVirtual);
	writer->found = table_slot_create(writer->rel, nullptr);
	describe_index(writer, index);
	for (int i = 0; i < writer->result->ri_NumIndices; i++)
	{
		Relation other = writer->result->ri_IndexRelationDescs[i];

		if (RelationGetRelid(other) != index && other->rd_index->indisunique)
			writer->other_unique = true;
	}
	return writer;
}

void
close_writer(Writer *writer)
{
	if (writer->index)
		index_close(writer->index, NoLock);
	ExecDropSingleTupleTableSlot(writer->row);
	ExecDropSingleTupleTableSlot(writer->found);
	ExecCloseIndices(writer->result);
	FreeExecutorState(writer->estate);
	table_close(writer->rel, NoLock);
}

void
insert_row(Writer *writer, TupleTableSlot *row)
{
	table_tuple_insert(writer->rel, row, GetCurrentCommandId(true), 0, nullptr);
	if (writer->result->ri_NumIndices > 0)
		pg::insert_index_tuples(writer->result, row, writer->estate);
	ResetPerTupleExprContext(writer->estate);
}

WriteResult
update_row(Writer *writer, ItemPointer tid, TupleTableSlot *row)
{
	TM_FailureData failure;
	pg::UpdateIndexes update_indexes;
	LockTupleMode lockmode;
	TM_Result result =
		table_tuple_update(writer->rel, tid, row, GetCurrentCommandId(true), InvalidSnapshot,
						   InvalidSnapshot, true, &failure, &lockmode, &update_indexes);

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
	TM_Result result =
		table_tuple_delete(writer->rel, tid, GetCurrentCommandId(true), InvalidSnapshot,
						   InvalidSnapshot, true, &failure, false);

	return conflict(result, RelationGetRelationName(writer->rel));
}

Search
begin_search(Writer *writer, Snapshot snapshot, const Datum *values, const bool *nulls)
{
	Search search = {nullptr, nullptr};
	ScanKeyData keys[INDEX_MAX_KEYS];
	int nkeys = 0;

	if (!writer->index)
	{
		search.table_scan = table_beginscan(writer->rel, snapshot, 0, nullptr);
		return search;
	}
	if (writer->form != IndexForm::kColumns)
	{
		TupleDesc desc = RelationGetDescr(writer->rel);
		int32 hash =
			writer->form == IndexForm::kRecordHash
				? record_hash(desc, writer->columns, writer->ncolumns, values, nulls)
				: row_hash(desc, writer->columns, writer->ncolumns, values, nulls);


		ScanKeyInit(&keys[nkeys++], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(hash));
	}
	else
		for (int i = 0; i < writer->ncolumns; i++)
		{
			AttrNumber column = writer->columns[i] - 1;

			ScanKeyEntryInitialize(&keys[nkeys++], nulls[column] ? SK_ISNULL | SK_SEARCHNULL : 0,
								   i + 1, nulls[column] ? InvalidStrategy : BTEqualStrategyNumber,
								   InvalidOid, writer->index->rd_indcollation[i],
								   nulls[column] ? InvalidOid : writer->equals[i],
								   nulls[column] ? (Datum) 0 : values[column]);
		}
	search.scan = index_beginscan(writer->rel, writer->index, snapshot, nkeys, 0);
	index_rescan(search.scan, keys, nkeys, nullptr, 0);
	return search;
}

bool
next_row(Writer *writer, Search *search)
{
	if (search->scan)
		return index_getnext_slot(search->scan, ForwardScanDirection, writer->found);
	return table_scan_getnextslot(search->table_scan, ForwardScanDirection, writer->found);
}

void
end_search(Search *search)
{
	if (search->scan)
		index_endscan(search->scan);
	else
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
