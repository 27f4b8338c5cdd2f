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
#include "catalog/internal_table.hpp"
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
long runtimes_kept = 0; /* see forget_dropped() */
uint64 news = 0;        /* counts messages, to notice those that come while a runtime is built */
uint64 version = 0;     /* counts those that concerned something remembered */

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
				 list_member_oid(entry->runtime->tables, relid) ||
				 list_member_oid(entry->runtime->rights.relations, relid)))
			{
				entry->runtime->stale = true;
				version++;
			}
	}
}

/* Owners may have gained or lost rights by their roles. */
void
roles_changed(Datum unused, int cache, uint32 hash)
{
	relation_changed(unused, InvalidOid);
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

/* What is recorded of the tables, or for the views, whose OID the column holds. */
List *
read_recordings(AttrNumber column, Oid oid)
{
	catalog::InternalRows rows;
	List *found = NIL;

	rows.find("recording", column, oid, AccessShareLock);
	while (rows.next())
	{
		Recording *recording = (Recording *) palloc(sizeof(Recording));

		recording->base = rows.oid(1);
		recording->view = rows.oid(2);
		recording->changes = rows.oid(3);
		recording->alone = DatumGetBool(rows.value(4));
		recording->broken = DatumGetBool(rows.value(5));
		found = lappend(found, recording);
	}
	rows.close();
	return found;
}

/* The inputs of all views being built among whose tables the relation is. */
List *
read_reached_recordings(Oid relid)
{
	List *reached = NIL;
	ListCell *lc;

	foreach (lc, read_recordings(1, relid))
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
	catalog::InternalRows rows;
	Oid state = InvalidOid;

	rows.find("state", 1, view, AccessShareLock);
	while (rows.next())
		if (DatumGetInt32(rows.value(2)) == number)
			state = rows.oid(3);
	rows.close();
	return state;
}

Oid
only_index(Oid table)
{
	Relation rel = table_open(table, AccessShareLock);
	Oid index = InvalidOid;
	ListCell *lc;

	/* There are two while REINDEX CONCURRENTLY replaces it. */
	foreach (lc, RelationGetIndexList(rel))
		if (!OidIsValid(index) || index != catalog::usable_index(rel, index))
			index = lfirst_oid(lc);

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
	if (OidIsValid(info->key_index))
		runtime->info.key_index = catalog::usable_index(rel, info->key_index);
	runtime->plan = plan;
	runtime->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	runtime->level = level_of(plan);
	runtime->tables = tables_of(plan);
	runtime->rights = analyze::find_rights(plan->whole);
	runtime->writer = state::make_writer_cache(info->view, runtime->info.key_index, plan->context,
											   &runtime->stale);
	if (OidIsValid(info->log))
		runtime->log = feed::make_log_cache(info->log, plan->context, &runtime->stale);
	if (plan->input)
		runtime->input = exec::make_stream(plan->input, plan->context, &runtime->stale);
	runtime->whole = exec::make_cached_query((Query *) copyObject(plan->query), plan->context,
											 &runtime->stale);
	runtime->lookups = make_lookups(plan, plan->context, &runtime->stale);
	runtime->ties = make_tie_queries(plan, plan->context, &runtime->stale);
	if (plan->strategy == analyze::Strategy::kAggregate)
	{
		runtime->state = read_state_table(info->view, 0);
		runtime->aggregate = state::make_aggregate_operator(plan, runtime->state,
															only_index(runtime->state),
															runtime->desc, &runtime->stale);
		add_distinct_operators(runtime);
	}
	if (plan->limits)
	{
		runtime->state = read_state_table(info->view, 0);
		runtime->top_k = state::make_top_k_operator(plan, runtime->state,
													only_index(runtime->state), runtime->desc,
													&runtime->stale);
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

namespace
{

/* The runtime goes at the end of the transaction: a batch under way may still use it. */
void
retire(void *arg)
{
	RuntimeEntry *entry = static_cast<RuntimeEntry *>(arg);

	if (entry->runtime)
		MemoryContextSetParent(entry->runtime->plan->context, TopTransactionContext);
	entry->runtime = nullptr;
}

} // namespace

void
forget_dropped(HTAB *cache, long *kept, void (*release)(void *entry))
{
	constexpr long kFew = 16;
	HASH_SEQ_STATUS seq;
	void *entry;

	if (hash_get_num_entries(cache) <= 2 * Max(*kept, kFew))
		return;
	hash_seq_init(&seq, cache);
	while ((entry = hash_seq_search(&seq)) != nullptr)
	{
		/* The key comes first. */
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(*static_cast<Oid *>(entry))))
			continue;
		release(entry);
		(void) hash_search(cache, entry, HASH_REMOVE, nullptr);
	}
	*kept = hash_get_num_entries(cache);
}

ViewRuntime *
get_runtime(Oid view)
{
	if (!runtimes)
		runtimes = make_cache("tailwater views", sizeof(RuntimeEntry));

	RuntimeEntry *entry = (RuntimeEntry *) hash_search(runtimes, &view, HASH_FIND, nullptr);
	if (entry && entry->runtime && !entry->runtime->stale)
		return entry->runtime;
	if (entry)
		retire(entry);
	forget_dropped(runtimes, &runtimes_kept, retire);

	catalog::LiveView info;
	/* What is read of it belongs together: nobody attaches or releases it meanwhile. */
	LockRelationOid(view, AccessShareLock);
	uint64 known = news;
	if (!catalog::find_live_view(view, &info))
	{
		UnlockRelationOid(view, AccessShareLock);
		return nullptr;
	}

	ViewRuntime *runtime = build_runtime(&info);
	if (OidIsValid(info.key_index) && !OidIsValid(runtime->info.key_index))
	{
		/* REINDEX CONCURRENTLY has just dropped it, and said which one is in its place. */
		MemoryContextDelete(runtime->plan->context);
		if (!catalog::find_live_view(view, &info))
			return nullptr;
		runtime = build_runtime(&info);
	}
	runtime->stale = news != known;
	entry = (RuntimeEntry *) hash_search(runtimes, &view, HASH_ENTER, nullptr);
	entry->runtime = runtime;
	return runtime;
}

bool
is_immediate(Oid view)
{
	const RuntimeEntry *entry = runtimes ? (RuntimeEntry *) hash_search(runtimes, &view, HASH_FIND,
																		nullptr)
										 : nullptr;
	catalog::LiveView live;

	if (entry && entry->runtime && !entry->runtime->stale)
		return entry->runtime->info.mode == catalog::Mode::kImmediate;
	return catalog::find_live_view(view, &live) && live.mode == catalog::Mode::kImmediate;
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

	List *views = catalog::read_internal("base", 1, relid, 2);
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

	foreach (lc, read_recordings(2, view))
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
	CacheRegisterSyscacheCallback(AUTHOID, roles_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, roles_changed, (Datum) 0);
}

} // namespace tw::maintain
