/*
 * key_guard.cpp - keeps writers of different inputs of one view apart where their rows could meet.
 *
 * Where rows of R and S meet only if r.k = s.k, a writer of R need only be kept
 * from writers of S whose rows have the same k. Both lock the hashes of their keys,
 * the ones in a mode that is compatible with itself, the others in a second such
 * mode that conflicts with the first, as guard.cpp does with whole tables; a key that is written on
 * both sides, as in a self-join, is locked in a mode that excludes everybody.
 *
 * The keys are known when the rows are written, so these locks are taken when
 * the view is maintained, in the order of views, pairs and hashes. Until then a
 * statement holds row locks only, and afterwards it waits for rows of state and
 * views only: single statements do not deadlock. The delta is computed under a
 * snapshot taken after the locks.
 *
 * A statement with many keys locks the pair as a whole instead. For
 * this each side has a lock on which who writes the whole side meets those who
 * write some keys of the other one, and there is one on which those meet who
 * write the whole of either side. So writers of one side never meet.
 *
 * Where R and T meet by way of S, r.k = s.k and s.h = t.h, a writer of R, say, looks up the values of
 * h in S (analyze/places.cpp). The pair of R and S comes before that of R and T, so that no such row of S has another
 * writer then. A row of S that is not there yet does not matter: its writer must wait for that of R, and
 * sees what both have written. To look something up takes time; so as long as
 * nobody writes T, the writer of R takes the whole side. Once it has met a writer of T there, it looks
 * keys up for some seconds.
 */
#include "maintain/key_guard.hpp"
#include "exec/key_locks.hpp"

namespace tw::maintain
{

using analyze::JoinKey;
using analyze::Strategy;
using capture::Delta;

namespace
{

constexpr uint32 kHashes = 65000;
constexpr uint32 kWholeSide = kHashes; /* and the next number, for the second side */
constexpr uint32 kBothWhole = kHashes + 2;
constexpr int kLately = 10000; /* ms */

constexpr LOCKMODE kFirstMode =
	RowExclusiveLock; /* compatible with itself, conflicts with the second */
constexpr LOCKMODE kSecondMode = ShareLock;
constexpr LOCKMODE kAloneMode = ShareRowExclusiveLock; /* conflicts with both and itself */

/* Sides, as a set of bits. */
constexpr uint8 kFirst = 1;
constexpr uint8 kSecond = 2;
constexpr uint8 kBoth = kFirst | kSecond;

uint8
bit_of(int side)
{
	return side == 0 ? kFirst : kSecond;
}

LOCKMODE
mode_of(uint8 sides)
{
	if (sides == kBoth)
		return kAloneMode;
	return sides == kFirst ? kFirstMode : kSecondMode;
}

/* What a statement writes, as seen from one pair. */
struct PairWrite
{
	const JoinKey *key;
	uint8 sides; /* which ones are written */
	exec::KeyHashes hashes;
};

bool
lock(const ViewRuntime *view, int pair, uint32 what, LOCKMODE mode, bool wait = true)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, view->info.view, (uint32) pair << 16 | what,
						 pg::kJoinKeyLock);
	return LockAcquire(&tag, mode, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

struct Hashing
{
	PairWrite *write;
	int side;
	FmgrInfo hash;
};

/* A RowCallback for rows of the side, or of its lookup. */
void
add_row(void *arg, TupleTableSlot *row, int64 weight)
{
	Hashing *hashing = static_cast<Hashing *>(arg);
	const JoinKey *key = hashing->write->key;
	bool isnull;

	if (hashing->write->hashes.many)
		return;

	Datum value = slot_getattr(row, key->sides[hashing->side].column, &isnull);
	if (isnull)
		return; /* equals nothing */

	uint32 hash = DatumGetUInt32(FunctionCall1Coll(&hashing->hash, key->collation, value));
	exec::add_hash(&hashing->write->hashes, hash % kHashes, bit_of(hashing->side));
}

void
lock_hashes(const ViewRuntime *view, int pair, const PairWrite *write)
{
	const exec::KeyHashes *hashes = &write->hashes;

	if (hashes->n == 0)
		return;
	/* Some keys of a side: nobody writes the other one as a whole. */
	for (int side = 0; side < 2; side++)
		if (write->sides & bit_of(1 - side))
			(void) lock(view, pair, kWholeSide + side, kSecondMode);
	exec::count_key_locks(hashes->n);
	for (int i = 0; i < hashes->n; i++)
		(void) lock(view, pair, hashes->hashes[i], mode_of(hashes->marks[i]));
}

void
lock_sides(const ViewRuntime *view, int pair, uint8 sides)
{
	for (int side = 0; side < 2; side++)
		if (sides & bit_of(side))
			(void) lock(view, pair, kWholeSide + side, sides == kBoth ? kAloneMode : kFirstMode);
	(void) lock(view, pair, kBothWhole, mode_of(sides));
}

/* Locks the whole side, unless somebody writes the other one, or did lately. */
bool
lock_idle_pair(const ViewRuntime *view, int pair, int side)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	Lookup *lookup = &view->lookups[pair];

	if (now < lookup->used_until)
		return false;
	if (!lock(view, pair, kWholeSide + side, kFirstMode, false))
	{
		lookup->used_until = TimestampTzPlusMilliseconds(now, kLately);
		return false;
	}
	(void) lock(view, pair, kBothWhole, mode_of(bit_of(side)));
	return true;
}

const Delta *
find_delta(List *deltas, Oid relid)
{
	ListCell *lc;

	foreach (lc, deltas)
		if (((const Delta *) lfirst(lc))->relid == relid)
			return (const Delta *) lfirst(lc);
	return nullptr;
}

bool
changes_any(List *deltas, List *relids)
{
	ListCell *lc;

	foreach (lc, relids)
		if (find_delta(deltas, lfirst_oid(lc)))
			return true;
	return false;
}

/* Columns of the side's table that the view reads. */
const Bitmapset *
columns_of(const ViewRuntime *view, const analyze::JoinSide *side)
{
	const analyze::ViewPlan *keyed = analyze::keyed_part(view->plan);

	return keyed ? keyed->points[side->occurrence].used : view->plan->input->used[side->occurrence];
}

/* Adds the keys that the finder's rows have by way of the tables between: those of now, whatever the snapshot. */
void
look_up(const ViewRuntime *view, int pair, const Delta *delta, Hashing *hashing)
{
	const JoinKey *key = hashing->write->key;
	exec::NamedStore store;

	if (!exec::open_delta(delta, columns_of(view, &key->sides[key->finder]), &store))
		return;
	PushCopiedSnapshot(GetLatestSnapshot());
	UpdateActiveSnapshotCommandId();
	exec::run_query(view->lookups[pair].query, &store, 1, exec::WeightColumn::kNone, add_row,
					hashing);
	PopActiveSnapshot();
	tuplestore_end(store.rows);
}

/* Adds the keys of what the statement writes. */
void
find_hashes(const ViewRuntime *view, int pair, List *deltas, PairWrite *write)
{
	const JoinKey *key = write->key;

	for (int side = 0; side < 2; side++)
	{
		const Delta *delta = find_delta(deltas, key->sides[side].relid);
		Hashing hashing = {write, side, {}};

		if (!delta)
			continue;
		fmgr_info(key->sides[side].hash, &hashing.hash);
		if (key->lookup && side == key->finder)
			look_up(view, pair, delta, &hashing);
		else
			capture::each_row(delta, add_row, &hashing);
	}
}

Guarded
guard_pair(const ViewRuntime *view, int pair, const JoinKey *key, List *deltas, PairWrite *write)
{
	write->key = key;
	write->sides = 0;
	write->hashes.n = 0;
	write->hashes.many = false;
	for (int side = 0; side < 2; side++)
		if (find_delta(deltas, key->sides[side].relid))
			write->sides |= bit_of(side);
	if (write->sides == 0)
		return Guarded::kNothing;

	bool finds = key->lookup && (write->sides & bit_of(key->finder));
	if (finds && write->sides != kBoth && lock_idle_pair(view, pair, key->finder))
		return Guarded::kSomething;
	/* What the statement itself changes on the way would have to be looked up as it was, too. */
	write->hashes.many = finds && changes_any(deltas, key->between);
	if (!write->hashes.many)
		find_hashes(view, pair, deltas, write);
	if (exec::may_lock_keys(&write->hashes))
		lock_hashes(view, pair, write);
	else
		lock_sides(view, pair, write->sides);
	return Guarded::kSomething;
}

} // namespace

const JoinKey *
pair_keys(const analyze::ViewPlan *plan, int *n)
{
	const analyze::ViewPlan *keyed = analyze::keyed_part(plan);
	bool is_block = !keyed &&
					(plan->strategy == Strategy::kLinear || plan->strategy == Strategy::kAggregate);

	*n = keyed ? keyed->npoint_keys : (is_block ? plan->input->njoin_keys : 0);
	return keyed ? keyed->point_keys : (is_block ? plan->input->join_keys : nullptr);
}

Lookup *
make_lookups(const analyze::ViewPlan *plan, MemoryContext context, const bool *stale)
{
	int n;
	const JoinKey *keys = pair_keys(plan, &n);
	Lookup *lookups = (Lookup *) MemoryContextAllocZero(context, sizeof(Lookup) * Max(n, 1));

	for (int pair = 0; pair < n; pair++)
		if (keys[pair].lookup)
			lookups[pair].query = exec::make_cached_query(keys[pair].lookup, context, stale);
	return lookups;
}

bool
guarded_by_key(const ViewRuntime *view, Oid a, Oid b, int npairs)
{
	int n;
	const JoinKey *keys = pair_keys(view->plan, &n);

	for (int i = 0; i < n; i++)
	{
		Oid first = keys[i].sides[0].relid;
		Oid second = keys[i].sides[1].relid;

		npairs -= (first == a && second == b) || (first == b && second == a);
	}
	return npairs == 0;
}

Guarded
guard_keys(const ViewRuntime *view, List *deltas)
{
	int n;
	const JoinKey *keys = pair_keys(view->plan, &n);

	if (n == 0)
		return Guarded::kNothing;
	if (capture::any_reset(deltas))
	{
		guard_all_keys(view);
		return Guarded::kSomething;
	}

	PairWrite *write = (PairWrite *) palloc(sizeof(PairWrite));
	Guarded guarded = Guarded::kNothing;

	for (int pair = 0; pair < n; pair++)
		if (keys[pair].distance > 0 &&
			guard_pair(view, pair, &keys[pair], deltas, write) == Guarded::kSomething)
			guarded = Guarded::kSomething;
	pfree(write);
	return guarded;
}

void
guard_all_keys(const ViewRuntime *view)
{
	int n;
	const JoinKey *keys = pair_keys(view->plan, &n);

	for (int pair = 0; pair < n; pair++)
		if (keys[pair].distance > 0)
			lock_sides(view, pair, kBoth);
}

} // namespace tw::maintain
