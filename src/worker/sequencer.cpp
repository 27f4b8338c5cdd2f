/*
 * sequencer.cpp - turns commits into versions; one background worker per database.
 *
 * A committing backend that wrote a log advances a counter in shared memory
 * and sets the sequencer's latch. The sequencer takes a snapshot, writes it as
 * the next row of tailwater_internal.version, commits with a WAL flush and
 * wakes the waiting readers. Commits that arrive meanwhile share the next
 * version. When they keep coming fast, versions are written at a distance
 * (pace()), since each costs a commit and a flush of WAL, and each wake-up
 * costs the writer a system call. Because the version's commit record follows in WAL those of all the
 * transactions that its snapshot sees, a version that can be seen is durable
 * with all it covers, and a standby that sees the version sees them too.
 *
 * The counters say what happened while the sequencer ran. What happened while
 * it did not (a crash between a commit and its version), and what no counter
 * tells (COMMIT PREPARED), is found by a check: is there a log row, or an
 * attached view, that the newest version's snapshot does not see?
 *
 * An error ends the process; the launcher starts another, and the check makes
 * good what was left undone. While idle the process sleeps without a timeout,
 * except that it looks after retention as long as there is something to prune.
 */
#include "worker/lag.hpp"
#include "worker/database_worker.hpp"
#include "worker/retention.hpp"
#include "feed/version.hpp"
#include "catalog/live_view.hpp"
#include "decode/reader.hpp"
#include "ddl/revive.hpp"
#include "maintain/deferred.hpp"
#include "settings.hpp"

extern "C" PGDLLEXPORT void tailwater_sequencer_main(Datum arg);

namespace tw::worker
{

namespace
{

DatabaseSlot *slot = nullptr;
int64 newest = 0;
/* Newest committed versions were read from the table: `newest` is valid. */
bool newest_known = false;
/* Values of the counters up to which this process has done its work. */
uint64 commits_done = 0;
uint64 checks_done = 0;
TimestampTz next_pruning = 0; /* 0: nothing to prune, DT_NOEND: never */
bool pruning = false;

/* How fast commits come: when the last version was begun, and how many in a row were fast. */
TimestampTz last_begun = 0;
int fast_versions = 0;
constexpr int64 kFastCommit = 1000;   /* µs for each commit, or less */
constexpr int kBusyVersions = 16;     /* so many in a row are a load, no burst */
constexpr int64 kBusyDistance = 4000; /* µs between versions under load */

void
publish_state(SequencerState state)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->state = state;
	slot->port = settings::port;
	if (shared->launcher_latch)
		SetLatch(shared->launcher_latch);
	LWLockRelease(shared->lock);
}

/* Starts a transaction with a snapshot; returns whether the extension is still there. */
bool
begin()
{
	bool present = begin_with_extension();

	PushActiveSnapshot(GetTransactionSnapshot());
	return present;
}

void
commit()
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Ends the process quietly: the extension is not, or no more, in the database. */
void
leave_as_absent()
{
	publish_state(SequencerState::kAbsent);
	/* A maintainer that runs does it itself. */
	(void) decode::drop_idle_slot(MyDatabaseId);
	proc_exit(0);
}

bool
log_has_unseen(Oid log, const feed::StoredSnapshot *seen)
{
	/* Who locks a log so hard is about to drop it; a version too many does no harm. */
	if (!ConditionalLockRelationOid(log, AccessShareLock))
		return true;
	Relation rel = try_relation_open(log, NoLock);
	bool found = false;

	if (!rel)
		return false;
	/* The transactions that the snapshot saw running, then everything after it. */
	for (uint32 i = 0; i <= seen->num_running && !found; i++)
	{
		bool last = i == seen->num_running;
		feed::LogScan scan;

		scan.open(rel, GetActiveSnapshot(), last ? seen->xmax : seen->running[i],
				  last ? PG_UINT64_MAX : seen->running[i] + 1);
		found = scan.next() != nullptr;
		scan.close();
	}
	relation_close(rel, AccessShareLock);
	return found;
}

/* Whether there is a log row or an attached view that the newest version does not see. */
bool
exists_unversioned()
{
	feed::Version version;
	feed::StoredSnapshot nothing = {};
	bool found = false;
	const feed::StoredSnapshot *seen = feed::find_newest(GetActiveSnapshot(), &version)
										   ? version.snapshot
										   : &nothing;
	catalog::InternalRows rows;

	rows.open("attachment", AccessShareLock, GetActiveSnapshot());
	while (!found && rows.next())
	{
		catalog::LiveView view = catalog::live_view_from_tuple(rows.row, rows.desc());

		found = !seen->sees(view.attached_xid) ||
				(OidIsValid(view.log) && log_has_unseen(view.log, seen));
	}
	rows.close();
	return found;
}

/* Tells the launcher whether the database needs a maintainer. */
void
look_for_deferred_views()
{
	if (!slot->maintainer_wanted && maintain::deferred_views() != NIL)
	{
		slot->maintainer_wanted = true;
		publish_state(SequencerState::kRunning);
	}
}

/* Writes the next version with the active snapshot. */
void
insert_version()
{
	Relation rel = table_open(catalog::internal_relation("version"), RowExclusiveLock);
	Datum values[feed::kVersionColumns];
	bool nulls[feed::kVersionColumns] = {};

	values[0] = Int64GetDatum(newest + 1);
	values[1] = DirectFunctionCall1(pg_current_snapshot, (Datum) 0);
	values[2] = LSNGetDatum(GetXLogInsertRecPtr());
	values[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	table_close(rel, RowExclusiveLock);
}

void
note_speed(uint64 commits)
{
	TimestampTz now = GetCurrentTimestamp();

	if (commits == 0 || now - last_begun > (int64) commits * kFastCommit)
		fast_versions = 0;
	else if (fast_versions < kBusyVersions)
		fast_versions++;
	last_begun = now;
}

/*
 * Under load, lets commits gather for the next version. The latch is not
 * waited for: who commits meanwhile finds nobody to wake.
 */
void
pace()
{
	if (fast_versions < kBusyVersions)
		return;

	int64 left = last_begun + kBusyDistance - GetCurrentTimestamp();
	if (left > 0)
		pg_usleep(Min(left, kBusyDistance));
}

/*
 * Does what the counters ask for: one version for all commits up to now, or a
 * check whether one is needed.
 */
void
sequence()
{
	uint64 checks = pg_atomic_read_u64(&slot->checks);
	uint64 commits = pg_atomic_read_u64(&slot->commits);

	note_speed(commits - commits_done);
	pgstat_report_activity(STATE_RUNNING, "writing a version");
	bool present = begin();
	if (present && !newest_known)
	{
		feed::Version version;

		feed::find_newest(GetActiveSnapshot(), &version);
		newest = version.number;
		newest_known = true;
		pg_atomic_write_u64(&slot->newest, newest);
	}
	if (present && checks != checks_done)
		look_for_deferred_views();
	if (present && slot->log_lost)
		tell_lost_log(slot);
	bool needed = present && (commits != commits_done || exists_unversioned());
	if (needed)
	{
		insert_version();
		ForceSyncCommit();
	}
	commit();
	pgstat_report_stat(false);

	if (needed)
		pg_atomic_write_u64(&slot->newest, ++newest);
	bool checked = checks != checks_done;
	commits_done = commits;
	checks_done = checks;
	pg_atomic_write_u64(&slot->checks_done, checks);
	if (needed || checked)
		wake_waiting(MyDatabaseId);
	if (needed && next_pruning == 0)
		next_pruning = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pruning_interval());
	pgstat_report_activity(STATE_IDLE, nullptr);

	/* A check is also how the launcher asks whether the extension is still here. */
	if (!present)
		leave_as_absent();
}

bool
work_is_waiting()
{
	return pg_atomic_read_u64(&slot->checks) != checks_done ||
		   pg_atomic_read_u64(&slot->commits) != commits_done;
}

/* One batch of pruning, where it is due; between batches versions have precedence. */
void
prune()
{
	if (!pruning && (next_pruning == 0 || GetCurrentTimestamp() < next_pruning))
		return;

	pgstat_report_activity(STATE_RUNNING, "pruning the change logs");
	bool present = begin();
	PruneResult result = present ? prune_batch() : PruneResult::kNothingLeft;
	commit();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, nullptr);

	pruning = result == PruneResult::kMore;
	if (result == PruneResult::kLater)
		next_pruning = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pruning_interval());
	else if (result == PruneResult::kNothingLeft)
		next_pruning = 0;
}

/* Milliseconds to sleep at most; -1: until the latch is set. */
long
sleep_time()
{
	if (pruning || ConfigReloadPending || work_is_waiting())
		return 0;
	if (next_pruning == 0)
		return -1;
	return Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next_pruning),
			   (long) INT_MAX);
}

void
run()
{
	uint32 event = pg::wait_event("TailwaterSequencerMain");

	for (;;)
	{
		long timeout = sleep_time();

		if (timeout != 0)
			(void) WaitLatch(MyLatch,
							 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout > 0 ? WL_TIMEOUT : 0),
							 timeout, event);
		if (look_around())
		{
			publish_state(SequencerState::kRunning);
			next_pruning = next_pruning ? GetCurrentTimestamp() : 0;
		}
		if (work_is_waiting())
		{
			sequence();
			pace();
		}
		else
			prune();
	}
}

void
sequencer_main(Oid database)
{
	slot = begin_worker(database, {&DatabaseSlot::sequencer_pid, &DatabaseSlot::sequencer_latch});
	bool present = begin();
	commit();
	if (!present)
		leave_as_absent();
	publish_state(SequencerState::kRunning);
	ddl::revive_views();
	if (begin())
		look_for_deferred_views();
	commit();

	/* Check for commits that were left without a version; prune what has grown old meanwhile. */
	commits_done = pg_atomic_read_u64(&slot->commits);
	sequence();
	next_pruning = GetCurrentTimestamp();
	run();
}

} // namespace

} // namespace tw::worker

void
tailwater_sequencer_main(Datum arg)
{
	tw::worker::sequencer_main(DatumGetObjectId(arg));
}
