/*
 * snapshot.hpp - the snapshot under which views are maintained.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::exec
{

/*
 * The snapshot maintenance reads under: what is committed now, or the
 * transaction's own where its isolation level fixes one, or the one given to
 * fix_snapshot(); with all this transaction has done so far. The caller pushes
 * a copy of it.
 */
Snapshot maintenance_snapshot();

/*
 * From now on maintenance reads under this registered snapshot; null: no more.
 * `before` shows all relations as they were when the views were last
 * maintained; null: there is none.
 */
void fix_snapshot(Snapshot snapshot, Snapshot before = nullptr);

/* True if maintenance reads under the snapshot given to fix_snapshot(). */
bool snapshot_is_fixed();

/* True if old_snapshot() was asked for in this process. */
bool old_snapshot_is_wanted();

/*
 * A snapshot that differs from the active one in that it sees all relations as
 * they were before the batch, live views included. Null where there is none: then
 * evaluate everything again. The caller pushes a copy of it.
 */
Snapshot old_snapshot();

/* Replaces the active snapshot by a newer one, after waiting for a lock. */
void renew_snapshot();

} // namespace tw::exec
