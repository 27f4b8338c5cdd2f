/*
 * database_worker.cpp - see database_worker.hpp.
 */
#include "worker/database_worker.hpp"

namespace tw::worker
{

namespace
{

constexpr int64 kFastCommit = 1000; /* µs for each commit, or less */
constexpr int kBusyRounds = 16;     /* so many in a row are a load, no burst */

DatabaseSlot *slot = nullptr;
Place place = {};

void
leave_place(int, Datum)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->*place.pid = 0;
	slot->*place.latch = nullptr;
	if (shared->launcher_latch)
		SetLatch(shared->launcher_latch);
	LWLockRelease(shared->lock);
}

void
take_place(Oid database)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = find_slot(database);
	bool taken = slot && slot->*place.pid == 0;
	if (taken)
	{
		slot->*place.pid = MyProcPid;
		slot->*place.latch = MyLatch;
	}
	LWLockRelease(shared->lock);
	if (!taken)
		proc_exit(1);
	before_shmem_exit(leave_place, (Datum) 0);
}

} // namespace

DatabaseSlot *
begin_worker(Oid database, Place wanted)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGINT, SIG_IGN); /* a statement cancel must not end it */
	BackgroundWorkerUnblockSignals();

	place = wanted;
	take_place(database);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	return slot;
}

bool
begin_with_extension()
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	Oid extension = get_extension_oid("tailwater", true);
	if (OidIsValid(extension))
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	return OidIsValid(extension) && get_extension_oid("tailwater", true) == extension;
}

void
Pace::note_round(uint64 commits)
{
	TimestampTz now = GetCurrentTimestamp();

	if (commits == 0 || now - begun_ > (int64) commits * kFastCommit)
		fast_rounds_ = 0;
	else if (fast_rounds_ < kBusyRounds)
		fast_rounds_++;
	begun_ = now;
}

void
Pace::wait(int64 distance) const
{
	if (fast_rounds_ < kBusyRounds)
		return;

	int64 left = begun_ + distance - GetCurrentTimestamp();
	if (left > 0)
		pg_usleep(Min(left, distance));
}

bool
look_around()
{
	ResetLatch(MyLatch);
	if (ProcDiePending)
		proc_exit(0);
	CHECK_FOR_INTERRUPTS();
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

} // namespace tw::worker
