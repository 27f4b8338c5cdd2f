/*
 * database_worker.cpp - see database_worker.hpp.
 */
#include "worker/database_worker.hpp"

namespace tw::worker
{

namespace
{

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
