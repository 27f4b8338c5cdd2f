/*
 * log.hpp - change log tables: creation, removal, and the writer of changes.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::feed
{

/*
 * Creates tailwater_internal.log_<view> with its index, owned by the owner of
 * the extension and a member of it. No permission is checked. The caller holds
 * a lock on the view that keeps its definition, and records the log in
 * tailwater_internal.attachment. The new table can be written at once.
 */
Oid create_log(Oid view);

/* Drops a log, although it is a member of the extension. */
void drop_log(Oid log);

/*
 * What a session keeps of a log's writer between statements: nothing that
 * refers to an open relation or that an error could leave half done. While
 * *stale, which the relation cache sets, is true, nothing of it is used.
 */
constexpr int kMostIndexes =
	4; /* of a log; there are more than one while it is reindexed concurrently */
struct LogCache;
LogCache *make_log_cache(Oid log, MemoryContext context, const bool *stale);

/*
 * Writes changes of one view during one statement. Lives on the stack or in
 * memory of the statement; nothing needs to be closed after an error.
 *
 *     feed::LogWriter writer;
 *     writer.open(cache);
 *     writer.append(slot, +1);
 *     writer.close();
 *
 * Checks no permissions, so it works as any user and in a security-restricted
 * operation. Notes the write for the sequencer.
 */
struct LogWriter
{
	/* Locks the log; costs relation cache hits. */
	void open(LogCache *cache);

	/*
	 * Logs `diff` copies (negative: removed) of a row with the view's tuple descriptor; not 0. The
	 * row is copied, and written together with others: 1,024 rows or 64 kB at most are waiting.
	 */
	void append(TupleTableSlot *view_row, int32 diff);

	/* Writes what is still buffered; keeps the lock on the log until the transaction ends. */
	void close();

  private:
	void flush();
	void write(HeapTuple *rows, const int32 *seqs, int n);

	Relation log_;
	Relation indexes_[kMostIndexes];
	LogCache *cache_;
	uint64 xid_;
};

} // namespace tw::feed
