/*
 * batch.cpp - brings all live views up to date with a set of changes.
 *
 * For each view in topological order: the deltas of its inputs are put
 * together, the view's own delta is computed by its strategy, applied to the
 * view and appended to its log; if other live views read it, the delta becomes
 * one of their inputs. All of it runs as the view's owner, under a snapshot
 * that sees everything the statement did, in a memory context that goes when
 * the batch is done.
 */
#include "maintain/batch.hpp"
#include "maintain/content.hpp"
#include "maintain/environment.hpp"
#include "maintain/guard.hpp"
#include "maintain/record.hpp"
#include "maintain/key_guard.hpp"
#include "capture/statement.hpp"
#include "catalog/inner_relation.hpp"
#include "exec/data_error.hpp"
#include "feed/log.hpp"
#include "state/apply.hpp"

namespace tw::maintain
{

using analyze::AggregateKind;
using analyze::Strategy;
using capture::any_reset;
using capture::Delta;
using capture::ZSet;

namespace
{

struct LogState
{
	feed::LogWriter writer;
	bool enabled;
};

void
log_change(void *arg, TupleTableSlot *row, int64 weight)
{
	LogState *log = static_cast<LogState *>(arg);

	if (log->enabled)
		log->writer.append(row, (int32) weight);
}

/* What the deltas change, as far as other tables have a say in it; false where that is not a set of rows. */
bool
probe(const ViewRuntime *view, List *deltas, ZSet *out, state::Boundaries *boundaries = nullptr,
	  exec::Locking locking = exec::Locking::kWait)
{
	if (view->top_k)
		return state::follow_top_k(view->top_k, deltas, out, boundaries) ==
			   exec::Touched::kSomeKeys;
	if (view->recursion)
		return state::run_recursion(view->recursion, deltas, out) == exec::Touched::kSomeKeys;
	if (view->keyed)
		return exec::run_keyed(view->keyed, deltas, out, locking) == exec::Touched::kSomeKeys;
	if (exec::survive_data_errors(exec::may_meet_errors(view->input, deltas),
								  [&]() {
									  exec::run_delta(view->input, deltas,
													  exec::collect_weighted_row, out);
								  }))
		return true;
	capture::clear_zset(out);
	return false;
}

TupleDesc
probe_descriptor(const ViewRuntime *view)
{
	return view->plan->strategy == Strategy::kAggregate
			   ? ExecTypeFromTL(view->plan->input->query->targetList)
			   : view->desc;
}

/* True if rows of the table have come or gone since the active, fixed snapshot. */
bool
changed_since(Oid table)
{
	Relation rel = table_open(table, AccessShareLock);
	ZSet *difference = capture::make_large_zset(RelationGetDescr(rel), CurrentMemoryContext);

	read_table(table, +1, difference);
	PushCopiedSnapshot(GetLatestSnapshot());
	UpdateActiveSnapshotCommandId();
	read_table(table, -1, difference);
	PopActiveSnapshot();
	bool changed = !capture::zset_is_empty(difference);
	capture::end_zset(difference);
	table_close(rel, NoLock);
	return changed;
}

/*
 * Fails if rows of these tables, or of the view, have come or gone since the
 * active, fixed snapshot. The view is computed as a whole, under that snapshot;
 * and TRUNCATE removes what that does not see, too, which the view could not follow.
 */
void
check_whole(const ViewRuntime *view, List *tables)
{
	List *all = list_concat(list_make2_oid(view->info.view, view->state),
							list_concat_copy(view->part_states, tables));
	ListCell *lc;

	foreach (lc, all)
	{
		char relkind = OidIsValid(lfirst_oid(lc)) ? get_rel_relkind(lfirst_oid(lc)) : '\0';

		if ((relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW) &&
			changed_since(lfirst_oid(lc)))
			state::serialization_failure();
	}
}

/*
 * Under a fixed snapshot, rows that others committed since would be missed. So
 * the delta is computed under the fixed snapshot and under the present one; if
 * they differ, the transaction fails.
 */
void
check_isolation(const ViewRuntime *view, List *deltas)
{
	if (!IsolationUsesXactSnapshot())
		return;
	bool reset = any_reset(deltas);
	if (!needs_guard(view))
	{
		if (reset)
			check_whole(view, NIL);
		return;
	}

	TupleDesc desc = probe_descriptor(view);
	ZSet *before = capture::make_large_zset(desc, CurrentMemoryContext);
	ZSet *after = capture::make_large_zset(desc, CurrentMemoryContext);

	/* This also takes the locks on touched keys: what is committed afterwards does not concern them. */
	state::Boundaries boundaries_before;
	state::Boundaries boundaries_after;
	bool rows = !reset && probe(view, deltas, before, &boundaries_before);
	Snapshot fixed = GetActiveSnapshot();
	Snapshot now = GetLatestSnapshot();
	if (now->xmax == fixed->xmax && now->xcnt == fixed->xcnt)
	{
		capture::end_zset(before);
		return;
	}
	if (!rows)
	{
		check_whole(view, view->tables);
		capture::end_zset(before);
		return;
	}
	PushCopiedSnapshot(now);
	UpdateActiveSnapshotCommandId();
	/* A key that only the present touches, while somebody has it, is a difference. */
	bool comparable = probe(view, deltas, after, &boundaries_after, exec::Locking::kGiveUp);
	PopActiveSnapshot();
	if (!comparable ||
		(view->top_k && !state::moved_alike(view->top_k, &boundaries_before, &boundaries_after)))
		state::serialization_failure();

	capture::zset_add_all(before, after, -1);
	if (!capture::zset_is_empty(before))
		state::serialization_failure();
	capture::end_zset(before);
	capture::end_zset(after);
}

/* True if state cannot take back what a row did that was never in the input. */
bool
looks_at_single_rows(AggregateKind kind)
{
	switch (kind)
	{
		case AggregateKind::kMin:
		case AggregateKind::kMax:
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
			return true;
		default:
			return false;
	}
}

/*
 * True if rows may come and go within the batch that were never in the input:
 * terms of a join overlap, and several statements may change a row again. min,
 * max, bit_and and bit_or look at single rows, so these must cancel before they
 * are seen.
 */
bool
needs_netting(const ViewRuntime *view, List *deltas)
{
	ListCell *lc;
	bool single_rows = false;

	for (int i = 0; i < view->plan->naggregates; i++)
		single_rows |= looks_at_single_rows(view->plan->aggregates[i].kind);
	if (!single_rows)
		return false;
	if (view->plan->input->noccurrences > 1)
		return true;
	foreach (lc, deltas)
		if (((Delta *) lfirst(lc))->many || list_length(((Delta *) lfirst(lc))->parts) > 2)
			return true;
	return false;
}

/* Adds what changed in the input to the groups; false where that is not a set of rows. */
bool
fold_input(const ViewRuntime *view, List *deltas, ZSet *out)
{
	state::Groups *groups = state::begin_groups(view->aggregate);

	if (view->keyed || needs_netting(view, deltas) || exec::may_meet_errors(view->input, deltas))
	{
		ZSet *input = capture::make_large_zset(ExecTypeFromTL(view->plan->input->query->targetList),
											   CurrentMemoryContext);
		Delta net = {};

		if (!probe(view, deltas, input))
			return false;
		net.desc = input->desc;
		net.set = input;
		capture::each_row(&net, state::add_input, groups);
		capture::clear_zset(input);
	}
	else
		exec::run_delta(view->input, deltas, state::add_input, groups);
	state::fold_groups(groups, out);
	return true;
}

/* Takes what crosses the boundaries, which move. */
void
follow_limit(const ViewRuntime *view, List *deltas, ZSet *out)
{
	state::Boundaries boundaries;

	if (state::follow_top_k(view->top_k, deltas, out, &boundaries) == exec::Touched::kEverything)
	{
		if (state::leave_choice(view->top_k, &boundaries))
			evaluate_whole(view->plan, out);
		else
			evaluate(view, out);
		read_view(view, -1, out);
	}
	state::keep_boundaries(view->top_k, &boundaries);
}

/* Evaluates the whole query again, alone. */
void
recompute_alone(const ViewRuntime *view, ZSet *out)
{
	guard_recompute(view);
	exec::renew_snapshot();
	recompute(view, out);
}

} // namespace

void
compute_delta(const ViewRuntime *view, List *deltas, ZSet *out)
{
	if (any_reset(deltas))
	{
		recompute(view, out);
		return;
	}
	switch (view->plan->strategy)
	{
		case Strategy::kLinear:
			if (!probe(view, deltas, out))
				recompute_alone(view, out);
			break;
		case Strategy::kAggregate:
			if (!fold_input(view, deltas, out))
				recompute_alone(view, out);
			break;
		case Strategy::kRecursive:
			if (state::run_recursion(view->recursion, deltas, out) == exec::Touched::kEverything)
				recompute(view, out);
			break;
		case Strategy::kKeyed:
		case Strategy::kRecompute:
			if (view->top_k)
				follow_limit(view, deltas, out);
			else if (exec::run_keyed(view->keyed, deltas, out) == exec::Touched::kEverything)
				recompute_alone(view, out);
			break;
		default:
			elog(ERROR, "unknown strategy of materialized view %u", view->info.view);
	}
}

namespace
{

/* False where the view reads none of the columns that the statement changed in its base table. */
bool
sees_change(const ViewRuntime *view, capture::Change *change)
{
	const analyze::ViewPlan *plan = view->plan;
	const analyze::ViewPlan *touched = plan->keyed_input ? plan->keyed_input : plan;
	const analyze::Block *block = plan->input;

	/* Without places that are known it is evaluated again. */
	if (plan->strategy == Strategy::kRecursive || (!block && touched->npoints == 0))
		return true;
	for (int i = 0; i < touched->npoints; i++)
		if (touched->points[i].relid == change->relid &&
			capture::touches_columns(change, touched->points[i].used))
			return true;
	for (int i = 0; block && i < block->noccurrences; i++)
		if (block->relids[i] == change->relid && capture::touches_columns(change, block->used[i]))
			return true;
	return false;
}

/* The changes without those of the base table itself that the view does not see. */
List *
changes_seen(const ViewRuntime *view, Oid base, List *changes)
{
	List *seen = NIL;
	ListCell *lc;

	foreach (lc, changes)
	{
		capture::Change *change = (capture::Change *) lfirst(lc);

		/* Columns of descendants are numbered in their own way: not looked at. */
		if (change->relid != base || sees_change(view, change))
			seen = lappend(seen, lfirst(lc));
	}
	return seen;
}

} // namespace

List *
input_deltas(const ViewRuntime *view, List *changes, List *view_deltas)
{
	List *deltas = NIL;
	ListCell *lc;

	foreach (lc, view->plan->bases)
	{
		Oid relid = lfirst_oid(lc);
		bool with_descendants = !list_member_oid(view->plan->only_bases, relid);
		Delta *delta = capture::delta_of(relid, changes_seen(view, relid, changes),
										 with_descendants);
		ListCell *ld;

		if (delta)
			deltas = lappend(deltas, delta);
		foreach (ld, view_deltas)
			if (((Delta *) lfirst(ld))->relid == relid)
				deltas = lappend(deltas, lfirst(ld));
	}
	return deltas;
}

namespace
{

/* A view and its log, open for writing. */
struct OpenView
{
	const ViewRuntime *view;
	MemoryContext context; /* of what is open */
	Publish publish;
	state::Writer *writer; /* null: not open yet */
	LogState log;
	int64 nrows; /* changed so far */
};

OpenView
prepare_view(const ViewRuntime *view, Publish publish)
{
	OpenView open = {view, CurrentMemoryContext, publish, nullptr, {}, 0};

	return open;
}

void
open_view(OpenView *open)
{
	if (open->writer)
		return;

	MemoryContext old = MemoryContextSwitchTo(open->context);
	open->writer = state::open_writer(open->view->writer);
	open->log.enabled = open->publish == Publish::kYes && OidIsValid(open->view->info.log);
	if (open->log.enabled)
		open->log.writer.open(open->view->log);
	MemoryContextSwitchTo(old);
}

void
close_view(OpenView *open)
{
	if (!open->writer)
		return;
	if (open->log.enabled)
		open->log.writer.close();
	state::close_writer(open->writer);
}

void
apply_rows(OpenView *open, ZSet *delta)
{
	bool loosely = open->publish == Publish::kNo &&
				   open->view->plan->strategy == Strategy::kAggregate;

	if (capture::zset_is_empty(delta))
		return;
	open_view(open);
	open->nrows += state::apply(open->writer, delta,
								loosely ? state::Packing::kHalf : state::Packing::kFull, log_change,
								&open->log);
}

/*
 * Groups are complete one after the other. Where each has a row of its own in
 * the view, and that is all that must be unique, they need not wait for others.
 */
void
take_rows(void *arg, ZSet *delta)
{
	OpenView *open = static_cast<OpenView *>(arg);

	open_view(open);
	if (!state::is_keyed(open->writer) || open->writer->other_unique)
	{
		delta->take = nullptr;
		return;
	}

	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tailwater rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	apply_rows(open, delta);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	capture::clear_zset(delta);
}

/* REFRESH would fail, too; what a view shows beyond that would be more than its owner may see. */
void
check_rights(const ViewRuntime *view)
{
	Oid table = view->rights.denied;

	if (!OidIsValid(table))
		return;

	Oid shown = view->info.view;
	catalog::InnerRelation inner;
	if (catalog::find_inner_relation(shown, &inner))
		shown = inner.view;
	char *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(shown)),
											get_rel_name(shown));

	ereport(
		ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		errmsg("permission denied for relation %s", get_rel_name(table)),
		errdetail(
			"Materialized view %s is kept up to date as its owner, who may not read the relation.",
			name),
		errhint("Grant the owner SELECT on it, or use SELECT tailwater.release('%s').", name));
}

} // namespace

Delta *
maintain_view(const ViewRuntime *view, List *deltas, MemoryContext context, Keep keep)
{
	check_rights(view);
	Environment environment = enter_environment(view->plan->owner, view->plan->needs_environment
																	   ? Settings::kPinned
																	   : Settings::kAsTheyAre);

	UpdateActiveSnapshotCommandId();
	if (guard_keys(view, deltas) == Guarded::kSomething)
		exec::renew_snapshot();
	check_isolation(view, deltas);

	ZSet *out = make_view_delta(view, context);
	OpenView open = prepare_view(view, Publish::kYes);
	if (keep == Keep::kNothing)
	{
		out->take = take_rows;
		out->take_arg = &open;
	}
	compute_delta(view, deltas, out);
	apply_rows(&open, out);
	close_view(&open);
	CommandCounterIncrement();
	leave_environment(&environment);

	Delta *delta = (Delta *) MemoryContextAllocZero(context, sizeof(Delta));
	delta->relid = view->info.view;
	delta->desc = view->desc;
	delta->set = out;
	return delta;
}

ZSet *
make_view_delta(const ViewRuntime *view, MemoryContext context)
{
	return capture::make_large_zset(view->desc, context, view->plan->nkey, view->plan->key);
}

int64
apply_to_view(const ViewRuntime *view, ZSet *delta, Publish publish)
{
	OpenView open = prepare_view(view, publish);

	apply_rows(&open, delta);
	close_view(&open);
	return open.nrows;
}

namespace
{

/*
 * Of rows that tie at a limit the query shows those that it meets first. So it may
 * show others when rows have only moved in their table, and no row that the view
 * reads has changed.
 */
bool
depends_on_places(const ViewRuntime *view)
{
	return view->top_k && view->plan->may_tie;
}

/*
 * The runtime of a view that is going to be written, with the lock for it: indexes
 * that it knows are not replaced from here on (REINDEX CONCURRENTLY). Null if the view
 * is gone meanwhile.
 */
const ViewRuntime *
lock_to_write(const ViewRuntime *view)
{
	const ViewRuntime *locked;
	ListCell *lc;

	do
	{
		locked = view;
		LockRelationOid(view->info.view, RowExclusiveLock);
		if (OidIsValid(view->state))
			LockRelationOid(view->state, RowExclusiveLock);
		foreach (lc, view->part_states)
			LockRelationOid(lfirst_oid(lc), RowExclusiveLock);
		view = get_runtime(locked->info.view);
	} while (view && view != locked);
	return view;
}

} // namespace

void
run_batch(List *changes)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tailwater maintenance",
												  ALLOCSET_DEFAULT_SIZES);
	/* Of one view; of its delta, until that is known to be of use. */
	MemoryContext working = AllocSetContextCreate(context, "tailwater view",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	List *relids = NIL;
	List *view_deltas = NIL;
	bool begun = false;
	ListCell *lc;

	foreach (lc, changes)
		relids = list_append_unique_oid(relids, ((capture::Change *) lfirst(lc))->relid);
	foreach (lc, affected_views(relids))
	{
		const ViewRuntime *view = get_runtime(lfirst_oid(lc));
		List *deltas = view ? input_deltas(view, changes, view_deltas) : NIL;

		if (!view || (deltas == NIL && !depends_on_places(view)))
			continue;
		const ViewRuntime *known = view;
		view = lock_to_write(known);
		if (!view)
			continue;
		if (view != known)
			deltas = input_deltas(view, changes, view_deltas);
		/* All views share a snapshot; one that must wait replaces it by a newer one. */
		if (!begun)
		{
			CommandCounterIncrement();
			PushCopiedSnapshot(exec::maintenance_snapshot());
			begun = true;
		}

		bool is_input = views_of_base(view->info.view) != NIL ||
						recordings_of_base(view->info.view) != NIL;
		MemoryContextSwitchTo(working);
		Delta *delta = is_input ? maintain_view(view, deltas, context, Keep::kDelta)
								: maintain_view(view, deltas, working, Keep::kNothing);
		MemoryContextSwitchTo(context);
		if (is_input && !capture::zset_is_empty(delta->set))
			view_deltas = lappend(view_deltas, delta);
		else
			capture::end_zset(delta->set);
		MemoryContextReset(working);
	}
	record_changes(relids, changes, view_deltas);
	foreach (lc, view_deltas)
		capture::end_zset(((Delta *) lfirst(lc))->set);
	if (begun)
		PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

} // namespace tw::maintain
