/*
 * session.cpp - what a session remembers about live views.
 *
 * Two caches, both filled on demand: for a base table the views that read it,
 * and for a view its analyzed query with compiled expressions and plans. The
 * relation cache tells when a table, an index or statistics change; whoever
 * attaches or detaches a view sends such a message for the view and its base
 * tables. A stale runtime is only marked: it may be in use. It is replaced when
 * it is next asked for, and goes at the end of the transaction.
 */
#include "maintain/session.hpp"
#include "maintain/environment.hpp"
#include "catalog/inner_relation.hpp"
#include "capture/statement.hpp"

namespace tw::maintain
{

namespace
{

struct BaseEntry
{
	Oid relid; /* hash key */
	bool valid;
	List *views;      /* in CacheMemoryContext */
	List *recordings; /* Recording, the same */
};

struct RuntimeEntry
{
	Oid view; /* hash key */
	ViewRuntime *runtime;
};

HTAB *bases = nullptr;
HTAB *runtimes = nullptr;
uint64 news = 0;    /* counts messages, to notice those that come while a runtime is built */
uint64 version = 0; /* counts those that concerned something remembered */

HTAB *
make_cache(const char *name, Size entry)
{
	HASHCTL ctl = {};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = entry;
	ctl.hcxt = CacheMemoryContext;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
relation_changed(Datum unused, Oid relid)
{
	HASH_SEQ_STATUS seq;

	news++;
	if (bases)
	{
		BaseEntry *entry;

		hash_seq_init(&seq, bases);
		while ((entry = (BaseEntry *) hash_seq_search(&seq)) != nullptr)
			if (!OidIsValid(relid) || entry->relid == relid)
			{
				entry->valid = false;
				version++;
			}
	}
	if (runtimes)
	{
		RuntimeEntry *entry;

		hash_seq_init(&seq, runtimes);
		while ((entry = (RuntimeEntry *) hash_seq_search(&seq)) != nullptr)
			if (entry->runtime &&
				(!OidIsValid(relid) || entry->view == relid || entry->runtime->state == relid ||
				 list_member_oid(entry->runtime->part_states, relid) ||
				 entry->runtime->info.log == relid ||
				 list_member_oid(entry->runtime->tables, relid)))
			{
				entry->runtime->stale = true;
				version++;
			}
	}
}

void
function_changed(Datum unused, int cache, uint32 hash)
{
	HASH_SEQ_STATUS seq;
	RuntimeEntry *entry;

	news++;
	if (!runtimes)
		return;
	hash_seq_init(&seq, runtimes);
	while ((entry = (RuntimeEntry *) hash_seq_search(&seq)) != nullptr)
		if (entry->runtime && entry->runtime->plan->needs_environment)
		{
			entry->runtime->stale = true;
			version++;
		}
}

List *
read_views_of_base(Oid relid)
{
	Oid table = catalog::internal_relation("base");
	List *views = NIL;

	if (!OidIsValid(table))
		return NIL;

	Relation rel = table_open(table, AccessShareLock);
	ScanKeyData key;
	HeapTuple tup;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(rel, catalog::internal_relation("base_pkey"), true,
										  nullptr, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool isnull;

		views = lappend_oid(views,
							DatumGetObjectId(heap_getattr(tup, 2, RelationGetDescr(rel), &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return views;
}

List *
read_recordings(AttrNumber column, const char *index, Oid oid)
{
	Oid table = catalog::internal_relation("recording");
	List *found = NIL;

	if (!OidIsValid(table))
		return NIL;

	Relation rel = table_open(table, AccessShareLock);
	ScanKeyData key;
	HeapTuple tup;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	SysScanDesc scan = systable_beginscan(rel, catalog::internal_relation(index), true, nullptr, 1,
										  &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Recording *recording = (Recording *) palloc(sizeof(Recording));
		TupleDesc desc = RelationGetDescr(rel);
		bool isnull;

		recording->base = DatumGetObjectId(heap_getattr(tup, 1, desc, &isnull));
		recording->view = DatumGetObjectId(heap_getattr(tup, 2, desc, &isnull));
		recording->changes = DatumGetObjectId(heap_getattr(tup, 3, desc, &isnull));
		recording->alone = DatumGetBool(heap_getattr(tup, 4, desc, &isnull));
		recording->broken = DatumGetBool(heap_getattr(tup, 5, desc, &isnull));
		found = lappend(found, recording);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The inputs of all views being built among whose tables the relation is. */
List *
read_reached_recordings(Oid relid)
{
	List *reached = NIL;
	ListCell *lc;

	foreach (lc, read_recordings(1, "recording_pkey", relid))
		reached = list_concat(reached, recordings_of_view(((Recording *) lfirst(lc))->view));
	return reached;
}

List *
copy_recordings(List *recordings)
{
	List *copy = NIL;
	ListCell *lc;

	foreach (lc, recordings)
	{
		Recording *own = (Recording *) palloc(sizeof(Recording));

		*own = *(Recording *) lfirst(lc);
		copy = lappend(copy, own);
	}
	return copy;
}

Oid
read_state_table(Oid view, int32 number)
{
	Oid table = catalog::internal_relation("state");
	Relation rel = table_open(table, AccessShareLock);
	ScanKeyData keys[2];
	Oid state = InvalidOid;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(view));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number));
	SysScanDesc scan = systable_beginscan(rel, catalog::internal_relation("state_pkey"), true,
										  nullptr, 2, keys);
	HeapTuple tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
	{
		bool isnull;

		state = DatumGetObjectId(heap_getattr(tup, 3, RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return state;
}

Oid
only_index(Oid table)
{
	Relation rel = table_open(table, AccessShareLock);
	List *indexes = RelationGetIndexList(rel);
	Oid index = indexes == NIL ? InvalidOid : linitial_oid(indexes);

	table_close(rel, NoLock);
	return index;
}

int
level_of(const analyze::ViewPlan *plan)
{
	int level = 0;
	ListCell *lc;

	foreach (lc, plan->bases)
	{
		if (!catalog::is_maintained(lfirst_oid(lc)))
			continue;
		const ViewRuntime *input = get_runtime(lfirst_oid(lc));
		if (input)
			level = Max(level, input->level + 1);
	}
	return level;
}

/* The bases with their partitions and children, in whose indexes and columns plans may rely. */
List *
tables_of(const analyze::ViewPlan *plan)
{
	List *tables = NIL;
	ListCell *lc;

	foreach (lc, plan->bases)
		tables = list_concat_unique_oid(tables,
										list_member_oid(plan->only_bases, lfirst_oid(lc))
											? list_make1_oid(lfirst_oid(lc))
											: find_all_inheritors(lfirst_oid(lc), NoLock, nullptr));
	return tables;
}

void
add_distinct_operators(ViewRuntime *runtime)
{
	for (int i = 0; i < runtime->plan->ndistinct; i++)
	{
		const analyze::ViewPlan *part = runtime->plan->distinct[i].plan;
		Oid state = read_state_table(runtime->info.view, i + 1);

		runtime->part_states = lappend_oid(runtime->part_states, state);
		state::set_distinct_operator(runtime->aggregate, i,
									 state::make_aggregate_operator(part, state, only_index(state),
																	ExecTypeFromTL(part->finalize),
																	&runtime->stale));
	}
}

} // namespace

ViewRuntime *
build_runtime(const catalog::LiveView *info)
{
	Relation rel = table_open(info->view, AccessShareLock);
	catalog::InnerRelation inner;
	Relation owned = table_open(catalog::find_inner_relation(info->view, &inner) ? inner.view
																				 : info->view,
								AccessShareLock);
	Environment environment = enter_environment(owned->rd_rel->relowner, Settings::kPinned);
	analyze::ViewPlan *plan = analyze::analyze_view(info->view, CurrentMemoryContext);
	MemoryContext old = MemoryContextSwitchTo(plan->context);
	ViewRuntime *runtime = (ViewRuntime *) palloc0(sizeof(ViewRuntime));

	runtime->info = *info;
	runtime->plan = plan;
	runtime->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	runtime->level = level_of(plan);
	runtime->tables = tables_of(plan);
	runtime->writer = state::make_writer_cache(info->view, info->key_index, plan->context,
											   &runtime->stale);
	if (OidIsValid(info->log))
		runtime->log = feed::make_log_cache(info->log, plan->context, &runtime->stale);
	if (plan->input)
		runtime->input = exec::make_stream(plan->input, plan->context, &runtime->stale);
	runtime->whole = exec::make_cached_query((Query *) copyObject(plan->query), plan->context,
											 &runtime->stale);
	runtime->ties = make_tie_queries(plan, plan->context, &runtime->stale);
	if (plan->strategy == analyze::Strategy::kAggregate)
	{
		runtime->state = read_state_table(info->view, 0);
		runtime->aggregate = state::make_aggregate_operator(plan, runtime->state,
															only_index(runtime->state),
															runtime->desc, &runtime->stale);
		add_distinct_operators(runtime);
	}
	if (plan->strategy == analyze::Strategy::kRecursive)
		runtime->recursion = state::make_recursion_operator(plan, runtime->writer, runtime->desc,
															&runtime->stale);
	if (plan->strategy == analyze::Strategy::kKeyed ||
		plan->strategy == analyze::Strategy::kRecompute)
		runtime->keyed = exec::make_keyed_operator(plan, runtime->desc, &runtime->stale);
	else if (plan->keyed_input)
		runtime->keyed = exec::make_keyed_operator(plan->keyed_input,
												   ExecTypeFromTL(
													   plan->keyed_input->query->targetList),
												   &runtime->stale);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(plan->context, CacheMemoryContext);
	leave_environment(&environment);
	table_close(owned, NoLock);
	table_close(rel, NoLock);
	return runtime;
}

ViewRuntime *
get_runtime(Oid view)
{
	if (!runtimes)
		runtimes = make_cache("tailwater views", sizeof(RuntimeEntry));

	bool found;
	RuntimeEntry *entry = (RuntimeEntry *) hash_search(runtimes, &view, HASH_ENTER, &found);
	if (!found)
		entry->runtime = nullptr;
	if (entry->runtime && !entry->runtime->stale)
		return entry->runtime;

	catalog::LiveView info;
	ViewRuntime *old = entry->runtime;
	entry->runtime = nullptr;
	/* A batch under way may still use it. */
	if (old)
		MemoryContextSetParent(old->plan->context, TopTransactionContext);

	uint64 known = news;
	if (!catalog::find_live_view(view, &info))
		return nullptr;

	ViewRuntime *runtime = build_runtime(&info);
	runtime->stale = news != known;
	entry = (RuntimeEntry *) hash_search(runtimes, &view, HASH_ENTER, &found);
	entry->runtime = runtime;
	return runtime;
}

namespace
{

BaseEntry *
get_base(Oid relid)
{
	if (!bases)
		bases = make_cache("tailwater base tables", sizeof(BaseEntry));

	bool found;
	BaseEntry *entry = (BaseEntry *) hash_search(bases, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->views = NIL;
		entry->recordings = NIL;
	}
	if (entry->valid)
		return entry;

	List *views = read_views_of_base(relid);
	List *recordings = read_reached_recordings(relid);
	MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);
	list_free(entry->views);
	list_free_deep(entry->recordings);
	entry->views = list_copy(views);
	entry->recordings = copy_recordings(recordings);
	entry->valid = true;
	MemoryContextSwitchTo(old);
	return entry;
}

} // namespace

List *
views_of_base(Oid relid)
{
	return get_base(relid)->views;
}

List *
recordings_of_base(Oid relid)
{
	return get_base(relid)->recordings;
}

List *
recordings_of_view(Oid view)
{
	List *inputs = NIL;
	ListCell *lc;

	foreach (lc, read_recordings(2, "recording_view", view))
		if (OidIsValid(((Recording *) lfirst(lc))->changes))
			inputs = lappend(inputs, lfirst(lc));
	return inputs;
}

uint64
knowledge_version()
{
	return version;
}

void
invalidate(Oid relid)
{
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
}

void
init_session()
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
}

} // namespace tw::maintain
