/*
 * build.cpp - attaches a view while its base tables are written.
 *
 * Four steps, each in transactions of its own:
 *
 * 1. The triggers are created, and a table for each input of the view, in which
 *    writers record their changes from now on (maintain/record.cpp). This needs
 *    a moment in which nobody writes the base tables.
 * 2. The content is computed under a snapshot, the frontier. No lock keeps
 *    writers away.
 * 3. What was recorded by transactions that the frontier does not see goes
 *    through the same engine as the changes of a statement, under a newer
 *    snapshot, which becomes the frontier; again and again, until little is left.
 * 4. A last such round, and in a second moment in which nobody writes what came
 *    during it; the view is recorded as attached, and recording ends. Both are one
 *    transaction, which keeps the snapshot of the round: what must be read as it
 *    was before the last changes is read under that.
 *
 * A view with inner relations is built together with them: changes of its base
 * tables are recorded once, and each relation takes its inputs' changes in turn,
 * as in a batch of a statement.
 *
 * A moment in which nobody writes is waited for without standing in the way:
 * first for those who hold a lock now, then for the lock itself, which others
 * queue behind, but only for a few tenths of a second; then the same again.
 * Nothing is locked between transactions. Who alters a base table meanwhile
 * ends the recording, and the build begins anew; a change beyond rows lets the
 * content be computed again.
 *
 * After a crash an unfinished build is found by its row in
 * tailwater_internal.build, and removed.
 */
#include "maintain/build.hpp"
#include "maintain/attach_steps.hpp"
#include "exec/snapshot.hpp"
#include "maintain/environment.hpp"
#include "maintain/reach.hpp"
#include "maintain/record.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/internal_table.hpp"
#include "catalog/view_list.hpp"
#include "feed/log.hpp"
#include "worker/shmem.hpp"

namespace tw::maintain
{

using analyze::Strategy;
using analyze::ViewPlan;
using capture::Delta;

namespace
{

constexpr int kAttempts = 5;      /* builds begun anew before giving up */
constexpr int kShortRoundMs = 20; /* of catching up: little is left for the switch */
constexpr int kMaxRounds = 30;
constexpr int kFirstLockTimeoutMs = 100; /* others queue behind us that long */
constexpr int kMaxLockTimeoutMs = 400;
constexpr BlockNumber kSmallBlocks = 1024;

enum class Outcome
{
	kDone,
	kReset, /* an input was changed beyond rows: compute the content again */
	kBroken /* the view must be analyzed again */
};

struct Work
{
	Build *build;
	MemoryContext context; /* of the whole build */
	List *members;         /* the view's inner relations in order, and the view */
	List *tables;          /* that these read, with partitions and children */
	List *locked;          /* these, and what live views among them read */
	catalog::LiveView info;
	bool computed;         /* all members have content, which was right at some time */
	bool view_has_content; /* the same of the view; also if the rest is made anew */
	Frontier frontier;
};

/* ---- transactions ---- */

void
begin(Work *work)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	/* One snapshot for all that a step reads. */
	XactIsoLevel = XACT_REPEATABLE_READ;
	XactReadOnly = false;
	MemoryContextSwitchTo(CurTransactionContext);
}

void
end(Work *work)
{
	CommandCounterIncrement();
	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(work->context);
}

void
limit_waiting(int milliseconds)
{
	(void) set_config_option("lock_timeout", psprintf("%d", milliseconds), PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Waits for the transactions that hold locks on the tables, and for nobody who comes later. */
void
await_holders(Work *work)
{
	VirtualTransactionId none;
	ListCell *lc;

	begin(work);
	foreach (lc, work->locked)
	{
		LOCKTAG tag;

		SET_LOCKTAG_RELATION(tag, MyDatabaseId, lfirst_oid(lc));
		VirtualTransactionId *holders = GetLockConflicts(&tag, ShareRowExclusiveLock, nullptr);
		for (; VirtualTransactionIdIsValid(*holders); holders++)
		{
			note_blocker(*holders);
			(void) VirtualXactLock(*holders, true);
		}
	}
	SetInvalidVirtualTransactionId(none);
	note_blocker(none);
	end(work);
}

/*
 * Runs fn() in a transaction in which no wait for a lock may be long, again and
 * again until it succeeds.
 */
template <typename Fn>
void
run_patiently(Work *work, Fn &&fn)
{
	volatile int timeout = kFirstLockTimeoutMs;
	volatile bool done = false;

	while (!done)
	{
		await_holders(work);
		PG_TRY();
		{
			begin(work);
			limit_waiting(timeout);
			fn();
			end(work);
			done = true;
		}
		PG_CATCH();
		{
			int code = geterrcode();

			if (code != ERRCODE_LOCK_NOT_AVAILABLE && code != ERRCODE_T_R_DEADLOCK_DETECTED)
				PG_RE_THROW();
			MemoryContextSwitchTo(work->context);
			FlushErrorState();
			AbortCurrentTransaction();
			MemoryContextSwitchTo(work->context);
		}
		PG_END_TRY();
		if (done)
			break;
		/* Those who queued behind us have their turn. */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout * 2,
						 pg::wait_event("TailwaterBuild"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		timeout = Min(timeout * 2, kMaxLockTimeoutMs);
	}
}

/* ---- what is there ---- */

/* Locks the view against everything but reading; an error if it is gone. */
void
lock_view(Oid view)
{
	LockRelationOid(view, ShareUpdateExclusiveLock);
	if (get_rel_relkind(view) != RELKIND_MATVIEW || read_internal("build", 1, view, 1) == NIL)
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("materialized view %u was dropped while its content was computed", view));
}

/* True if no table was altered since recording began. */
bool
is_intact(const Work *work)
{
	return read_internal("recording", 2, work->build->view, 5) != NIL &&
		   !list_member_oid(read_internal("recording", 2, work->build->view, 5), true);
}

/* The plan of the view, or of one of its inner relations, which exist. */
ViewPlan *
analyze_member(const Work *work, Oid member)
{
	return analyze_as(owner_of(work->build->view), member);
}

ViewPlan *
analyze_now(Oid view)
{
	return analyze_as(owner_of(view), view);
}

bool
view_is_populated(Oid view)
{
	Relation rel = table_open(view, NoLock);
	bool populated = RelationIsPopulated(rel);

	table_close(rel, NoLock);
	return populated;
}

void
set_populated(Oid view, bool populated)
{
	Relation rel = table_open(view, NoLock);

	if (RelationIsPopulated(rel) != populated)
		SetMatViewPopulatedState(rel, populated);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* ---- step 1 ---- */

void
insert_recording(Oid table, Oid view, Oid changes, bool alone)
{
	Datum values[5] = {ObjectIdGetDatum(table), ObjectIdGetDatum(view), ObjectIdGetDatum(changes),
					   BoolGetDatum(alone), BoolGetDatum(false)};

	insert_internal("recording", values);
}

/* What the members of a view read besides each other. */
struct Sources
{
	List *tables;     /* with partitions and children */
	List *bases;      /* as the queries name them */
	List *only_bases; /* those of them that are read without descendants */
};

Sources
sources_of(const Work *work)
{
	Sources sources = {NIL, NIL, NIL};
	ListCell *lc;

	foreach (lc, work->members)
	{
		ViewPlan *plan = analyze_member(work, lfirst_oid(lc));

		sources.tables = list_concat_unique_oid(sources.tables,
												tables_of(plan, ShareRowExclusiveLock));
		sources.bases = list_concat_unique_oid(sources.bases, plan->bases);
		sources.only_bases = list_concat_unique_oid(sources.only_bases, plan->only_bases);
	}
	sources.tables = without_inner_relations(sources.tables);
	sources.bases = without_inner_relations(sources.bases);
	return sources;
}

void
begin_recording(Work *work)
{
	Oid view = work->build->view;
	ListCell *lc;

	lock_view(view);
	PushActiveSnapshot(GetTransactionSnapshot());

	List *inners = choose_inner_relations(view, owner_of(view));
	MemoryContextSwitchTo(work->context);
	work->members = lappend_oid(list_copy(inners), view);
	MemoryContextSwitchTo(CurTransactionContext);

	Sources sources = sources_of(work);
	List *all = list_union_oid(sources.tables, sources.bases);
	foreach (lc, all)
	{
		Oid table = lfirst_oid(lc);
		bool is_input = list_member_oid(sources.bases, table);

		insert_recording(table, view, is_input ? create_changes(view, table) : InvalidOid,
						 list_member_oid(sources.only_bases, table));
	}
	CommandCounterIncrement();
	capture_changes(all, work->build->mode);

	MemoryContextSwitchTo(work->context);
	work->tables = list_copy(all);
	work->locked = with_tables_below(work->tables);
	MemoryContextSwitchTo(CurTransactionContext);
}

/* The tables to wait for, before the first analysis that counts. */
void
find_tables(Work *work)
{
	begin(work);
	lock_view(work->build->view);
	PushActiveSnapshot(GetTransactionSnapshot());

	List *tables = tables_of(analyze_now(work->build->view), AccessShareLock);
	MemoryContextSwitchTo(work->context);
	work->locked = with_tables_below(tables);
	end(work);
}

/* ---- step 2 ---- */

catalog::LiveView
unattached(const Build *build)
{
	catalog::LiveView info = {};

	info.view = build->view;
	info.mode = build->mode;
	return info;
}

void
set_frontier(Work *work)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);

	work->frontier = make_frontier(GetTransactionSnapshot());
	MemoryContextSwitchTo(old);
}

/* How a member that is not attached is found; its history begins with the switch. */
catalog::LiveView
info_of(const Work *work, Oid member)
{
	catalog::LiveView info = work->info;

	if (member != work->build->view && !catalog::find_live_view(member, &info))
		elog(ERROR, "inner relation %u of a materialized view is gone", member);
	info.mode = work->build->mode;
	info.log = InvalidOid;
	return info;
}

void
create_indexes(Work *work, const ViewPlan *plan)
{
	Oid key_index = find_key_index(plan);

	ensure_touch_index(plan);
	if (plan->view == work->build->view)
		work->info.key_index = key_index;
	else
		catalog::set_inner_key(plan->view, key_index, key_list(plan));
	invalidate(plan->view);
	CommandCounterIncrement();
}

/* Computes the content of a member, those before it being computed. Returns the number of rows that changed. */
int64
compute_member(Work *work, Oid member)
{
	ViewPlan *plan = analyze_member(work, member);
	bool is_view = member == work->build->view;
	bool empty = is_view ? !work->view_has_content && !view_is_populated(member) : !work->computed;
	int64 rows = 0;

	/* Not before: the keys of the members it reads may have decided how it is kept. */
	if (!work->computed)
	{
		create_reading_indexes(plan, list_difference_oid(work->members,
														 list_make1_oid(work->build->view)));
		create_state(plan);
	}
	bool filled = empty && plan->strategy != Strategy::kAggregate;
	if (filled)
		rows = fill(plan, GetTransactionSnapshot());
	if (!work->computed)
		create_indexes(work, plan);
	if (!filled)
	{
		catalog::LiveView info = info_of(work, member);
		ViewRuntime *runtime = build_runtime(&info);

		rows = rebuild(runtime, Publish::kNo, GetTransactionSnapshot());
		MemoryContextDelete(runtime->plan->context);
	}
	if (is_view && empty)
		work->build->result = rows;
	return rows;
}

Outcome
compute(Work *work)
{
	Oid view = work->build->view;
	ListCell *lc;

	begin(work);
	lock_view(view);
	PushActiveSnapshot(GetTransactionSnapshot());
	set_frontier(work);
	if (!is_intact(work))
	{
		end(work);
		return Outcome::kBroken;
	}
	foreach (lc, work->members)
		(void) compute_member(work, lfirst_oid(lc));
	if (work->build->feed && !OidIsValid(work->info.log))
		work->info.log = feed::create_log(view);
	end(work);
	work->computed = work->view_has_content = true;
	return Outcome::kDone;
}

/* ---- step 3 ---- */

/* The deltas of a member's inputs. */
List *
deltas_for(const ViewPlan *plan, List *deltas)
{
	List *inputs = NIL;
	ListCell *lc;

	foreach (lc, deltas)
		if (list_member_oid(plan->bases, ((Delta *) lfirst(lc))->relid))
			inputs = lappend(inputs, lfirst(lc));
	return inputs;
}

/* Brings a member up to date; returns its own delta, null where no input changed. */
Delta *
apply_to_member(Work *work, Oid member, List *deltas)
{
	catalog::LiveView info = info_of(work, member);
	ViewRuntime *runtime = build_runtime(&info);
	List *inputs = deltas_for(runtime->plan, deltas);
	Delta *delta = nullptr;

	if (inputs != NIL)
	{
		Environment environment = enter_environment(runtime->plan->owner, Settings::kPinned);

		UpdateActiveSnapshotCommandId();
		delta = (Delta *) palloc0(sizeof(Delta));
		delta->relid = member;
		delta->desc = CreateTupleDescCopy(runtime->desc);
		delta->set = capture::make_large_zset(delta->desc, CurrentMemoryContext,
											  runtime->plan->nkey, runtime->plan->key);
		compute_delta(runtime, inputs, delta->set);
		(void) apply_to_view(runtime, delta->set, Publish::kYes);
		CommandCounterIncrement();
		leave_environment(&environment);
	}
	MemoryContextDelete(runtime->plan->context);
	return delta;
}

void
apply_to_members(Work *work, List **deltas)
{
	Oid view = work->build->view;
	bool populated = view_is_populated(view);
	ListCell *lc;

	set_populated(view, true); /* the engine may read the view */
	foreach (lc, work->members)
	{
		Delta *delta = apply_to_member(work, lfirst_oid(lc), *deltas);

		if (delta)
			*deltas = lappend(*deltas, delta);
	}
	set_populated(view, populated);
}

/* Applies what was recorded since the frontier under the active snapshot. */
Outcome
apply_recorded(Work *work, const Frontier *frontier, int64 *nrows)
{
	List *deltas = NIL;
	bool reset = false;
	ListCell *lc;

	*nrows = 0;
	foreach (lc, recordings_of_view(work->build->view))
	{
		int64 n;
		Delta *delta = read_changes((Recording *) lfirst(lc), frontier, &n);

		*nrows += n;
		if (!delta)
			continue;
		reset |= delta->reset;
		deltas = lappend(deltas, delta);
	}
	work->build->to_catch_up = *nrows;
	if (!reset && deltas != NIL)
		apply_to_members(work, &deltas);
	foreach (lc, deltas)
		capture::end_zset(((Delta *) lfirst(lc))->set);
	return reset ? Outcome::kReset : Outcome::kDone;
}

Outcome
catch_up(Work *work)
{
	long last = 0;

	for (int round = 0; round < kMaxRounds; round++)
	{
		TimestampTz start = GetCurrentTimestamp();
		int64 nrows = 0;

		begin(work);
		lock_view(work->build->view);
		PushActiveSnapshot(GetTransactionSnapshot());

		Outcome outcome = is_intact(work) ? apply_recorded(work, &work->frontier, &nrows)
										  : Outcome::kBroken;
		set_frontier(work);
		end(work);
		if (outcome != Outcome::kDone)
			return outcome;
		work->build->caught_up += nrows;

		/* What came during this round is what the next one has to do. */
		long elapsed = TimestampDifferenceMilliseconds(start, GetCurrentTimestamp());
		if (elapsed <= kShortRoundMs || (round > 5 && elapsed > last - last / 8))
			break;
		last = elapsed;
	}
	return Outcome::kDone;
}

/* ---- step 4 ---- */

void
drop_recording(Oid view)
{
	List *recordings = recordings_of_view(view);
	ListCell *lc;

	delete_internal("recording", 2, view);
	delete_internal("build", 1, view);
	CommandCounterIncrement();
	foreach (lc, recordings)
		catalog::drop_internal_table(((Recording *) lfirst(lc))->changes);
	CommandCounterIncrement();
}

/* Records the members as attached, each with what it reads. */
void
record_members(const Work *work)
{
	Oid view = work->build->view;
	ListCell *lc;

	record_attachment(analyze_now(view), work->build->mode, work->info.log, work->info.key_index);
	foreach (lc, work->members)
	{
		List *tables = tables_of(analyze_member(work, lfirst_oid(lc)), ShareRowExclusiveLock);

		record_bases(lfirst_oid(lc), tables);
		capture_changes(tables, work->build->mode);
		invalidate(lfirst_oid(lc));
	}
	CommandCounterIncrement();
}

/* One more round, before anybody has to wait; its snapshot stays the active one. */
Outcome
run_last_round(Work *work, Frontier *frontier)
{
	int64 nrows = 0;

	PushCopiedSnapshot(GetTransactionSnapshot());
	Outcome outcome = is_intact(work) ? apply_recorded(work, &work->frontier, &nrows)
									  : Outcome::kBroken;
	*frontier = make_frontier(GetActiveSnapshot());
	work->build->caught_up += nrows;
	return outcome;
}

/* Applies what was recorded since the last round, whose snapshot is the active one. */
Outcome
apply_rest(Work *work, const Frontier *frontier)
{
	Snapshot before = GetActiveSnapshot();
	int64 nrows;

	/* Taken when all writers have finished. */
	Snapshot now = RegisterSnapshot(GetLatestSnapshot());

	PushCopiedSnapshot(now);
	exec::fix_snapshot(now, before);
	Outcome outcome = apply_recorded(work, frontier, &nrows);
	exec::fix_snapshot(nullptr);
	UnregisterSnapshot(now);
	work->build->caught_up += nrows;
	CommandCounterIncrement();
	return outcome;
}

Outcome
switch_over(Work *work)
{
	Oid view = work->build->view;
	Frontier frontier;
	ListCell *lc;

	exec::fix_snapshot(nullptr); /* an earlier attempt may have failed */
	lock_view(view);
	Outcome outcome = run_last_round(work, &frontier);
	if (outcome != Outcome::kDone)
		return outcome;
	foreach (lc, work->locked)
		LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
	if (!is_intact(work))
		return Outcome::kBroken;
	outcome = apply_rest(work, &frontier);
	if (outcome != Outcome::kDone)
		return outcome;
	drop_recording(view);
	record_members(work);
	worker::note_log_written();
	rebuild_deferred_readers(view);
	mark_populated(view);
	catalog::put_listing(view, {work->build->mode, work->build->feed});
	rebuild_dependents(view);
	return Outcome::kDone;
}

/* ---- cleaning up ---- */

void
remove_unfinished(Oid view, const List *tables)
{
	bool attached = read_internal("attachment", 1, view, 1) != NIL;
	Oid log = catalog::internal_relation(psprintf("log_%u", view));

	drop_recording(view);
	stop_unused_capture((List *) tables);
	if (attached)
		return;
	(void) remove_parts(view);
	(void) remove_inner_relations(view);
	if (OidIsValid(log))
		feed::drop_log(log);
}

/* Ends recording, so that the build can begin anew. */
void
take_down(Work *work)
{
	Oid view = work->build->view;

	run_patiently(work,
				  [&]()
				  {
					  List *tables = read_internal("recording", 2, view, 1);
					  ListCell *lc;

					  lock_view(view);
					  foreach (lc, tables)
						  LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
					  PushActiveSnapshot(GetTransactionSnapshot());
					  remove_unfinished(view, tables);
					  announce_build(view, work->build);
				  });
	work->members = work->tables = work->locked = NIL;
	work->computed = false;
	work->info.log = InvalidOid;
}

Outcome
build_once(Work *work)
{
	Outcome outcome;

	note_phase(BuildPhase::kRecording);
	find_tables(work);
	run_patiently(work, [&]() { begin_recording(work); });
	do
	{
		note_phase(BuildPhase::kComputing);
		outcome = compute(work);
		if (outcome == Outcome::kDone)
		{
			note_phase(BuildPhase::kCatchingUp);
			outcome = catch_up(work);
		}
		if (outcome == Outcome::kDone)
		{
			note_phase(BuildPhase::kSwitching);
			run_patiently(work, [&]() { outcome = switch_over(work); });
		}
	} while (outcome == Outcome::kReset);
	return outcome;
}

} // namespace

namespace
{

/* True if the query takes a moment, as far as the planner can tell. */
bool
is_cheap(const Query *query)
{
	constexpr Cost kCheap = 100000;
	PlannedStmt *plan = pg_plan_query((Query *) copyObject(query), "", 0, nullptr);

	return plan->planTree->total_cost <= kCheap;
}

} // namespace

void
announce_build(Oid view, const Build *build)
{
	Datum values[3] = {ObjectIdGetDatum(view), BoolGetDatum(build->created),
					   BoolGetDatum(build->listed)};

	if (!catalog::has_build(view))
		insert_internal("build", values);
	CommandCounterIncrement();
}

namespace
{

/* Locks the tables against writers if that can be had without waiting. */
bool
lock_at_once(List *tables)
{
	List *locked = NIL;
	ListCell *lc;

	foreach (lc, tables)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock))
			break;
		locked = lappend_oid(locked, lfirst_oid(lc));
	}
	if (list_length(locked) == list_length(tables))
		return true;
	foreach (lc, locked)
		UnlockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
	return false;
}

BlockNumber
blocks_of(List *tables)
{
	BlockNumber blocks = 0;
	ListCell *lc;

	foreach (lc, tables)
	{
		Relation rel = relation_open(lfirst_oid(lc), NoLock);

		if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
			blocks += RelationGetNumberOfBlocks(rel);
		relation_close(rel, NoLock);
	}
	return blocks;
}

} // namespace

Way
way_to_attach(Oid view)
{
	const ViewPlan *plan = analyze_now(view);
	List *tables = with_tables_below(tables_of(plan, AccessShareLock));

	if (blocks_of(tables) <= kSmallBlocks && is_cheap(plan->query) && lock_at_once(tables))
		return Way::kAtOnce;
	return Way::kBeside;
}

void
announce_built(Oid view)
{
	const ViewRuntime *runtime = get_runtime(view);

	if (runtime)
		announce(runtime->plan);
}

void
run_build(Build *build)
{
	Work work = {};

	work.build = build;
	work.context = AllocSetContextCreate(TopMemoryContext, "tailwater build", ALLOCSET_SMALL_SIZES);
	work.info = unattached(build);
	MemoryContextSwitchTo(work.context);

	begin(&work);
	announce_build(build->view, build);
	end(&work);
	for (int attempt = 0; attempt < kAttempts; attempt++)
	{
		if (attempt > 0)
			take_down(&work);
		if (build_once(&work) == Outcome::kDone)
			return;
	}
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("tables of the materialized view are altered again and again while its content "
				   "is computed"),
			errhint("Try again later, or inside a transaction block, which locks the tables."));
}

void
clean_up_build(Oid view)
{
	Build build = {};
	Work work = {};

	note_phase(BuildPhase::kCleaningUp);
	build.view = view;
	work.build = &build;
	work.context = AllocSetContextCreate(TopMemoryContext, "tailwater build", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(work.context);

	begin(&work);
	List *tables = read_internal("recording", 2, view, 1);
	MemoryContextSwitchTo(work.context);
	work.tables = work.locked = list_copy(tables);
	end(&work);
	run_patiently(&work,
				  [&]()
				  {
					  List *listed = read_internal("build", 1, view, 3);
					  List *created = read_internal("build", 1, view, 2);
					  ListCell *lc;

					  if (created == NIL)
						  return; /* done */
					  LockRelationOid(view, AccessExclusiveLock);
					  foreach (lc, work.tables)
						  LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
					  PushActiveSnapshot(GetTransactionSnapshot());
					  remove_unfinished(view, work.tables);
					  if (linitial_oid(listed))
						  catalog::remove_listing(view);
					  if (linitial_oid(created) && get_rel_relkind(view) == RELKIND_MATVIEW)
					  {
						  ObjectAddress address;

						  ObjectAddressSet(address, RelationRelationId, view);
						  performDeletion(&address, DROP_CASCADE, PERFORM_DELETION_INTERNAL);
					  }
				  });
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(work.context);
}

List *
unfinished_builds()
{
	return read_internal("build", 1, InvalidOid, 1);
}

namespace
{

/* Ends recording in the rows whose column holds the OID. */
void
mark_broken(AttrNumber column, Oid oid)
{
	catalog::InternalRows rows;

	rows.find("recording", column, oid, RowExclusiveLock);
	while (rows.next())
	{
		Datum values[5] = {};
		bool nulls[5] = {};
		bool replace[5] = {};

		invalidate(rows.oid(1));
		if (DatumGetBool(rows.value(5)))
			continue;
		values[4] = BoolGetDatum(true);
		replace[4] = true;
		CatalogTupleUpdate(rows.table, &rows.row->t_self,
						   heap_modify_tuple(rows.row, rows.desc(), values, nulls, replace));
	}
	rows.close();
	CommandCounterIncrement();
}

} // namespace

void
break_builds_of_base(Oid base)
{
	if (read_internal("recording", 1, base, 2) != NIL)
		mark_broken(1, base);
}

void
break_build(Oid view)
{
	if (read_internal("recording", 2, view, 1) != NIL)
		mark_broken(2, view);
}

} // namespace tw::maintain
