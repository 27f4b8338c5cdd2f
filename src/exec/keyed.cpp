/*
 * keyed.cpp - evaluates touched keys again.
 *
 * Three steps: the touch queries of all places where changed tables are read
 * give the touched keys; the rows that these keys had before go, and the rows
 * that the restricted query gives come. What is equal in both cancels in the
 * set. A view itself holds its rows of before; those of the input of an
 * aggregate are given by the restricted query under the old snapshot. Keys are
 * told apart by equality, not by image, since the restricted query is joined
 * with them. Keys beyond memory are spilled in order of their hash, and are told
 * apart and evaluated a part at a time. Keys with a null in them are rare and joined by a
 * condition that cannot use indexes, so they are kept and run apart.
 *
 * Where the query's own delta is known for what changed (ViewPlan::partial), that
 * is run instead, and the touched keys are looked for only where they must be locked.
 */
#include "exec/keyed.hpp"
#include "analyze/block.hpp"
#include "analyze/touch.hpp"
#include "capture/spill.hpp"
#include "exec/data_error.hpp"
#include "exec/key_locks.hpp"
#include "exec/stream.hpp"

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
	CachedQuery *stored[2];     /* null where rows of before are read under the old snapshot */
	Stream *partial; /* the delta of the query itself, where only some tables change; or null */
	bool partial_may_fail; /* with several of them, rows may meet that never did */
};

namespace
{

/* The touched keys of a batch. */
struct KeySet
{
	const KeyedOperator *op;
	TupleHashTable table;
	TupleTableSlot *slot;
	Tuplestorestate *stores[2];
	int64 counts[2];
	KeyHashes hashes;
	MemoryContext context;
	ResourceOwner owner;
	Size used;             /* bytes in the table */
	capture::Spill *spill; /* keys beyond memory, some of them more than once; or null */
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
	set->context = CurrentMemoryContext;
	set->owner = CurrentResourceOwner;
	return set;
}

void
end_key_set(KeySet *set)
{
	tuplestore_end(set->stores[0]);
	tuplestore_end(set->stores[1]);
	if (set->spill)
		capture::end_spill(set->spill);
	ExecDropSingleTupleTableSlot(set->slot);
}

/* Adds the key in the slot to the spill, unless it is in the table. */
void
spill_key(KeySet *set)
{
	uint32 hash;

	if (LookupTupleHashEntry(set->table, set->slot, nullptr, &hash))
		return;
	if (!set->spill)
		set->spill = capture::make_spill(set->context, set->owner);

	MinimalTuple image = capture::form_image(set->op->keys, set->slot->tts_values,
											 set->slot->tts_isnull);
	capture::spill_put(set->spill, hash, image, 1, nullptr);
	pfree(image);
	add_hash(&set->hashes, hash, 0);
}

/* Adds the key in the slot to the table, and if it is new to a store. */
void
store_key(KeySet *set)
{
	bool isnew;
	int which = 0;
	TupleHashEntry entry = LookupTupleHashEntry(set->table, set->slot, &isnew, nullptr);

	if (!isnew)
		return;
	for (int i = 0; i < set->op->keys->natts; i++)
		if (set->slot->tts_isnull[i])
			which = 1;
	set->used += entry->firstTuple->t_len * 2 + sizeof(TupleHashEntryData) * 2;
	add_hash(&set->hashes, TupleHashTableHash(set->table, set->slot), 0);
	tuplestore_puttupleslot(set->stores[which], set->slot);
	set->counts[which]++;
}

/* A RowCallback: the columns of the row that are keys. */
void
add_key(void *arg, TupleTableSlot *row, int64 weight)
{
	KeySet *set = static_cast<KeySet *>(arg);
	const ViewPlan *plan = set->op->plan;

	ExecClearTuple(set->slot);
	for (int i = 0; i < plan->nrestrict; i++)
	{
		int column = plan->restrict_columns[i] - 1;

		set->slot->tts_values[i] = row->tts_values[column];
		set->slot->tts_isnull[i] = row->tts_isnull[column];
	}
	ExecStoreVirtualTuple(set->slot);
	if (set->used > capture::hash_memory())
		spill_key(set);
	else
		store_key(set);
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

		if (!open_delta(delta, used_columns(op->plan, delta->relid), store))
			continue;
		*changed = lappend_oid(*changed, delta->relid);
		n++;
	}
	list_sort(*changed, list_oid_cmp);
	return n;
}

bool
lock(const ViewPlan *plan, uint16 what, uint32 which, LOCKMODE mode, Locking locking)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, plan->view, which, what);
	return LockAcquire(&tag, mode, false, locking == Locking::kGiveUp) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Waits for others who evaluate the same keys, in the order of their hashes, and
 * then reads what they committed. Who evaluates many waits for all others. The touched keys stay
 * the same: other tables have no writers meanwhile (see maintain/guard.cpp). Returns false where it
 * gave up.
 */
bool
lock_keys(const KeyedOperator *op, const KeySet *keys, Locking locking)
{
	const KeyHashes *hashes = &keys->hashes;
	bool some = may_lock_keys(hashes);

	if (!lock(op->plan, pg::kAllKeysLock, 0, some ? RowExclusiveLock : ExclusiveLock, locking))
		return false;
	if (some)
		count_key_locks(hashes->n);
	for (int i = 0; some && i < hashes->n; i++)
		if (!lock(op->plan, pg::kKeyLock, hashes->hashes[i], ExclusiveLock, locking))
			return false;
	/* A transaction with a fixed snapshot compares what it sees with the present (maintain/batch.cpp). */
	if (!IsolationUsesXactSnapshot())
		renew_snapshot();
	return true;
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

/* The rows of before. */
void
evaluate_old(const KeyedOperator *op, int which, NamedStore *keys, Collecting *before)
{
	if (op->stored[which])
	{
		run_query(op->stored[which], keys, 1, WeightColumn::kNone, collect_row, before);
		return;
	}
	PushCopiedSnapshot(old_snapshot());
	run_query(op->restricted[which], keys, 1, WeightColumn::kNone, collect_row, before);
	PopActiveSnapshot();
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
			evaluate_old(op, which, &store, &before);
			run_query(op->restricted[which], &store, 1, WeightColumn::kNone, collect_row, &after);
		}
	}
}

/* Keys that were spilled, in order of their hash. */
struct SpilledKeys
{
	capture::Spill *spill;
	TupleTableSlot *key;
	capture::Spilled ahead;
	bool done;
};

/* Moves keys to the set until it is full. Equal keys have the same hash and come together. */
void
next_keys(SpilledKeys *spilled, KeySet *set)
{
	int64 rank = spilled->ahead.rank;

	while (!spilled->done && (set->used <= capture::hash_memory() || spilled->ahead.rank == rank))
	{
		rank = spilled->ahead.rank;
		ExecStoreMinimalTuple(spilled->ahead.image, spilled->key, true);
		ExecCopySlot(set->slot, spilled->key);
		store_key(set);
		spilled->done = !capture::spill_next(spilled->spill, &spilled->ahead);
	}
	ExecClearTuple(set->slot);
}

/* Evaluates the keys beyond memory. */
void
evaluate_spilled_keys(const KeyedOperator *op, KeySet *keys, ZSet *out)
{
	SpilledKeys spilled = {keys->spill,
						   MakeSingleTupleTableSlot(op->keys, &TTSOpsMinimalTuple),
						   {},
						   false};

	capture::spill_rewind(keys->spill);
	spilled.done = !capture::spill_next(keys->spill, &spilled.ahead);
	while (!spilled.done)
	{
		MemoryContext context = AllocSetContextCreate(keys->context, "tailwater key part",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);
		KeySet *part = make_key_set(op);

		MemoryContextSwitchTo(old);
		next_keys(&spilled, part);
		MemoryContextSwitchTo(context);
		evaluate_keys(op, part, out);
		end_key_set(part);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	ExecDropSingleTupleTableSlot(spilled.key);
}

void
evaluate_all_keys(const KeyedOperator *op, KeySet *keys, ZSet *out)
{
	evaluate_keys(op, keys, out);
	if (keys->spill)
		evaluate_spilled_keys(op, keys, out);
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
	if (plan->partial)
	{
		op->partial = make_stream(plan->partial, plan->context, stale);
		op->partial_may_fail = can_fail((Node *) plan->partial->query);
	}
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
	if (plan->stored)
	{
		op->stored[0] = make_cached_query(plan->stored, plan->context, stale);
		op->stored[1] = make_cached_query(plan->stored_nulls, plan->context, stale);
	}
	MemoryContextSwitchTo(old);
	return op;
}

namespace
{

/* Adds the delta of the query itself; false where it cannot be computed. */
bool
run_partial(const KeyedOperator *op, List *changed, NamedStore *stores, int nstores, ZSet *out)
{
	return survive_data_errors(op->partial_may_fail && list_length(changed) > 1,
							   [&]() {
								   run_changes(op->partial, changed, stores, nstores,
											   collect_weighted_row, out);
							   });
}

bool
changes_nulled(const ViewPlan *plan, List *changed)
{
	const analyze::Block *block = plan->partial;

	for (int i = 0; i < block->noccurrences; i++)
		if (block->reaches[i] == analyze::Reach::kNulled &&
			list_member_oid(changed, block->relids[i]))
			return true;
	return false;
}

/* True if the delta of the query itself is known for what changed. */
bool
is_partial(const KeyedOperator *op, List *changed, const NamedStore *stores)
{
	if (!op->partial || !analyze::follows(op->plan->partial, changed))
		return false;
	return !changes_nulled(op->plan, changed) || stores->ngone == stores->nrows || old_snapshot();
}

/*
 * True if rows of other tables that matter to this delta might come and go
 * meanwhile, but for the locks on touched keys: where writers of another table
 * are not kept off, or where an outer join turns with the last match of a row, or the first.
 */
bool
needs_key_locks(const ViewPlan *plan, List *changed)
{
	if (changes_nulled(plan, changed))
		return true;
	for (int i = 0; i < plan->npoints; i++)
		if (!plan->points[i].apart && list_member_oid(changed, plan->points[i].relid))
			return true;
	return false;
}

/* What the touch queries of a batch find. */
struct TouchedKeys
{
	KeySet *keys;    /* null: none */
	bool everything; /* the keys do not tell which rows are touched */
	bool alone;      /* since they cannot be followed: its writers have the view to themselves */
};

TouchedKeys
find_touched(KeyedOperator *op, List *changed, NamedStore *stores, int nstores)
{
	const ViewPlan *plan = op->plan;
	TouchedKeys touched = {nullptr, plan->npoints == 0, false};

	for (int i = 0; i < plan->npoints && !touched.everything; i++)
	{
		const CachedTouch *touch;

		if (!list_member_oid(changed, plan->points[i].relid))
			continue;
		touch = touch_of(op, i, changed);
		if (touch->followed && touch->query)
		{
			if (!touched.keys)
				touched.keys = make_key_set(op);
			touched.everything = !run_touch(touch, stores, nstores, add_key, touched.keys);
			continue;
		}
		if (!touch->query || !run_touch(touch, stores, nstores, note_row, &touched.everything))
			touched.everything = true;
		touched.alone |= !plan->points[i].followed;
	}
	return touched;
}

/* The delta, given what the touch queries found. */
Touched
evaluate_touched(KeyedOperator *op, const TouchedKeys *touched, bool partial, List *changed,
				 NamedStore *stores, int nstores, ZSet *out, Locking locking)
{
	KeySet *keys = touched->keys;
	bool any_keys = keys && keys->counts[0] + keys->counts[1] > 0;
	bool done;

	if (touched->everything && !(partial && touched->alone))
		return Touched::kEverything;
	if (!any_keys && !touched->everything)
		return Touched::kSomeKeys;
	if (!partial && !op->plan->stored && !old_snapshot())
		return Touched::kEverything;
	if (any_keys && !lock_keys(op, keys, locking))
		return Touched::kEverything;
	if (partial)
		done = run_partial(op, changed, stores, nstores, out);
	else
		done = survive_data_errors(op->keys_may_fail, [&]() { evaluate_all_keys(op, keys, out); });
	if (!done)
		capture::clear_zset(out);
	return done ? Touched::kSomeKeys : Touched::kEverything;
}

Touched
run_stores(KeyedOperator *op, List *changed, NamedStore *stores, int nstores, ZSet *out,
		   Locking locking)
{
	if (op->plan->npoints == 0)
		return Touched::kEverything;
	if (changed == NIL)
		return Touched::kSomeKeys;

	bool partial = is_partial(op, changed, stores);
	if (partial && !needs_key_locks(op->plan, changed))
	{
		if (run_partial(op, changed, stores, nstores, out))
			return Touched::kSomeKeys;
		capture::clear_zset(out);
	}

	TouchedKeys touched = find_touched(op, changed, stores, nstores);
	Touched result = evaluate_touched(op, &touched, partial, changed, stores, nstores, out,
									  locking);
	if (touched.keys)
		end_key_set(touched.keys);
	return result;
}

} // namespace

Touched
run_keyed(KeyedOperator *op, List *deltas, ZSet *out, Locking locking)
{
	NamedStore *stores = (NamedStore *) palloc0(sizeof(NamedStore) * Max(list_length(deltas), 1));
	List *changed = NIL;
	int nstores = make_stores(op, deltas, stores, &changed);
	Touched touched = run_stores(op, changed, stores, nstores, out, locking);

	for (int i = 0; i < nstores; i++)
		tuplestore_end(stores[i].rows);
	return touched;
}

} // namespace tw::exec
