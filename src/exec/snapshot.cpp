/*
 * snapshot.cpp - the snapshot under which views are maintained.
 */
#include "exec/snapshot.hpp"

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

void
renew_snapshot()
{
	PopActiveSnapshot();
	PushCopiedSnapshot(maintenance_snapshot());
	UpdateActiveSnapshotCommandId();
}

} // namespace tw::exec
