/*
 * progress.cpp - builds under way, in shared memory.
 *
 * The lock protects who has a slot. Numbers are written by the worker alone and
 * read without the lock: they are only shown.
 */
#include "maintain/progress.hpp"

namespace tw::maintain
{

namespace
{

struct SharedBuilds
{
	LWLock *lock;
	ConditionVariable changed;
	Build builds[FLEXIBLE_ARRAY_MEMBER];
};

SharedBuilds *shared = nullptr;
Build *own = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

Size
shared_size()
{
	return add_size(offsetof(SharedBuilds, builds), mul_size(max_worker_processes, sizeof(Build)));
}

void
startup()
{
	bool found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = static_cast<SharedBuilds *>(
		ShmemInitStruct("tailwater builds", shared_size(), &found));
	if (!found)
	{
		memset(shared, 0, shared_size());
		shared->lock = &GetNamedLWLockTranche("tailwater builds")->lock;
		ConditionVariableInit(&shared->changed);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
request()
{
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("tailwater builds", 1);
}

} // namespace

void
init_progress()
{
	pg::on_shmem_request(request);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

int
reserve_build(const Build *wanted)
{
	int number = -1;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; number < 0 && i < max_worker_processes; i++)
		if (shared->builds[i].state == BuildState::kFree)
			number = i;
	if (number >= 0)
	{
		shared->builds[number] = *wanted;
		shared->builds[number].state = BuildState::kReserved;
		SetInvalidVirtualTransactionId(shared->builds[number].blocker);
		shared->builds[number].caller = MyProcPid;
		shared->builds[number].begun_at = GetCurrentTimestamp();
	}
	LWLockRelease(shared->lock);
	return number;
}

void
release_build(int number)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->builds[number].state = BuildState::kFree;
	LWLockRelease(shared->lock);
}

Build *
build_slot(int number)
{
	return &shared->builds[number];
}

void
set_build_state(int number, BuildState state)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->builds[number].state = state;
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->changed);
}

bool
await_beginning(int number)
{
	Build *build = &shared->builds[number];
	uint32 event = pg::wait_event("TailwaterBuild");

	ConditionVariablePrepareToSleep(&shared->changed);
	for (;;)
	{
		LWLockAcquire(shared->lock, LW_SHARED);
		BuildState state = build->state;
		LWLockRelease(shared->lock);
		if (state != BuildState::kReserved)
		{
			ConditionVariableCancelSleep();
			return state == BuildState::kBegun;
		}
		ConditionVariableSleep(&shared->changed, event);
	}
}

bool
is_being_built(Oid view)
{
	bool found = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < max_worker_processes; i++)
	{
		const Build *build = &shared->builds[i];

		found |= build->view == view && build->database == MyDatabaseId &&
				 (build->state == BuildState::kReserved || build->state == BuildState::kBegun);
	}
	LWLockRelease(shared->lock);
	return found;
}

void
claim_build(int number)
{
	own = &shared->builds[number];
	own->builder = MyProcPid;
}

void
note_phase(BuildPhase phase)
{
	if (own)
		own->phase = phase;
}

void
note_blocker(VirtualTransactionId blocker)
{
	if (!own)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	own->blocker = blocker;

	PGPROC *caller = own->caller ? BackendPidGetProc(own->caller) : nullptr;
	if (caller)
		SetLatch(&caller->procLatch);
	LWLockRelease(shared->lock);
}

VirtualTransactionId
blocker_of(int number)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	VirtualTransactionId blocker = shared->builds[number].blocker;
	LWLockRelease(shared->lock);
	return blocker;
}

void
note_rows(int64 more)
{
	if (own)
		own->rows += more;
}

namespace
{

const char *
phase_name(BuildPhase phase)
{
	switch (phase)
	{
		case BuildPhase::kStarting:
			return "starting";
		case BuildPhase::kRecording:
			return "waiting to record changes";
		case BuildPhase::kComputing:
			return "computing";
		case BuildPhase::kCatchingUp:
			return "catching up";
		case BuildPhase::kSwitching:
			return "waiting to switch";
		case BuildPhase::kCleaningUp:
			return "cleaning up";
	}
	return "";
}

} // namespace

} // namespace tw::maintain

extern "C"
{
	PGDLLEXPORT Datum tailwater_builds(PG_FUNCTION_ARGS);
	PG_FUNCTION_INFO_V1(tailwater_builds);
}

/* tailwater_internal.builds() RETURNS SETOF record */
Datum
tailwater_builds(PG_FUNCTION_ARGS)
{
	using namespace tw::maintain;
	ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);

	tw::pg::init_materialized_srf(fcinfo);
	for (int i = 0; i < max_worker_processes; i++)
	{
		LWLockAcquire(shared->lock, LW_SHARED);
		Build build = shared->builds[i];
		LWLockRelease(shared->lock);

		Datum values[9] = {};
		bool nulls[9] = {};
		if (build.database != MyDatabaseId ||
			(build.state != BuildState::kReserved && build.state != BuildState::kBegun))
			continue;
		values[0] = ObjectIdGetDatum(build.view);
		values[1] = CStringGetTextDatum(phase_name(build.phase));
		values[2] = Int64GetDatum(build.rows);
		values[3] = Int64GetDatum(build.caught_up);
		values[4] = Int64GetDatum(build.to_catch_up);
		values[5] = Int32GetDatum(tw::pg::pid_of(build.blocker));
		nulls[5] = values[5] == 0;
		values[6] = Int32GetDatum(build.builder);
		nulls[6] = build.builder == 0;
		values[7] = Int32GetDatum(build.caller);
		values[8] = TimestampTzGetDatum(build.begun_at);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
