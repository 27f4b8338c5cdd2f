/*
 * guard.cpp - keeps writers of different inputs of one view apart.
 *
 * The delta of a join for a change of R reads S. If another transaction changes
 * S at the same time, neither would see the other's rows. So for each pair of
 * inputs there is a lock which writers of the one take in a mode that is
 * compatible with itself, and writers of the other in a second such mode that
 * conflicts with the first: writers of R run beside each other, and so do
 * writers of S, but not both. A table that is joined with itself takes a mode
 * that excludes everybody. Whoever waited computes its delta under a snapshot
 * taken afterwards, which sees what the other one committed.
 *
 * Views over one table that are filters, projections or aggregates need no
 * guard: rows are told apart by the base row's or the group row's own lock.
 * Views that are evaluated again take one exclusive lock.
 *
 * The locks are taken before the statement locks any row, for all tables that it
 * is known to write (by writable CTEs and foreign key actions too), in the
 * order in which views are maintained, so that single statements do not
 * deadlock. What triggers of users write is not known in advance.
 */
#include "maintain/guard.hpp"

namespace tw::maintain
{

using analyze::Block;
using analyze::Strategy;

namespace
{

void
lock_pair(Oid view, int a, int b, LOCKMODE mode)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, view, (uint32)(a * 65536 + b), pg::kGuardLock);
	(void)LockAcquire(&tag, mode, false, false);
}

/* Inputs of the block by distinct relation; how often each occurs. */
int
distinct_inputs(const Block *block, Oid *relids, int *counts)
{
	int n = 0;

	for (int i = 0; i < block->noccurrences; i++)
	{
		int j = 0;

		while (j < n && relids[j] != block->relids[i])
			j++;
		if (j == n)
		{
			relids[n] = block->relids[i];
			counts[n++] = 0;
		}
		counts[j]++;
	}
	return n;
}

bool
is_linear(const ViewRuntime *view)
{
	return view->plan->strategy == Strategy::kLinear ||
		   view->plan->strategy == Strategy::kAggregate;
}

constexpr LOCKMODE kFirstMode = RowExclusiveLock; /* compatible with itself, conflicts with the second */
constexpr LOCKMODE kSecondMode = ShareLock;
constexpr LOCKMODE kAloneMode = ShareRowExclusiveLock; /* conflicts with both and itself */

} // namespace

bool
needs_guard(const ViewRuntime *view)
{
	return !is_linear(view) || view->plan->input->noccurrences > 1;
}

void
guard_write(const ViewRuntime *view, List *written)
{
	if (!needs_guard(view) || written == NIL)
		return;
	if (!is_linear(view))
	{
		lock_pair(view->info.view, 0, 0, kAloneMode);
		return;
	}

	const Block *block = view->plan->input;
	Oid *relids = (Oid *) palloc(sizeof(Oid) * block->noccurrences);
	int *counts = (int *) palloc(sizeof(int) * block->noccurrences);
	int n = distinct_inputs(block, relids, counts);

	for (int i = 0; i < n; i++)
	{
		bool writes_i = list_member_oid(written, relids[i]);

		if (writes_i && counts[i] > 1)
			lock_pair(view->info.view, i, i, kAloneMode);
		for (int j = i + 1; j < n; j++)
		{
			bool writes_j = list_member_oid(written, relids[j]);

			/* Never one mode after the other: two that wait for the second would deadlock. */
			if (writes_i || writes_j)
				lock_pair(view->info.view, i, j,
						  writes_i && writes_j ? kAloneMode : (writes_i ? kFirstMode : kSecondMode));
		}
	}
	pfree(relids);
	pfree(counts);
}

void
guard_all(const ViewRuntime *view)
{
	guard_write(view, view->plan->bases);
}

} // namespace tw::maintain
