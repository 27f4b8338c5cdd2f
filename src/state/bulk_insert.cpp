/*
 * bulk_insert.cpp - inserts many rows through a writer, some at a time.
 */
#include "state/bulk_insert.hpp"

namespace tw::state
{

namespace
{

constexpr int kRows = 256;
constexpr Size kBytes = 64 * 1024;

} // namespace

struct BulkInsert
{
	Writer *writer;
	TupleTableSlot *slots[kRows]; /* made when needed */
	int nrows;
	Size nbytes;
	MemoryContext rows; /* the tuples in the slots, and what the access method allocates */
};

namespace
{

void
insert_waiting(BulkInsert *insert)
{
	Writer *writer = insert->writer;
	MemoryContext old = MemoryContextSwitchTo(insert->rows);

	if (insert->nrows > 0)
		table_multi_insert(writer->rel, insert->slots, insert->nrows, GetCurrentCommandId(true), 0,
						   nullptr);
	for (int i = 0; i < insert->nrows; i++)
	{
		if (writer->result->ri_NumIndices > 0)
			pg::insert_index_tuples(writer->result, insert->slots[i], writer->estate);
		ResetPerTupleExprContext(writer->estate);
		ExecClearTuple(insert->slots[i]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(insert->rows);
	insert->nrows = 0;
	insert->nbytes = 0;
}

} // namespace

BulkInsert *
begin_bulk_insert(Writer *writer)
{
	BulkInsert *insert = (BulkInsert *) palloc0(sizeof(BulkInsert));

	insert->writer = writer;
	insert->rows = AllocSetContextCreate(CurrentMemoryContext, "tailwater bulk insert",
										 ALLOCSET_DEFAULT_SIZES);
	return insert;
}

void
bulk_insert(BulkInsert *insert, TupleTableSlot *row)
{
	TupleTableSlot **slot = &insert->slots[insert->nrows];
	TupleDesc desc = row->tts_tupleDescriptor;

	if (*slot == nullptr)
		*slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);

	MemoryContext old = MemoryContextSwitchTo(insert->rows);
	HeapTuple tuple = heap_form_tuple(desc, row->tts_values, row->tts_isnull);
	MemoryContextSwitchTo(old);

	ExecStoreHeapTuple(tuple, *slot, false);
	insert->nrows++;
	insert->nbytes += tuple->t_len;
	if (insert->nrows == kRows || insert->nbytes > kBytes)
		insert_waiting(insert);
}

void
end_bulk_insert(BulkInsert *insert)
{
	insert_waiting(insert);
	for (int i = 0; i < kRows && insert->slots[i]; i++)
		ExecDropSingleTupleTableSlot(insert->slots[i]);
	MemoryContextDelete(insert->rows);
	pfree(insert);
}

} // namespace tw::state
