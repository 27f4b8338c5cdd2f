/*
 * old_state.cpp - the snapshot that the deferred views are at, kept from one batch to the next.
 *
 * A batch that must read tables as they were before it does so under the
 * snapshot of the batch before. The views themselves were written by that
 * batch's own transaction, which its snapshot does not see; so the kept one
 * reaches up to that transaction, and lists everything in between as running.
 * It is in this process only: the first batch after a start has no old state.
 */
#include "decode/old_state.hpp"

namespace tw::decode
{

namespace
{

/* So many transactions at most are listed as running. */
constexpr uint32 kMaxListed = 10000;

MemoryContext context = nullptr;
Snapshot kept = nullptr;

void
protect(TransactionId xmin)
{
	if (!MyReplicationSlot || MyReplicationSlot->effective_xmin == xmin)
		return;
	SpinLockAcquire(&MyReplicationSlot->mutex);
	MyReplicationSlot->effective_xmin = xmin;
	SpinLockRelease(&MyReplicationSlot->mutex);
	ReplicationSlotsComputeRequiredXmin(false);
}

/* Number of transactions that began after the snapshot and before the transaction. */
uint32
count_between(Snapshot snapshot, TransactionId own)
{
	return TransactionIdIsValid(own) ? own - snapshot->xmax : 0;
}

/* The snapshot, which sees one transaction more. */
Snapshot
extend(Snapshot from, TransactionId own)
{
	uint32 between = count_between(from, own);
	Snapshot snapshot = (Snapshot) palloc0(sizeof(SnapshotData));

	*snapshot = *from;
	snapshot->copied = false;
	snapshot->active_count = 0;
	snapshot->regd_count = 0;
	snapshot->snapXactCompletionCount = 0;
	snapshot->xip = (TransactionId *) palloc(sizeof(TransactionId) * (from->xcnt + between + 1));
	snapshot->subxip = (TransactionId *) palloc(sizeof(TransactionId) * (from->subxcnt + 1));
	if (from->xcnt > 0)
		memcpy(snapshot->xip, from->xip, sizeof(TransactionId) * from->xcnt);
	if (from->subxcnt > 0)
		memcpy(snapshot->subxip, from->subxip, sizeof(TransactionId) * from->subxcnt);
	if (TransactionIdIsValid(own))
	{
		TransactionId xid = from->xmax;

		while (xid != own)
		{
			snapshot->xip[snapshot->xcnt++] = xid;
			TransactionIdAdvance(xid);
		}
		snapshot->xmax = own;
		TransactionIdAdvance(snapshot->xmax);
	}
	return snapshot;
}

} // namespace

void
keep_old_state(Snapshot snapshot, TransactionId own)
{
	TransactionId *children;

	/* Without their list, subtransactions that run now cannot be told from finished ones later. */
	if (snapshot->suboverflowed || snapshot->takenDuringRecovery ||
		count_between(snapshot, own) > kMaxListed || xactGetCommittedChildren(&children) > 0)
	{
		drop_old_state();
		return;
	}
	if (!context)
		context = AllocSetContextCreate(TopMemoryContext, "tailwater old state",
										ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);

	MemoryContext old = MemoryContextSwitchTo(context);
	kept = extend(snapshot, own);
	MemoryContextSwitchTo(old);
	protect(snapshot->xmin);
}

void
drop_old_state()
{
	if (!kept)
		return;
	kept = nullptr;
	protect(InvalidTransactionId);
}

Snapshot
old_state()
{
	return kept;
}

} // namespace tw::decode
