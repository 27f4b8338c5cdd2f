/*
 * reach.cpp - which views a change of a relation reaches, and which locks its writers take.
 *
 * Both follow from the definitions alone, so they are remembered for each
 * relation that was written, in a memory context of the entry, together with
 * the knowledge_version() they were computed under: as soon as the session
 * hears of a change to a view, a base table or a function, the next statement
 * computes them anew. A reader of an entry may cause a nested statement to
 * replace it; callers get copies.
 */
#include "maintain/reach.hpp"
#include "maintain/guard.hpp"
#include "catalog/inner_relation.hpp"
#include "capture/statement.hpp"

namespace tw::maintain
{

namespace
{

struct Guard
{
	Oid view;
	List *written; /* bases of the view */
};

/* How a change of the relation gets to a view. */
struct Reading
{
	Oid view;
	bool always;     /* whatever the change is */
	Bitmapset *used; /* columns of the relation that the view reads itself */
	List *views;     /* views it reads that a change of the relation may reach */
};

struct Reach
{
	Oid relid; /* hash key */
	bool valid;
	uint64 known_as_of;
	MemoryContext context;
	List *views;
	List *guards;   /* Guard */
	List *readings; /* Reading, by view */
};

HTAB *reaches = nullptr;
long reaches_kept = 0; /* see forget_dropped() */

/* Adds a view to the list, which is in order of level; equal levels in order of OID. */
List *
add_view(List *views, const ViewRuntime *runtime)
{
	Oid view = runtime->info.view;
	List *result = NIL;
	bool placed = false;
	ListCell *lc;

	if (list_member_oid(views, view))
		return views;

	int level = runtime->level;
	foreach (lc, views)
	{
		Oid other = lfirst_oid(lc);
		int other_level = get_runtime(other)->level;

		if (!placed && (level < other_level || (level == other_level && view < other)))
		{
			result = lappend_oid(result, view);
			placed = true;
		}
		result = lappend_oid(result, other);
	}
	return placed ? result : lappend_oid(result, view);
}

/*
 * Immediate views and inner relations that read the relations, directly or through
 * others, nearest first. Deferred views, and what is above them, follow in the
 * maintainer. No definition is looked at: nothing may keep it from being altered at
 * the same time.
 */
List *
find_readers(List *relids)
{
	List *pending = list_copy(relids);
	List *readers = NIL;
	ListCell *lc;

	/* The list grows while it is read. */
	foreach (lc, pending)
	{
		ListCell *lv;

		foreach (lv, views_of_base(lfirst_oid(lc)))
		{
			if (!is_immediate(lfirst_oid(lv)))
				continue;
			readers = list_append_unique_oid(readers, lfirst_oid(lv));
			pending = list_append_unique_oid(pending, lfirst_oid(lv));
		}
	}
	return readers;
}

List *
find_views(List *relids)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, find_readers(relids))
	{
		const ViewRuntime *runtime = get_runtime(lfirst_oid(lc));

		if (runtime)
			views = add_view(views, runtime);
	}
	return views;
}

/* True if a change of one of the relations may be one of the base, by partitioning or inheritance. */
bool
reaches_base(List *relids, Oid base)
{
	ListCell *lc;

	if (list_member_oid(relids, base))
		return true;
	if (get_rel_relkind(base) == RELKIND_MATVIEW)
		return false;
	foreach (lc, relids)
		if (capture::is_descendant(lfirst_oid(lc), base) ||
			capture::is_descendant(base, lfirst_oid(lc)) ||
			capture::share_descendant(base, lfirst_oid(lc)))
			return true;
	return false;
}

/* The guards for a statement that writes these relations, which reach the views. */
List *
find_guards(List *relids, List *views)
{
	List *guards = NIL;
	ListCell *lc;

	foreach (lc, views)
	{
		const ViewRuntime *view = get_runtime(lfirst_oid(lc));
		List *written = NIL;
		ListCell *lb;

		if (!view || !needs_guard(view))
			continue;
		foreach (lb, view->plan->bases)
			if (list_member_oid(views, lfirst_oid(lb)) || reaches_base(relids, lfirst_oid(lb)))
				written = lappend_oid(written, lfirst_oid(lb));

		Guard *guard = (Guard *) palloc(sizeof(Guard));
		guard->view = lfirst_oid(lc);
		guard->written = written;
		guards = lappend(guards, guard);
	}
	return guards;
}

List *
find_readings(Oid relid, List *views)
{
	List *relids = list_make1_oid(relid);
	List *readings = NIL;
	ListCell *lc;

	foreach (lc, views)
	{
		const ViewRuntime *view = get_runtime(lfirst_oid(lc));
		Reading *reading = (Reading *) palloc0(sizeof(Reading));
		ListCell *lb;

		reading->view = lfirst_oid(lc);
		reading->always = !view || view->plan->may_tie;
		readings = lappend(readings, reading);
		if (!view)
			continue;
		reading->used = analyze::columns_read(view->plan->query, relid);
		foreach (lb, view->plan->bases)
		{
			if (list_member_oid(views, lfirst_oid(lb)))
				reading->views = lappend_oid(reading->views, lfirst_oid(lb));
			else if (lfirst_oid(lb) != relid)
				reading->always |= reaches_base(relids, lfirst_oid(lb));
		}
	}
	return readings;
}

bool
reads_any(const Reading *reading, const List *views)
{
	ListCell *lc;

	foreach (lc, reading->views)
		if (list_member_oid(views, lfirst_oid(lc)))
			return true;
	return false;
}

/* The views that an UPDATE of these columns may change. */
List *
views_reached(List *readings, const Bitmapset *columns)
{
	List *reached = NIL;
	ListCell *lc;

	foreach (lc, readings)
	{
		const Reading *reading = (const Reading *) lfirst(lc);
		bool whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, reading->used);

		if (reading->always || whole_row || bms_overlap(reading->used, columns) ||
			reads_any(reading, reached))
			reached = lappend_oid(reached, reading->view);
	}
	return reached;
}

/*
 * Those guards whose views are among these, or all of them. Waiting for a lock may bring news that
 * replace an entry: take the guards from a copy.
 */
List *
copy_guards(List *guards, const List *views)
{
	List *copy = NIL;
	ListCell *lc;

	foreach (lc, guards)
	{
		const Guard *guard = (const Guard *) lfirst(lc);

		if (views && !list_member_oid(views, guard->view))
			continue;

		Guard *own = (Guard *) palloc(sizeof(Guard));

		own->view = guard->view;
		own->written = list_copy(guard->written);
		copy = lappend(copy, own);
	}
	return copy;
}

void
release(void *entry)
{
	if (static_cast<Reach *>(entry)->context)
		MemoryContextDelete(static_cast<Reach *>(entry)->context);
}

Reach *
find_reach(Oid relid)
{
	if (!reaches)
	{
		HASHCTL ctl = {};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(Reach);
		ctl.hcxt = CacheMemoryContext;
		reaches = hash_create("tailwater reach", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}

	bool found;
	Reach *entry = (Reach *) hash_search(reaches, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->context = nullptr;
		entry->valid = false;
	}
	if (entry->valid && entry->known_as_of == knowledge_version())
		return entry;
	forget_dropped(reaches, &reaches_kept, release);

	/* Made beside the entry, which an error or a nested statement must not find half done. */
	Reach fresh = {relid, true, knowledge_version(), nullptr, NIL, NIL, NIL};
	fresh.context = AllocSetContextCreate(CurrentMemoryContext, "tailwater reach",
										  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(fresh.context);
	fresh.views = find_views(list_make1_oid(relid));
	fresh.guards = find_guards(list_make1_oid(relid), fresh.views);
	if (fresh.guards != NIL)
		fresh.readings = find_readings(relid, fresh.views);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(fresh.context, CacheMemoryContext);

	entry = (Reach *) hash_search(reaches, &relid, HASH_ENTER, &found);
	if (found && entry->context)
		MemoryContextDelete(entry->context);
	*entry = fresh;
	return entry;
}

} // namespace

List *
affected_views(List *relids)
{
	if (list_length(relids) == 1)
		return list_copy(find_reach(linitial_oid(relids))->views);
	return find_views(relids);
}

List *
views_above(List *relids)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, find_readers(relids))
		views = list_append_unique_oid(views, catalog::view_of(lfirst_oid(lc)));
	return views;
}

namespace
{

void
take_guards(List *guards)
{
	ListCell *lc;

	/* Tables first, see guard.cpp. */
	foreach (lc, guards)
	{
		const ViewRuntime *view = get_runtime(((const Guard *) lfirst(lc))->view);

		if (view)
			lock_inputs(view);
	}
	foreach (lc, guards)
	{
		const Guard *guard = (const Guard *) lfirst(lc);
		const ViewRuntime *view = get_runtime(guard->view);

		if (view)
			guard_write(view, guard->written);
	}
}

} // namespace

void
guard_views(List *relids)
{
	take_guards(list_length(relids) == 1
					? copy_guards(find_reach(linitial_oid(relids))->guards, NIL)
					: find_guards(relids, find_views(relids)));
}

void
guard_views(Oid relid, const Bitmapset *columns)
{
	const Reach *reach = find_reach(relid);
	List *views = reach->guards == NIL ? NIL : views_reached(reach->readings, columns);

	if (views != NIL)
		take_guards(copy_guards(reach->guards, views));
}

} // namespace tw::maintain
