/*
 * keyed.cpp - evaluates touched keys again.
 *
 * Three steps: the touch queries of all places where changed tables are read
 * give the touched keys; the view's own rows of these keys go, and the rows
 * that the restricted query gives come. What is equal in both cancels in the
 * set. Keys are told apart by equality, not by image, since the restricted
 * query is joined with them. Keys with a null in them are rare and joined by a
 * condition that cannot use indexes, so they are kept and run apart.
 */
#include "exec/keyed.hpp"
#include "analyze/block.hpp"
#include "analyze/touch.hpp"
#include "exec/data_error.hpp"

namespace tw::exec
{

using analyze::TouchPoint;
using analyze::ViewPlan;
using capture::Delta;
using capture::ZSet;

namespace
{

/* The touch query of one point for one set of changed tables. */
struct CachedTouch
{
	int point;
	List *changed;      /* OIDs, sorted */
	CachedQuery *query; /* null: any row may be touched */
	bool followed;      /* its rows have the keys; else they only tell that something is touched */
	bool may_fail;      /* it calls functions that can raise an error */
};

} // namespace

struct KeyedOperator
{
	const ViewPlan *plan;
	MemoryContext context;
	const bool *stale;
	TupleDesc view;
	TupleDesc keys;
	bool keys_may_fail;         /* computing a key column can raise an error */
	List *touches;              /* CachedTouch */
	CachedQuery *restricted[2]; /* by: has keys with nulls */
	CachedQuery *stored[2];
};

namespace
{

/* Key locks are taken by hash bucket, so that a bulk change needs no more than this many. */
constexpr uint32 kKeyBuckets = 256;

/* The touched keys of a batch. */
struct KeySet
{
	const KeyedOperator *op;
	TupleHashTable table;
	TupleTableSlot *slot;
	Tuplestorestate *stores[2];
	int64 counts[2];
	bool buckets[kKeyBuckets]; /* of the keys' hashes */
};

KeySet *
make_key_set(const KeyedOperator *op)
{
	int n = op->keys->natts;
	KeySet *set = (KeySet *) palloc0(sizeof(KeySet));
	AttrNumber *columns = (AttrNumber *) palloc(sizeof(AttrNumber) * n);
	Oid *operators = (Oid *) palloc(sizeof(Oid) * n);
	Oid *collations = (Oid *) palloc(sizeof(Oid) * n);
	Oid *equals;
	FmgrInfo *hashes;

	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(op->keys, i);

		columns[i] = i + 1;
		operators[i] = lookup_type_cache(att->atttypid, TYPECACHE_EQ_OPR)->eq_opr;
		collations[i] = att->attcollation;
	}
	execTuplesHashPrepare(n, operators, &equals, &hashes);
	set->op = op;
	set->slot = MakeSingleTupleTableSlot(op->keys, &TTSOpsVirtual);
	set->table = BuildTupleHashTableExt(nullptr, op->keys, n, columns, equals, hashes, collations,
										64, 0, CurrentMemoryContext, CurrentMemoryContext,
										AllocSetContextCreate(CurrentMemoryContext,
															  "tailwater keys",
															  ALLOCSET_SMALL_SIZES),
										false);
	set->stores[0] = tuplestore_begin_heap(false, false, work_mem);
	set->stores[1] = tuplestore_begin_heap(false, false, work_mem);
	return set;
}

/* A RowCallback: the columns of the row that are keys. */
void
add_key(void *arg, TupleTableSlot *row, int64 weight)
{
	KeySet *set = static_cast<KeySet *>(arg);
	const ViewPlan *plan = set->op->plan;
	bool isnew;
	int which = 0;

	ExecClearTuple(set->slot);
	for (int i = 0; i < plan->nrestrict; i++)
	{
		int column = plan->restrict_columns[i] - 1;

		set->slot->tts_values[i] = row->tts_values[column];
		set->slot->tts_isnull[i] = row->tts_isnull[column];
		if (row->tts_isnull[column])
			which = 1;
	}
	ExecStoreVirtualTuple(set->slot);
	(void) LookupTupleHashEntry(set->table, set->slot, &isnew, nullptr);
	if (!isnew)
		return;
	set->buckets[TupleHashTableHash(set->table, set->slot) % kKeyBuckets] = true;
	tuplestore_puttupleslot(set->stores[which], set->slot);
	set->counts[which]++;
}

/* A RowCallback that only notes that there is a row. */
void
note_row(void *arg, TupleTableSlot *row, int64 weight)
{
	*static_cast<bool *>(arg) = true;
}

Bitmapset *
used_columns(const ViewPlan *plan, Oid relid)
{
	Bitmapset *used = nullptr;

	for (int i = 0; i < plan->npoints; i++)
		if (plan->points[i].relid == relid)
			used = bms_add_members(used, plan->points[i].used);
	return used;
}

const CachedTouch *
touch_of(KeyedOperator *op, int point, List *changed)
{
	ListCell *lc;

	foreach (lc, op->touches)
	{
		CachedTouch *touch = (CachedTouch *) lfirst(lc);

		if (touch->point == point && equal(touch->changed, changed))
			return touch;
	}

	MemoryContext old = MemoryContextSwitchTo(op->context);
	CachedTouch *touch = (CachedTouch *) palloc0(sizeof(CachedTouch));
	Bitmapset *known = nullptr;
	Query *query = analyze::touch_query(op->plan->query, &op->plan->points[point], changed, &known);

	touch->followed = op->plan->points[point].followed;
	for (int i = 0; i < op->plan->nrestrict; i++)
		if (!bms_is_member(op->plan->restrict_columns[i], known))
			touch->followed = false;
	touch->may_fail = query && can_fail((Node *) query);
	touch->point = point;
	touch->changed = list_copy(changed);
	if (query)
		touch->query = make_cached_query(query, op->context, op->stale);
	op->touches = lappend(op->touches, touch);
	MemoryContextSwitchTo(old);
	return touch;
}

/* The stores of the deltas that change anything the view reads. */
int
make_stores(const KeyedOperator *op, List *deltas, NamedStore *stores, List **changed)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, deltas)
	{
		const Delta *delta = (const Delta *) lfirst(lc);
		NamedStore *store = &stores[n];

		store->desc = analyze::delta_descriptor(delta->desc);
		store->rows = weighted_store(delta, used_columns(op->plan, delta->relid), store->desc,
									 &store->nrows);
		if (!store->rows)
			continue;
		store->name = analyze::delta_name(delta->relid);
		*changed = lappend_oid(*changed, delta->relid);
		n++;
	}
	list_sort(*changed, list_oid_cmp);
	return n;
}

/*
 * Waits for others who evaluate the same keys, in the order of the buckets, and
 * then reads what they committed. The touched keys stay the same: other tables
 * have no writers meanwhile (see maintain/guard.cpp).
 */
void
lock_keys(const KeyedOperator *op, const KeySet *keys)
{
	for (uint32 bucket = 0; bucket < kKeyBuckets; bucket++)
	{
		LOCKTAG tag;

		if (!keys->buckets[bucket])
			continue;
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, op->plan->view, bucket, pg::kKeyLock);
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
	/* A transaction with a fixed snapshot compares what it sees with the present (maintain/batch.cpp). */
	if (!IsolationUsesXactSnapshot())
		renew_snapshot();
}

struct Collecting
{
	ZSet *out;
	int64 sign;
};

void
collect_row(void *arg, TupleTableSlot *row, int64 weight)
{
	Collecting *collecting = static_cast<Collecting *>(arg);

	(void) capture::zset_add(collecting->out, row, collecting->sign * weight);
}

void
evaluate_keys(const KeyedOperator *op, const KeySet *keys, ZSet *out)
{
	for (int which = 0; which < 2; which++)
	{
		NamedStore store = {analyze::kKeysName, op->keys, keys->stores[which], keys->counts[which]};
		Collecting before = {out, -1};
		Collecting after = {out, +1};

		if (keys->counts[which] > 0)
		{
			run_query(op->stored[which], &store, 1, WeightColumn::kNone, collect_row, &before);
			run_query(op->restricted[which], &store, 1, WeightColumn::kNone, collect_row, &after);
		}
		tuplestore_end(keys->stores[which]);
	}
}

} // namespace

namespace
{

bool
run_touch(const CachedTouch *touch, NamedStore *stores, int nstores, RowCallback callback,
		  void *arg)
{
	return survive_data_errors(touch->may_fail,
							   [&]() {
								   run_query(touch->query, stores, nstores, WeightColumn::kNone,
											 callback, arg);
							   });
}

bool
keys_may_fail(const ViewPlan *plan)
{
	for (int i = 0; i < plan->nrestrict; i++)
	{
		int column = plan->restrict_columns[i] - 1;

		/* Arms of a set operation compute the column each in its own way. */
		if (plan->query->setOperations ||
			can_fail((Node *) list_nth_node(TargetEntry, plan->query->targetList, column)->expr))
			return true;
	}
	return false;
}

} // namespace

KeyedOperator *
make_keyed_operator(const ViewPlan *plan, TupleDesc view, const bool *stale)
{
	MemoryContext old = MemoryContextSwitchTo(plan->context);
	KeyedOperator *op = (KeyedOperator *) palloc0(sizeof(KeyedOperator));

	op->plan = plan;
	op->context = plan->context;
	op->stale = stale;
	op->view = view;
	op->keys = CreateTemplateTupleDesc(plan->nrestrict);
	for (int i = 0; i < plan->nrestrict; i++)
		TupleDescCopyEntry(op->keys, i + 1, view, plan->restrict_columns[i]);
	if (plan->nrestrict == 0)
	{
		MemoryContextSwitchTo(old);
		return op;
	}
	op->keys_may_fail = keys_may_fail(plan);
	op->restricted[0] = make_cached_query(plan->restricted, plan->context, stale);
	op->restricted[1] = make_cached_query(plan->restricted_nulls, plan->context, stale);
	op->stored[0] = make_cached_query(plan->stored, plan->context, stale);
	op->stored[1] = make_cached_query(plan->stored_nulls, plan->context, stale);
	MemoryContextSwitchTo(old);
	return op;
}

Touched
run_keyed(KeyedOperator *op, List *deltas, ZSet *out)
{
	const ViewPlan *plan = op->plan;
	NamedStore *stores = (NamedStore *) palloc0(sizeof(NamedStore) * Max(list_length(deltas), 1));
	List *changed = NIL;
	int nstores = make_stores(op, deltas, stores, &changed);
	KeySet *keys = nullptr;
	bool everything = plan->npoints == 0;

	for (int i = 0; i < plan->npoints && !everything; i++)
	{
		const CachedTouch *touch;

		if (!list_member_oid(changed, plan->points[i].relid))
			continue;
		touch = touch_of(op, i, changed);
		if (!touch->query)
			everything = true;
		else if (touch->followed)
		{
			if (!keys)
				keys = make_key_set(op);
			everything = !run_touch(touch, stores, nstores, add_key, keys);
		}
		else if (!run_touch(touch, stores, nstores, note_row, &everything))
			everything = true;
	}
	for (int i = 0; i < nstores; i++)
		tuplestore_end(stores[i].rows);
	if (everything)
		return Touched::kEverything;
	if (keys && keys->counts[0] + keys->counts[1] > 0)
	{
		lock_keys(op, keys);
		if (!survive_data_errors(op->keys_may_fail, [&]() { evaluate_keys(op, keys, out); }))
		{
			for (int i = 0; i < out->nentries; i++)
				out->entries[i].weight = 0;
			return Touched::kEverything;
		}
	}
	return Touched::kSomeKeys;
}

} // namespace tw::exec
