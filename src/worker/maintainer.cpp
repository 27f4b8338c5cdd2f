/*
 * maintainer.cpp - keeps the deferred views of a database; one background worker.
 *
 * A round: take the locks, then a snapshot S1, then the insert position of the
 * write-ahead log; decode up to it; bring all deferred views from the stored
 * frontier S0 to S1, in one transaction that also stores S1. Which transactions
 * belong to the batch is decided by the two snapshots, never by positions: so
 * whatever is killed when, each is applied exactly once. The slot is confirmed
 * behind the commit of that transaction, when that is on disk.
 *
 * What the frontier cannot tell (a new view, an altered table, a lost slot) is
 * marked in tailwater_internal.rebuild: such a view is computed as a whole under
 * S1 and publishes the net difference, so its feed has no gap.
 *
 * An error in a view ends the round. The view, and the deferred views below an
 * immediate one, are left out of the next rounds and marked; they are tried
 * again after a growing pause. What was decoded is kept, and joins the next
 * round. Any other error ends the process; the launcher starts another.
 *
 * Commits that wrote set the latch (shmem.cpp). While idle the process sleeps
 * without a timeout, unless a view waits to be tried again or a transaction was
 * decoded that its snapshot did not see yet.
 */
#include "worker/database_worker.hpp"
#include "worker/lag.hpp"
#include "worker/shmem.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/view_list.hpp"
#include "decode/frontier.hpp"
#include "decode/gather.hpp"
#include "decode/old_state.hpp"
#include "decode/reader.hpp"
#include "exec/snapshot.hpp"
#include "maintain/deferred.hpp"
#include "settings.hpp"

extern "C" PGDLLEXPORT void tailwater_maintainer_main(Datum arg);

namespace tw::worker
{

namespace
{

constexpr int kFirstPauseMs = 1000;
constexpr int kMaxPauseMs = 60000;
constexpr int kMaxConflicts = 5;
/* Where a decoded transaction had not left the list of running ones. */
constexpr int kKeptPauseMs = 20;
/* The frontier is stored, also if nothing concerned a view, after so much log at most. */
constexpr uint64 kLazyBytes = 4 * 1024 * 1024;

/* Under load there are so many µs between rounds. */
constexpr int64 kBusyDistance = 2000;
/* When the commit of a batch that nobody waits for is on disk at the latest. */
constexpr long kFlushedMs = 1000;

/* A view that could not be maintained, and when to try again. */
struct Failure
{
	Oid view;
	TimestampTz retry_at;
	int pause;
};

DatabaseSlot *slot = nullptr;
feed::StoredSnapshot *frontier = nullptr; /* as stored; in TopMemoryContext */
XLogRecPtr frontier_lsn = InvalidXLogRecPtr;
List *failures = NIL;        /* Failure *, in TopMemoryContext */
int conflicts = 0;           /* rounds in a row that lost against others */
bool inherits_errors = true; /* no batch of this process has been committed yet */

Pace pace;
uint64 writes_covered = 0;  /* commits that earlier rounds of this process have covered */
uint64 rounds_answered = 0; /* requests that they have answered */

/* Confirmed when the commit that stored it is on disk. */
XLogRecPtr unconfirmed = InvalidXLogRecPtr;
XLogRecPtr unconfirmed_commit = InvalidXLogRecPtr;

/* Ends the process where there is nothing to maintain: the slot goes, too. */
void
leave()
{
	decode::drop_slot();
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->maintainer_wanted = false;
	slot->maintainer_left = true;
	LWLockRelease(shared->lock);

	/* A view that was attached meanwhile is seen by whoever looks next. */
	bool again = begin_with_extension() && maintain::deferred_views() != NIL;
	CommitTransactionCommand();
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->maintainer_wanted |= again;
	LWLockRelease(shared->lock);
	proc_exit(0);
}

void
remember_frontier(const feed::StoredSnapshot *snapshot, XLogRecPtr lsn)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (frontier)
		pfree(frontier);
	frontier = (feed::StoredSnapshot *) palloc(VARSIZE(snapshot));
	memcpy(frontier, snapshot, VARSIZE(snapshot));
	frontier_lsn = lsn;
	MemoryContextSwitchTo(old);
}

/* ---- errors ---- */

/* Views that are not to be tried yet; somebody who waits in sync() has each tried once. */
List *
views_to_leave_out(uint64 requests)
{
	static uint64 requests_tried = 0;
	TimestampTz now = requests == requests_tried ? GetCurrentTimestamp() : DT_NOEND;
	List *views = NIL;
	ListCell *lc;

	requests_tried = requests;
	foreach (lc, failures)
		if (((Failure *) lfirst(lc))->retry_at > now)
			views = lappend_oid(views, ((Failure *) lfirst(lc))->view);
	return views;
}

Failure *
find_failure(Oid view)
{
	ListCell *lc;

	foreach (lc, failures)
		if (((Failure *) lfirst(lc))->view == view)
			return (Failure *) lfirst(lc);
	return nullptr;
}

void
add_failure(Oid view)
{
	Failure *failure = find_failure(view);
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (!failure)
	{
		failure = (Failure *) palloc0(sizeof(Failure));
		failure->view = view;
		failures = lappend(failures, failure);
	}
	failure->pause = failure->pause ? Min(failure->pause * 2, kMaxPauseMs) : kFirstPauseMs;
	failure->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), failure->pause);
	MemoryContextSwitchTo(old);
}

/* The views were maintained: what was wrong with them is over. */
void
forgive(List *views)
{
	ListCell *lc;

	foreach (lc, failures)
	{
		Failure *failure = (Failure *) lfirst(lc);

		if (!list_member_oid(views, failure->view))
			continue;
		catalog::clear_error(failure->view);
		failures = foreach_delete_current (failures, lc);
		pfree(failure);
	}
}

/* The same for what a former process, or another one, noted. */
void
forgive_former(List *views)
{
	ListCell *lc;

	foreach (lc, views)
		catalog::clear_error(catalog::view_of(lfirst_oid(lc)));
}

void
forget_dropped_failures(List *attached)
{
	ListCell *lc;

	foreach (lc, failures)
	{
		Failure *failure = (Failure *) lfirst(lc);

		if (list_member_oid(attached, failure->view))
			continue;
		failures = foreach_delete_current (failures, lc);
		pfree(failure);
	}
}

/* Remembers why the view could not be maintained, in a transaction of its own. */
void
note_failure(Oid view, const char *message)
{
	ListCell *lc;

	if (!begin_with_extension())
	{
		CommitTransactionCommand();
		return;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach (lc, maintain::deferred_below(view))
	{
		LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
		catalog::put_error(lfirst_oid(lc), message);
		decode::mark_for_rebuild(lfirst_oid(lc));
		add_failure(lfirst_oid(lc));
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* ---- the slot ---- */

/*
 * A new slot knows nothing of what was written before: all views are computed
 * as a whole. That is on disk before the slot is permanent.
 */
void
start_anew()
{
	ListCell *lc;

	decode::drop_slot();
	XLogRecPtr start = decode::create_slot();

	if (!begin_with_extension())
		proc_exit(0);
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach (lc, maintain::deferred_views())
	{
		LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
		decode::mark_for_rebuild(lfirst_oid(lc));
	}
	if (slot->log_lost)
		tell_lost_log(slot);
	decode::store_frontier(DirectFunctionCall1(pg_current_snapshot, (Datum) 0), start);
	ForceSyncCommit();
	PopActiveSnapshot();
	CommitTransactionCommand();
	decode::persist_slot();
}

/* Opens the slot, or makes a new one where there is none, or none that can be used. */
void
open_slot()
{
	decode::Frontier stored = {};

	if (!begin_with_extension())
	{
		CommitTransactionCommand();
		leave();
	}
	if (maintain::deferred_views() == NIL)
	{
		CommitTransactionCommand();
		leave();
	}
	bool known = decode::read_frontier(&stored);
	/* During recovery nothing kept back for a slot what decoding needs: one from before is of no use. */
	bool own_timeline = known && stored.timeline == pg::timeline();
	XLogRecPtr lsn = own_timeline ? stored.lsn : InvalidXLogRecPtr;
	CommitTransactionCommand();

	decode::SlotState state = decode::inspect_slot(lsn);
	if (state == decode::SlotState::kUsable && lags_too_far(lsn))
	{
		state = decode::SlotState::kUnusable;
		slot->log_lost = true;
	}
	if (state != decode::SlotState::kUsable)
	{
		if (state == decode::SlotState::kUnusable || known)
			ereport(LOG, errmsg("deferred views of database %u are computed anew", MyDatabaseId),
					errdetail(
						"Their replication slot is missing, invalidated, or too far behind."));
		start_anew();
	}

	(void) begin_with_extension();
	(void) decode::read_frontier(&stored);
	remember_frontier(stored.snapshot, stored.lsn);
	CommitTransactionCommand();
	decode::open_reader();
}

/* Lets the server remove the log that is not needed any more. */
void
confirm_durable()
{
	if (XLogRecPtrIsInvalid(unconfirmed) || unconfirmed_commit > GetFlushRecPtr(nullptr))
		return;
	decode::confirm(unconfirmed);
	unconfirmed = InvalidXLogRecPtr;
}

/* ---- a round ---- */

/* State of a round that is not lost when it fails. */
struct Round
{
	uint64 rounds; /* requests that it answers */
	uint64 writes; /* commits that it covers */
	List *left_out;
	XLogRecPtr upto;
	TimestampTz at;
	feed::StoredSnapshot *seen;
	maintain::DeferredBatch batch;
};

/*
 * Up to here nothing has to be read again: not beyond a commit that is kept for
 * a later round.
 */
XLogRecPtr
covered_position(const Round *round)
{
	XLogRecPtr kept = decode::first_kept_commit();

	return XLogRecPtrIsInvalid(kept) ? round->upto : Min(kept, round->upto);
}

void
store_progress(Round *round)
{
	ListCell *lc;

	foreach (lc, round->batch.what.rebuild)
		decode::unmark_rebuild(lfirst_oid(lc));
	forgive(round->batch.what.views);
	if (inherits_errors)
		forgive_former(round->batch.what.views);
	decode::store_frontier(PointerGetDatum(round->seen), covered_position(round));
}

/*
 * Begins the round's transaction and takes its locks. Where somebody is in the
 * way, waits for him with nothing locked, and begins again.
 */
void
begin_round(Round *round)
{
	MemoryContext context = CurrentMemoryContext;

	for (;;)
	{
		bool present = begin_with_extension();

		MemoryContextSwitchTo(context);
		List *attached = present ? maintain::deferred_views() : NIL;
		if (attached == NIL)
		{
			CommitTransactionCommand();
			leave();
		}
		forget_dropped_failures(attached);
		round->left_out = views_to_leave_out(round->rounds);

		maintain::BusyRelation busy = maintain::try_lock_deferred_views(round->left_out,
																		&round->batch.what);
		if (!OidIsValid(busy.relation))
			return;
		CommitTransactionCommand();
		StartTransactionCommand();
		LockRelationOid(busy.relation, busy.lock);
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
	}
}

/* Takes the snapshot and the position, and decodes. */
void
prepare_round(Round *round)
{
	round->batch.snapshot = RegisterSnapshot(GetTransactionSnapshot());
	PushActiveSnapshot(round->batch.snapshot);
	round->seen = (feed::StoredSnapshot *) DatumGetPointer(
		DirectFunctionCall1(pg_current_snapshot, (Datum) 0));
	round->upto = decode::insert_position();
	round->at = GetCurrentTimestamp();
	decode::write_log(round->upto);
	decode::begin_gathering(frontier, round->seen, round->batch.what.relevant);
	decode::decode_up_to(round->upto);
	round->batch.changes = decode::gathered_changes();
	round->batch.before = decode::old_state();
}

/*
 * The next batch may have to read what this one makes old. Views that were left
 * out stay where they are, and some learn of this batch from the log only: then
 * no snapshot shows what all of them are at.
 */
void
keep_old_state(const Round *round)
{
	bool common = round->left_out == NIL && replorigin_session_origin == DoNotReplicateId;

	if (exec::old_snapshot_is_wanted() && common)
		decode::keep_old_state(round->batch.snapshot, GetTopTransactionIdIfAny());
	else
		decode::drop_old_state();
}

bool
has_work(const Round *round)
{
	return round->batch.changes != NIL || round->batch.what.rebuild != NIL;
}

/* True if the round did its work; false if a view, or somebody else, stood in the way. */
bool
run_batch(Round *round)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool succeeded = true;

	PG_TRY();
	{
		maintain::run_deferred_batch(&round->batch);
		store_progress(round);
		keep_old_state(round);
		PopActiveSnapshot();
		UnregisterSnapshot(round->batch.snapshot);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		Oid view = round->batch.current;

		MemoryContextSwitchTo(TopMemoryContext);
		ErrorData *error = CopyErrorData();
		bool conflict = ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK;

		if (!OidIsValid(view) || error->elevel >= FATAL || ProcDiePending)
			PG_RE_THROW();
		exec::fix_snapshot(nullptr);
		if (!conflict)
			EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		if (!conflict || ++conflicts > kMaxConflicts)
			note_failure(view, error->message);
		FreeErrorData(error);
		succeeded = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return succeeded;
}

void
publish_progress(const Round *round)
{
	pg_atomic_write_u64(&slot->covered_lsn, covered_position(round));
	pg_atomic_write_u64(&slot->covered_at, (uint64) round->at);
	pg_atomic_write_u64(&slot->writes_done, round->writes);
	if (round->batch.feeds_itself)
		return;
	/* sync() tells of views that are left out; they have been tried since it asked. */
	pg_atomic_write_u64(failures == NIL ? &slot->rounds_done : &slot->rounds_failed, round->rounds);
	wake_waiting(MyDatabaseId);
}

uint64
lazy_bytes()
{
	return settings::max_lag > 0 ? Min(kLazyBytes, (lag_limit(0) - 1) / 4) : kLazyBytes;
}

/* Ends a round in which nothing concerned a view. */
void
end_idle_round(const Round *round)
{
	XLogRecPtr covered = covered_position(round);

	if (covered > frontier_lsn && covered - frontier_lsn > lazy_bytes())
	{
		decode::store_frontier(PointerGetDatum(round->seen), covered);
		remember_frontier(round->seen, covered);
		unconfirmed = covered;
	}
	keep_old_state(round);
	PopActiveSnapshot();
	UnregisterSnapshot(round->batch.snapshot);
	CommitTransactionCommand();
	if (unconfirmed == covered)
		unconfirmed_commit = XactLastCommitEnd;
}

/* Returns false if another round has to follow at once. */
bool
run_round()
{
	Round round = {};
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tailwater round",
												  ALLOCSET_DEFAULT_SIZES);

	round.writes = pg_atomic_read_u64(&slot->writes);
	round.rounds = pg_atomic_read_u64(&slot->rounds);
	pg_read_barrier();
	pace.note_round(round.writes - writes_covered);
	pgstat_report_activity(STATE_RUNNING, "maintaining deferred views");
	MemoryContextSwitchTo(context);
	begin_round(&round);
	replorigin_session_origin = maintain::deferred_views_feed_themselves() ? InvalidRepOriginId
																		   : DoNotReplicateId;
	prepare_round(&round);

	bool succeeded = true;
	if (!has_work(&round))
		end_idle_round(&round);
	else
	{
		succeeded = run_batch(&round);
		if (succeeded)
		{
			conflicts = 0;
			inherits_errors = false;
			remember_frontier(round.seen, covered_position(&round));
			unconfirmed = frontier_lsn;
			unconfirmed_commit = XactLastCommitEnd;
			decode::end_batch();
		}
	}
	replorigin_session_origin = InvalidRepOriginId;
	if (succeeded)
	{
		publish_progress(&round);
		writes_covered = round.writes;
		rounds_answered = round.rounds;
	}
	confirm_durable();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, nullptr);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	return succeeded && !round.batch.feeds_itself;
}

/* Milliseconds to sleep at most; -1: until the latch is set. */
long
sleep_time()
{
	long timeout = XLogRecPtrIsInvalid(unconfirmed) ? -1 : kFlushedMs;
	ListCell *lc;

	if (!XLogRecPtrIsInvalid(decode::first_kept_commit()))
		timeout = kKeptPauseMs;
	foreach (lc, failures)
	{
		long wait = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													((Failure *) lfirst(lc))->retry_at);

		timeout = timeout < 0 ? wait : Min(timeout, wait);
	}
	return timeout;
}

/*
 * True if somebody has asked since the last round began. The latch does not tell:
 * a wait for a lock within the round may have reset it.
 */
bool
work_is_waiting()
{
	return pg_atomic_read_u64(&slot->writes) != writes_covered ||
		   pg_atomic_read_u64(&slot->rounds) != rounds_answered;
}

void
sleep()
{
	long timeout = sleep_time();

	if (work_is_waiting())
		return;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
					 timeout, pg::wait_event("TailwaterMaintainerMain"));
	confirm_durable();
}

/* Without the log there is nothing to do until the server is started with another wal_level. */
void
wait_for_restart()
{
	ListCell *lc;

	ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("deferred views are not kept up to date"),
			errdetail("wal_level is lower than \"logical\"."),
			errhint("Set wal_level = logical and restart the server."));
	if (begin_with_extension())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		foreach (lc, maintain::deferred_views())
			catalog::put_error(catalog::view_of(lfirst_oid(lc)),
							   "wal_level is lower than \"logical\"");
		PopActiveSnapshot();
	}
	CommitTransactionCommand();
	for (;;)
	{
		pg_atomic_write_u64(&slot->rounds_failed, pg_atomic_read_u64(&slot->rounds));
		wake_waiting(MyDatabaseId);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0,
						 pg::wait_event("TailwaterMaintainerMain"));
		(void) look_around();
	}
}

/*
 * Some servers have a list of the libraries that roles with REPLICATION may
 * name as output plugins. This one is in the process already, by
 * shared_preload_libraries: it is allowed here, and nowhere else.
 */
void
allow_own_plugin()
{
	constexpr const char *kAllowed = "output_plugin_libraries";

	if (GetConfigOption(kAllowed, true, false))
		SetConfigOption(kAllowed, "tailwater", PGC_SUSET, PGC_S_OVERRIDE);
}

void
maintainer_main(Oid database)
{
	slot = begin_worker(database, {&DatabaseSlot::maintainer_pid, &DatabaseSlot::maintainer_latch});
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	allow_own_plugin();
	/* Whoever else is part of a deadlock is not to be the one who fails. */
	SetConfigOption("deadlock_timeout", "50ms", PGC_SUSET, PGC_S_OVERRIDE);
	if (wal_level < WAL_LEVEL_LOGICAL)
		wait_for_restart();
	open_slot();
	for (;;)
	{
		(void) look_around();
		if (!run_round())
			continue;
		pace.wait(kBusyDistance);
		sleep();
	}
}

} // namespace

} // namespace tw::worker

void
tailwater_maintainer_main(Datum arg)
{
	tw::worker::maintainer_main(DatumGetObjectId(arg));
}
