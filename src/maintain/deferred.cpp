/*
 * deferred.cpp - brings the deferred views from one snapshot to the next.
 *
 * Runs in the maintainer, in one transaction, after the changes were read from
 * the log (decode/). All deferred views move together: the new state of every
 * table is what the batch's snapshot sees, whatever was committed since. The
 * circuits are those of immediate mode. No guards are needed, since nobody else
 * writes these views.
 *
 * An immediate view over a deferred one follows in the same transaction, as if
 * the maintainer were an ordinary writer of its input: under the guards, and
 * under a snapshot of what is committed then. These come last, so that a
 * deferred view that reads an immediate one finds it as the batch's snapshot
 * sees it; it learns from the log, in the next batch, what this one did to it.
 */
#include "maintain/deferred.hpp"
#include "maintain/batch.hpp"
#include "maintain/guard.hpp"
#include "maintain/record.hpp"
#include "maintain/reach.hpp"
#include "maintain/session.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/view_list.hpp"
#include "capture/statement.hpp"
#include "decode/frontier.hpp"

namespace tw::maintain
{

using capture::Change;
using capture::Delta;
using catalog::Mode;

namespace
{

/* All tables that tailwater_internal.base names for the view, live views among them. */
List *
inputs_of(Oid view)
{
	return catalog::read_internal("base", 2, view, 1);
}

bool
is_live(Oid relation, Mode mode)
{
	catalog::LiveView live;

	return catalog::is_maintained(relation) && catalog::find_live_view(relation, &live) &&
		   live.mode == mode;
}

/*
 * Locks the views, which are written, and their inputs, which are read, without
 * waiting. Returns the first relation that is not to be had, if there is one.
 */
BusyRelation
try_lock_views(List *views)
{
	List *inputs = NIL;
	ListCell *lc;

	foreach (lc, views)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), RowExclusiveLock))
			return {lfirst_oid(lc), RowExclusiveLock};
		inputs = list_concat_unique_oid(inputs, inputs_of(lfirst_oid(lc)));
	}
	foreach (lc, inputs)
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
			return {lfirst_oid(lc), AccessShareLock};
	return {InvalidOid, NoLock};
}

List *
relevant_relations(List *views)
{
	List *relevant = NIL;
	ListCell *lc;

	foreach (lc, views)
	{
		ListCell *li;

		foreach (li, inputs_of(lfirst_oid(lc)))
			if (!list_member_oid(relevant, lfirst_oid(li)) &&
				!is_live(lfirst_oid(li), Mode::kDeferred))
				relevant = lappend_oid(relevant, lfirst_oid(li));
	}
	return relevant;
}

List *
wanted_views(List *without)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, deferred_views())
		if (!list_member_oid(without, catalog::view_of(lfirst_oid(lc))))
			views = lappend_oid(views, lfirst_oid(lc));
	list_sort(views, list_oid_cmp);
	return views;
}

int
compare_levels(const ListCell *a, const ListCell *b)
{
	int levels = get_runtime(lfirst_oid(a))->level - get_runtime(lfirst_oid(b))->level;

	return levels != 0 ? levels : list_oid_cmp(a, b);
}

/* In the order in which views read each other. */
List *
by_level(List *views)
{
	List *sorted = NIL;
	ListCell *lc;

	foreach (lc, views)
		if (get_runtime(lfirst_oid(lc)))
			sorted = lappend_oid(sorted, lfirst_oid(lc));
	list_sort(sorted, compare_levels);
	return sorted;
}

/* A delta that makes who reads it compute everything anew. */
List *
reset_delta(const ViewRuntime *view)
{
	Delta *delta = (Delta *) palloc0(sizeof(Delta));

	delta->relid = view->plan->bases == NIL ? InvalidOid : linitial_oid(view->plan->bases);
	delta->desc = view->desc;
	delta->reset = true;
	return list_make1(delta);
}

/* Rows whose format is not today's cannot be used: their relation counts as changed beyond rows. */
void
check_formats(List *changes)
{
	ListCell *lc;

	foreach (lc, changes)
	{
		Change *change = (Change *) lfirst(lc);
		Relation rel = try_relation_open(change->relid, AccessShareLock);

		if (!rel)
			continue;
		if (!equalTupleDescs(change->desc, RelationGetDescr(rel)))
			change->truncated = true;
		relation_close(rel, NoLock);
	}
}

List *
run_deferred(DeferredBatch *batch)
{
	List *view_deltas = NIL;
	ListCell *lc;

	check_formats(batch->changes);
	exec::fix_snapshot(batch->snapshot, batch->before);
	foreach (lc, by_level(batch->what.views))
	{
		Oid oid = lfirst_oid(lc);
		const ViewRuntime *view = get_runtime(oid);
		List *deltas;

		batch->current = catalog::view_of(oid);
		if (!view)
			continue;
		if (list_member_oid(batch->what.rebuild, oid))
			deltas = reset_delta(view);
		else
			deltas = input_deltas(view, batch->changes, view_deltas);
		if (deltas == NIL)
			continue;
		PushCopiedSnapshot(batch->snapshot);
		Delta *delta = maintain_view(view, deltas, CurrentMemoryContext, Keep::kDelta);
		PopActiveSnapshot();
		if (!capture::zset_is_empty(delta->set))
			view_deltas = lappend(view_deltas, delta);
		else
			capture::end_zset(delta->set);
	}
	exec::fix_snapshot(nullptr);
	return view_deltas;
}

/* The inputs of the view that are among the changed views. */
List *
changed_inputs(const ViewRuntime *view, List *view_deltas)
{
	List *changed = NIL;
	ListCell *lc;

	foreach (lc, view_deltas)
		if (list_member_oid(view->plan->bases, ((Delta *) lfirst(lc))->relid))
			changed = lappend_oid(changed, ((Delta *) lfirst(lc))->relid);
	return changed;
}

/* Returns the deltas of all views, those it was given first. */
List *
run_immediate(DeferredBatch *batch, List *view_deltas)
{
	List *changed = NIL;
	ListCell *lc;

	foreach (lc, view_deltas)
		changed = lappend_oid(changed, ((Delta *) lfirst(lc))->relid);
	foreach (lc, affected_views(changed))
	{
		Oid oid = lfirst_oid(lc);
		const ViewRuntime *view = get_runtime(oid);
		List *written = view ? changed_inputs(view, view_deltas) : NIL;

		if (written == NIL)
			continue;
		batch->current = catalog::view_of(oid);
		guard_write(view, written);
		view = get_runtime(oid);
		if (!view)
			continue;
		PushCopiedSnapshot(exec::maintenance_snapshot());
		Delta *delta = maintain_view(view, input_deltas(view, NIL, view_deltas),
									 CurrentMemoryContext, Keep::kDelta);
		PopActiveSnapshot();
		if (capture::zset_is_empty(delta->set))
			continue;
		view_deltas = lappend(view_deltas, delta);
		batch->feeds_itself |= list_member_oid(batch->what.relevant, oid);
	}
	return view_deltas;
}

} // namespace

List *
deferred_views()
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, catalog::attached_views())
		if (is_live(lfirst_oid(lc), Mode::kDeferred))
		{
			views = list_concat(views, catalog::inner_relations(lfirst_oid(lc)));
			views = lappend_oid(views, lfirst_oid(lc));
		}
	return views;
}

BusyRelation
try_lock_deferred_views(List *without, DeferredViews *what)
{
	*what = {};
	/* Views may have come and gone before they were locked. */
	for (;;)
	{
		what->views = wanted_views(without);

		BusyRelation busy = try_lock_views(what->views);
		if (OidIsValid(busy.relation))
			return busy;
		if (equal(what->views, wanted_views(without)))
			break;
	}
	/* A view is computed as a whole with its inner relations. */
	List *marked = decode::marked_views();
	ListCell *lc;
	foreach (lc, what->views)
		if (list_member_oid(marked, catalog::view_of(lfirst_oid(lc))))
			what->rebuild = lappend_oid(what->rebuild, lfirst_oid(lc));
	what->relevant = relevant_relations(what->views);
	return {InvalidOid, NoLock};
}

void
run_deferred_batch(DeferredBatch *batch)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "tailwater deferred maintenance",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	ListCell *lc;

	List *view_deltas = run_immediate(batch, run_deferred(batch));
	/* Views that are being built over these learn of the batch. */
	record_changes(NIL, NIL, view_deltas);
	foreach (lc, view_deltas)
		capture::end_zset(((Delta *) lfirst(lc))->set);
	batch->current = InvalidOid;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

List *
deferred_below(Oid view)
{
	List *found = NIL;
	List *pending = list_make1_oid(view);
	ListCell *lc;

	/* The list grows while it is read. */
	foreach (lc, pending)
	{
		if (is_live(lfirst_oid(lc), Mode::kDeferred))
			found = list_append_unique_oid(found, catalog::view_of(lfirst_oid(lc)));
		else
			pending = list_concat_unique_oid(pending, inputs_of(lfirst_oid(lc)));
	}
	return found;
}

/* Looks at the lists alone: there is no snapshot yet with which an immediate view could be analyzed. */
bool
deferred_views_feed_themselves()
{
	List *pending = deferred_views();
	ListCell *lc;

	/* The list grows, by the immediate views above, while it is read. */
	foreach (lc, pending)
	{
		bool immediate = is_live(lfirst_oid(lc), Mode::kImmediate);
		ListCell *lv;

		foreach (lv, views_of_base(lfirst_oid(lc)))
			if (is_live(lfirst_oid(lv), Mode::kImmediate))
				pending = list_append_unique_oid(pending, lfirst_oid(lv));
			else if (immediate && is_live(lfirst_oid(lv), Mode::kDeferred))
				return true;
	}
	return false;
}

void
check_decoding()
{
	if (wal_level < WAL_LEVEL_LOGICAL)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("deferred maintenance requires wal_level = logical"),
				errhint("Set wal_level = logical and restart the server, or use "
						"tailwater.maintain = immediate."));
	if (max_replication_slots == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("deferred maintenance requires a replication slot"),
				errhint("Increase max_replication_slots and restart the server."));
}

} // namespace tw::maintain
