/*
 * writer.hpp - writes a materialized view or a state table through the access methods.
 *
 * The executor refuses DML on a materialized view; the table and index access
 * methods do not. A Writer is opened for one batch and closed at its end; what
 * does not depend on open relations is kept between batches in a WriterCache.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/zset.hpp"

namespace tw::state
{

/* What an index by which rows are found is on. */
enum class IndexForm
{
	kColumns,    /* the columns */
	kRowHash,    /* tailwater_internal.row_hash(columns) */
	kRecordHash, /* hash_record(ROW(columns)) */
	kOther       /* something else: not usable */
};

struct WriterCache;

struct Writer
{
	WriterCache *cache;    /* it is kept in, or null */
	MemoryContext context; /* of what is kept */
	MemoryContext batch;   /* that was current when it was opened; of the scan */
	Relation rel;
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *row;   /* for rows to be stored */
	TupleTableSlot *found; /* the row a search found */

	/* The index by which rows are found. */
	Relation index;
	IndexForm form;
	int ncolumns;
	AttrNumber *columns; /* of the relation */
	FmgrInfo *equals;    /* by column: equality function */
	bool other_unique;   /* there are unique indexes beside it */
	int nloose;          /* rows that were packed loosely */
	IndexScanDesc scan;  /* of the last search, to be used again */
	ScanKeyData *keys;
	ItemPointerData root; /* where the index says that the found row is */
	struct Place *places; /* see find_again(); null: none yet */
	BlockNumber npages;   /* the relation has at least so many while it is open */
};

/* True if at most one row has a key. */
inline bool
is_keyed(const Writer *writer)
{
	return writer->index && writer->index->rd_index->indisunique;
}

enum class WriteResult
{
	kDone,
	kConflict /* somebody else changed the row: search again under a newer snapshot */
};

Writer *open_writer(Oid relid, Oid index);
void close_writer(Writer *writer);

/*
 * A place to keep a writer in between batches, as long as the context lives
 * and *stale, which the relation cache sets, is false.
 */
WriterCache *make_writer_cache(Oid relid, Oid index, MemoryContext context, const bool *stale);
Writer *open_writer(WriterCache *cache);

/* The columns the index is on, or on whose hash it is. */
List *index_columns(Relation index, IndexForm *form);

/*
 * How closely rows are put on pages. Groups are updated again and again, so
 * their first rows are packed loosely: an update then finds room on its page,
 * no index entry is needed for the new version, and the page is seldom pruned.
 * A fillfactor would do the first but not the second: the server prunes to
 * keep it. Where there are very many, those that come first take the room.
 */
enum class Packing
{
	kFull, /* as the table's fillfactor says */
	kHalf  /* pages are left half empty, for up to kLooseRows rows of a writer */
};
constexpr int kLooseRows = 1 << 18;

void insert_row(Writer *writer, TupleTableSlot *row, Packing packing = Packing::kFull);

WriteResult update_row(Writer *writer, ItemPointer tid, TupleTableSlot *row);
WriteResult delete_row(Writer *writer, ItemPointer tid);

/*
 * A search for the rows whose indexed columns equal those in values and nulls,
 * by relation attribute number. next_row() leaves the row in writer->found. A
 * writer runs one search at a time.
 */
struct Search
{
	IndexScanDesc scan;       /* the writer's */
	TableScanDesc table_scan; /* where the relation has no usable index columns */
};
Search begin_search(Writer *writer, Snapshot snapshot, const Datum *values, const bool *nulls);
bool next_row(Writer *writer, Search *search);
void end_search(Search *search);

/*
 * Finds the row with this key where this session last found it, under the
 * active snapshot, and leaves it in writer->found. False where it is not there:
 * then it is to be searched, and remembered. Of use for keys that are written
 * again and again; only where a key has one row, in columns of its own.
 */
bool find_again(Writer *writer, const Datum *values, const bool *nulls);
void remember_found(Writer *writer, const Datum *values, const bool *nulls);

/* Raises 40001: the transaction's snapshot is too old to maintain a view exactly. */
[[noreturn]] void serialization_failure();

} // namespace tw::state
