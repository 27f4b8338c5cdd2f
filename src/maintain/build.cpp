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
 * 4. In a second moment in which nobody writes, the rest is applied, the view is
 *    recorded as attached, and recording ends.
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
#include "maintain/deferred.hpp"
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
	List *tables;          /* that the view reads, with partitions and children */
	List *locked;          /* these, and what live views among them read */
	catalog::LiveView info;
	bool own_index; /* the key index was created for the build */
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

ViewPlan *
analyze_now(Oid view)
{
	Relation rel = table_open(view, NoLock);
	Environment environment = enter_environment(rel->rd_rel->relowner, Settings::kPinned);
	ViewPlan *plan = analyze::analyze_view(view, CurrentMemoryContext);

	leave_environment(&environment);
	table_close(rel, NoLock);
	return plan;
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
	bool nulls[5] = {};

	insert_internal("recording", values, nulls);
}

void
begin_recording(Work *work)
{
	Oid view = work->build->view;
	ListCell *lc;

	lock_view(view);
	PushActiveSnapshot(GetTransactionSnapshot());

	ViewPlan *plan = analyze_now(view);
	List *tables = tables_of(plan, ShareRowExclusiveLock);

	create_state(plan);
	foreach (lc, list_union_oid(tables, plan->bases))
	{
		Oid table = lfirst_oid(lc);
		bool is_input = list_member_oid(plan->bases, table);

		insert_recording(table, view, is_input ? create_changes(view, table) : InvalidOid,
						 list_member_oid(plan->only_bases, table));
	}
	CommandCounterIncrement();
	capture_changes(tables, work->build->mode);

	MemoryContextSwitchTo(work->context);
	work->tables = list_union_oid(tables, plan->bases);
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

void
create_indexes(Work *work, const ViewPlan *plan)
{
	work->info.key_index = find_key_index(plan);
	ensure_touch_index(plan);
}

Outcome
compute(Work *work)
{
	Oid view = work->build->view;

	begin(work);
	lock_view(view);
	PushActiveSnapshot(GetTransactionSnapshot());
	set_frontier(work);
	if (!is_intact(work))
	{
		end(work);
		return Outcome::kBroken;
	}

	ViewPlan *plan = analyze_now(view);
	bool first = !OidIsValid(work->info.key_index);
	bool empty = first && !view_is_populated(view);
	bool filled = empty && plan->strategy != Strategy::kAggregate;

	if (filled)
		work->build->result = fill(plan, GetTransactionSnapshot());
	create_indexes(work, plan);
	if (!filled)
	{
		ViewRuntime *runtime = build_runtime(&work->info);
		int64 changed = rebuild(runtime, Publish::kNo, GetTransactionSnapshot());

		if (empty)
			work->build->result = changed;
		MemoryContextDelete(runtime->plan->context);
	}
	if (work->build->feed && !OidIsValid(work->info.log))
		work->info.log = feed::create_log(view);
	end(work);
	return Outcome::kDone;
}

/* ---- step 3 ---- */

/* Applies what was recorded since the frontier under the active snapshot. */
Outcome
apply_recorded(Work *work, int64 *nrows)
{
	List *deltas = NIL;
	bool reset = false;
	ListCell *lc;

	*nrows = 0;
	foreach (lc, recordings_of_view(work->build->view))
	{
		int64 n;
		Delta *delta = read_changes((Recording *) lfirst(lc), &work->frontier, &n);

		*nrows += n;
		if (!delta)
			continue;
		reset |= delta->reset;
		deltas = lappend(deltas, delta);
	}
	work->build->to_catch_up = *nrows;
	if (!reset && deltas != NIL)
	{
		catalog::LiveView silent = work->info;
		bool populated = view_is_populated(silent.view);

		silent.log = InvalidOid;          /* its history begins with the switch */
		set_populated(silent.view, true); /* the engine may read the view */
		ViewRuntime *runtime = build_runtime(&silent);
		Environment environment = enter_environment(runtime->plan->owner, Settings::kPinned);
		capture::ZSet *out = make_view_delta(runtime, CurrentMemoryContext);

		compute_delta(runtime, deltas, out);
		(void) apply_to_view(runtime, out, Publish::kYes);
		capture::end_zset(out);
		leave_environment(&environment);
		MemoryContextDelete(runtime->plan->context);
		set_populated(silent.view, populated);
	}
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

		Outcome outcome = is_intact(work) ? apply_recorded(work, &nrows) : Outcome::kBroken;
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

Outcome
switch_over(Work *work)
{
	Oid view = work->build->view;
	ListCell *lc;
	int64 nrows;

	lock_view(view);
	foreach (lc, work->locked)
		LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
	/* Taken when all writers have finished. */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!is_intact(work))
		return Outcome::kBroken;

	Outcome outcome = apply_recorded(work, &nrows);
	if (outcome != Outcome::kDone)
		return outcome;
	work->build->caught_up += nrows;
	CommandCounterIncrement();
	drop_recording(view);

	ViewPlan *plan = analyze_now(view);
	record_attachment(plan, work->build->mode, work->info.log, work->info.key_index);
	worker::note_log_written();
	record_bases(view, work->tables);
	capture_changes(work->tables, work->build->mode);
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
	work->tables = work->locked = NIL;
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
	bool nulls[3] = {};

	if (read_internal("build", 1, view, 1) == NIL)
		insert_internal("build", values, nulls);
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

/* True if recorded changes cannot tell all that happens to the view's inputs, or bring the view up to date. */
bool
must_be_built_here(const ViewPlan *plan)
{
	ListCell *lc;

	if (plan->strategy == Strategy::kRecursive || needs_inner_relations(plan->view))
		return true;
	foreach (lc, plan->bases)
		if (catalog::is_maintained(lfirst_oid(lc)) && deferred_below(lfirst_oid(lc)) != NIL)
			return true;
	return false;
}

} // namespace

Way
way_to_attach(Oid view)
{
	const ViewPlan *plan = analyze_now(view);
	List *tables = with_tables_below(tables_of(plan, AccessShareLock));

	if (blocks_of(tables) <= kSmallBlocks && is_cheap(plan->query) && lock_at_once(tables))
		return Way::kAtOnce;
	if (must_be_built_here(plan))
		return Way::kHere;
	announce(plan);
	return Way::kBeside;
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
	Relation rel = table_open(catalog::internal_relation("recording"), RowExclusiveLock);
	TupleDesc desc = RelationGetDescr(rel);
	ScanKeyData key;
	HeapTuple tup;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Datum values[5];
		bool nulls[5];
		bool replace[5] = {};

		heap_deform_tuple(tup, desc, values, nulls);
		invalidate(DatumGetObjectId(values[0]));
		if (DatumGetBool(values[4]))
			continue;
		values[4] = BoolGetDatum(true);
		replace[4] = true;
		CatalogTupleUpdate(rel, &tup->t_self, heap_modify_tuple(tup, desc, values, nulls, replace));
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
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
