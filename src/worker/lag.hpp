/*
 * lag.hpp - keeps deferred views from holding back more log than tailwater.max_lag_bytes.
 *
 * Nobody polls. The launcher leaves an alarm in shared memory: the position of
 * the log from which on the slot that is furthest behind may hold back too
 * much. The first commit beyond it, in whatever database, wakes the launcher,
 * which looks, drops slots, and sets the next alarm. So the bound holds also
 * while a maintainer hangs, cannot start, or waits out a pause. Private to
 * this folder.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::worker
{

struct DatabaseSlot;

/* At the end of a transaction that has written: sounds the alarm where it lies beyond it. */
void watch_lag();

/* First position of the log at which the one given lies too far behind; PG_UINT64_MAX: never. */
XLogRecPtr lag_limit(XLogRecPtr position);

/* True if a slot may not stay at the position; an invalid one holds back nothing. */
bool lags_too_far(XLogRecPtr position);

/* Position from which on the database's deferred views hold back log; invalid: they don't. */
XLogRecPtr held_position(Oid database);

/*
 * The slot was dropped: marks the deferred views for rebuild, and says so in
 * their last_error. Inside a transaction of that database. Does nothing where
 * a view is in use, since then the maintainer, which does the same, is not
 * dead.
 */
void tell_lost_log(DatabaseSlot *slot);

} // namespace tw::worker
