/*
 * reader.hpp - reads the changes of a live view, version by version.
 *
 * A position is a version: who holds it has the view as of that version. It is
 * valid for a view where its version is retained, where its snapshot sees the
 * transaction that attached the view (so a position from before belongs to
 * another epoch), and where the view's log was not cut beyond it for its size.
 * Everything is read with the active snapshot, so it can be done on a hot
 * standby; what a caller sees of versions is what its snapshot sees.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/live_view.hpp"

namespace tw::feed
{

/*
 * Receives one change: `diff` copies of `row` (negative: removed) in `version`.
 * The row has the view's tuple descriptor and is valid during the call only;
 * its values never point into a toast table. Returns false to stop reading.
 */
using ChangeCallback = bool (*)(void *arg, int64 version, int64 diff, TupleTableSlot *row);

/* Newest retained version that the active snapshot sees; 0 where there is none. */
int64 newest_version();

/* Oldest position from which this view's changes can be read; 0 where there is none yet. */
int64 oldest_position(const catalog::LiveView &view);

/*
 * Calls back for every change of versions after < v <= upto (upto 0: newest),
 * ordered by version and within it by first occurrence, consolidated by image
 * per version. The order is the same at every call. Returns the version up to
 * which it has read, or the last version begun where the callback stopped.
 * Raises 72000 where `after` is no valid position of this view. Where `after` is
 * beyond what the snapshot sees (a standby that lags), returns `after`.
 */
int64 read_changes(const catalog::LiveView &view, int64 after, int64 upto, ChangeCallback callback,
				   void *arg);

/*
 * Calls back for every row of the view as of newest_version(), and returns
 * that version. Commits the active snapshot sees but no version covers yet are
 * subtracted. Rows that may have equal copies come consolidated. Where the view
 * was attached so recently that no version the snapshot sees knows it, waits
 * for one and reads with a newer snapshot: the version returned is decisive.
 */
int64 read_snapshot(const catalog::LiveView &view, ChangeCallback callback, void *arg);

/* Raises an error unless the current user may SELECT from the view. */
void check_select_privilege(Oid view);

} // namespace tw::feed
