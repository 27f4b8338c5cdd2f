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
 * Writes changes of one view during one statement. Lives on the stack or in
 * memory of the statement; nothing needs to be closed after an error.
 *
 *     feed::LogWriter writer;
 *     writer.open(log);
 *     writer.append(slot, +1);
 *     writer.close();
 *
 * Checks no permissions, so it works as any user and in a security-restricted
 * operation. Notes the write for the sequencer.
 */
struct LogWriter
{
	/* Opening costs relcache hits and a few allocations in the current memory context. */
	void open(Oid log);

	/* Logs `diff` copies (negative: removed) of a row with the view's tuple descriptor; not 0. */
	void append(TupleTableSlot *view_row, int32 diff);

	/* Keeps the lock on the log until the transaction ends. */
	void close();

  private:
	Relation log_;
	Relation index_;
	IndexInfo *index_info_;
	TupleTableSlot *row_;
};

} // namespace tw::feed
