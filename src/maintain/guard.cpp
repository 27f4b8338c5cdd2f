/*
 * guard.cpp - keeps writers of different inputs of one view apart.
 *
 * The delta of a join for a change of R reads S. If another transaction changes
 * S at the same time, neither would see the other's rows. So for each pair of
 * inputs there is a lock which writers of the one take in a mode that is
 * compatible with itself, and writers of the other in a second such mode that
 * conflicts with the first: writers of R run beside each other, and so do
 * writers of S, but not both. A table that is read more than once takes a mode
 * that excludes everybody. Whoever waited computes its delta under a snapshot
 * taken afterwards, which sees what the other one committed.
 *
 * Where rows of two inputs meet only if a column of each is equal, writers are
 * kept apart by these keys instead, when they are known (key_guard.cpp), also by
 * way of other tables and where both inputs are one table. So are those of keyed views where the way from a change to its key leads over the other
 * input by such an equality; where it leads over the other input from neither side,
 * they need not be kept apart (analyze/touch_keys.cpp).
 *
 * Who takes guards first locks the tables that the view reads, as its delta will
 * have to anyway: whoever has one of them for himself (TRUNCATE) then meets nobody
 * who holds a guard and waits for that table.
 *
 * Views over one table that are filters, projections or aggregates need no
 * guard: rows are told apart by the base row's or the group row's own lock.
 * Keyed views have the pair locks too, and lock the touched keys (exec/keyed.cpp);
 * one lock on the view as a whole separates those who change some keys from
 * those who must evaluate everything again. Recursive views, views that are
 * always evaluated again and those by ORDER BY ... LIMIT take only that lock: who
 * moves the boundary must see all rows beyond it. Writers beyond it could share
 * the lock, but they know where they write only when it is done: of two transactions
 * that share it and then both move the boundary, one would fail.
 *
 * The locks are taken before the statement locks any row, for all tables that it
 * is known to write (by writable CTEs and foreign key actions too), in the
 * order in which views are maintained, so that single statements do not
 * deadlock. What triggers of users write is not known in advance.
 */
#include "maintain/guard.hpp"
#include "maintain/key_guard.hpp"

namespace tw::maintain
{

using analyze::Strategy;

namespace
{

void
lock_pair(Oid view, int a, int b, LOCKMODE mode)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, view, (uint32) (a * 65536 + b), pg::kGuardLock);
	(void) LockAcquire(&tag, mode, false, false);
}

/* The inputs of a view by distinct relation. */
struct Inputs
{
	int n;
	Oid *relids;
	int *counts;      /* how often it is read */
	bool *everything; /* a change of it may touch any row */
};

void
add_input(Inputs *inputs, Oid relid, bool everything)
{
	int i = 0;

	while (i < inputs->n && inputs->relids[i] != relid)
		i++;
	if (i == inputs->n)
	{
		inputs->relids[i] = relid;
		inputs->counts[i] = 0;
		inputs->everything[i] = false;
		inputs->n++;
	}
	inputs->counts[i]++;
	inputs->everything[i] |= everything;
}

Inputs
inputs_of(const analyze::ViewPlan *plan)
{
	const analyze::ViewPlan *keyed = analyze::keyed_part(plan);
	int most = keyed ? keyed->npoints : plan->input->noccurrences;
	Inputs inputs = {0, (Oid *) palloc(sizeof(Oid) * Max(most, 1)),
					 (int *) palloc(sizeof(int) * Max(most, 1)),
					 (bool *) palloc(sizeof(bool) * Max(most, 1))};

	for (int i = 0; i < most; i++)
	{
		if (keyed)
			add_input(&inputs, keyed->points[i].relid, !keyed->points[i].followed);
		else
			add_input(&inputs, plan->input->relids[i], false);
	}
	return inputs;
}

constexpr int kWhole = 0x7fff; /* in place of both inputs: the view as a whole */
constexpr int kTruncate = 0x7ffe;
constexpr LOCKMODE kFirstMode =
	RowExclusiveLock; /* compatible with itself, conflicts with the second */
constexpr LOCKMODE kSecondMode = ShareLock;
constexpr LOCKMODE kAloneMode = ShareRowExclusiveLock; /* conflicts with both and itself */

} // namespace

bool
needs_guard(const ViewRuntime *view)
{
	Strategy strategy = view->plan->strategy;

	return strategy == Strategy::kKeyed || strategy == Strategy::kRecompute ||
		   strategy == Strategy::kRecursive || view->plan->keyed_input ||
		   view->plan->input->noccurrences > 1;
}

void
lock_inputs(const ViewRuntime *view)
{
	ListCell *lc;

	/* Waiting may bring news that replace the runtime. */
	foreach (lc, list_copy(view->tables))
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
}

void
guard_write(const ViewRuntime *view, List *written)
{
	const analyze::ViewPlan *plan = view->plan;
	LOCKMODE whole = kFirstMode;

	if (!needs_guard(view) || written == NIL)
		return;
	if (plan->strategy == Strategy::kRecompute || plan->strategy == Strategy::kRecursive)
	{
		guard_recompute(view);
		return;
	}

	Inputs inputs = inputs_of(plan);
	for (int i = 0; i < inputs.n; i++)
		if (inputs.everything[i] && list_member_oid(written, inputs.relids[i]))
			whole = kAloneMode;
	if (analyze::keyed_part(plan))
		lock_pair(view->info.view, kWhole, kWhole, whole);

	for (int i = 0; i < inputs.n; i++)
	{
		bool writes_i = list_member_oid(written, inputs.relids[i]);
		int itself = inputs.counts[i] * (inputs.counts[i] - 1) / 2;

		if (writes_i && !guarded_by_key(view, inputs.relids[i], inputs.relids[i], itself))
			lock_pair(view->info.view, i, i, kAloneMode);
		for (int j = i + 1; j < inputs.n; j++)
		{
			bool writes_j = list_member_oid(written, inputs.relids[j]);

			if (!writes_i && !writes_j)
				continue;
			if (guarded_by_key(view, inputs.relids[i], inputs.relids[j],
							   inputs.counts[i] * inputs.counts[j]))
				continue;
			/* Never one mode after the other: two that wait for the second would deadlock. */
			lock_pair(view->info.view, i, j,
					  writes_i && writes_j ? kAloneMode : (writes_i ? kFirstMode : kSecondMode));
		}
	}
	pfree(inputs.relids);
	pfree(inputs.counts);
	pfree(inputs.everything);
}

void
guard_truncate(List *views)
{
	List *sorted = list_copy(views);
	ListCell *lc;

	list_sort(sorted, list_oid_cmp);
	foreach (lc, sorted)
		lock_pair(lfirst_oid(lc), kTruncate, kTruncate, kAloneMode);
}

void
guard_recompute(const ViewRuntime *view)
{
	lock_pair(view->info.view, kWhole, kWhole, kAloneMode);
}

void
guard_all(const ViewRuntime *view)
{
	guard_write(view, view->plan->bases);
	guard_all_keys(view);
	/* Touched keys are not known, so that those who lock some must be kept away as a whole. */
	if (analyze::keyed_part(view->plan))
		guard_recompute(view);
}

} // namespace tw::maintain
