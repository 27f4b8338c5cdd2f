/*
 * boundary.cpp - the boundaries of ORDER BY ... LIMIT: rows, their places, and what is kept.
 *
 * Each boundary is a row of the view's state table, told by its number. What
 * is read of it is copied: the row may be written while the copy is in use.
 */
#include "state/boundary.hpp"
#include "capture/image.hpp"

namespace tw::state
{

using analyze::TopK;
using capture::ZSet;

namespace
{

/* Columns of the state table. */
enum
{
	kNumber,
	kBefore,
	kEqual,
	kKeys
};

/* In column kEqual. */
constexpr int64 kNone = 0;
constexpr int64 kCrowded = -1;

} // namespace

TupleDesc
boundary_descriptor(const analyze::ViewPlan *plan)
{
	const TopK *top = plan->limits;
	TupleDesc desc = CreateTemplateTupleDesc(kKeys + top->nkeys);

	TupleDescInitEntry(desc, kNumber + 1, "number", INT4OID, -1, 0);
	TupleDescInitEntry(desc, kBefore + 1, "before", INT8OID, -1, 0);
	TupleDescInitEntry(desc, kEqual + 1, "equal", INT8OID, -1, 0);
	for (int i = 0; i < top->nkeys; i++)
	{
		TupleDescInitEntry(desc, kKeys + i + 1, psprintf("k%d", i + 1), top->keys[i].type,
						   top->keys[i].typmod, 0);
		TupleDescInitEntryCollation(desc, kKeys + i + 1, top->keys[i].collation);
	}
	return desc;
}

TopKOperator *
make_top_k_operator(const analyze::ViewPlan *plan, Oid state, Oid index, TupleDesc view,
					const bool *stale)
{
	const TopK *top = plan->limits;
	MemoryContext old = MemoryContextSwitchTo(plan->context);
	TopKOperator *op = (TopKOperator *) palloc0(sizeof(TopKOperator));

	op->plan = plan;
	op->top = top;
	op->context = plan->context;
	op->stale = stale;
	op->input = linitial_oid(plan->bases);
	op->view = view;
	op->writer = make_writer_cache(state, index, plan->context, stale);
	op->sort = (SortSupport) palloc0(sizeof(SortSupportData) * top->nkeys);
	for (int i = 0; i < top->nkeys; i++)
	{
		op->sort[i].ssup_cxt = plan->context;
		op->sort[i].ssup_collation = top->keys[i].collation;
		op->sort[i].ssup_nulls_first = top->keys[i].nulls_first;
		PrepareSortSupportFromOrderingOp(top->keys[i].op, &op->sort[i]);
	}
	MemoryContextSwitchTo(old);
	return op;
}

/* ---- rows and their keys ---- */

namespace
{

ProjectionInfo *
compile_list(TopKOperator *op, List *targets)
{
	targets = (List *) expression_planner((Expr *) targets);
	return ExecBuildProjectionInfo(targets, op->econtext,
								   MakeSingleTupleTableSlot(ExecTypeFromTL(targets),
															&TTSOpsVirtual),
								   nullptr, nullptr);
}

void
compile(TopKOperator *op)
{
	MemoryContext old = MemoryContextSwitchTo(op->context);
	List *keys = NIL;
	List *shown = NIL;
	ListCell *lc;

	op->econtext = CreateStandaloneExprContext();
	for (int i = 0; i < op->top->nkeys; i++)
		keys = lappend(keys, makeTargetEntry((Expr *) copyObject(op->top->keys[i].expr), i + 1,
											 nullptr, false));
	foreach (lc, op->plan->query->targetList)
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			shown = lappend(shown, copyObject(lfirst(lc)));

	/* An error on the way leaves nothing half done. */
	ProjectionInfo *of_keys = compile_list(op, keys);
	op->row = compile_list(op, shown);
	op->keys = of_keys;
	MemoryContextSwitchTo(old);
}

} // namespace

TupleTableSlot *
keys_of(TopKOperator *op, TupleTableSlot *row)
{
	if (!op->keys)
		compile(op);
	ResetExprContext(op->econtext);
	op->econtext->ecxt_scantuple = row;
	return ExecProject(op->keys);
}

void
add_row(TopKOperator *op, ZSet *out, int64 weight)
{
	TupleTableSlot *row = ExecProject(op->row);

	(void) capture::zset_add_values(out, row->tts_values, row->tts_isnull, weight);
}

namespace
{

int
compare_keys(TopKOperator *op, const Datum *a, const bool *a_nulls, const Datum *b,
			 const bool *b_nulls)
{
	int result = 0;

	for (int i = 0; result == 0 && i < op->top->nkeys; i++)
		result = ApplySortComparator(a[i], a_nulls[i], b[i], b_nulls[i], &op->sort[i]);
	return result;
}

void
copy_keys(TopKOperator *op, TupleDesc desc, const Datum *values, const bool *nulls,
		  Boundary *boundary)
{
	int n = op->top->nkeys;

	boundary->keys = (Datum *) palloc(sizeof(Datum) * n);
	boundary->nulls = (bool *) palloc(sizeof(bool) * n);
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		boundary->nulls[i] = nulls[i];
		boundary->keys[i] = nulls[i] ? (Datum) 0
									 : datumCopy(capture::canonical_value(att, values[i]),
												 att->attbyval, att->attlen);
	}
}

} // namespace

void
take_keys(TopKOperator *op, TupleTableSlot *keys, Boundary *boundary)
{
	copy_keys(op, keys->tts_tupleDescriptor, keys->tts_values, keys->tts_isnull, boundary);
}

int
place_of(TopKOperator *op, TupleTableSlot *keys, const Boundary *boundary)
{
	if (boundary->none)
		return -1;
	return compare_keys(op, keys->tts_values, keys->tts_isnull, boundary->keys, boundary->nulls);
}

bool
same_keys(TopKOperator *op, const Boundary *a, const Boundary *b)
{
	if (a->none || b->none)
		return a->none && b->none;
	return compare_keys(op, a->keys, a->nulls, b->keys, b->nulls) == 0;
}

/* ---- what is kept ---- */

Boundaries
boundaries_of(const TopK *top)
{
	Boundaries boundaries = {};

	if (top->first > 0)
		boundaries.at[boundaries.n++].count = top->first;
	if (top->end != analyze::kNoEnd)
	{
		boundaries.at[boundaries.n].count = top->end;
		boundaries.at[boundaries.n++].is_end = true;
	}
	return boundaries;
}

namespace
{

void
number_key(const Boundary *boundary, Datum *value)
{
	*value = Int32GetDatum(boundary->is_end);
}

bool
find_kept(Writer *writer, Snapshot snapshot, const Boundary *boundary)
{
	Datum number;
	bool null = false;

	number_key(boundary, &number);
	if (snapshot == GetActiveSnapshot() && find_again(writer, &number, &null))
		return true;

	Search search = begin_search(writer, snapshot, &number, &null);
	bool found = next_row(writer, &search);
	end_search(&search);
	if (found && snapshot == GetActiveSnapshot())
		remember_found(writer, &number, &null);
	return found;
}

void
read_kept(TopKOperator *op, Writer *writer, Boundary *boundary)
{
	boundary->known = find_kept(writer, GetActiveSnapshot(), boundary);
	if (!boundary->known)
		return;

	TupleTableSlot *row = writer->found;
	int n = op->top->nkeys;
	TupleDesc desc = CreateTemplateTupleDesc(n);

	for (int i = 0; i < n; i++)
		TupleDescCopyEntry(desc, i + 1, RelationGetDescr(writer->rel), kKeys + i + 1);
	slot_getallattrs(row);
	boundary->before = DatumGetInt64(row->tts_values[kBefore]);
	boundary->equal = DatumGetInt64(row->tts_values[kEqual]);
	boundary->none = boundary->equal == kNone;
	boundary->crowded = boundary->equal == kCrowded;
	copy_keys(op, desc, row->tts_values + kKeys, row->tts_isnull + kKeys, boundary);
}

} // namespace

Boundaries
read_boundaries(TopKOperator *op)
{
	Boundaries boundaries = boundaries_of(op->top);
	Writer *writer = open_writer(op->writer);

	for (int i = 0; i < boundaries.n; i++)
		read_kept(op, writer, &boundaries.at[i]);
	close_writer(writer);
	return boundaries;
}

namespace
{

void
write_boundary(TopKOperator *op, Writer *writer, const Boundary *boundary)
{
	bool exists = find_kept(writer, GetActiveSnapshot(), boundary);
	ItemPointerData tid = writer->found->tts_tid;
	TupleTableSlot *row = writer->row;

	/* Another one has made it since the transaction's snapshot. */
	if (!exists && IsolationUsesXactSnapshot() && find_kept(writer, GetLatestSnapshot(), boundary))
		serialization_failure();
	ExecClearTuple(row);
	number_key(boundary, &row->tts_values[kNumber]);
	row->tts_values[kBefore] = Int64GetDatum(boundary->before);
	row->tts_values[kEqual] = Int64GetDatum(boundary->none      ? kNone
											: boundary->crowded ? kCrowded
																: boundary->equal);
	memset(row->tts_isnull, false, kKeys);
	for (int i = 0; i < op->top->nkeys; i++)
	{
		row->tts_isnull[kKeys + i] = boundary->none || boundary->nulls[i];
		row->tts_values[kKeys + i] = row->tts_isnull[kKeys + i] ? (Datum) 0 : boundary->keys[i];
	}
	ExecStoreVirtualTuple(row);
	if (!exists)
		insert_row(writer, row);
	else if (update_row(writer, &tid, row) != WriteResult::kDone)
		serialization_failure();
}

} // namespace

void
keep_boundaries(TopKOperator *op, const Boundaries *boundaries)
{
	Writer *writer = nullptr;

	for (int i = 0; i < boundaries->n; i++)
	{
		if (!boundaries->at[i].changed)
			continue;
		if (!writer)
			writer = open_writer(op->writer);
		write_boundary(op, writer, &boundaries->at[i]);
	}
	if (writer)
		close_writer(writer);
}

bool
same_boundaries(TopKOperator *op, const Boundaries *a, const Boundaries *b)
{
	for (int i = 0; i < a->n; i++)
	{
		const Boundary *one = &a->at[i];
		const Boundary *other = &b->at[i];

		if (one->before != other->before || one->crowded != other->crowded ||
			(!one->crowded && !one->none && one->equal != other->equal) ||
			!same_keys(op, one, other))
			return false;
	}
	return true;
}

namespace
{

bool
have_moved(const Boundaries *boundaries)
{
	bool moved = false;

	for (int i = 0; i < boundaries->n; i++)
		moved |= boundaries->at[i].changed;
	return moved;
}

} // namespace

bool
moved_alike(TopKOperator *op, const Boundaries *a, const Boundaries *b)
{
	return (!have_moved(a) && !have_moved(b)) || same_boundaries(op, a, b);
}

/* ---- finding a boundary by reading all rows up to it ---- */

namespace
{

Query *
first_rows(const analyze::ViewPlan *plan, int64 n)
{
	Query *query = (Query *) copyObject(plan->query);
	List *targets = NIL;
	ListCell *lc;

	foreach (lc, query->sortClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst_node(SortGroupClause, lc),
												   query->targetList);

		tle->resno = list_length(targets) + 1;
		tle->resname = psprintf("k%d", tle->resno);
		tle->resjunk = false;
		targets = lappend(targets, tle);
	}
	query->targetList = targets;
	query->limitOffset = nullptr;
	query->limitOption = LIMIT_OPTION_COUNT;
	query->limitCount = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(n),
										   false, FLOAT8PASSBYVAL);
	return query;
}

int64
rows_to_look_at(const Boundary *boundary)
{
	int64 n;

	return pg_add_s64_overflow(boundary->count, boundary->count, &n) ||
				   pg_add_s64_overflow(n, kMostEqual, &n)
			   ? PG_INT64_MAX
			   : n;
}

struct Finding
{
	TopKOperator *op;
	Boundary *boundary;
	MemoryContext context;
	int64 nrows; /* so far */
	bool done;
};

/* The next row in order: of the boundary's like, or the first of those that sort as it does. */
void
find_row(void *arg, TupleTableSlot *keys, int64 weight)
{
	Finding *finding = static_cast<Finding *>(arg);
	Boundary *boundary = finding->boundary;

	if (finding->done)
		return;
	slot_getallattrs(keys);
	if (finding->nrows > 0 && place_of(finding->op, keys, boundary) == 0)
		boundary->equal++;
	else if (finding->nrows >= boundary->count)
	{
		finding->done = true;
		return;
	}
	else
	{
		MemoryContext old = MemoryContextSwitchTo(finding->context);

		MemoryContextReset(finding->context);
		take_keys(finding->op, keys, boundary);
		boundary->before = finding->nrows;
		boundary->equal = 1;
		MemoryContextSwitchTo(old);
	}
	finding->nrows++;
}

void
find_boundary(TopKOperator *op, Boundary *boundary)
{
	int64 most = rows_to_look_at(boundary);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tailwater boundary",
												  ALLOCSET_SMALL_SIZES);
	Finding finding = {op, boundary, context, 0, false};

	if (!op->first[boundary->is_end])
	{
		MemoryContext old = MemoryContextSwitchTo(op->context);

		op->first[boundary->is_end] = exec::make_cached_query(first_rows(op->plan, most),
															  op->context, op->stale);
		MemoryContextSwitchTo(old);
	}
	boundary->before = boundary->equal = 0;
	boundary->none = boundary->crowded = false;
	exec::run_query(op->first[boundary->is_end], nullptr, 0, exec::WeightColumn::kNone, find_row,
					&finding);
	if (finding.nrows < boundary->count)
	{
		boundary->none = true;
		boundary->before = finding.nrows;
	}
	boundary->crowded = finding.nrows == most && !finding.done;
	boundary->known = boundary->changed = true;
}

} // namespace

void
find_boundaries(TopKOperator *op, Boundaries *boundaries)
{
	for (int i = 0; i < boundaries->n; i++)
		find_boundary(op, &boundaries->at[i]);
}

} // namespace tw::state
