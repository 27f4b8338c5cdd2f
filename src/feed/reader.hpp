/*
 * reader.hpp - reads the changes of a live view, version by version.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/live_view.hpp"

namespace tw::feed
{

/*
 * Receives one change: `diff` copies of `row` (negative: removed) in `version`.
 * The row has the view's tuple descriptor and is valid during the call only.
 * Returns false to stop reading.
 */
using ChangeCallback = bool (*)(void *arg, int64 version, int64 diff, TupleTableSlot *row);

/* Newest and oldest retained version that the active snapshot sees; 0 where there is none. */
int64 newest_version();
int64 oldest_version();

/*
 * Calls back for every change of versions after < v <= upto (upto 0: newest),
 * ordered by version and within it by first occurrence, consolidated by image
 * per version. The order is the same at every call. Returns the version up to
 * which it has read, or the last version begun where the callback stopped.
 * Raises 72000 where `after` is below retention.
 */
int64 read_changes(const catalog::LiveView &view, int64 after, int64 upto,
				   ChangeCallback callback, void *arg);

/*
 * Calls back for every row of the view as of newest_version(), and returns
 * that version. Commits the active snapshot sees but no version covers yet are
 * subtracted.
 */
int64 read_snapshot(const catalog::LiveView &view, ChangeCallback callback, void *arg);

} // namespace tw::feed
