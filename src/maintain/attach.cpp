/*
 * attach.cpp - starts and stops keeping a view up to date.
 *
 * Attaching locks the base tables against writers (SHARE ROW EXCLUSIVE, as
 * creating triggers does) until the end of the transaction, so that nothing is
 * lost between computing the content and the first trigger. Rows of the
 * extension's own tables are written as the owner of the extension, whatever
 * rights the owner of the view has.
 */
#include "maintain/maintain.hpp"
#include "analyze/recursion.hpp"
#include "maintain/attach_steps.hpp"
#include "maintain/batch.hpp"
#include "maintain/build.hpp"
#include "maintain/content.hpp"
#include "maintain/deferred.hpp"
#include "maintain/environment.hpp"
#include "maintain/guard.hpp"
#include "maintain/record.hpp"
#include "maintain/replica_identity.hpp"
#include "analyze/decompose.hpp"
#include "analyze/explain.hpp"
#include "analyze/keyed.hpp"
#include "analyze/determinism.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/internal_table.hpp"
#include "catalog/view_dependencies.hpp"
#include "catalog/view_list.hpp"
#include "capture/image.hpp"
#include "capture/statement.hpp"
#include "capture/triggers.hpp"
#include "decode/frontier.hpp"
#include "feed/log.hpp"
#include "state/writer.hpp"
#include "worker/shmem.hpp"

namespace tw::maintain
{

using analyze::Strategy;
using analyze::ViewPlan;
using capture::ZSet;

namespace
{

/* Locks a base table, or for a live view the tables that it reads in turn. */
void
lock_below(Oid relation, LOCKMODE lock)
{
	ListCell *lc;

	LockRelationOid(relation, lock);
	if (!catalog::is_maintained(relation))
		return;
	foreach (lc, read_internal("base", 2, relation, 1))
		lock_below(lfirst_oid(lc), lock);
}

} // namespace

namespace
{

void
add_below(List **tables, Oid relation)
{
	ListCell *lc;

	*tables = list_append_unique_oid(*tables, relation);
	if (!catalog::is_maintained(relation))
		return;
	foreach (lc, read_internal("base", 2, relation, 1))
		add_below(tables, lfirst_oid(lc));
}

} // namespace

List *
with_tables_below(List *tables)
{
	List *all = NIL;
	ListCell *lc;

	foreach (lc, tables)
		add_below(&all, lfirst_oid(lc));
	return all;
}

/*
 * The tables whose changes reach the view: its bases with their partitions and
 * children, and what they are partitions or children of. Below a live view
 * that is a base its own tables are locked too: a writer under way there may
 * already have looked up which views it has to maintain.
 */
List *
tables_of(const ViewPlan *plan, LOCKMODE lock)
{
	List *tables = NIL;
	ListCell *lc;

	foreach (lc, plan->bases)
	{
		Oid base = lfirst_oid(lc);
		List *above = NIL;
		ListCell *la;

		foreach (la, list_member_oid(plan->only_bases, base)
						 ? list_make1_oid(base)
						 : find_all_inheritors(base, NoLock, nullptr))
			above = list_concat_unique_oid(above, capture::ancestors_of(lfirst_oid(la)));

		foreach (la, catalog::is_maintained(base) ? read_internal("base", 2, base, 1) : NIL)
			lock_below(lfirst_oid(la), lock);
		foreach (la, above)
			LockRelationOid(lfirst_oid(la), lock);
		tables = list_concat_unique_oid(tables, above);
		LockRelationOid(base, lock);
		if (list_member_oid(plan->only_bases, base))
			tables = list_append_unique_oid(tables, base);
		else
			tables = list_concat_unique_oid(tables, find_all_inheritors(base, lock, nullptr));
	}
	return tables;
}

namespace
{

void
check_base(Oid base)
{
	HeapTuple tup = SearchSysCache1(RELOID, ObjectIdGetDatum(base));
	char relkind = ((Form_pg_class) GETSTRUCT(tup))->relkind;

	ReleaseSysCache(tup);
	if (relkind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot keep a query with foreign table \"%s\" up to date",
					   get_rel_name(base)),
				errhint("Changes of a foreign table cannot be seen here. Replicate it into a "
						"table, or use a plain materialized view with REFRESH."));
}

} // namespace

/* From now on changes of the tables are captured: by triggers, or in the write-ahead log. */
void
capture_changes(List *tables, catalog::Mode mode)
{
	ListCell *lc;

	foreach (lc, tables)
		check_base(lfirst_oid(lc));
	if (mode == catalog::Mode::kDeferred)
		log_whole_rows(without_inner_relations(tables));
	foreach (lc, tables)
	{
		if (mode == catalog::Mode::kImmediate && !catalog::is_maintained(lfirst_oid(lc)))
			(void) capture::create_triggers(lfirst_oid(lc));
		invalidate(lfirst_oid(lc));
	}
}

void
record_bases(Oid view, List *tables)
{
	ListCell *lc;

	foreach (lc, tables)
	{
		Datum values[2] = {ObjectIdGetDatum(lfirst_oid(lc)), ObjectIdGetDatum(view)};

		insert_internal("base", values);
	}
	CommandCounterIncrement();
}

namespace
{

/* How the view is maintained, in a word. */
const char *
strategy_of(const ViewPlan *plan)
{
	Environment environment = enter_environment(plan->owner, Settings::kPinned);
	const char *name = analyze::strategy_name(plan);

	leave_environment(&environment);
	return name;
}

/* The view depends on what the functions name that are part of it. */
void
depend_on_functions(const ViewPlan *plan)
{
	Environment environment = enter_environment(plan->owner, Settings::kPinned);
	List *objects = analyze::objects_in_functions(plan->view);

	leave_environment(&environment);
	catalog::set_view_dependencies(plan->view, objects);
}

} // namespace

void
record_attachment(const ViewPlan *plan, catalog::Mode mode, Oid log, Oid key_index)
{
	Datum values[9];

	depend_on_functions(plan);
	values[0] = ObjectIdGetDatum(plan->view);
	values[1] = CharGetDatum(static_cast<char>(mode));
	values[2] = Int64GetDatum(GetCurrentTimestamp());
	values[3] = ObjectIdGetDatum(log);
	values[4] = ObjectIdGetDatum(key_index);
	values[5] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	values[6] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[7] = catalog::vector_of(key_list(plan));
	values[8] = CStringGetTextDatum(strategy_of(plan));
	insert_internal("attachment", values);
	CommandCounterIncrement();
	invalidate(plan->view);
	CommandCounterIncrement();
}

void
mark_populated(Oid view)
{
	Relation rel = table_open(view, NoLock);

	if (!RelationIsPopulated(rel))
		SetMatViewPopulatedState(rel, true);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

void
announce(const ViewPlan *plan)
{
	if (plan->strategy != Strategy::kRecompute || plan->top_k || analyze::follows_each(plan))
		return;
	ereport(NOTICE,
			errmsg("materialized view \"%s\" is recomputed at each change of its base tables",
				   get_rel_name(plan->view)),
			errdetail("The query has %s.", plan->reason),
			errhint("See tailwater.explain() for the circuit."));
}

namespace
{

/* Views that are being built over this one learn of its change. */
void
record_delta_of(const ViewRuntime *view, ZSet *change)
{
	capture::Delta delta = {};

	if (recordings_of_base(view->info.view) == NIL)
		return;
	delta.relid = view->info.view;
	delta.desc = view->desc;
	delta.set = change;
	record_changes(NIL, NIL, list_make1(&delta));
}

} // namespace

/* Brings content and state in line with the query. Returns how many rows changed. */
int64
rebuild(const ViewRuntime *view, Publish publish, Snapshot snapshot)
{
	Environment environment = enter_environment(view->plan->owner, Settings::kPinned);

	PushCopiedSnapshot(snapshot);
	UpdateActiveSnapshotCommandId();

	ZSet *out = make_view_delta(view, CurrentMemoryContext);
	if (publish == Publish::kNo)
	{
		make_room(view);
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
	}
	recompute(view, out);
	int64 changed = apply_to_view(view, out, publish);
	if (publish == Publish::kYes)
		record_delta_of(view, out);
	capture::clear_zset(out);
	PopActiveSnapshot();
	CommandCounterIncrement();
	leave_environment(&environment);
	return changed;
}

namespace
{

struct Filling
{
	state::Writer *writer;
	BulkInsertState bulk;
	int64 nrows;
};

void
fill_row(void *arg, TupleTableSlot *row, int64 weight)
{
	Filling *filling = static_cast<Filling *>(arg);

	table_tuple_insert(filling->writer->rel, ExecCopySlot(filling->writer->row, row),
					   GetCurrentCommandId(true), TABLE_INSERT_SKIP_FSM, filling->bulk);
	filling->nrows++;
	note_rows(1);
}

/* Indexes that a view without content has, if it was restored from a dump, take in what it has been filled with. */
void
rebuild_indexes(Oid view)
{
	Relation rel = table_open(view, AccessExclusiveLock);
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	table_close(rel, NoLock);
	foreach (lc, indexes)
		pg::rebuild_index(lfirst_oid(lc), get_rel_persistence(lfirst_oid(lc)));
}

} // namespace

/* Computes the content of a view that has none. Returns the number of rows. */
int64
fill(const ViewPlan *plan, Snapshot snapshot)
{
	Environment environment = enter_environment(plan->owner, Settings::kPinned);
	Filling filling = {state::open_writer(plan->view, InvalidOid), GetBulkInsertState(), 0};
	bool stale = false;

	PushCopiedSnapshot(snapshot);
	UpdateActiveSnapshotCommandId();
	/* Float sums are exact where state will keep them. */
	TieQueries ties = make_tie_queries(plan, CurrentMemoryContext, &stale);
	Query *query = (Query *) copyObject(has_ties(&ties) ? plan->whole : plan->query);
	if (plan->exact_floats)
		analyze::use_exact_floats(query);
	exec::run_query(exec::make_cached_query(query, CurrentMemoryContext, &stale), nullptr, 0,
					exec::WeightColumn::kNone, fill_row, &filling);
	PopActiveSnapshot();
	FreeBulkInsertState(filling.bulk);
	table_finish_bulk_insert(filling.writer->rel, TABLE_INSERT_SKIP_FSM);
	state::close_writer(filling.writer);
	CommandCounterIncrement();
	leave_environment(&environment);
	rebuild_indexes(plan->view);
	return filling.nrows;
}

/* Views that read this one follow what changed in it beyond their sight. */
void
rebuild_dependents(Oid view)
{
	ListCell *lc;

	foreach (lc, affected_views(list_make1_oid(view)))
	{
		guard_all(get_runtime(lfirst_oid(lc)));
		(void) rebuild(get_runtime(lfirst_oid(lc)), Publish::kYes, GetLatestSnapshot());
	}
}

namespace
{

/* True if an immediate view reads the table. */
bool
needs_triggers(Oid table)
{
	ListCell *lc;

	foreach (lc, read_internal("base", 1, table, 2))
	{
		catalog::LiveView live;

		if (catalog::find_live_view(lfirst_oid(lc), &live) &&
			live.mode == catalog::Mode::kImmediate)
			return true;
	}
	return false;
}

} // namespace

/*
 * The content of the deferred views that read this one cannot be derived from
 * its changes any more: how they are told is about to change.
 */
void
rebuild_deferred_readers(Oid view)
{
	ListCell *lc;

	foreach (lc, read_internal("base", 1, view, 2))
	{
		catalog::LiveView live;

		if (!catalog::find_live_view(lfirst_oid(lc), &live) ||
			live.mode != catalog::Mode::kDeferred)
			continue;
		Oid reader = catalog::view_of(lfirst_oid(lc));
		LockRelationOid(reader, ShareRowExclusiveLock);
		decode::mark_for_rebuild(reader);
	}
}

namespace
{

/* Locks that let nothing of the view's tables change that its content depends on. */
LOCKMODE
base_lock(catalog::Mode mode)
{
	return mode == catalog::Mode::kDeferred ? AccessShareLock : ShareRowExclusiveLock;
}

} // namespace

void
stop_unused_capture(List *tables)
{
	ListCell *lc;

	foreach (lc, tables)
	{
		Oid table = lfirst_oid(lc);

		log_rows_as_before(table);
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)))
			continue;
		if (!needs_triggers(table) && read_internal("recording", 1, table, 2) == NIL &&
			!catalog::is_maintained(table))
			capture::drop_triggers(table);
		invalidate(table);
	}
}

/* Removes the state and the bases of a view or inner relation; returns the bases. */
List *
remove_parts(Oid view)
{
	List *tables = read_internal("base", 2, view, 1);
	List *states = read_internal("state", 1, view, 3);
	ListCell *lc;

	delete_internal("base", 2, view);
	delete_internal("state", 1, view);
	CommandCounterIncrement();
	foreach (lc, states)
		catalog::drop_internal_table(lfirst_oid(lc));
	return tables;
}

namespace
{

/* Removes everything but the view itself. */
void
remove_attachment(Oid view)
{
	List *logs = read_internal("attachment", 1, view, 4);
	List *inners = catalog::inner_relations(view);
	List *tables = list_difference_oid(remove_parts(view), inners);
	ListCell *lc;

	tables = list_concat_unique_oid(tables, remove_inner_relations(view));
	delete_internal("attachment", 1, view);
	delete_internal("rebuild", 1, view);
	catalog::remove_view_dependencies(view);
	CommandCounterIncrement();
	rebuild_deferred_readers(view);
	foreach (lc, logs)
		if (OidIsValid(lfirst_oid(lc)))
			feed::drop_log(lfirst_oid(lc));
	CommandCounterIncrement();
	stop_unused_capture(tables);
	invalidate(view);
	CommandCounterIncrement();
}

/* Fills an inner relation, whose own inputs are filled. In a deferred view the maintainer makes the state of groups. */
void
attach_inner_relation(const ViewPlan *plan, catalog::Mode mode)
{
	List *tables = tables_of(plan, base_lock(mode));
	bool filled = mode == catalog::Mode::kDeferred || plan->strategy != Strategy::kAggregate;

	if (filled)
		(void) fill(plan, GetLatestSnapshot());
	create_state(plan);
	Oid key_index = find_key_index(plan);
	ensure_touch_index(plan);
	catalog::set_inner_key(plan->view, key_index, key_list(plan));
	record_bases(plan->view, tables);
	capture_changes(tables, mode);
	invalidate(plan->view);
	CommandCounterIncrement();
	if (!filled)
		(void) rebuild(get_runtime(plan->view), Publish::kNo, GetLatestSnapshot());
}

/* Makes and fills the inner relations of a view that has none. */
void
create_inner_relations(Oid view, Oid owner, catalog::Mode mode)
{
	List *inners = choose_inner_relations(view, owner);
	ListCell *lc;

	if (inners == NIL)
		return;
	foreach (lc, inners)
	{
		ViewPlan *plan = analyze_as(owner, lfirst_oid(lc));

		create_reading_indexes(plan, inners);
		attach_inner_relation(plan, mode);
	}
	create_reading_indexes(analyze_as(owner, view), inners);
}

/* The views that read the view, themselves or by an inner relation. */
List *
readers_of(Oid base)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, read_internal("base", 1, base, 2))
	{
		catalog::InnerRelation inner;
		bool is_inner = catalog::find_inner_relation(lfirst_oid(lc), &inner);

		views = list_append_unique_oid(views, is_inner ? inner.view : lfirst_oid(lc));
	}
	return views;
}

const ViewRuntime *
runtime_of(Oid view)
{
	const ViewRuntime *runtime = get_runtime(view);

	if (!runtime)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("materialized view \"%s\" is not kept up to date", get_rel_name(view)),
				errhint("Set tailwater.maintain, or REFRESH it if it was restored from a dump."));
	return runtime;
}

} // namespace

int64
attach(Oid view, catalog::Mode mode, bool feed)
{
	bool deferred = mode == catalog::Mode::kDeferred;

	if (deferred)
		check_decoding();

	Relation rel = table_open(view, AccessExclusiveLock);
	Oid owner = rel->rd_rel->relowner;
	bool populated = RelationIsPopulated(rel);
	table_close(rel, NoLock);
	create_inner_relations(view, owner, mode);
	ViewPlan *plan = analyze_as(owner, view);

	announce(plan);
	List *tables = tables_of(plan, base_lock(mode));
	/* The state of groups comes with the content; everything else is filled at once. */
	bool filled = !populated && (deferred || plan->strategy != Strategy::kAggregate);
	int64 rows = filled ? fill(plan, GetLatestSnapshot()) : 0;
	create_state(plan);
	Oid key_index = find_key_index(plan);
	ensure_touch_index(plan);
	Oid log = feed ? feed::create_log(view) : InvalidOid;

	record_attachment(plan, mode, log, key_index);
	worker::note_log_written(); /* so that the view has a first position at once */
	record_bases(view, tables);
	capture_changes(tables, mode);
	CommandCounterIncrement();
	rebuild_deferred_readers(view);
	if (deferred)
	{
		/* The maintainer takes over where this transaction ends, whatever was written meanwhile. */
		decode::mark_for_rebuild(view);
		worker::want_maintainer_at_commit();
	}
	/* The first content is not a change: positions begin after it. */
	else if (!filled)
		rows = rebuild(runtime_of(view), Publish::kNo, GetLatestSnapshot());
	mark_populated(view);
	rebuild_dependents(view);
	return rows;
}

void
detach(Oid view)
{
	remove_attachment(view);
}

void
sweep()
{
	ListCell *lc;

	if (!catalog::extension_present())
		return;
	foreach (lc, read_internal("attachment", 1, InvalidOid, 1))
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			remove_attachment(lfirst_oid(lc));
	foreach (lc, read_internal("base", 1, InvalidOid, 1))
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			delete_internal("base", 1, lfirst_oid(lc));
	foreach (lc, read_internal("replica_identity", 1, InvalidOid, 1))
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			log_rows_as_before(lfirst_oid(lc));
}

namespace
{

/*
 * True if the view and its inner relations are what their queries give under
 * one snapshot. Then they are right now, too: what was written since was
 * followed. Nobody is kept from writing meanwhile.
 */
bool
was_right(Oid view)
{
	Environment environment = enter_environment(owner_of(view), Settings::kPinned);
	bool right = true;
	ListCell *lc;

	PushCopiedSnapshot(GetLatestSnapshot());
	UpdateActiveSnapshotCommandId();
	foreach (lc, lappend_oid(catalog::inner_relations(view), view))
		right = right && is_right(runtime_of(lfirst_oid(lc)));
	PopActiveSnapshot();
	leave_environment(&environment);
	return right;
}

} // namespace

int64
refresh(Oid view)
{
	const ViewRuntime *runtime = runtime_of(view);
	ListCell *lc;

	if (runtime->info.mode == catalog::Mode::kImmediate && was_right(view))
		return 0;
	runtime = runtime_of(view);

	/* The maintainer, which goes by the snapshot of its batch, does not write it meanwhile. */
	if (runtime->info.mode == catalog::Mode::kDeferred)
		LockRelationOid(view, ShareRowExclusiveLock);
	LOCKMODE lock = base_lock(runtime->info.mode);
	(void) tables_of(runtime->plan, lock);
	foreach (lc, catalog::inner_relations(view))
		(void) tables_of(runtime_of(lfirst_oid(lc))->plan, lock);
	foreach (lc, catalog::inner_relations(view))
		(void) rebuild(runtime_of(lfirst_oid(lc)), Publish::kNo, GetLatestSnapshot());
	int64 changed = rebuild(runtime_of(view), Publish::kYes, GetLatestSnapshot());
	if (runtime_of(view)->info.mode == catalog::Mode::kDeferred)
	{
		decode::mark_for_rebuild(view);
		rebuild_deferred_readers(view);
	}
	rebuild_dependents(view);
	return changed;
}

namespace
{

/* In one order, whatever for: those who do so do not wait for each other in a circle. */
void
lock_tables_of(const List *views, Oid but)
{
	List *tables = NIL;
	ListCell *lc;
	ListCell *li;

	foreach (lc, views)
	{
		catalog::LiveView info;

		if (!catalog::find_live_view(lfirst_oid(lc), &info) ||
			info.mode != catalog::Mode::kImmediate)
			continue;
		foreach (li, lappend_oid(catalog::inner_relations(info.view), info.view))
			tables = list_concat_unique_oid(tables, read_internal("base", 2, lfirst_oid(li), 1));
	}
	tables = without_inner_relations(tables);
	list_sort(tables, list_oid_cmp);
	foreach (lc, tables)
		if (lfirst_oid(lc) != but)
			LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
}

} // namespace

void
lock_with_base(Oid base)
{
	lock_tables_of(readers_of(base), base);
}

void
lock_with_view(Oid view)
{
	lock_tables_of(list_make1_oid(view), InvalidOid);
}

void
base_altered(Oid base)
{
	ListCell *lc;

	invalidate(base);
	CommandCounterIncrement();
	break_builds_of_base(base);
	foreach (lc, readers_of(base))
		query_altered(lfirst_oid(lc));
}

void
query_altered(Oid view)
{
	catalog::LiveView info;
	catalog::Listing wanted;
	ListCell *lc;

	break_build(view);
	if (!catalog::find_live_view(view, &info) || !catalog::find_listing(view, &wanted))
		return;
	invalidate(view);
	CommandCounterIncrement();

	/* Who writes one of its tables is done with the inner relations, or has not looked at them. */
	foreach (lc, lappend_oid(catalog::inner_relations(view), view))
	{
		ListCell *lb;

		foreach (lb, read_internal("base", 2, lfirst_oid(lc), 1))
			if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lb))))
				LockRelationOid(lfirst_oid(lb), base_lock(info.mode));
	}

	/* The log stays, and so do positions in the feed; the rest is made anew. */
	bool deferred = info.mode == catalog::Mode::kDeferred;
	if (deferred)
		LockRelationOid(view, ShareRowExclusiveLock);

	List *before = list_difference_oid(remove_parts(view), catalog::inner_relations(view));
	before = list_concat_unique_oid(before, remove_inner_relations(view));
	create_inner_relations(view, owner_of(view), info.mode);
	invalidate(view);
	CommandCounterIncrement();

	ViewPlan *plan = analyze_as(owner_of(view), view);
	List *tables = tables_of(plan, base_lock(info.mode));
	create_state(plan);
	bool other_key = follow_key(plan, &info);
	catalog::set_strategy(view, strategy_of(plan));
	depend_on_functions(plan);
	ensure_touch_index(plan);
	invalidate(view);
	CommandCounterIncrement();
	const ViewRuntime *runtime = runtime_of(view);
	rebuild_key_index(runtime);
	record_bases(view, tables);
	capture_changes(tables, info.mode);
	stop_unused_capture(list_difference_oid(before, tables));
	invalidate(view);
	CommandCounterIncrement();
	if (deferred)
	{
		decode::mark_for_rebuild(view);
		return;
	}
	(void) rebuild(runtime_of(view), Publish::kYes, GetLatestSnapshot());
	if (!other_key)
		rebuild_dependents(view);
	foreach (lc, other_key ? readers_of(view) : NIL)
		query_altered(lfirst_oid(lc));
}

void
key_index_lost(Oid view)
{
	catalog::LiveView info;

	LockRelationOid(view, AccessExclusiveLock);
	if (!catalog::find_live_view(view, &info))
		return;
	invalidate(view);
	CommandCounterIncrement();
	(void) follow_key(analyze_as(owner_of(view), view), &info);
	if (!catalog::find_live_view(view, &info))
		elog(ERROR, "materialized view %u is not kept up to date", view);
	ereport(NOTICE, errmsg("rows of materialized view \"%s\" are found by index \"%s\" from now on",
						   get_rel_name(view), get_rel_name(info.key_index)));
	invalidate(view);
	CommandCounterIncrement();
}

void
name_altered(Oid view, Oid object)
{
	const ViewRuntime *runtime = get_runtime(view);

	if (runtime && analyze::shows_name(runtime->plan->whole, object))
		query_altered(view);
}

List *
views_with_labels(Oid type, analyze::Labels change)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, catalog::attached_views())
	{
		const ViewRuntime *runtime = get_runtime(lfirst_oid(lc));

		if (runtime && analyze::shows_labels(runtime->plan->whole, type, change))
			views = lappend_oid(views, lfirst_oid(lc));
	}
	return views;
}

namespace
{

bool
has_row_security(Oid table)
{
	HeapTuple tup = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	bool has = HeapTupleIsValid(tup) && ((Form_pg_class) GETSTRUCT(tup))->relrowsecurity;

	if (HeapTupleIsValid(tup))
		ReleaseSysCache(tup);
	return has;
}

/* True if the view, or one of its inner relations, reads a table whose policies may hide rows from its owner. */
bool
reads_by_policies(Oid view)
{
	ListCell *lc;

	foreach (lc, lappend_oid(catalog::inner_relations(view), view))
	{
		ListCell *lt;

		foreach (lt, read_internal("base", 2, lfirst_oid(lc), 1))
			if (has_row_security(lfirst_oid(lt)))
				return true;
	}
	return false;
}

} // namespace

void
roles_altered()
{
	ListCell *lc;

	foreach (lc, catalog::attached_views())
		if (reads_by_policies(lfirst_oid(lc)))
			query_altered(lfirst_oid(lc));
}

namespace
{

bool
sees_settings(Oid view)
{
	ListCell *lc;

	foreach (lc, lappend_oid(catalog::inner_relations(view), view))
	{
		const ViewRuntime *runtime = get_runtime(lfirst_oid(lc));

		if (runtime && runtime->plan->needs_environment)
			return true;
	}
	return false;
}

} // namespace

void
settings_altered()
{
	ListCell *lc;

	if (!pin_current_settings())
		return;
	foreach (lc, catalog::attached_views())
		if (sees_settings(lfirst_oid(lc)))
			query_altered(lfirst_oid(lc));
}

bool
reads_unlogged(Oid view)
{
	ListCell *lc;

	foreach (lc, with_tables_below(read_internal("base", 2, view, 1)))
		if (get_rel_persistence(lfirst_oid(lc)) == RELPERSISTENCE_UNLOGGED)
			return true;
	return false;
}

int64
verify(Oid view)
{
	const ViewRuntime *runtime = runtime_of(view);
	Environment environment = enter_environment(runtime->plan->owner, Settings::kPinned);
	ZSet *difference = capture::make_large_zset(runtime->desc, CurrentMemoryContext);
	ListCell *lc;

	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	evaluate_whole(runtime->plan, difference);
	read_view(runtime, -1, difference);
	PopActiveSnapshot();
	leave_environment(&environment);
	int64 rows = capture::zset_size(difference);
	capture::clear_zset(difference);
	/* What the view will be computed from must be right, too. */
	foreach (lc, runtime->plan->inners)
		rows += verify(lfirst_oid(lc));
	return rows;
}

} // namespace tw::maintain
