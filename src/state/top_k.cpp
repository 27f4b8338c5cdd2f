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
#include "state/boundary.hpp"
#include "state/ordered_read.hpp"

namespace tw::state
{

using capture::Delta;
using capture::ZSet;
using exec::Touched;

namespace
{

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

	if (f->lost || boundary->crowded)
		return;
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
