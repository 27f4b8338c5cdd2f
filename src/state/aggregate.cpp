/*
 * aggregate.cpp - keeps the groups of an aggregate operator in a state table.
 *
 * A batch is first gathered in memory, one entry for each touched group; when
 * memory is full, rows of further groups are spilled, in the order in which
 * groups are taken, and each such group is put together when its turn comes. Then
 * each group's row in the state table is read, the difference added, and the
 * row written back; the view's old and new row follow from the two states by
 * the finalization. A group without rows has no state row, except that a query
 * without GROUP BY always has one.
 *
 * Concurrency: two writers of one group meet at its state row. The second one
 * waits for the first, reads the row again and adds its difference to that.
 * Two writers that both find no row for a new group meet at a lock on the
 * group's hash, which is held only while one of them looks for a row that is not
 * committed yet, and inserts: a transaction that creates many groups keeps no
 * lock for each. Who finds such a row waits for the transaction and looks
 * again. A group whose extreme left is locked before its
 * rows are read again, under a snapshot taken after that; whoever changes the
 * group's base rows later adds to what is stored now. All writers take groups
 * in one order, so that they do not deadlock; neighbours in the index follow
 * each other in it, where the key is a number.
 */
#include "state/aggregate.hpp"
#include "state/accumulator.hpp"
#include "state/columns.hpp"
#include "state/distinct.hpp"
#include "state/groups.hpp"
#include "state/packed.hpp"
#include "state/row_hash.hpp"
#include "exec/snapshot.hpp"
#include "state/walk.hpp"
#include "state/writer.hpp"

namespace tw::state
{

using analyze::AggregateSpec;
using analyze::ViewPlan;
using capture::ZEntry;
using capture::ZSet;

struct AggregateOperator
{
	const ViewPlan *plan;
	MemoryContext context;
	WriterCache *writer; /* of the state table */
	StateLayout layout;  /* the same */
	TupleDesc keys;      /* group columns */
	TupleDesc results;   /* group columns, aggregate results */
	FmgrInfo *compares;  /* by aggregate */
	Size *places;        /* by aggregate: of its accumulator among those of a group */
	Size change_size;    /* of all accumulators of a group */
	Size value_size;     /* about what they point to */

	/* finalization */
	ExprContext *econtext;
	TupleTableSlot *grouped; /* of `results` */
	TupleTableSlot *output;  /* of the view */
	ProjectionInfo *projection;
	ExprState *having;
	ExprState *multiplicity;

	exec::CachedQuery *restricted;
	exec::CachedQuery *restricted_nulls;

	TupleDesc input;              /* see Groups::input */
	AggregateOperator **distinct; /* by distinct input */
};

namespace
{

/* One row of the state table in memory. */
struct StateRow
{
	Datum *values;
	bool *nulls;
	ItemPointerData tid;
};

/* A group whose rows must be read again; its state row is locked. */
struct Reread
{
	MinimalTuple keys;
	StateRow old;
	StateRow merged; /* where there are distinct inputs: with the changes added */
};

StateRow
make_row(int natts)
{
	StateRow row;

	row.values = (Datum *) palloc0(sizeof(Datum) * natts);
	row.nulls = (bool *) palloc0(sizeof(bool) * natts);
	ItemPointerSetInvalid(&row.tid);
	return row;
}

StateRow
copy_row(const StateRow *row, int natts)
{
	StateRow copy = make_row(natts);

	memcpy(copy.values, row->values, sizeof(Datum) * natts);
	memcpy(copy.nulls, row->nulls, sizeof(bool) * natts);
	copy.tid = row->tid;
	return copy;
}

/* The row in the slot of the state table, detoasted where needed, valid after the slot's next use. */
StateRow
read_row(const AggregateOperator *op, TupleTableSlot *slot)
{
	StateRow row = make_row(op->layout.columns->natts);

	slot_getallattrs(slot);
	unpack(op->layout, slot->tts_values, slot->tts_isnull, row.values, row.nulls);
	row.tid = slot->tts_tid;
	return row;
}

StateRow
empty_row(const ViewPlan *plan, const Datum *keys, const bool *nulls)
{
	StateRow row = make_row(state_natts(plan));

	memcpy(row.values, keys, sizeof(Datum) * plan->ngroup);
	memcpy(row.nulls, nulls, sizeof(bool) * plan->ngroup);
	row.values[plan->ngroup] = Int64GetDatum(0);
	for (int i = 0; i < plan->naggregates; i++)
	{
		int first = plan->aggregates[i].state - 1;

		empty_state(&plan->aggregates[i], row.values + first, row.nulls + first);
	}
	return row;
}

int64
row_count(const ViewPlan *plan, const StateRow *row)
{
	return DatumGetInt64(row->values[plan->ngroup]);
}

Accumulator *
change_of(const Groups *groups, int group, int aggregate)
{
	return (Accumulator *) (groups->changes + (Size) group * groups->change_size +
							groups->op->places[aggregate]);
}

/* Adds a group's change to a state row; false where the group must be read again. */
bool
merge_group(Groups *groups, int group, StateRow *row)
{
	const ViewPlan *plan = groups->op->plan;
	int64 count = row_count(plan, row) + groups->keys->entries[group].weight;
	bool known = true;

	if (count < 0)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("state of materialized view \"%s\" does not match its base tables",
					   get_rel_name(plan->view)),
				errhint("REFRESH MATERIALIZED VIEW builds it anew."));
	row->values[plan->ngroup] = Int64GetDatum(count);
	for (int i = 0; i < plan->naggregates; i++)
	{
		int first = plan->aggregates[i].state - 1;

		if (!merge(&plan->aggregates[i], &groups->op->compares[i], change_of(groups, group, i),
				   row->values + first, row->nulls + first))
			known = false;
	}
	return known;
}

/* Adds the view's rows for a state row to the set, unless HAVING rejects them. */
void
emit(AggregateOperator *op, const StateRow *row, int64 weight, ZSet *out)
{
	const ViewPlan *plan = op->plan;
	TupleTableSlot *grouped = op->grouped;

	ExecClearTuple(grouped);
	ResetExprContext(op->econtext);
	memcpy(grouped->tts_values, row->values, sizeof(Datum) * plan->ngroup);
	memcpy(grouped->tts_isnull, row->nulls, sizeof(bool) * plan->ngroup);
	for (int i = 0; i < plan->naggregates; i++)
	{
		int first = plan->aggregates[i].state - 1;
		int place = plan->ngroup + i;

		grouped->tts_values[place] = result(&plan->aggregates[i], row_count(plan, row),
											row->values + first, row->nulls + first,
											&grouped->tts_isnull[place]);
	}
	ExecStoreVirtualTuple(grouped);
	op->econtext->ecxt_outertuple = grouped;
	if (op->having && !ExecQual(op->having, op->econtext))
		return;
	if (op->multiplicity)
	{
		bool isnull;

		weight *= DatumGetInt64(ExecEvalExprSwitchContext(op->multiplicity, op->econtext, &isnull));
		if (weight == 0)
			return;
	}
	capture::zset_add(out, ExecProject(op->projection), weight);
}

/* The row for storing, in the writer's slot. */
TupleTableSlot *
stored_slot(const AggregateOperator *op, Writer *writer, const StateRow *row)
{
	TupleTableSlot *slot = writer->row;

	ExecClearTuple(slot);
	pack(op->layout, row->values, row->nulls, slot->tts_values, slot->tts_isnull);
	return ExecStoreVirtualTuple(slot);
}

/* The lock under which a group of this hash is created. */
LOCKTAG
new_group_tag(AggregateOperator *op, const Datum *values, const bool *nulls)
{
	LOCKTAG tag;
	AttrNumber columns[INDEX_MAX_KEYS * 4];
	int n = Min(op->plan->ngroup, (int) lengthof(columns));

	for (int i = 0; i < n; i++)
		columns[i] = i + 1;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, op->plan->view,
						 (uint32) row_hash(op->keys, columns, n, values, nulls), pg::kGroupLock);
	return tag;
}

/* True if the row that was found is the group's. */
bool
is_row_of(AggregateOperator *op, Writer *writer, const Datum *keys, const bool *nulls)
{
	AttrNumber natts = op->plan->ngroup;
	bool same = true;

	slot_getsomeattrs(writer->found, natts);
	for (int i = 0; same && writer->form != IndexForm::kColumns && i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(op->keys, i);

		same = nulls[i] == writer->found->tts_isnull[i] &&
			   (nulls[i] ||
				datum_image_eq(keys[i], writer->found->tts_values[i], att->attbyval, att->attlen));
	}
	return same;
}

/* Finds a group's state row by its keys, which head the arrays. */
bool
find_row(AggregateOperator *op, Writer *writer, Snapshot snapshot, const Datum *keys,
		 const bool *nulls, StateRow *row)
{
	Search search = begin_search(writer, snapshot, keys, nulls);
	bool found = false;

	while (!found && next_row(writer, &search))
		if (is_row_of(op, writer, keys, nulls))
		{
			*row = read_row(op, writer->found);
			found = true;
		}
	end_search(&search);
	return found;
}

/* The same, first along the index, where there is a walk, or where the session found it before. */
bool
find_next_row(AggregateOperator *op, Writer *writer, Walk *walk, const Datum *keys,
			  const bool *nulls, StateRow *row)
{
	if (walk ? walk_to(walk, keys, nulls) : find_again(writer, keys, nulls))
	{
		*row = read_row(op, writer->found);
		return true;
	}
	if (!find_row(op, writer, GetActiveSnapshot(), keys, nulls, row))
		return false;
	if (!walk)
		remember_found(writer, keys, nulls);
	return true;
}

bool
group_is_noop(Groups *groups, int group)
{
	const ViewPlan *plan = groups->op->plan;

	if (groups->keys->entries[group].weight != 0)
		return false;
	for (int i = 0; i < plan->naggregates; i++)
		if (!is_noop(&plan->aggregates[i], change_of(groups, group, i)))
			return false;
	return true;
}

struct Fold
{
	Groups *groups;
	AggregateOperator *op;
	Writer *writer;
	Walk *walk; /* of the writer, or null */
	ZSet *out;
	List *rereads;
	MemoryContext reread; /* of `rereads` */
	MemoryContext batch;
	MemoryContext group; /* reset after each group */
};

Fold
begin_fold(Groups *groups, Writer *writer, ZSet *out)
{
	MemoryContext group = AllocSetContextCreate(CurrentMemoryContext, "tailwater group",
												ALLOCSET_DEFAULT_SIZES);

	return {groups, groups->op, writer, nullptr, out, NIL, nullptr, CurrentMemoryContext, group};
}

/* Locks a group's row for reading its rows again; false where it is gone. */
bool
lock_for_reread(Fold *fold, int group, StateRow *row)
{
	TM_FailureData failure;
	TM_Result locked = table_tuple_lock(fold->writer->rel, &row->tid, GetActiveSnapshot(),
										fold->writer->found, GetCurrentCommandId(true),
										LockTupleNoKeyExclusive, LockWaitBlock,
										IsolationUsesXactSnapshot()
											? 0
											: TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
										&failure);

	if (locked == TM_Deleted && !IsolationUsesXactSnapshot())
		return false;
	if (locked != TM_Ok)
		serialization_failure();

	if (!fold->reread)
		fold->reread = AllocSetContextCreate(fold->batch, "tailwater groups to read again",
											 ALLOCSET_DEFAULT_SIZES);

	MemoryContext old = MemoryContextSwitchTo(fold->reread);
	MinimalTuple keys = fold->groups->keys->entries[group].row;
	Reread *reread = (Reread *) palloc(sizeof(Reread));

	reread->keys = (MinimalTuple) palloc(keys->t_len);
	memcpy(reread->keys, keys, keys->t_len);
	reread->old = read_row(fold->op, fold->writer->found);
	if (fold->op->plan->ndistinct > 0)
	{
		reread->merged = copy_row(&reread->old, state_natts(fold->op->plan));
		(void) merge_group(fold->groups, group, &reread->merged);
	}
	fold->rereads = lappend(fold->rereads, reread);
	MemoryContextSwitchTo(old);
	return true;
}

void
replace_row(Fold *fold, const StateRow *old, const StateRow *now)
{
	emit(fold->op, old, -1, fold->out);
	emit(fold->op, now, +1, fold->out);
}

enum class FoldResult
{
	kDone,
	kLookAgain
};

FoldResult
fold_known_group(Fold *fold, int group, StateRow *old)
{
	const ViewPlan *plan = fold->op->plan;
	StateRow now = copy_row(old, state_natts(plan));
	bool known = merge_group(fold->groups, group, &now);

	if (row_count(plan, &now) == 0 && plan->ngroup > 0)
	{
		if (delete_row(fold->writer, &old->tid) == WriteResult::kConflict)
			return FoldResult::kLookAgain;
		emit(fold->op, old, -1, fold->out);
		return FoldResult::kDone;
	}
	if (!known)
		return lock_for_reread(fold, group, old) ? FoldResult::kDone : FoldResult::kLookAgain;
	if (update_row(fold->writer, &old->tid, stored_slot(fold->op, fold->writer, &now)) ==
		WriteResult::kConflict)
		return FoldResult::kLookAgain;
	replace_row(fold, old, &now);
	return FoldResult::kDone;
}

void
insert_group(Fold *fold, int group, const Datum *keys, const bool *nulls, Packing packing)
{
	StateRow row = empty_row(fold->op->plan, keys, nulls);

	(void) merge_group(fold->groups, group, &row);
	insert_row(fold->writer, stored_slot(fold->op, fold->writer, &row), packing);
	emit(fold->op, &row, +1, fold->out);
}

/*
 * Creates the group unless somebody else has done so, or is about to: then it
 * must be looked at again.
 */
FoldResult
create_group(Fold *fold, int group, TupleTableSlot *keys)
{
	const Datum *values = keys->tts_values;
	const bool *nulls = keys->tts_isnull;
	LOCKTAG tag = new_group_tag(fold->op, values, nulls);
	SnapshotData dirty;
	StateRow other;

	/* Sees what is committed and what may be. */
	InitDirtySnapshot(dirty);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	if (find_row(fold->op, fold->writer, &dirty, values, nulls, &other))
	{
		TransactionId busy = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;

		(void) LockRelease(&tag, ExclusiveLock, false);
		if (TransactionIdIsValid(busy))
			XactLockTableWait(busy, nullptr, nullptr, XLTW_None);
		else if (IsolationUsesXactSnapshot())
			serialization_failure();
		return FoldResult::kLookAgain;
	}
	insert_group(fold, group, values, nulls, Packing::kFull);
	(void) LockRelease(&tag, ExclusiveLock, false);
	return FoldResult::kDone;
}

/* Under a fixed snapshot, fails if the group is one that others have put there since. */
void
check_unseen(Fold *fold, TupleTableSlot *keys)
{
	StateRow other;

	if (IsolationUsesXactSnapshot() && find_row(fold->op, fold->writer, GetLatestSnapshot(),
												keys->tts_values, keys->tts_isnull, &other))
		serialization_failure();
}

void
fold_group(Fold *fold, int group, TupleTableSlot *keys)
{
	ZEntry *entry = &fold->groups->keys->entries[group];

	Walk *walk = fold->walk;

	ExecStoreMinimalTuple(entry->row, keys, false);
	slot_getallattrs(keys);
	for (;; walk = nullptr)
	{
		FoldResult done;
		StateRow old;

		CHECK_FOR_INTERRUPTS();
		if (find_next_row(fold->op, fold->writer, walk, keys->tts_values, keys->tts_isnull, &old))
			done = fold_known_group(fold, group, &old);
		else if (entry->weight == 0 && fold->op->plan->ngroup > 0)
		{
			/* Rows that came and went within the batch. */
			check_unseen(fold, keys);
			return;
		}
		else
			done = create_group(fold, group, keys);
		if (done == FoldResult::kDone)
			return;
		exec::renew_snapshot();
	}
}

/* ---- order ---- */

struct OrderedGroup
{
	int64 first; /* the first column, where it is passed by value */
	const ZEntry *entry;
	int group;
};

int
compare_groups(const void *left, const void *right)
{
	const OrderedGroup *a = (const OrderedGroup *) left;
	const OrderedGroup *b = (const OrderedGroup *) right;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return capture::compare_images(a->entry->row, b->entry->row);
}

enum class Which
{
	kChanging,
	kAll
};

/* The groups, in the order in which all sessions fold them. */
OrderedGroup *
order_groups(Groups *groups, Which which, TupleTableSlot *keys, int *n)
{
	int nentries = groups->keys->nentries;
	OrderedGroup *ordered = (OrderedGroup *) MemoryContextAllocHuge(CurrentMemoryContext,
																	sizeof(OrderedGroup) *
																		(Size) Max(nentries, 1));

	*n = 0;
	for (int i = 0; i < nentries; i++)
	{
		if (which == Which::kChanging && group_is_noop(groups, i))
			continue;
		ordered[*n] = {group_rank(groups->keys->entries[i].row, keys), &groups->keys->entries[i],
					   i};
		(*n)++;
	}
	if (*n > 1)
		qsort(ordered, *n, sizeof(OrderedGroup), compare_groups);
	return ordered;
}

/* ---- reading groups again ---- */

bool
has_null(TupleTableSlot *keys, int n)
{
	for (int i = 0; i < n; i++)
		if (keys->tts_isnull[i])
			return true;
	return false;
}

void
run_restricted(Fold *fold, exec::CachedQuery *query, Tuplestorestate *keys, int64 n, Groups *fresh)
{
	if (n == 0)
		return;

	TupleDesc desc = CreateTemplateTupleDesc(fold->op->plan->nrestrict);
	for (int i = 1; i <= desc->natts; i++)
		TupleDescCopyEntry(desc, i, fold->op->keys, i);

	exec::NamedStore store = {analyze::kKeysName, desc, keys, n};
	run_query(query, &store, 1, exec::WeightColumn::kNone, add_input, fresh);
}

/* Computes the groups in the list from their rows, under a snapshot taken now. */
Groups *
read_groups_again(Fold *fold, TupleTableSlot *keys)
{
	Groups *fresh = begin_plain_groups(fold->op);
	int n = fold->op->plan->nrestrict;

	fresh->limit = SIZE_MAX; /* they are few */

	TupleDesc desc = CreateTemplateTupleDesc(n);
	Tuplestorestate *stores[2] = {tuplestore_begin_heap(false, false, work_mem),
								  tuplestore_begin_heap(false, false, work_mem)};
	int64 counts[2] = {0, 0};
	ListCell *lc;

	for (int i = 1; i <= n; i++)
		TupleDescCopyEntry(desc, i, fold->op->keys, i);
	foreach (lc, fold->rereads)
	{
		Reread *reread = (Reread *) lfirst(lc);

		ExecStoreMinimalTuple(reread->keys, keys, false);
		slot_getallattrs(keys);
		int which = has_null(keys, n) ? 1 : 0;
		tuplestore_putvalues(stores[which], desc, keys->tts_values, keys->tts_isnull);
		counts[which]++;
	}
	exec::renew_snapshot();
	run_restricted(fold, fold->op->restricted, stores[0], counts[0], fresh);
	run_restricted(fold, fold->op->restricted_nulls, stores[1], counts[1], fresh);
	tuplestore_end(stores[0]);
	tuplestore_end(stores[1]);
	return fresh;
}

/* What comes from distinct inputs is known without reading the group again. */
void
keep_distinct(const ViewPlan *plan, const StateRow *merged, StateRow *now)
{
	for (int i = 0; i < plan->naggregates; i++)
	{
		const AggregateSpec *spec = &plan->aggregates[i];

		if (spec->distinct == 0)
			continue;
		memcpy(now->values + spec->state - 1, merged->values + spec->state - 1,
			   sizeof(Datum) * spec->nstate);
		memcpy(now->nulls + spec->state - 1, merged->nulls + spec->state - 1,
			   sizeof(bool) * spec->nstate);
	}
}

void
reread_groups(Fold *fold, TupleTableSlot *keys)
{
	Groups *fresh = read_groups_again(fold, keys);
	const ViewPlan *plan = fold->op->plan;
	ListCell *lc;

	foreach (lc, fold->rereads)
	{
		Reread *reread = (Reread *) lfirst(lc);
		StateRow now = empty_row(plan, reread->old.values, reread->old.nulls);
		ZEntry *entry = capture::zset_find(fresh->keys, now.values, now.nulls);

		if (entry)
			(void) merge_group(fresh, entry - fresh->keys->entries, &now);
		keep_distinct(plan, &reread->merged, &now);
		if (row_count(plan, &now) == 0 && plan->ngroup > 0)
		{
			(void) delete_row(fold->writer, &reread->old.tid);
			emit(fold->op, &reread->old, -1, fold->out);
			continue;
		}
		(void) update_row(fold->writer, &reread->old.tid,
						  stored_slot(fold->op, fold->writer, &now));
		replace_row(fold, &reread->old, &now);
	}
}

/* Reads the groups again that wait for it, if they are many or all groups have been seen. */
void
settle_rereads(Fold *fold, TupleTableSlot *keys, Size limit)
{
	if (fold->rereads == NIL || MemoryContextMemAllocated(fold->reread, true) < limit)
		return;

	MemoryContext old = MemoryContextSwitchTo(fold->reread);
	reread_groups(fold, keys);
	MemoryContextSwitchTo(old);
	fold->rereads = NIL;
	MemoryContextReset(fold->reread);
}

/* ---- groups beyond memory ---- */

bool
comes_first(const SpilledGroups *spilled, const OrderedGroup *group)
{
	if (spilled->done)
		return false;
	if (spilled->ahead.rank != group->first)
		return spilled->ahead.rank < group->first;
	return capture::compare_images(spilled->ahead.image, group->entry->row) < 0;
}

void
fold_one(Fold *fold, Groups *groups, int group, TupleTableSlot *keys)
{
	Groups *all = fold->groups;

	fold->groups = groups;
	MemoryContextSwitchTo(fold->group);
	fold_group(fold, group, keys);
	MemoryContextSwitchTo(fold->batch);
	MemoryContextReset(fold->group);
	fold->groups = all;
	capture::zset_offer(fold->out);
}

void
fold_next_spilled(Fold *fold, SpilledGroups *spilled, TupleTableSlot *keys)
{
	Groups *single = next_spilled(spilled);

	if (!group_is_noop(single, 0))
		fold_one(fold, single, 0, keys);
	leave_spilled(spilled);
}

} // namespace

AggregateOperator *
make_aggregate_operator(const ViewPlan *plan, Oid relation, Oid index, TupleDesc view,
						const bool *stale)
{
	MemoryContext old = MemoryContextSwitchTo(plan->context);
	AggregateOperator *op = (AggregateOperator *) palloc0(sizeof(AggregateOperator));
	List *targets = (List *) expression_planner((Expr *) copyObject(plan->finalize));

	op->plan = plan;
	op->context = plan->context;
	op->writer = make_writer_cache(relation, index, plan->context, stale);
	op->layout = state_layout(state_columns(plan), plan->ngroup + 1);
	op->keys = key_descriptor(plan);
	op->results = result_descriptor(plan, op->keys);
	op->input = input_descriptor(plan);
	op->distinct = (AggregateOperator **) palloc0(sizeof(AggregateOperator *) *
												  Max(plan->ndistinct, 1));
	op->compares = (FmgrInfo *) palloc0(sizeof(FmgrInfo) * Max(plan->naggregates, 1));
	op->places = (Size *) palloc0(sizeof(Size) * Max(plan->naggregates, 1));
	op->layout.usual = (Usual *) palloc0(sizeof(Usual) * state_natts(plan));
	for (int i = 0; i < plan->naggregates; i++)
	{
		if (OidIsValid(plan->aggregates[i].compare))
			fmgr_info_cxt(plan->aggregates[i].compare, &op->compares[i], plan->context);
		op->places[i] = op->change_size;
		op->change_size += accumulator_size(&plan->aggregates[i]);
		op->value_size += has_values(&plan->aggregates[i]) ? kValues : 0;
		for (int n = 0; n < plan->aggregates[i].nstate; n++)
			op->layout.usual[plan->aggregates[i].state - 1 + n] = usual_state(&plan->aggregates[i],
																			  n);
	}

	op->econtext = CreateStandaloneExprContext();
	op->grouped = MakeSingleTupleTableSlot(op->results, &TTSOpsVirtual);
	op->output = MakeSingleTupleTableSlot(CreateTupleDescCopy(view), &TTSOpsVirtual);
	op->projection = ExecBuildProjectionInfo(targets, op->econtext, op->output, nullptr, nullptr);
	if (plan->having)
		op->having = ExecInitQual(make_ands_implicit(
									  expression_planner((Expr *) copyObject(plan->having))),
								  nullptr);
	if (plan->multiplicity)
		op->multiplicity = ExecInitExpr(expression_planner((Expr *) copyObject(plan->multiplicity)),
										nullptr);
	op->restricted = exec::make_cached_query(plan->restricted, plan->context, stale);
	op->restricted_nulls = exec::make_cached_query(plan->restricted_nulls, plan->context, stale);
	MemoryContextSwitchTo(old);
	return op;
}

void
set_distinct_operator(AggregateOperator *op, int part, AggregateOperator *distinct)
{
	op->distinct[part] = distinct;
}

TupleDesc
result_columns(const AggregateOperator *op)
{
	return op->results;
}

Groups *
begin_groups(AggregateOperator *op)
{
	Groups *groups = begin_plain_groups(op);

	if (op->plan->ndistinct == 0)
		return groups;
	groups->distinct = (Groups **) palloc(sizeof(Groups *) * op->plan->ndistinct);
	for (int i = 0; i < op->plan->ndistinct; i++)
	{
		groups->distinct[i] = begin_plain_groups(op->distinct[i]);
		groups->distinct[i]->row = MakeSingleTupleTableSlot(op->distinct[i]->input, &TTSOpsVirtual);
	}
	return groups;
}

Groups *
begin_plain_groups(AggregateOperator *op)
{
	Groups *groups = (Groups *) palloc0(sizeof(Groups));

	groups->op = op;
	groups->plan = op->plan;
	groups->limit = capture::hash_memory();
	groups->owner = CurrentResourceOwner;
	groups->context = CurrentMemoryContext;
	groups->keys = capture::make_zset(op->keys, CurrentMemoryContext);
	groups->input = op->input;
	if (op->plan->ndistinct > 0)
		groups->tagged = MakeSingleTupleTableSlot(op->input, &TTSOpsVirtual);
	groups->capacity = groups->keys->capacity;
	groups->change_size = op->change_size;
	groups->value_size = op->value_size;
	groups->changes = (char *) palloc0(op->change_size * groups->capacity);
	return groups;
}

void
add_input(void *arg, TupleTableSlot *row, int64 weight)
{
	Groups *groups = static_cast<Groups *>(arg);
	const ViewPlan *plan = groups->op->plan;
	MemoryContext old = MemoryContextSwitchTo(groups->context);

	int distinct = 0;

	slot_getallattrs(row);
	if (groups->tagged)
	{
		row = tag_row(groups, row, weight);
		distinct = DatumGetInt32(row->tts_values[groups->input->natts - 1]);
	}
	if (is_full(groups) && spill_input(groups, row, weight))
	{
		MemoryContextSwitchTo(old);
		return;
	}

	int group = capture::zset_add_values(groups->keys, row->tts_values, row->tts_isnull,
										 distinct == 0 ? weight : 0);
	if (groups->keys->capacity > groups->capacity)
	{
		Size size = groups->change_size;

		groups->changes = (char *) repalloc_huge(groups->changes, size * groups->keys->capacity);
		memset(groups->changes + size * groups->capacity, 0,
			   size * (groups->keys->capacity - groups->capacity));
		groups->capacity = groups->keys->capacity;
	}

	for (int i = 0; i < plan->naggregates; i++)
	{
		const AggregateSpec *spec = &plan->aggregates[i];

		if (spec->distinct == distinct)
			accumulate(spec, &groups->op->compares[i], change_of(groups, group, i), row->tts_values,
					   row->tts_isnull, weight);
	}
	MemoryContextSwitchTo(old);
}

void
fold_groups(Groups *groups, ZSet *out)
{
	take_distinct(groups, fold_groups);

	AggregateOperator *op = groups->op;
	Fold fold = begin_fold(groups, nullptr, out);
	TupleTableSlot *keys = MakeSingleTupleTableSlot(op->keys, &TTSOpsMinimalTuple);

	Size limit = capture::hash_memory() / 2;
	int n;
	OrderedGroup *ordered = order_groups(groups, Which::kChanging, keys, &n);
	SpilledGroups spilled = begin_spilled(groups);

	if (n > 0 || !spilled.done)
		fold.writer = open_writer(op->writer);
	if (n >= kManyKeys || !spilled.done)
		fold.walk = begin_walk(fold.writer);
	for (int i = 0; i < n; i++)
	{
		while (comes_first(&spilled, &ordered[i]))
		{
			fold_next_spilled(&fold, &spilled, keys);
			settle_rereads(&fold, keys, limit);
		}
		fold_one(&fold, groups, ordered[i].group, keys);
		settle_rereads(&fold, keys, limit);
	}
	while (!spilled.done)
	{
		fold_next_spilled(&fold, &spilled, keys);
		settle_rereads(&fold, keys, limit);
	}
	settle_rereads(&fold, keys, 0);
	end_spilled(&spilled);
	if (fold.walk)
		end_walk(fold.walk);
	if (fold.writer)
		close_writer(fold.writer);
	ExecDropSingleTupleTableSlot(keys);
}

namespace
{

void
store_group(Fold *fold, Groups *groups, int group, TupleTableSlot *keys)
{
	Groups *all = fold->groups;

	CHECK_FOR_INTERRUPTS();
	ExecStoreMinimalTuple(groups->keys->entries[group].row, keys, false);
	slot_getallattrs(keys);
	fold->groups = groups;
	MemoryContextSwitchTo(fold->group);
	insert_group(fold, group, keys->tts_values, keys->tts_isnull, Packing::kHalf);
	MemoryContextSwitchTo(fold->batch);
	MemoryContextReset(fold->group);
	fold->groups = all;
}

void
store_next_spilled(Fold *fold, SpilledGroups *spilled, TupleTableSlot *keys)
{
	store_group(fold, next_spilled(spilled), 0, keys);
	leave_spilled(spilled);
}

} // namespace

void
store_groups(Groups *groups, ZSet *out)
{
	take_distinct(groups, store_groups);

	AggregateOperator *op = groups->op;
	Fold fold = begin_fold(groups, open_writer(op->writer), out);
	TupleTableSlot *keys = MakeSingleTupleTableSlot(op->keys, &TTSOpsMinimalTuple);

	if (op->plan->ngroup == 0 && groups->keys->nentries == 0)
		(void) capture::zset_add_values(groups->keys, nullptr, nullptr, 0);
	/* Neighbours in the index become neighbours in state table and view: who changes many finds them together. */
	int n;
	OrderedGroup *ordered = order_groups(groups, Which::kAll, keys, &n);
	SpilledGroups spilled = begin_spilled(groups);
	for (int i = 0; i < n; i++)
	{
		while (comes_first(&spilled, &ordered[i]))
			store_next_spilled(&fold, &spilled, keys);
		store_group(&fold, groups, ordered[i].group, keys);
	}
	while (!spilled.done)
		store_next_spilled(&fold, &spilled, keys);
	end_spilled(&spilled);
	close_writer(fold.writer);
	ExecDropSingleTupleTableSlot(keys);
}

} // namespace tw::state
