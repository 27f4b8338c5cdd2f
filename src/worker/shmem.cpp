/*
 * shmem.cpp - shared memory, and what a backend does at the end of a transaction that wrote a log.
 *
 * A commit is announced after the transaction has left the list of running
 * transactions, so that the snapshot which the sequencer then takes sees it.
 * The announcement is a counter and a latch: whatever is lost with the server
 * (or because the sequencer was not there) is found by the sequencer when it
 * starts, by looking into the logs.
 */
#include "worker/shmem.hpp"
#include "worker/lag.hpp"
#include "worker/shared_state.hpp"

namespace tw::worker
{

SharedState *shared = nullptr;

namespace
{

shmem_startup_hook_type previous_shmem_startup_hook = nullptr;

/* Outermost nesting level at which this transaction noted a write that is not rolled back; 0: none. */
int noted_level = 0;

/* What the end of this transaction has to do; see the setters. */
bool check_pending = false;
bool wants_maintainer = false;
bool has_written = false; /* the maintainer may have something to read */
bool concerns_maintainer = true;
Oid review_pending = InvalidOid;
bool review_is_restart = false;
Oid suspended_here = InvalidOid;

bool exit_callback_registered = false;

Size
slots_offset()
{
	return MAXALIGN(sizeof(SharedState));
}

Size
waiting_offset()
{
	return add_size(slots_offset(), MAXALIGN(mul_size(max_worker_processes, sizeof(DatabaseSlot))));
}

Size
shared_size()
{
	return add_size(waiting_offset(), mul_size(pg::max_backends(), sizeof(Oid)));
}

void
request_shmem()
{
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("tailwater", 1);
}

void
init_maintainer_counters(DatabaseSlot *slot)
{
	pg_atomic_uint64 *counters[] = {&slot->writes,      &slot->writes_done,   &slot->rounds,
									&slot->rounds_done, &slot->rounds_failed, &slot->covered_lsn,
									&slot->covered_at};

	for (pg_atomic_uint64 *counter : counters)
		pg_atomic_init_u64(counter, 0);
}

void
startup_shmem()
{
	bool found;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	char *base = static_cast<char *>(ShmemInitStruct("tailwater", shared_size(), &found));
	shared = reinterpret_cast<SharedState *>(base);
	if (!found)
	{
		memset(base, 0, shared_size());
		shared->lock = &GetNamedLWLockTranche("tailwater")->lock;
		shared->review_all = true;
		pg_atomic_init_u64(&shared->lag_alarm, PG_UINT64_MAX);
		ConditionVariableInit(&shared->slot_released);
		shared->num_slots = max_worker_processes;
		shared->num_procs = pg::max_backends();
		shared->slots = reinterpret_cast<DatabaseSlot *>(base + slots_offset());
		shared->waiting = reinterpret_cast<Oid *>(base + waiting_offset());
		for (int i = 0; i < shared->num_slots; i++)
		{
			pg_atomic_init_u64(&shared->slots[i].commits, 0);
			pg_atomic_init_u64(&shared->slots[i].checks, 0);
			pg_atomic_init_u64(&shared->slots[i].checks_done, 0);
			pg_atomic_init_u64(&shared->slots[i].newest, 0);
			init_maintainer_counters(&shared->slots[i]);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Wakes the maintainer of this database, if it has one. Without a lock, since
 * every commit comes here: the slot found last is most likely still the one, and
 * a latch of a process that is gone does no harm.
 */
void
wake_maintainer()
{
	static DatabaseSlot *last = nullptr;

	if (!last || last->database != MyDatabaseId)
		last = find_slot(MyDatabaseId);
	Latch *latch = last ? last->maintainer_latch : nullptr;
	if (!latch || latch == MyLatch)
		return;
	pg_atomic_fetch_add_u64(&last->writes, 1);
	SetLatch(latch);
}

/* The launcher is to start a maintainer, or the one there is looks at what it has to do. */
void
request_maintainer()
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	DatabaseSlot *slot = find_slot(MyDatabaseId);
	if (slot)
		slot->maintainer_wanted = true;
	LWLockRelease(shared->lock);
	request_review(InvalidOid, false);
}

/* Tells the sequencer of this database of a commit that wrote a log, or that may have done so. */
void
announce_commit(bool wrote)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(MyDatabaseId);
	if (slot)
	{
		pg_atomic_fetch_add_u64(wrote ? &slot->commits : &slot->checks, 1);
		if (slot->sequencer_latch)
			SetLatch(slot->sequencer_latch);
	}
	LWLockRelease(shared->lock);
}

void
end_suspension()
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kMaxSuspended; i++)
	{
		if (shared->suspended[i] == suspended_here)
		{
			shared->suspended[i] = InvalidOid;
			break;
		}
	}
	LWLockRelease(shared->lock);
	request_review(suspended_here, false);
	suspended_here = InvalidOid;
}

void
at_xact_end(XactEvent event, void *)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			has_written |= TransactionIdIsValid(GetTopTransactionIdIfAny());
			return;
		case XACT_EVENT_COMMIT:
			/* Apply workers finish prepared transactions without a utility command. */
			if (max_prepared_xacts > 0 && IsLogicalWorker())
				check_pending = has_written = true;
			if (noted_level > 0)
				announce_commit(true);
			else if (check_pending)
				announce_commit(false);
			if (OidIsValid(review_pending))
				request_review(review_pending, review_is_restart);
			if (wants_maintainer)
				request_maintainer();
			if (has_written)
			{
				if (concerns_maintainer)
					wake_maintainer();
				watch_lag();
			}
			break;
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			break;
		default:
			return;
	}
	noted_level = 0;
	check_pending = false;
	wants_maintainer = false;
	has_written = false;
	concerns_maintainer = true;
	review_pending = InvalidOid;
	review_is_restart = false;
	if (OidIsValid(suspended_here))
		end_suspension();
}

void
at_subxact_end(SubXactEvent event, SubTransactionId, SubTransactionId, void *)
{
	if (noted_level == 0 || noted_level < GetCurrentTransactionNestLevel())
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		noted_level--;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		noted_level = 0;
}

void
stop_waiting_at_exit(int, Datum)
{
	shared->waiting[pg::proc_number()] = InvalidOid;
}

bool
has_workers(Oid database)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	bool found = find_slot(database) != nullptr;
	LWLockRelease(shared->lock);
	return found;
}

/* What a process that waits for a worker's answer knows of it. */
struct Ticket
{
	uint32 generation = 0;
	uint64 number = 0;
};

enum class Worker
{
	kSequencer,
	kMaintainer
};

enum class TicketStatus
{
	kNoWorker,
	kPending,
	kDone,
	kFailed
};

/* Asks the worker, unless that is done, and says how far it is. */
TicketStatus
poll_ticket(Ticket *ticket, Worker worker)
{
	TicketStatus status = TicketStatus::kNoWorker;
	bool maintainer = worker == Worker::kMaintainer;

	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(MyDatabaseId);
	if (slot)
	{
		Latch *latch = maintainer ? slot->maintainer_latch : slot->sequencer_latch;
		pg_atomic_uint64 *asked = maintainer ? &slot->rounds : &slot->checks;
		pg_atomic_uint64 *done = maintainer ? &slot->rounds_done : &slot->checks_done;

		if (ticket->number == 0 || ticket->generation != slot->generation)
		{
			ticket->generation = slot->generation;
			ticket->number = pg_atomic_fetch_add_u64(asked, 1) + 1;
			if (latch)
				SetLatch(latch);
		}
		status = TicketStatus::kPending;
		if (pg_atomic_read_u64(done) >= ticket->number)
			status = TicketStatus::kDone;
		else if (maintainer && pg_atomic_read_u64(&slot->rounds_failed) >= ticket->number)
			status = TicketStatus::kFailed;
	}
	LWLockRelease(shared->lock);
	return status;
}

Waited
wait_for_ticket(Worker worker, TimestampTz deadline)
{
	Ticket ticket;
	uint32 event = pg::wait_event("TailwaterSync");

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		TicketStatus status = poll_ticket(&ticket, worker);
		if (status == TicketStatus::kDone || status == TicketStatus::kFailed)
			return status == TicketStatus::kDone ? Waited::kDone : Waited::kFailed;

		long remaining = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		if (remaining <= 0)
			return Waited::kTimeout;
		/* The launcher is about to start the workers: nobody would set the latch. */
		if (status == TicketStatus::kNoWorker)
			remaining = Min(remaining, 50L);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(remaining, (long) INT_MAX), event);
		ResetLatch(MyLatch);
	}
}

} // namespace

DatabaseSlot *
find_slot(Oid database)
{
	for (int i = 0; i < shared->num_slots; i++)
		if (shared->slots[i].database == database)
			return &shared->slots[i];
	return nullptr;
}

void
wake_waiting(Oid database)
{
	for (int i = 0; i < shared->num_procs; i++)
		if (shared->waiting[i] == database)
			SetLatch(&GetPGProcByNumber(i)->procLatch);
}

void
request_review(Oid database, bool restart)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (OidIsValid(database))
	{
		if (shared->num_requests < kMaxRequests)
			shared->requests[shared->num_requests++] = {database, restart};
		else
			shared->review_all = true;
	}
	if (shared->launcher_latch)
		SetLatch(shared->launcher_latch);
	LWLockRelease(shared->lock);
}

void
note_log_written()
{
	if (noted_level == 1)
		return;
	int level = GetCurrentTransactionNestLevel();
	if (noted_level == 0 || level < noted_level)
		noted_level = level;
}

void
check_at_commit()
{
	check_pending = true;
}

void
maintain_at_commit()
{
	has_written = true;
}

void
leave_maintainer_asleep()
{
	concerns_maintainer = false;
}

void
want_maintainer_at_commit()
{
	wants_maintainer = true;
}

void
review_at_commit(Oid database)
{
	review_pending = database;
}

void
restart_at_commit(Oid database)
{
	review_pending = database;
	review_is_restart = true;
}

void
suspend_until_xact_end(Oid database)
{
	if (OidIsValid(suspended_here))
		return;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kMaxSuspended; i++)
	{
		if (!OidIsValid(shared->suspended[i]))
		{
			shared->suspended[i] = suspended_here = database;
			break;
		}
	}
	LWLockRelease(shared->lock);
	if (!OidIsValid(suspended_here))
		return;

	request_review(database, false);
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 10000);
	uint32 event = pg::wait_event("TailwaterStopWorkers");

	ConditionVariablePrepareToSleep(&shared->slot_released);
	while (has_workers(database))
	{
		long remaining = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		if (remaining <= 0 || ConditionVariableTimedSleep(&shared->slot_released, remaining, event))
			break;
	}
	ConditionVariableCancelSleep();
}

void
wait_for_versions(bool on)
{
	if (!shared)
		return;
	if (!exit_callback_registered && on)
	{
		before_shmem_exit(stop_waiting_at_exit, (Datum) 0);
		exit_callback_registered = true;
	}
	shared->waiting[pg::proc_number()] = on ? MyDatabaseId : InvalidOid;
	pg_memory_barrier();
}

bool
waits_for_versions()
{
	return shared && OidIsValid(shared->waiting[pg::proc_number()]);
}

int64
published_version()
{
	int64 version = 0;

	if (!shared)
		return 0;
	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(MyDatabaseId);
	if (slot)
		version = pg_atomic_read_u64(&slot->newest);
	LWLockRelease(shared->lock);
	return version;
}

namespace
{

Waited
wait_for_worker(Worker worker, TimestampTz deadline)
{
	volatile bool waited = waits_for_versions();
	volatile Waited result = Waited::kTimeout;

	if (!shared)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("tailwater must be loaded via shared_preload_libraries"));
	wait_for_versions(true);
	PG_TRY();
	{
		result = wait_for_ticket(worker, deadline);
	}
	PG_FINALLY();
	{
		wait_for_versions(waited);
		/* Whoever else waits on this latch must not miss what it was set for. */
		SetLatch(MyLatch);
	}
	PG_END_TRY();
	return result;
}

} // namespace

bool
wait_until_covered(TimestampTz deadline)
{
	return wait_for_worker(Worker::kSequencer, deadline) == Waited::kDone;
}

Waited
wait_until_maintained(TimestampTz deadline)
{
	return wait_for_worker(Worker::kMaintainer, deadline);
}

bool
find_lag(Lag *out)
{
	bool known = false;

	*out = {};
	if (!shared || RecoveryInProgress())
		return false;
	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(MyDatabaseId);
	uint64 covered = slot ? pg_atomic_read_u64(&slot->covered_lsn) : 0;
	if (covered != 0)
	{
		uint64 done = pg_atomic_read_u64(&slot->writes_done);
		TimestampTz at = (TimestampTz) pg_atomic_read_u64(&slot->covered_at);
		uint64 writes = pg_atomic_read_u64(&slot->writes);
		XLogRecPtr now = GetXLogInsertRecPtr();

		known = true;
		out->transactions = writes > done ? (int64) (writes - done) : 0;
		/* The server's own records, and views that were written, are not waited for. */
		out->bytes = out->transactions > 0 && now > covered ? (int64) (now - covered) : 0;
		out->seconds = out->transactions > 0 ? (GetCurrentTimestamp() - at) / 1e6 : 0;
	}
	LWLockRelease(shared->lock);
	return known;
}

void
init_shmem()
{
	pg::on_shmem_request(request_shmem);
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
	RegisterXactCallback(at_xact_end, nullptr);
	RegisterSubXactCallback(at_subxact_end, nullptr);
}

} // namespace tw::worker

extern "C" PGDLLEXPORT void tailwater_wait_for_versions(bool on);

void
tailwater_wait_for_versions(bool on)
{
	tw::worker::wait_for_versions(on);
}
