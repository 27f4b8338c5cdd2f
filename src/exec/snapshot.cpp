/*
 * snapshot.cpp - the snapshot under which views are maintained.
 */
#include "exec/snapshot.hpp"

namespace tw::exec
{

Snapshot
maintenance_snapshot()
{
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
