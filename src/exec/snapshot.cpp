/*
 * snapshot.cpp - the snapshot under which views are maintained.
 *
 * Old content is read under the same snapshot with the command counter of the
 * statement that began the batch: what the transaction wrote since is not seen,
 * and what it removed still is.
 */
#include "exec/snapshot.hpp"
#include "capture/statement.hpp"

namespace tw::exec
{

namespace
{

Snapshot fixed = nullptr;

} // namespace

void
fix_snapshot(Snapshot snapshot)
{
	fixed = snapshot;
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
	CommandId first = capture::first_command();

	if (first == InvalidCommandId)
		return nullptr;

	Snapshot old = (Snapshot) palloc(sizeof(SnapshotData));
	*old = *GetActiveSnapshot();
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
