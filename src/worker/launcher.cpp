/*
 * launcher.cpp - starts, restarts and stops the workers of each database.
 *
 * One background worker, restarted by the postmaster. It is connected to no
 * database and reads pg_database only. Whether a database has the extension is
 * known only inside it: so the launcher starts a sequencer in every database
 * that accepts connections, one at a time, and a sequencer that finds no
 * extension ends and says so. Afterwards nothing is polled: CREATE and DROP
 * EXTENSION, CREATE and DROP DATABASE and the like ask for a review of one
 * database (hooks.cpp), and the end of a worker sets the launcher's latch.
 *
 * Workers are registered as never to be restarted by the postmaster; that is
 * done here, at once for one that ran well and with growing pauses for one
 * that does not. After a crash of the server the postmaster forgets them, and
 * the new launcher starts from nothing. A launcher that ended by itself leaves
 * workers behind; its successor ends and replaces them.
 */
#include "worker/lag.hpp"
#include "worker/shared_state.hpp"
#include "decode/reader.hpp"
#include "settings.hpp"

#include <sys/stat.h>

extern "C" PGDLLEXPORT void tailwater_launcher_main(Datum arg);

namespace tw::worker
{

namespace
{

/* A worker that lived shorter is restarted with growing pauses. */
constexpr int kGoodRunMs = 10000;
constexpr int kFirstPauseMs = 1000;
constexpr int kMaxPauseMs = 60000;
/* Pause before trying again where max_worker_processes is exhausted. */
constexpr int kNoWorkerPauseMs = 5000;

/* One worker of one database, as the launcher knows it. */
struct Child
{
	BackgroundWorkerHandle *handle; /* nullptr: not running */
	TimestampTz started_at;
	TimestampTz retry_at; /* not before */
	int pause;
	bool terminating;
	bool restart; /* is to be restarted as soon as it has ended */
};

struct Entry
{
	Oid database;
	Child sequencer;
	Child gateway;
	Child maintainer;
	XLogRecPtr
		late_at; /* where its running maintainer was found too far behind; invalid: it is not */
	int gateway_port; /* tailwater.port when the gateway was started */
	bool eligible;    /* exists and accepts connections */
	bool unwanted;    /* no extension in it */
	bool probe_again; /* a review was asked for while the sequencer ran */
};

List *entries = NIL; /* of Entry, in TopMemoryContext */
bool worker_limit_reported = false;

Entry *
find_entry(Oid database)
{
	ListCell *lc;

	foreach (lc, entries)
		if (static_cast<Entry *>(lfirst(lc))->database == database)
			return static_cast<Entry *>(lfirst(lc));
	return nullptr;
}

Entry *
add_entry(Oid database)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Entry *entry = static_cast<Entry *>(palloc0(sizeof(Entry)));

	entry->database = database;
	entries = lappend(entries, entry);
	MemoryContextSwitchTo(old);
	return entry;
}

bool
is_suspended(Oid database)
{
	bool found = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < kMaxSuspended; i++)
		found = found || shared->suspended[i] == database;
	LWLockRelease(shared->lock);
	return found;
}

/* A copy of a database's slot; .database is InvalidOid where it has none. */
DatabaseSlot
read_slot(Oid database)
{
	DatabaseSlot copy = {};

	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(database);
	if (slot)
		copy = *slot;
	LWLockRelease(shared->lock);
	return copy;
}

/* Makes sure that the database has a slot, in the state in which a sequencer starts. */
bool
reserve_slot(Oid database)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	DatabaseSlot *slot = find_slot(database);
	if (!slot)
	{
		slot = find_slot(InvalidOid);
		if (slot)
		{
			slot->database = database;
			slot->generation++;
			slot->sequencer_pid = slot->gateway_pid = 0;
			slot->sequencer_latch = nullptr;
			slot->maintainer_pid = 0;
			slot->maintainer_latch = nullptr;
			slot->maintainer_wanted = slot->maintainer_left = slot->log_lost = false;
			pg_atomic_write_u64(&slot->writes, 0);
			pg_atomic_write_u64(&slot->writes_done, 0);
			pg_atomic_write_u64(&slot->rounds, 0);
			pg_atomic_write_u64(&slot->rounds_done, 0);
			pg_atomic_write_u64(&slot->rounds_failed, 0);
			pg_atomic_write_u64(&slot->covered_lsn, 0);
			pg_atomic_write_u64(&slot->covered_at, 0);
			pg_atomic_write_u64(&slot->commits, 0);
			pg_atomic_write_u64(&slot->checks, 0);
			pg_atomic_write_u64(&slot->checks_done, 0);
			pg_atomic_write_u64(&slot->newest, 0);
		}
	}
	if (slot)
		slot->state = SequencerState::kStarting;
	LWLockRelease(shared->lock);
	return slot != nullptr;
}

void
free_slot(Oid database)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	DatabaseSlot *slot = find_slot(database);
	if (slot)
		slot->database = InvalidOid;
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->slot_released);
}

/* Reads pg_database: which of the entries' databases accept workers; adds the missing if asked to. */
void
read_databases(bool add)
{
	ListCell *lc;

	foreach (lc, entries)
		static_cast<Entry *>(lfirst(lc))->eligible = false;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	Relation rel = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
	HeapTuple tup;

	while (HeapTupleIsValid(tup = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tup);

		if (!form->datallowconn || form->datistemplate)
			continue;
		Entry *entry = find_entry(form->oid);
		if (!entry && add)
			entry = add_entry(form->oid);
		if (entry)
			entry->eligible = true;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
}

void
request_check(Oid database)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(database);
	if (slot)
	{
		pg_atomic_fetch_add_u64(&slot->checks, 1);
		if (slot->sequencer_latch)
			SetLatch(slot->sequencer_latch);
	}
	LWLockRelease(shared->lock);
}

void
wake_maintainer(Oid database)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(database);
	if (slot && slot->maintainer_latch)
		SetLatch(slot->maintainer_latch);
	LWLockRelease(shared->lock);
}

void
terminate(Child *child)
{
	if (!child->handle || child->terminating)
		return;
	TerminateBackgroundWorker(child->handle);
	child->terminating = true;
}

void
terminate_and_restart(Child *child)
{
	if (!child->handle)
		return;
	child->restart = true;
	terminate(child);
}

/* Takes the requests that have arrived and lets them show in the entries. */
void
take_requests()
{
	ReviewRequest requests[kMaxRequests];

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	int count = shared->num_requests;
	bool all = shared->review_all;
	memcpy(requests, shared->requests, sizeof(ReviewRequest) * count);
	shared->num_requests = 0;
	shared->review_all = false;
	LWLockRelease(shared->lock);

	if (count == 0 && !all)
		return;
	for (int i = 0; i < count; i++)
	{
		Entry *entry = find_entry(requests[i].database);

		if (!entry)
			entry = add_entry(requests[i].database);
		entry->unwanted = false;
		entry->sequencer.retry_at = entry->gateway.retry_at = entry->maintainer.retry_at = 0;
		if (requests[i].restart)
		{
			terminate_and_restart(&entry->sequencer);
			terminate_and_restart(&entry->gateway);
			terminate_and_restart(&entry->maintainer);
		}
		else if (entry->sequencer.handle)
		{
			entry->probe_again = true;
			request_check(entry->database);
		}
	}
	read_databases(all);
}

/* Notices the end of a child; returns true if it has just ended. */
bool
reap(Child *child)
{
	pid_t pid;

	if (!child->handle || GetBackgroundWorkerPid(child->handle, &pid) != BGWH_STOPPED)
		return false;
	pfree(child->handle);
	child->handle = nullptr;

	TimestampTz now = GetCurrentTimestamp();
	if (child->restart || TimestampDifferenceExceeds(child->started_at, now, kGoodRunMs))
	{
		child->pause = 0;
		child->retry_at = 0;
	}
	else
	{
		child->pause = child->pause ? Min(child->pause * 2, kMaxPauseMs) : kFirstPauseMs;
		child->retry_at = TimestampTzPlusMilliseconds(now, child->pause);
	}
	child->restart = child->terminating = false;
	return true;
}

bool
start(Child *child, Oid database, const char *name, const char *library, const char *function)
{
	BackgroundWorker worker = {};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, library, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker.bgw_type, name, BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s for database %u", name, database);

	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool registered = RegisterDynamicBackgroundWorker(&worker, &child->handle);
	MemoryContextSwitchTo(old);
	child->started_at = GetCurrentTimestamp();
	if (registered)
	{
		worker_limit_reported = false;
		return true;
	}
	child->handle = nullptr;
	child->retry_at = TimestampTzPlusMilliseconds(child->started_at, kNoWorkerPauseMs);
	if (!worker_limit_reported)
		ereport(WARNING, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("out of background worker slots for \"%s\"", name),
				errhint("Consider increasing the configuration parameter "
						"\"max_worker_processes\"."));
	worker_limit_reported = true;
	return false;
}

bool
gateway_is_installed()
{
	char *path = psprintf("%s/%s%s", pkglib_path, kGatewayLibrary, DLSUFFIX);
	struct stat st;
	bool found = stat(path, &st) == 0;

	pfree(path);
	return found;
}

bool
is_due(const Child *child)
{
	return !child->handle && (child->retry_at == 0 || GetCurrentTimestamp() >= child->retry_at);
}

/* One sequencer at a time starts up, so that many databases do not use up the worker slots. */
bool
some_sequencer_starts()
{
	ListCell *lc;

	foreach (lc, entries)
	{
		Entry *entry = static_cast<Entry *>(lfirst(lc));

		if (entry->sequencer.handle && !entry->sequencer.terminating &&
			read_slot(entry->database).state == SequencerState::kStarting)
			return true;
	}
	return false;
}

void
supervise_gateway(Entry *entry, const DatabaseSlot *slot)
{
	Child *gateway = &entry->gateway;

	/* Only a running sequencer knows the port; while it restarts, the gateway goes on. */
	if (!entry->sequencer.handle || entry->sequencer.terminating ||
		slot->state != SequencerState::kRunning)
		return;
	if (gateway->handle && entry->gateway_port != slot->port)
		terminate_and_restart(gateway);
	if (slot->port != 0 && is_due(gateway) && gateway_is_installed() &&
		start(gateway, entry->database, "tailwater gateway", kGatewayLibrary,
			  "tailwater_gateway_main"))
		entry->gateway_port = slot->port;
}

/* Notices the end of the maintainer; one that had nothing to do may be needed again at once. */
void
reap_maintainer(Entry *entry)
{
	if (!reap(&entry->maintainer))
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	DatabaseSlot *slot = find_slot(entry->database);
	if (slot && slot->maintainer_left)
	{
		slot->maintainer_left = false;
		entry->maintainer.pause = 0;
		entry->maintainer.retry_at = 0;
	}
	LWLockRelease(shared->lock);
}

/*
 * Beyond tailwater.max_lag_bytes the slot goes, whether the maintainer is stuck,
 * too slow, or not there. The next one computes the views anew. One that runs
 * may catch up while a quarter more is written: it may have been a single
 * transaction that it could not read before.
 */
void
bound_lag(Entry *entry)
{
	XLogRecPtr now = GetXLogInsertRecPtr();

	if (!lags_too_far(held_position(entry->database)))
	{
		entry->late_at = InvalidXLogRecPtr;
		return;
	}
	if (XLogRecPtrIsInvalid(entry->late_at))
		entry->late_at = now;
	if (entry->maintainer.handle && now - entry->late_at < (lag_limit(0) - 1) / 4)
		return;
	terminate(&entry->maintainer);
	if (entry->maintainer.handle || !decode::drop_idle_slot(entry->database))
		return;
	ereport(LOG,
			errmsg("dropped the replication slot of the deferred views of database %u",
				   entry->database),
			errdetail("It held back more write-ahead log than tailwater.max_lag_bytes."));
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	DatabaseSlot *slot = find_slot(entry->database);
	if (slot)
		slot->log_lost = true;
	LWLockRelease(shared->lock);
	request_check(entry->database);
}

void
supervise_maintainer(Entry *entry, const DatabaseSlot *slot)
{
	bound_lag(entry);
	/* The sequencer is started first: it knows whether the extension is there. */
	if (entry->sequencer.handle && !entry->sequencer.terminating &&
		slot->state == SequencerState::kRunning && slot->maintainer_wanted &&
		is_due(&entry->maintainer))
		(void) start(&entry->maintainer, entry->database, "tailwater maintainer", kLibrary,
					 "tailwater_maintainer_main");
}

/* Notes the gateway's process for a successor of this launcher. */
void
publish_gateway(Entry *entry)
{
	pid_t pid = 0;

	if (entry->gateway.handle &&
		GetBackgroundWorkerPid(entry->gateway.handle, &pid) != BGWH_STARTED)
		pid = 0;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	DatabaseSlot *slot = find_slot(entry->database);
	if (slot)
		slot->gateway_pid = pid;
	LWLockRelease(shared->lock);
}

/* Brings one database's workers to what they should be; returns false where it needs no more care. */
bool
supervise(Entry *entry)
{
	if (reap(&entry->sequencer) && read_slot(entry->database).state == SequencerState::kAbsent)
	{
		entry->unwanted = !entry->probe_again;
		entry->probe_again = false;
		entry->sequencer.retry_at = 0;
		terminate(&entry->gateway);
	}
	(void) reap(&entry->gateway);
	reap_maintainer(entry);

	if (entry->unwanted || !entry->eligible || is_suspended(entry->database))
	{
		terminate(&entry->sequencer);
		terminate(&entry->gateway);
		/* Where only the extension is gone, the maintainer has a replication slot to drop first. */
		if (entry->eligible && !is_suspended(entry->database))
			wake_maintainer(entry->database);
		else
			terminate(&entry->maintainer);
		if (entry->sequencer.handle || entry->gateway.handle || entry->maintainer.handle)
			return true;
		free_slot(entry->database);
		return false;
	}

	if (is_due(&entry->sequencer) && !some_sequencer_starts())
	{
		if (!reserve_slot(entry->database))
			entry->sequencer.retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
																	kNoWorkerPauseMs);
		else if (start(&entry->sequencer, entry->database, "tailwater sequencer", kLibrary,
					   "tailwater_sequencer_main"))
			entry->probe_again = false;
	}
	DatabaseSlot slot = read_slot(entry->database);
	supervise_gateway(entry, &slot);
	supervise_maintainer(entry, &slot);
	publish_gateway(entry);
	return true;
}

void
supervise_all()
{
	ListCell *lc;

	foreach (lc, entries)
	{
		Entry *entry = static_cast<Entry *>(lfirst(lc));

		if (supervise(entry))
			continue;
		entries = foreach_delete_current (entries, lc);
		pfree(entry);
	}
}

/* From which position of the log on some slot may hold back too much. */
void
set_lag_alarm()
{
	XLogRecPtr now = GetXLogInsertRecPtr();
	XLogRecPtr alarm = PG_UINT64_MAX;
	ListCell *lc;

	foreach (lc, entries)
	{
		Entry *entry = static_cast<Entry *>(lfirst(lc));
		XLogRecPtr held = held_position(entry->database);

		/* The slot that a maintainer may be about to make begins here, or later. */
		if (XLogRecPtrIsInvalid(held) && entry->maintainer.handle)
			held = now;
		if (!XLogRecPtrIsInvalid(held))
			alarm = Min(alarm, lag_limit(held));
	}
	/* Where a maintainer does not end, commits are not to come here one by one. */
	if (alarm <= now)
		alarm = now + (lag_limit(0) - 1) / 16;
	pg_atomic_write_u64(&shared->lag_alarm, alarm);
}

/* Milliseconds until a pause ends; -1: there is none. */
long
time_to_retry()
{
	TimestampTz now = GetCurrentTimestamp();
	long timeout = -1;
	ListCell *lc;

	foreach (lc, entries)
	{
		Entry *entry = static_cast<Entry *>(lfirst(lc));
		Child *children[3] = {&entry->sequencer, &entry->gateway, &entry->maintainer};

		for (Child *child : children)
		{
			if (child->handle || child->retry_at == 0 || now >= child->retry_at)
				continue;
			long wait = TimestampDifferenceMilliseconds(now, child->retry_at);
			timeout = timeout < 0 ? wait : Min(timeout, wait);
		}
	}
	return timeout;
}

void
leave(int, Datum)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher_latch = nullptr;
	LWLockRelease(shared->lock);
}

/* Whether a worker of a former launcher still runs; asks it to end. */
bool
end_leftovers()
{
	bool running = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < shared->num_slots; i++)
	{
		DatabaseSlot *slot = &shared->slots[i];
		pid_t pids[3] = {slot->sequencer_pid, slot->gateway_pid, slot->maintainer_pid};

		if (!OidIsValid(slot->database))
			continue;
		for (pid_t pid : pids)
		{
			PGPROC *proc = pid ? BackendPidGetProc(pid) : nullptr;

			if (!proc || proc->databaseId != slot->database)
				continue;
			kill(pid, SIGTERM);
			running = true;
		}
	}
	LWLockRelease(shared->lock);
	return running;
}

void
take_over()
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher_latch = MyLatch;
	shared->review_all = true;
	LWLockRelease(shared->lock);
	before_shmem_exit(leave, (Datum) 0);

	for (int i = 0; i < 100 && end_leftovers(); i++)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(50000L);
	}
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->num_slots; i++)
		shared->slots[i].database = InvalidOid;
	LWLockRelease(shared->lock);
}

void
launcher_main()
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGINT, SIG_IGN); /* a statement cancel must not end it */
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
	take_over();

	uint32 event = pg::wait_event("TailwaterLauncherMain");
	for (;;)
	{
		take_requests();
		supervise_all();
		set_lag_alarm();

		long timeout = time_to_retry();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, event);
		ResetLatch(MyLatch);
		if (ProcDiePending)
			proc_exit(1); /* not 0: the postmaster is to start another */
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}

} // namespace

void
init_launcher()
{
	BackgroundWorker worker = {};

	if (IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, kLibrary, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "tailwater_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "tailwater launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "tailwater launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

} // namespace tw::worker

void
tailwater_launcher_main(Datum)
{
	tw::worker::launcher_main();
}
