/*
 * snapshot.cpp - the snapshot under which views are maintained.
 *
 * Old content is read under the same snapshot with the command counter of the
 * statement that began the batch: what the transaction wrote since is not seen,
 * and what it removed still is. In the maintainer, whose changes come from
 * other transactions, it is the snapshot of the batch before.
 */
#include "exec/snapshot.hpp"
#include "capture/statement.hpp"

namespace tw::exec
{

namespace
{

Snapshot fixed = nullptr;
Snapshot fixed_before = nullptr;
CommandId fixed_at = InvalidCommandId; /* the first command of the batch */
bool wanted = false;

} // namespace

void
fix_snapshot(Snapshot snapshot, Snapshot before)
{
	fixed = snapshot;
	fixed_before = before;
	fixed_at = snapshot ? GetCurrentCommandId(false) : InvalidCommandId;
}

bool
snapshot_is_fixed()
{
	return fixed != nullptr;
}

bool
old_snapshot_is_wanted()
{
	return wanted;
}

Snapshot
maintenance_snapshot()
{
	if (fixed)
		return fixed;
	return IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : GetLatestSnapshot();
}

Snapshot
old_snapshot()
{
	CommandId first = fixed ? fixed_at : capture::first_command();

	wanted = true;
	if (first == InvalidCommandId || (fixed && !fixed_before))
		return nullptr;

	Snapshot old = (Snapshot) palloc(sizeof(SnapshotData));
	*old = fixed ? *fixed_before : *GetActiveSnapshot();
	old->curcid = first;
	return old;
}

void
renew_snapshot()
{
	PopActiveSnapshot();
	PushCopiedSnapshot(maintenance_snapshot());
	UpdateActiveSnapshotCommandId();
}

} // namespace tw::exec
