/*
 * stream.hpp - computes the delta of a block, row by row.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/block.hpp"
#include "exec/plan.hpp"

namespace tw::exec
{

/* A block made ready to run; lives as long as the view's plan. */
struct Stream;

Stream *make_stream(const analyze::Block *block, MemoryContext context, const bool *stale);

/*
 * Calls back for each row of the block's delta, given the deltas (List of
 * capture::Delta) of the relations that changed. Rows are not consolidated.
 * Needs an active snapshot that sees the new state of all relations.
 */
void run_delta(Stream *stream, List *deltas, RowCallback callback, void *arg);

/*
 * The same for a partial block that follows() what changed (OIDs), given the tuplestores
 * of their deltas. The rows have their weight as a last column. Where rows came to a
 * table that an outer join shows nulls for, there must be an old_snapshot().
 */
void run_changes(Stream *stream, List *changed, NamedStore *stores, int nstores,
				 RowCallback callback, void *arg);

/*
 * A RowCallback for both: adds the row to a capture::ZSet, which is `arg`, without the column
 * that a delta query has more than the block, its weight.
 */
void collect_weighted_row(void *arg, TupleTableSlot *row, int64 weight);

/*
 * Makes the delta a tuplestore for delta queries, consolidated over the columns in
 * `used` as weighted_store() does; false where nothing is left of it.
 */
bool open_delta(const capture::Delta *delta, const Bitmapset *used, NamedStore *store);

/*
 * True if the delta may fail where neither the old nor the new rows of the block
 * would: where several inputs changed, new rows of one meet old rows of another.
 */
bool may_meet_errors(const Stream *stream, List *deltas);

/* Calls back for each row of the block as it is now. */
void run_whole(Stream *stream, RowCallback callback, void *arg);

} // namespace tw::exec
