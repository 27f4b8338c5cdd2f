/*
 * writer.hpp - writes a materialized view or a state table through the access methods.
 *
 * The executor refuses DML on a materialized view; the table and index access
 * methods do not. A Writer is opened for one batch and closed at its end.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/zset.hpp"

namespace tw::state
{

/* What an index by which rows are found is on. */
enum class IndexForm
{
	kColumns,	 /* the columns */
	kRowHash,	 /* tailwater_internal.row_hash(columns) */
	kRecordHash, /* hash_record(ROW(columns)) */
	kOther		 /* something else: not usable */
};

struct Writer
{
	Relation rel;
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *row;   /* for rows to be stored */
	TupleTableSlot *found; /* the row a search found */

	/* The index by which rows are found. */
	Relation index;
	IndexForm form;
	int ncolumns;
	AttrNumber *columns;   /* of the relation */
	Oid *equals;		   /* by column: equality function */
	bool other_unique;	   /* there are unique indexes beside it */
};

enum class WriteResult
{
	kDone,
	kConflict /* somebody else changed the row: search again under a newer snapshot */
};

Writer *open_writer(Oid relid, Oid index);
void close_writer(Writer *writer);

/* The columns the index is on, or on whose hash it is. */
List *index_columns(Relation index, IndexForm *form);

void insert_row(Writer *writer, TupleTableSlot *row);
WriteResult update_row(Writer *writer, ItemPointer tid, TupleTableSlot *row);
WriteResult delete_row(Writer *writer, ItemPointer tid);

/*
 * A search for the rows whose indexed columns equal those in values and nulls,
 * by relation attribute number. next_row() leaves the row in writer->found.
 */
struct Search
{
	IndexScanDesc scan;
	TableScanDesc table_scan; /* where the relation has no usable index columns */
};
Search begin_search(Writer *writer, Snapshot snapshot, const Datum *values, const bool *nulls);
bool next_row(Writer *writer, Search *search);
void end_search(Search *search);

/* Raises 40001: the transaction's snapshot is too old to maintain a view exactly. */
[[noreturn]] void serialization_failure();

} // namespace tw::state
