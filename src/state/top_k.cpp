/*
 * top_k.cpp - follows ORDER BY ... LIMIT by its boundaries.
 *
 * The first c rows of an ordered relation are known by the c-th, the boundary:
 * by its sort keys, the number of rows that come before it, and of those that
 * sort as it does. A row that changes beyond the boundary changes nothing. One
 * that comes or goes up to the boundary changes a number; where that is no
 * longer right for c, the boundary moves along the index, over as many rows as came or
 * went, and these rows leave or enter. LIMIT n OFFSET m shows the first m + n
 * rows without the first m; each of the two boundaries moves by itself.
 *
 * So all rows that sort as the boundary are taken in or left out together. With
 * TIES that is what is meant. Without, where they are more than there is room for,
 * either they look the same, and what is too many is taken off again, or the
 * query decides which of them it shows, and has to be evaluated.
 *
 * Boundaries are kept in a table of the view, a row for each. There is none
 * before the first change, and after the view was computed as a whole: then it
 * is found by reading the rows up to it. So it is, too, where no index has the
 * order, or where very many rows sort alike.
 */
#include "state/top_k.hpp"
#include "capture/image.hpp"
#include "state/ordered_read.hpp"
#include "state/writer.hpp"
#include "exec/plan.hpp"

namespace tw::state
{

using analyze::TopK;
using capture::Delta;
using capture::ZSet;
using exec::Touched;

struct TopKOperator
{
	const analyze::ViewPlan *plan;
	const TopK *top;
	MemoryContext context;
	const bool *stale;
	Oid input; /* the inner relation */
	TupleDesc view;
	WriterCache *writer;
	exec::CachedQuery *first[2]; /* the keys of the rows up to a boundary; null: not made yet */
	SortSupport sort;            /* by key */

	/* null: not compiled yet */
	ExprContext *econtext;
	ProjectionInfo *keys; /* of a row of the inner relation */
	ProjectionInfo *row;  /* the view's */
};

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

/* How many rows more than those up to the boundary are looked at for such that sort as it does. */
constexpr int64 kMostEqual = 100;

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

namespace
{

/* ---- rows and their keys ---- */

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
	op->keys = compile_list(op, keys);
	op->row = compile_list(op, shown);
	MemoryContextSwitchTo(old);
}

/* Valid until it is called for another row. */
TupleTableSlot *
keys_of(TopKOperator *op, TupleTableSlot *row)
{
	if (!op->keys)
		compile(op);
	ResetExprContext(op->econtext);
	op->econtext->ecxt_scantuple = row;
	return ExecProject(op->keys);
}

/* Adds the view's row of the one whose keys were asked for last. */
void
add_row(TopKOperator *op, ZSet *out, int64 weight)
{
	TupleTableSlot *row = ExecProject(op->row);

	(void) capture::zset_add_values(out, row->tts_values, row->tts_isnull, weight);
}

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

void
take_keys(TopKOperator *op, TupleTableSlot *keys, Boundary *boundary)
{
	copy_keys(op, keys->tts_tupleDescriptor, keys->tts_values, keys->tts_isnull, boundary);
}

/* < 0 if a row with the keys comes before the boundary, 0: sorts as it does. */
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

namespace
{

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

namespace
{

/* ---- finding a boundary by reading all rows up to it ---- */

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

void
find_boundaries(TopKOperator *op, Boundaries *boundaries)
{
	for (int i = 0; i < boundaries->n; i++)
		find_boundary(op, &boundaries->at[i]);
}

/* ---- following a change ---- */

/* A delta on its way into the view, and what it does to the boundaries. */
struct Following
{
	TopKOperator *op;
	Boundaries *boundaries;
	ZSet *out;
	int64 inside; /* rows up to a boundary, so far */
	bool lost;    /* the boundaries have to be found anew */
};

/* Rows up to the last boundary are shown, but for those up to the first. */
int
sign_of(const Boundary *boundary)
{
	return boundary->is_end ? 1 : -1;
}

/* More changed rows than this are not followed: reading all that is shown is the better way. */
int64
most_to_follow(const Boundary *boundary)
{
	constexpr int64 kAlways = 1000;

	return Max(boundary->count, kAlways);
}

bool
has_end(const Boundaries *boundaries)
{
	return boundaries->n > 0 && boundaries->at[boundaries->n - 1].is_end;
}

void
follow_row(void *arg, TupleTableSlot *row, int64 weight)
{
	Following *f = static_cast<Following *>(arg);

	if (f->lost)
		return;

	TupleTableSlot *keys = keys_of(f->op, row);
	int shown = has_end(f->boundaries) ? 0 : 1;

	for (int i = 0; i < f->boundaries->n; i++)
	{
		Boundary *boundary = &f->boundaries->at[i];
		int place = place_of(f->op, keys, boundary);

		if (place > 0)
			continue;
		(place < 0 ? boundary->before : boundary->equal) += weight;
		shown += sign_of(boundary);
		f->inside += boundary->is_end;
		f->lost |= boundary->crowded || (boundary->is_end && f->inside > most_to_follow(boundary));
	}
	if (shown != 0)
		add_row(f->op, f->out, weight * shown);
}

/* Rows that sort alike, on the way along the index. */
struct Equals
{
	Boundary keys; /* the keys only */
	int64 n;       /* 0: none yet */
	ZSet *rows;    /* of the view */
};

bool
belongs(TopKOperator *op, TupleTableSlot *keys, const Equals *equals)
{
	return equals->n > 0 && place_of(op, keys, &equals->keys) == 0;
}

void
stand_at(Boundary *boundary, const Equals *equals)
{
	boundary->keys = equals->keys.keys;
	boundary->nulls = equals->keys.nulls;
	boundary->equal = equals->n;
	boundary->none = false;
}

/*
 * The rows before the boundary are enough now. Those that sort as it does
 * leave, and so do more of the last ones before it; true where it stands at
 * these.
 */
bool
step_down(Following *f, Boundary *boundary, const Boundary *before, Equals *equals)
{
	bool is_old = !before->none && same_keys(f->op, before, &equals->keys);

	if (!is_old && boundary->before - equals->n < boundary->count)
	{
		boundary->before -= equals->n;
		stand_at(boundary, equals);
		return true;
	}
	if (!is_old)
		boundary->before -= equals->n;
	else
		f->lost |= equals->n != boundary->equal;
	capture::zset_add_all(f->out, equals->rows, -sign_of(boundary));
	return false;
}

void
move_down(Following *f, Boundary *boundary)
{
	TopKOperator *op = f->op;
	Boundary before = *boundary;
	OrderedRead *read = begin_ordered_read(op->input, op->top->index.index, op->top->nkeys,
										   before.none ? From::kEnd : From::kPlace, before.keys,
										   before.nulls, BackwardScanDirection);
	Equals equals = {{}, 0, capture::make_zset(op->view, CurrentMemoryContext)};
	bool done = false;
	TupleTableSlot *row;

	while (!done && (row = next_in_order(read)) != nullptr)
	{
		TupleTableSlot *keys = keys_of(op, row);

		if (equals.n > 0 && !belongs(op, keys, &equals))
		{
			done = step_down(f, boundary, &before, &equals);
			capture::clear_zset(equals.rows);
			equals.n = 0;
		}
		if (equals.n++ == 0)
			take_keys(op, keys, &equals.keys);
		add_row(op, equals.rows, 1);
	}
	if (!done && equals.n > 0)
		done = step_down(f, boundary, &before, &equals);
	f->lost |= !done;
	end_ordered_read(read);
}

/* True if the boundary stands at these rows, which have entered. */
bool
step_up(Boundary *boundary, const Equals *equals)
{
	if (boundary->before + equals->n < boundary->count)
	{
		boundary->before += equals->n;
		return false;
	}
	stand_at(boundary, equals);
	return true;
}

/* There are too few rows up to the boundary: those that come after it enter. */
void
move_up(Following *f, Boundary *boundary)
{
	TopKOperator *op = f->op;
	OrderedRead *read = begin_ordered_read(op->input, op->top->index.index, op->top->nkeys,
										   From::kBeyond, boundary->keys, boundary->nulls,
										   ForwardScanDirection);
	Equals equals = {};
	bool done = false;
	TupleTableSlot *row;

	boundary->before += boundary->equal;
	while (!f->lost && (row = next_in_order(read)) != nullptr)
	{
		TupleTableSlot *keys = keys_of(op, row);

		if (equals.n > 0 && !belongs(op, keys, &equals))
		{
			done = step_up(boundary, &equals);
			if (done)
				break;
			equals.n = 0;
		}
		if (equals.n++ == 0)
			take_keys(op, keys, &equals.keys);
		add_row(op, f->out, sign_of(boundary));
		f->lost = equals.n > boundary->count + kMostEqual;
	}
	if (!done && equals.n > 0)
		done = step_up(boundary, &equals);
	if (!done)
	{
		boundary->none = true;
		boundary->equal = 0;
	}
	end_ordered_read(read);
}

/* True if all rows can be read along the index. */
bool
can_be_read(const TopKOperator *op)
{
	const catalog::OrderIndex *index = &op->top->index;

	return OidIsValid(index->index) &&
		   (!OidIsValid(index->rest) || is_empty_index(op->input, index->rest));
}

/* Puts the boundary where it belongs by its numbers. */
void
move(Following *f, Boundary *boundary)
{
	bool down = boundary->before >= boundary->count;
	bool up = !boundary->none && boundary->before + boundary->equal < boundary->count;

	f->lost |= boundary->before < 0 || boundary->equal < 0;
	f->lost |= (down || up) && !can_be_read(f->op);
	if (f->lost)
		return;
	if (down)
		move_down(f, boundary);
	else if (up)
		move_up(f, boundary);
}

/* How many of the rows that sort as the boundary are beyond it nevertheless. */
int64
excess_of(const TopKOperator *op, const Boundary *boundary)
{
	if (boundary->none || (boundary->is_end && op->top->with_ties))
		return 0;
	return boundary->crowded ? 1 : boundary->before + boundary->equal - boundary->count;
}

} // namespace

bool
leave_choice(const TopKOperator *op, const Boundaries *boundaries)
{
	for (int i = 0; i < boundaries->n; i++)
		if (excess_of(op, &boundaries->at[i]) > 0 && (op->plan->may_tie || !op->top->shown_keys))
			return true;
	return false;
}

namespace
{

/* Takes off, or puts back, what was taken in too much. */
void
add_excess(TopKOperator *op, const Boundary *boundary, int64 factor, ZSet *out)
{
	int64 excess = excess_of(op, boundary);
	int natts = op->view->natts;

	if (excess == 0)
		return;

	Datum *values = (Datum *) palloc(sizeof(Datum) * natts);
	bool *nulls = (bool *) palloc(sizeof(bool) * natts);

	for (int i = 0; i < natts; i++)
	{
		values[i] = boundary->keys[op->top->shown_keys[i]];
		nulls[i] = boundary->nulls[op->top->shown_keys[i]];
	}
	(void) capture::zset_add_values(out, values, nulls, factor * sign_of(boundary) * excess);
}

void
note_changes(TopKOperator *op, const Boundaries *before, Boundaries *now)
{
	for (int i = 0; i < now->n; i++)
	{
		Boundaries one = {1, {before->at[i]}};
		Boundaries other = {1, {now->at[i]}};

		now->at[i].changed = !same_boundaries(op, &one, &other);
	}
}

bool
are_known(const Boundaries *boundaries)
{
	for (int i = 0; i < boundaries->n; i++)
		if (!boundaries->at[i].known)
			return false;
	return true;
}

} // namespace

Touched
follow_top_k(TopKOperator *op, List *deltas, ZSet *out, Boundaries *boundaries)
{
	Boundaries before = read_boundaries(op);
	Following f = {op, boundaries, out, 0, !are_known(&before)};
	ListCell *lc;

	*boundaries = before;
	if (!f.lost)
		foreach (lc, deltas)
			capture::each_row((const Delta *) lfirst(lc), follow_row, &f);
	for (int i = 0; i < boundaries->n && !f.lost; i++)
		move(&f, &boundaries->at[i]);
	if (f.lost)
		find_boundaries(op, boundaries);
	else
		note_changes(op, &before, boundaries);
	if (f.lost || leave_choice(op, &before) || leave_choice(op, boundaries))
	{
		capture::clear_zset(out);
		return Touched::kEverything;
	}
	for (int i = 0; i < boundaries->n; i++)
	{
		add_excess(op, &before.at[i], +1, out);
		add_excess(op, &boundaries->at[i], -1, out);
	}
	return Touched::kSomeKeys;
}

bool
boundaries_are_right(TopKOperator *op)
{
	Boundaries kept = read_boundaries(op);
	Boundaries found = boundaries_of(op->top);

	if (!are_known(&kept))
		return true;
	find_boundaries(op, &found);
	for (int i = 0; i < found.n; i++)
		/* One that came to be by and by may have been counted all the same. */
		kept.at[i].crowded = found.at[i].crowded |= kept.at[i].crowded;
	return same_boundaries(op, &kept, &found);
}

} // namespace tw::state
