/*
 * extreme.cpp - what is kept of min and max.
 *
 * State columns: the extreme and how many inputs are equal to it; the next best
 * value and how many are equal to that one, null and 0 where it is not known,
 * null and -1 where there is none. When the extreme leaves, the next best takes
 * its place; only where that is not known must the group be read again, and
 * then both are found. So a batch keeps two values, too, of those that came and
 * of those that went.
 *
 * Of types whose equal values can look different: the extreme and how many look
 * like it, 0 if others look different; then which one the query shows depends on
 * the order of its rows, and the group is read again.
 */
#include "state/extreme.hpp"

namespace tw::state
{

using analyze::AggregateKind;
using analyze::AggregateSpec;

namespace
{

constexpr int kExtreme = 0;
constexpr int kNext = 2;

bool
same_image(const AggregateSpec *spec, Datum a, Datum b)
{
	return datum_image_eq(a, b, spec->typbyval, spec->typlen);
}

Datum
copy_value(const AggregateSpec *spec, Datum value)
{
	if (spec->typlen == -1 && !spec->typbyval)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, spec->typbyval, spec->typlen);
}

/* < 0 if a is more extreme than b: smaller for min, larger for max. */
int
order(const AggregateSpec *spec, FmgrInfo *compare, Datum a, Datum b)
{
	int cmp = DatumGetInt32(FunctionCall2Coll(compare, spec->collation, a, b));

	return spec->kind == AggregateKind::kMin ? cmp : (cmp > 0 ? -1 : (cmp < 0 ? 1 : 0));
}

void
free_value(const AggregateSpec *spec, Datum value)
{
	if (!spec->typbyval)
		pfree(DatumGetPointer(value));
}

/* Counts a value that is less extreme than the best one. */
void
accumulate_second(const AggregateSpec *spec, FmgrInfo *compare, Best *best, Datum value, int64 n)
{
	int cmp = best->second_n > 0 ? order(spec, compare, value, best->second) : -1;

	if (cmp > 0)
		return;
	if (cmp == 0)
	{
		best->second_n += n;
		return;
	}
	if (best->second_n > 0)
		free_value(spec, best->second);
	best->second = copy_value(spec, value);
	best->second_n = n;
}

} // namespace

void
accumulate_extreme(const AggregateSpec *spec, FmgrInfo *compare, ExtremeChange *change, Datum value,
				   int64 weight)
{
	Best *best = weight > 0 ? &change->came : &change->went;
	int64 n = std::abs(weight);
	int cmp = best->n > 0 ? order(spec, compare, value, best->value) : -1;

	if (cmp > 0)
	{
		accumulate_second(spec, compare, best, value, n);
		return;
	}
	if (cmp == 0)
	{
		best->n += n;
		if (spec->one_image || same_image(spec, value, best->value))
			return;
		best->mixed = true;
		best->value = copy_value(spec, value);
		return;
	}
	if (best->n > 0)
	{
		if (best->second_n > 0)
			free_value(spec, best->second);
		best->second = best->value;
		best->second_n = best->n;
	}
	best->value = copy_value(spec, value);
	best->n = n;
	best->mixed = false;
}

bool
extremes_are_noop(const AggregateSpec *spec, const ExtremeChange *change)
{
	const Best *came = &change->came;
	const Best *went = &change->went;

	return came->n == went->n && came->second_n == 0 && went->second_n == 0 && !came->mixed &&
		   !went->mixed && (came->n == 0 || same_image(spec, came->value, went->value));
}

void
empty_extreme(Datum *values, bool *nulls)
{
	for (int i = kExtreme; i <= kNext; i += 2)
	{
		values[i] = (Datum) 0;
		nulls[i] = true;
		values[i + 1] = Int64GetDatum(0);
		nulls[i + 1] = false;
	}
}

namespace
{

/*
 * The state of min and max. Where the next best is known, every input that is
 * not the extreme is equal to it or less extreme.
 */
struct Extreme
{
	const AggregateSpec *spec;
	FmgrInfo *compare;
	Datum *values; /* extreme, n, next, next_n */
	bool *nulls;

	bool has(int i) const { return !nulls[i]; }

	int order_to(int i, Datum value) const { return order(spec, compare, value, values[i]); }

	void set(int i, Datum value, int64 n)
	{
		values[i] = value;
		nulls[i] = false;
		values[i + 1] = Int64GetDatum(n);
	}

	void forget(int i)
	{
		values[i] = (Datum) 0;
		nulls[i] = true;
		values[i + 1] = Int64GetDatum(0);
	}

	/* There is nothing that could be known. */
	void rule_out(int i)
	{
		forget(i);
		values[i + 1] = Int64GetDatum(kNone);
	}

	bool is_ruled_out(int i) const { return nulls[i] && count(i) == kNone; }

	int64 count(int i) const { return DatumGetInt64(values[i + 1]); }

	static constexpr int64 kNone = -1;
};

/* Adds values that are less extreme than the extreme, where the next best is known or ruled out. */
void
add_next(Extreme *state, Datum value, int64 n)
{
	int cmp = state->has(kNext) ? state->order_to(kNext, value) : -1;

	if (cmp < 0)
		state->set(kNext, value, n);
	else if (cmp == 0)
		state->set(kNext, state->values[kNext], state->count(kNext) + n);
}

/* Adds values that came. Values that are equal look the same: analysis takes other types elsewhere. */
void
add_best(Extreme *state, const Best *came)
{
	int cmp = state->has(kExtreme) ? state->order_to(kExtreme, came->value) : -1;

	if (cmp < 0)
	{
		if (state->has(kExtreme))
			state->set(kNext, state->values[kExtreme], state->count(kExtreme));
		else
			state->rule_out(kNext);
		state->set(kExtreme, came->value, came->n);
	}
	else if (cmp == 0)
		state->set(kExtreme, state->values[kExtreme], state->count(kExtreme) + came->n);

	/* Where it is not known it may be anything. */
	if (!state->has(kNext) && !state->is_ruled_out(kNext))
		return;
	if (cmp > 0)
		add_next(state, came->value, came->n);
	else if (came->second_n > 0)
		add_next(state, came->second, came->second_n);
}

/* Takes n values away from the next best; what comes after it is not known. */
void
subtract_next(Extreme *state, int64 n)
{
	if (state->count(kNext) > n)
		state->set(kNext, state->values[kNext], state->count(kNext) - n);
	else
		state->forget(kNext);
}

/* Takes away values that went; false where the extreme is not known any more. */
bool
subtract_best(Extreme *state, const Best *went)
{
	int cmp = state->has(kExtreme) ? state->order_to(kExtreme, went->value) : -1;

	if (cmp < 0)
		return false;
	if (cmp > 0)
	{
		if (state->has(kNext) && state->order_to(kNext, went->value) <= 0)
			subtract_next(state, went->n);
		return true;
	}
	if (went->second_n > 0 && state->has(kNext) && state->order_to(kNext, went->second) <= 0)
		subtract_next(state, went->second_n);
	if (state->count(kExtreme) > went->n)
		state->set(kExtreme, state->values[kExtreme], state->count(kExtreme) - went->n);
	else if (state->has(kNext))
	{
		state->set(kExtreme, state->values[kNext], state->count(kNext));
		state->forget(kNext);
	}
	else if (state->is_ruled_out(kNext))
	{
		state->forget(kExtreme);
		state->forget(kNext);
	}
	else
		return false;
	return true;
}

/*
 * The same for types whose equal values can look different. A count of 0 says
 * that inputs equal to the extreme do: the group is then read again whenever one
 * of them comes or goes.
 */
bool
merge_ambiguous(Extreme *state, const Best *came, const Best *went)
{
	bool known = true;

	if (came->n > 0)
	{
		int cmp = state->has(kExtreme) ? state->order_to(kExtreme, came->value) : -1;
		bool alike = !came->mixed &&
					 (cmp != 0 || (state->count(kExtreme) > 0 &&
								   same_image(state->spec, came->value, state->values[kExtreme])));

		if (cmp <= 0)
		{
			int64 others = cmp == 0 ? state->count(kExtreme) : 0;

			state->set(kExtreme, came->value, alike ? came->n + others : 0);
			known = alike;
		}
	}
	if (went->n == 0)
		return known;
	if (!state->has(kExtreme))
		return false;

	int cmp = state->order_to(kExtreme, went->value);
	if (cmp > 0)
		return known;
	if (cmp < 0 || went->mixed || state->count(kExtreme) <= went->n ||
		!same_image(state->spec, went->value, state->values[kExtreme]))
		return false;
	state->set(kExtreme, state->values[kExtreme], state->count(kExtreme) - went->n);
	return known;
}

} // namespace

bool
merge_extreme(const AggregateSpec *spec, FmgrInfo *compare, const ExtremeChange *change,
			  Datum *values, bool *nulls)
{
	Extreme state = {spec, compare, values, nulls};

	if (!spec->one_image)
		return merge_ambiguous(&state, &change->came, &change->went);
	if (change->came.n > 0)
		add_best(&state, &change->came);
	return change->went.n == 0 || subtract_best(&state, &change->went);
}

} // namespace tw::state
