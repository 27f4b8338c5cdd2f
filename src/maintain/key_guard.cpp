/*
 * key_guard.cpp - keeps writers of different inputs of one view apart where their rows could meet.
 *
 * Where rows of R and S meet only if r.k = s.k, a writer of R need only be kept
 * from writers of S whose rows have the same k. Both lock the buckets of the
 * hashes of their keys, the ones in a mode that is compatible with itself, the
 * others in a second such mode that conflicts with the first, as guard.cpp does
 * with whole tables; who writes both takes a mode that excludes everybody.
 *
 * The keys are known when the rows are written, so these locks are taken when
 * the view is maintained, in the order of views, pairs and buckets. Until then a
 * statement holds row locks only, and afterwards it waits for rows of state and
 * views only: single statements do not deadlock. The delta is computed under a
 * snapshot taken after the locks.
 *
 * A statement with keys in many buckets locks the pair as a whole instead. For
 * this each side has a lock on which who writes the whole side meets those who
 * write some keys of the other one, and there is one on which those meet who
 * write the whole of either side. So writers of one side never meet.
 */
#include "maintain/key_guard.hpp"

namespace tw::maintain
{

using analyze::JoinKey;
using analyze::Strategy;
using capture::Delta;

namespace
{

constexpr uint32 kBuckets = 256;
constexpr int kSomeBuckets = 16;         /* more than these: the whole side */
constexpr int kManyInTransaction = 1024; /* after so many a transaction takes whole sides */
constexpr uint32 kWholeSide = kBuckets;  /* and the next number, for the second side */
constexpr uint32 kBothWhole = kBuckets + 2;

constexpr LOCKMODE kFirstMode =
	RowExclusiveLock; /* compatible with itself, conflicts with the second */
constexpr LOCKMODE kSecondMode = ShareLock;
constexpr LOCKMODE kAloneMode = ShareRowExclusiveLock; /* conflicts with both and itself */

/* Bucket locks of the present transaction. */
int taken = 0;
LocalTransactionId taken_by = InvalidLocalTransactionId;

/* What a statement writes, as seen from one pair. */
struct PairWrite
{
	const JoinKey *key;
	bool sides[2]; /* which ones are written */
	bool whole;    /* too many buckets, or unknown ones */
	int nbuckets;
	bool buckets[kBuckets];
};

struct Hashing
{
	PairWrite *write;
	int side;
};

void
lock(const ViewRuntime *view, int pair, uint32 what, LOCKMODE mode)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, view->info.view, (uint32) pair << 16 | what,
						 pg::kJoinKeyLock);
	(void) LockAcquire(&tag, mode, false, false);
}

void
add_bucket(void *arg, TupleTableSlot *row, int64 weight)
{
	Hashing *hashing = static_cast<Hashing *>(arg);
	PairWrite *write = hashing->write;
	const analyze::JoinSide *side = &write->key->sides[hashing->side];
	bool isnull;

	if (write->whole)
		return;

	Datum value = slot_getattr(row, side->column, &isnull);
	if (isnull)
		return; /* equals nothing */

	uint32 hash = DatumGetUInt32(OidFunctionCall1Coll(side->hash, write->key->collation, value));
	uint32 bucket = hash % kBuckets;
	if (write->buckets[bucket])
		return;
	write->buckets[bucket] = true;
	write->nbuckets++;
	write->whole = write->nbuckets > kSomeBuckets;
}

void
lock_buckets(const ViewRuntime *view, int pair, const PairWrite *write)
{
	LOCKMODE mode = write->sides[0] && write->sides[1]
						? kAloneMode
						: (write->sides[0] ? kFirstMode : kSecondMode);

	if (write->nbuckets == 0)
		return;
	/* Some keys of a side: nobody writes the other one as a whole. */
	for (uint32 side = 0; side < 2; side++)
		if (write->sides[1 - side])
			lock(view, pair, kWholeSide + side, kSecondMode);
	for (uint32 bucket = 0; bucket < kBuckets; bucket++)
		if (write->buckets[bucket])
			lock(view, pair, bucket, mode);
	taken += write->nbuckets;
}

void
lock_sides(const ViewRuntime *view, int pair, const bool *sides)
{
	bool both = sides[0] && sides[1];

	for (uint32 side = 0; side < 2; side++)
		if (sides[side])
			lock(view, pair, kWholeSide + side, both ? kAloneMode : kFirstMode);
	lock(view, pair, kBothWhole, both ? kAloneMode : (sides[0] ? kFirstMode : kSecondMode));
}

/* The pairs of inputs of a view whose rows have keys. */
struct Pairs
{
	int n;
	const JoinKey *keys;
	const Oid *relids; /* by occurrence */
};

Pairs
pairs_of(const ViewRuntime *view)
{
	const analyze::ViewPlan *keyed = analyze::keyed_part(view->plan);
	Strategy strategy = view->plan->strategy;

	if (keyed)
	{
		Oid *relids = (Oid *) palloc(sizeof(Oid) * Max(keyed->npoints, 1));

		for (int i = 0; i < keyed->npoints; i++)
			relids[i] = keyed->points[i].relid;
		return {keyed->npoint_keys, keyed->point_keys, relids};
	}
	if (strategy != Strategy::kLinear && strategy != Strategy::kAggregate)
		return {0, nullptr, nullptr};
	return {view->plan->input->njoin_keys, view->plan->input->join_keys, view->plan->input->relids};
}

/* True if the rows of the pair never matter to each other. */
bool
is_independent(const JoinKey *key)
{
	return key->sides[0].column == InvalidAttrNumber;
}

/* Adds what a delta of an input writes; a delta of another relation writes nothing here. */
void
add_delta(PairWrite *write, const Oid *relids, const Delta *delta)
{
	for (int side = 0; side < 2; side++)
	{
		Hashing hashing = {write, side};

		if (relids[write->key->sides[side].occurrence] != delta->relid)
			continue;
		write->sides[side] = true;
		capture::each_row(delta, add_bucket, &hashing);
	}
}

} // namespace

bool
guarded_by_key(const ViewRuntime *view, Oid a, Oid b)
{
	Pairs pairs = pairs_of(view);

	for (int i = 0; i < pairs.n; i++)
	{
		Oid first = pairs.relids[pairs.keys[i].sides[0].occurrence];
		Oid second = pairs.relids[pairs.keys[i].sides[1].occurrence];

		if ((first == a && second == b) || (first == b && second == a))
			return true;
	}
	return false;
}

Guarded
guard_keys(const ViewRuntime *view, List *deltas)
{
	Pairs pairs = pairs_of(view);

	if (pairs.n == 0)
		return Guarded::kNothing;

	PairWrite *write = (PairWrite *) palloc(sizeof(PairWrite));
	Guarded guarded = Guarded::kNothing;
	ListCell *lc;

	if (taken_by != pg::local_transaction())
		taken = 0;
	taken_by = pg::local_transaction();
	foreach (lc, deltas)
		if (((const Delta *) lfirst(lc))->reset)
		{
			guard_all_keys(view);
			return Guarded::kSomething;
		}
	for (int pair = 0; pair < pairs.n; pair++)
	{
		if (is_independent(&pairs.keys[pair]))
			continue;
		memset(write, 0, sizeof(PairWrite));
		write->key = &pairs.keys[pair];
		write->whole = taken > kManyInTransaction;
		foreach (lc, deltas)
			add_delta(write, pairs.relids, (const Delta *) lfirst(lc));
		if (!write->sides[0] && !write->sides[1])
			continue;
		if (write->whole)
			lock_sides(view, pair, write->sides);
		else
			lock_buckets(view, pair, write);
		guarded = Guarded::kSomething;
	}
	pfree(write);
	return guarded;
}

void
guard_all_keys(const ViewRuntime *view)
{
	const bool both[2] = {true, true};
	int npairs = pairs_of(view).n;

	for (int pair = 0; pair < npairs; pair++)
		lock_sides(view, pair, both);
}

} // namespace tw::maintain
