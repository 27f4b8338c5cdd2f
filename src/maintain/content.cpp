/*
 * content.cpp - what a view should hold, against what it holds.
 */
#include "maintain/content.hpp"
#include "maintain/attach_steps.hpp"
#include "maintain/progress.hpp"
#include "analyze/determinism.hpp"
#include "exec/snapshot.hpp"
#include "state/columns.hpp"
#include "state/writer.hpp"

namespace tw::maintain
{

using capture::ZSet;

namespace
{

void
collect_row(void *arg, TupleTableSlot *row, int64 weight)
{
	(void) capture::zset_add(static_cast<ZSet *>(arg), row, weight);
	note_rows(1);
}

/*
 * Waits for those who write the state table, and excludes others until the end
 * of the transaction: all groups are about to be replaced.
 */
void
lock_groups(Oid relid)
{
	LockRelationOid(relid, ShareRowExclusiveLock);
	if (!IsolationUsesXactSnapshot())
		exec::renew_snapshot();
}

/* Removes all rows of a state table or view, in this transaction's sight. */
void
empty_table(Oid relid)
{
	state::Writer *writer = state::open_writer(relid, InvalidOid);
	state::Search search = state::begin_search(writer, GetActiveSnapshot(), nullptr, nullptr);

	while (state::next_row(writer, &search))
	{
		CHECK_FOR_INTERRUPTS();
		if (state::delete_row(writer, &writer->found->tts_tid) != state::WriteResult::kDone)
			state::serialization_failure();
	}
	state::end_search(&search);
	state::close_writer(writer);
}

void
rebuild_aggregate(const ViewRuntime *view, ZSet *out)
{
	state::Groups *groups = state::begin_groups(view->aggregate);

	ListCell *lc;
	foreach (lc, view->part_states)
	{
		lock_groups(lfirst_oid(lc));
		empty_table(lfirst_oid(lc));
	}
	lock_groups(view->state);
	empty_table(view->state);
	exec::run_whole(view->input, state::add_input, groups);
	state::store_groups(groups, out);
}

} // namespace

namespace
{

void
count_row(void *arg, TupleTableSlot *row, int64 weight)
{
	*static_cast<int64 *>(arg) += weight;
}

int64
count_rows(exec::CachedQuery *query)
{
	int64 n = 0;

	exec::run_query(query, nullptr, 0, exec::WeightColumn::kNone, count_row, &n);
	return n;
}

/* The query with another limit. */
Query *
limited(const Query *query, Node *offset, Node *count, LimitOption option)
{
	Query *copy = (Query *) copyObject(query);

	copy->limitOffset = (Node *) copyObject(offset);
	copy->limitCount = (Node *) copyObject(count);
	copy->limitOption = option;
	return copy;
}

void
add_limit(TieQueries *ties, const Query *query, Node *offset, Node *count, MemoryContext context,
		  const bool *stale)
{
	int i = ties->n++;

	ties->first[i] = exec::make_cached_query(limited(query, offset, count, LIMIT_OPTION_COUNT),
											 context, stale);
	ties->with_ties[i] = exec::make_cached_query(limited(query, offset, count,
														 LIMIT_OPTION_WITH_TIES),
												 context, stale);
}

} // namespace

TieQueries
make_tie_queries(const analyze::ViewPlan *plan, MemoryContext context, const bool *stale)
{
	const Query *query = plan->query;
	TieQueries ties = {};

	if (!plan->may_tie)
		return ties;
	if (query->limitOffset)
		add_limit(&ties, query, nullptr, query->limitOffset, context, stale);
	if (query->limitCount && query->limitOption == LIMIT_OPTION_COUNT)
		add_limit(&ties, query, query->limitOffset, query->limitCount, context, stale);
	return ties;
}

bool
has_ties(const TieQueries *ties)
{
	for (int i = 0; i < ties->n; i++)
		if (count_rows(ties->with_ties[i]) > count_rows(ties->first[i]))
			return true;
	return false;
}

void
evaluate(const ViewRuntime *view, ZSet *out)
{
	if (has_ties(&view->ties))
		evaluate_whole(view->plan, out);
	else
		exec::run_query(view->whole, nullptr, 0, exec::WeightColumn::kNone, collect_row, out);
}

void
evaluate_whole(const analyze::ViewPlan *plan, ZSet *out)
{
	Query *whole = (Query *) copyObject(plan->whole);
	bool stale = false;

	if (plan->exact_floats || plan->strategy == analyze::Strategy::kAggregate)
		analyze::use_exact_floats(whole);
	exec::run_query(exec::make_cached_query(whole, CurrentMemoryContext, &stale), nullptr, 0,
					exec::WeightColumn::kNone, collect_row, out);
}

void
make_room(const ViewRuntime *view)
{
	constexpr BlockNumber kSmallBlocks = 4096;

	if (view->plan->strategy != analyze::Strategy::kAggregate)
		return;

	Relation rel = table_open(view->info.view, AccessShareLock);
	bool small = RelationGetNumberOfBlocks(rel) <= kSmallBlocks;

	table_close(rel, NoLock);
	if (small)
		empty_table(view->info.view);
}

namespace
{

/* Adds the rows of a table, with nulls in the columns that are left out. */
void
read_columns(Oid table, int64 weight, const Bitmapset *left_out, ZSet *out)
{
	Relation rel = table_open(table, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, nullptr);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, nullptr);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		for (int i = -1; (i = bms_next_member(left_out, i)) >= 0;)
			slot->tts_isnull[i - 1] = true;
		collect_row(out, slot, weight);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

} // namespace

void
read_table(Oid table, int64 weight, ZSet *out)
{
	read_columns(table, weight, nullptr, out);
}

namespace
{

/* True if both tables hold the same rows, but for the columns that are left out. */
bool
hold_the_same(Oid a, Oid b, const Bitmapset *left_out)
{
	Relation rel = table_open(a, AccessShareLock);
	ZSet *difference = capture::make_large_zset(RelationGetDescr(rel), CurrentMemoryContext);

	read_columns(a, +1, left_out, difference);
	read_columns(b, -1, left_out, difference);
	bool same = capture::zset_is_empty(difference);
	capture::clear_zset(difference);
	table_close(rel, NoLock);
	return same;
}

/* Adds the rows that the groups give; false where the state is not what the input gives. */
bool
check_groups(const ViewRuntime *view, ZSet *out)
{
	SpareState spare = create_spare_state(view);
	state::Groups *groups = state::begin_groups(spare.op);
	const Bitmapset *incidental = state::incidental_columns(view->plan);
	bool same = true;
	ListCell *lc;
	ListCell *ls;

	UpdateActiveSnapshotCommandId();
	exec::run_whole(view->input, state::add_input, groups);
	state::store_groups(groups, out);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	forboth (lc, lcons_oid(view->state, list_copy(view->part_states)), ls, spare.tables)
		same = same && hold_the_same(lfirst_oid(lc), lfirst_oid(ls),
									 lfirst_oid(lc) == view->state ? incidental : nullptr);
	drop_spare_state(&spare);
	return same;
}

} // namespace

bool
is_right(const ViewRuntime *view)
{
	ZSet *difference = capture::make_large_zset(view->desc, CurrentMemoryContext);
	bool right = true;

	if (view->plan->strategy == analyze::Strategy::kAggregate)
		right = check_groups(view, difference);
	else
		evaluate(view, difference);
	if (view->top_k)
		right = state::boundaries_are_right(view->top_k);
	read_view(view, -1, difference);
	right = right && capture::zset_is_empty(difference);
	capture::clear_zset(difference);
	return right;
}

void
read_view(const ViewRuntime *view, int64 weight, ZSet *out)
{
	read_table(view->info.view, weight, out);
}

void
recompute(const ViewRuntime *view, ZSet *out)
{
	if (view->plan->strategy == analyze::Strategy::kAggregate)
		rebuild_aggregate(view, out);
	else
		evaluate(view, out);
	/* The boundaries are found anew at the next change. */
	if (view->top_k)
		empty_table(view->state);
	read_view(view, -1, out);
}

} // namespace tw::maintain
