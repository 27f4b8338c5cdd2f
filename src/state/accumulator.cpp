/*
 * accumulator.cpp - the state of each kind of aggregate, and how it changes.
 *
 * State columns by kind:
 *   count                 n
 *   sum, avg of int2/int4 n, sum int8
 *   sum, avg of int8 and numeric
 *                         n, sum numeric (of the finite inputs), scale int4 and
 *                         scale_n (largest display scale and how many inputs
 *                         have it), nan, +infinity, -infinity (counts)
 *   variance, stddev of integers and numeric
 *                         the same, and the sum of squares
 *   sum, avg, variance, stddev, corr, covar, regr of floats
 *                         exact sums in one value, see float_totals.cpp
 *   sum, avg of interval  n, months, days, microseconds
 *   sum of money          n, sum, which wraps around as the server's does
 *   min, max              the extreme and how many inputs look like it; the next
 *                         best value and how many look like that one, null where
 *                         not known. The second pair serves values that come as
 *                         a new extreme and leave again.
 *                         Of types whose equal values can look different: the
 *                         extreme and how many look like it, 0 if others look
 *                         different; then which one the query shows depends on
 *                         the order of its rows, and the group is read again.
 *   bool_and, bool_or     number of true and of false inputs
 *   bit_and, bit_or, bit_xor
 *                         n and the result
 *
 * The display scale of a numeric sum is the largest among its inputs; NaN and
 * infinities cannot be subtracted. Both are counted apart, so that a value that
 * leaves also leaves no trace.
 */
#include "state/accumulator.hpp"
#include "state/numeric_final.hpp"

namespace tw::state
{

using analyze::AggregateKind;
using analyze::AggregateSpec;

namespace
{

int64
add_int64(int64 a, int64 b)
{
	int64 result;

	if (pg_add_s64_overflow(a, b, &result))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range"));
	return result;
}

int64
multiply_int64(int64 a, int64 b)
{
	int64 result;

	if (pg_mul_s64_overflow(a, b, &result))
		ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range"));
	return result;
}

Datum
numeric_plus(Datum a, Datum b)
{
	return DirectFunctionCall2(numeric_add, a, b);
}

Datum
numeric_of(int64 value)
{
	return NumericGetDatum(int64_to_numeric(value));
}

bool
is_numeric_zero(Datum value)
{
	return DatumGetBool(DirectFunctionCall2(numeric_eq, value, numeric_of(0)));
}

/* *sum += value * weight */
void
add_weighted(Datum *sum, Datum value, int64 weight)
{
	Datum old = *sum;

	if (weight == 1)
		*sum = numeric_plus(old, value);
	else if (weight == -1)
		*sum = DirectFunctionCall2(numeric_sub, old, value);
	else
		*sum = numeric_plus(old, DirectFunctionCall2(numeric_mul, value, numeric_of(weight)));
	pfree(DatumGetPointer(old));
}

/* An input of an integer type. */
int64
integer_of(const AggregateSpec *spec, Datum value)
{
	switch (spec->argtype)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

int64
wrapping_sum(uint64 a, uint64 b)
{
	return (int64) (a + b);
}

FloatSums
float_sums(const AggregateSpec *spec)
{
	switch (spec->kind)
	{
		case AggregateKind::kFloatSum:
			return FloatSums::kValues;
		case AggregateKind::kFloatOne:
			return FloatSums::kSquares;
		case AggregateKind::kFloatTwo:
			return FloatSums::kPairs;
		default:
			return FloatSums::kNone;
	}
}

bool
floats_are_noop(const AggregateSpec *spec, const Accumulator *acc)
{
	FloatTotals totals;

	if (!acc->floats)
		return true;
	unpack_totals(acc->floats, float_sums(spec), &totals);
	return totals_are_zero(&totals);
}

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
count_scale(Accumulator *acc, int32 scale, int64 weight)
{
	for (int i = 0; i < acc->nscales; i++)
		if (acc->scales[i].scale == scale)
		{
			acc->scales[i].n += weight;
			return;
		}

	Size size = sizeof(ScaleCount) * (acc->nscales + 1);
	acc->scales = (ScaleCount *) (acc->scales ? repalloc(acc->scales, size) : palloc(size));
	acc->scales[acc->nscales].scale = scale;
	acc->scales[acc->nscales++].n = weight;
}

void
accumulate_numeric(const AggregateSpec *spec, Accumulator *acc, Datum value, int64 weight)
{
	Numeric number = spec->argtype == NUMERICOID ? DatumGetNumeric(value)
												 : int64_to_numeric(integer_of(spec, value));

	acc->n += weight;
	if (numeric_is_nan(number))
	{
		acc->nan += weight;
		return;
	}
	if (numeric_is_inf(number))
	{
		bool positive = DatumGetBool(
			DirectFunctionCall2(numeric_gt, NumericGetDatum(number), numeric_of(0)));

		(positive ? acc->positive_infinity : acc->negative_infinity) += weight;
		return;
	}

	count_scale(acc, DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(number))),
				weight);

	if (!acc->has_numeric_sum)
	{
		acc->numeric_sum = numeric_of(0);
		acc->numeric_squares = numeric_of(0);
		acc->has_numeric_sum = true;
	}
	add_weighted(&acc->numeric_sum, NumericGetDatum(number), weight);
	if (spec->kind == AggregateKind::kVarNumeric)
	{
		Datum square = DirectFunctionCall2(numeric_mul, NumericGetDatum(number),
										   NumericGetDatum(number));

		add_weighted(&acc->numeric_squares, square, weight);
		pfree(DatumGetPointer(square));
	}
}

void
accumulate_floats(const AggregateSpec *spec, Accumulator *acc, Datum value, Datum second,
				  int64 weight)
{
	FloatTotals totals;
	float8 first = spec->argtype == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value);

	if (acc->floats)
	{
		unpack_totals(acc->floats, float_sums(spec), &totals);
		pfree(DatumGetPointer(acc->floats));
	}
	else
		clear_totals(&totals, float_sums(spec));
	if (spec->second)
		add_pair(&totals, first, DatumGetFloat8(second), weight);
	else
		add_value(&totals, first, weight);
	acc->floats = pack_totals(&totals);
}

void
accumulate_interval(Accumulator *acc, const Interval *value, int64 weight)
{
	acc->n += weight;
	acc->months += value->month * weight;
	acc->days += value->day * weight;
	acc->sum = add_int64(acc->sum, multiply_int64(value->time, weight));
}

void
accumulate_bits(const AggregateSpec *spec, Accumulator *acc, int64 bits, int64 weight)
{
	/* The bits that a value sets or, for bit_and, clears. */
	int64 effect = spec->kind == AggregateKind::kBitAnd ? ~bits : bits;

	acc->n += weight;
	if (spec->kind == AggregateKind::kBitXor)
		acc->sum ^= weight % 2 != 0 ? bits : 0;
	else if (weight > 0)
		acc->sum |= effect;
	else
		acc->went_bits |= effect;
}

void
accumulate_extreme(const AggregateSpec *spec, FmgrInfo *compare, Accumulator *acc, Datum value,
				   int64 weight)
{
	Best *best = weight > 0 ? &acc->came : &acc->went;
	int cmp = best->n > 0 ? order(spec, compare, value, best->value) : -1;

	acc->n += weight;
	if (cmp == 0)
	{
		best->n += std::abs(weight);
		if (spec->one_image || same_image(spec, value, best->value))
			return;
		best->mixed = true;
	}
	else
	{
		if (best->n > 0)
			best->more = true;
		if (cmp > 0)
			return;
		best->mixed = false;
		if (best->n > 0 && !spec->typbyval)
			pfree(DatumGetPointer(best->value));
		best->n = std::abs(weight);
	}
	best->value = copy_value(spec, value);
}

bool
merge_numeric(const AggregateSpec *spec, const Accumulator *acc, Datum *values)
{
	bool squares = spec->kind == AggregateKind::kVarNumeric;
	int64 n = DatumGetInt64(values[0]) + acc->n;
	int32 scale = DatumGetInt32(values[2]);
	int64 scale_n = DatumGetInt64(values[3]);

	values[0] = Int64GetDatum(n);
	values[4] = Int64GetDatum(DatumGetInt64(values[4]) + acc->nan);
	values[5] = Int64GetDatum(DatumGetInt64(values[5]) + acc->positive_infinity);
	values[6] = Int64GetDatum(DatumGetInt64(values[6]) + acc->negative_infinity);
	if (acc->has_numeric_sum)
		values[1] = numeric_plus(values[1], acc->numeric_sum);
	if (acc->has_numeric_sum && squares)
		values[7] = numeric_plus(values[7], acc->numeric_squares);
	for (int i = 0; i < acc->nscales; i++)
	{
		const ScaleCount *count = &acc->scales[i];

		if (count->scale == scale)
			scale_n += count->n;
		else if (count->scale > scale && count->n > 0)
		{
			scale = count->scale;
			scale_n = count->n;
		}
	}
	values[2] = Int32GetDatum(scale);
	values[3] = Int64GetDatum(scale_n);

	int64 finite = n - DatumGetInt64(values[4]) - DatumGetInt64(values[5]) -
				   DatumGetInt64(values[6]);
	if (finite == 0)
	{
		values[1] = numeric_of(0);
		values[2] = Int32GetDatum(0);
		values[3] = Int64GetDatum(0);
		if (squares)
			values[7] = numeric_of(0);
		return true;
	}
	return scale_n > 0;
}

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

	int64 count(int i) const { return DatumGetInt64(values[i + 1]); }
};

constexpr int kExtreme = 0;
constexpr int kNext = 2;

/* Adds values that came. Values that are equal look the same: analysis takes other types elsewhere. */
void
add_best(Extreme *state, const Best *came)
{
	int cmp = state->has(kExtreme) ? state->order_to(kExtreme, came->value) : -1;

	if (cmp < 0)
	{
		if (state->has(kExtreme))
			state->set(kNext, state->values[kExtreme], state->count(kExtreme));
		state->set(kExtreme, came->value, came->n);
	}
	else if (cmp == 0)
		state->set(kExtreme, came->value, state->count(kExtreme) + came->n);
	else if (state->has(kNext))
	{
		int to_next = state->order_to(kNext, came->value);

		if (to_next <= 0)
			state->set(kNext, came->value, came->n + (to_next == 0 ? state->count(kNext) : 0));
	}
	if (came->more)
		state->forget(kNext);
}

/* Takes away values that went; false where the extreme is not known any more. */
bool
subtract_best(Extreme *state, const Best *went)
{
	int cmp = state->has(kExtreme) ? state->order_to(kExtreme, went->value) : -1;

	if (went->more)
		state->forget(kNext);
	if (cmp < 0)
		return false;
	if (cmp > 0)
	{
		if (!state->has(kNext) || state->order_to(kNext, went->value) > 0)
			return true;
		if (state->count(kNext) > went->n)
			state->set(kNext, state->values[kNext], state->count(kNext) - went->n);
		else
			state->forget(kNext);
		return true;
	}
	if (state->count(kExtreme) > went->n)
	{
		state->set(kExtreme, state->values[kExtreme], state->count(kExtreme) - went->n);
		return true;
	}
	if (!state->has(kNext))
		return false;
	state->set(kExtreme, state->values[kNext], state->count(kNext));
	state->forget(kNext);
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

bool
merge_extreme(const AggregateSpec *spec, FmgrInfo *compare, const Accumulator *acc, Datum *values,
			  bool *nulls)
{
	Extreme state = {spec, compare, values, nulls};

	if (!spec->one_image)
		return merge_ambiguous(&state, &acc->came, &acc->went);
	if (acc->came.n > 0)
		add_best(&state, &acc->came);
	return acc->went.n == 0 || subtract_best(&state, &acc->went);
}

bool
merge_bits(const AggregateSpec *spec, const Accumulator *acc, Datum *values)
{
	int64 n = DatumGetInt64(values[0]) + acc->n;
	int64 bits = DatumGetInt64(values[1]);

	values[0] = Int64GetDatum(n);
	if (spec->kind == AggregateKind::kBitXor)
		values[1] = Int64GetDatum(bits ^ acc->sum);
	else
		values[1] = Int64GetDatum(n == 0 ? 0 : bits | acc->sum);
	/* What went may have been the only one to set a bit. */
	return n == 0 || (acc->went_bits & ~acc->sum) == 0;
}

void
merge_floats(const AggregateSpec *spec, const Accumulator *acc, Datum *values)
{
	FloatTotals totals;
	FloatTotals change;

	if (!acc->floats)
		return;
	unpack_totals(values[0], float_sums(spec), &totals);
	unpack_totals(acc->floats, float_sums(spec), &change);
	add_totals(&totals, &change);
	values[0] = pack_totals(&totals);
}

void
merge_interval(const Accumulator *acc, Datum *values)
{
	values[0] = Int64GetDatum(DatumGetInt64(values[0]) + acc->n);
	values[1] = Int64GetDatum(DatumGetInt64(values[1]) + acc->months);
	values[2] = Int64GetDatum(DatumGetInt64(values[2]) + acc->days);
	values[3] = Int64GetDatum(add_int64(DatumGetInt64(values[3]), acc->sum));
}

} // namespace

void
accumulate(const AggregateSpec *spec, FmgrInfo *compare, Accumulator *acc, const Datum *row,
		   const bool *nulls, int64 weight)
{
	if ((spec->filter && (nulls[spec->filter - 1] || !DatumGetBool(row[spec->filter - 1]))) ||
		(spec->argument && nulls[spec->argument - 1]) || (spec->second && nulls[spec->second - 1]))
		return;

	Datum value = spec->argument ? row[spec->argument - 1] : (Datum) 0;
	switch (spec->kind)
	{
		case AggregateKind::kCountStar:
			return;
		case AggregateKind::kCount:
			acc->n += weight;
			return;
		case AggregateKind::kSumInt:
		case AggregateKind::kAvgInt:
			acc->n += weight;
			acc->sum = add_int64(acc->sum, multiply_int64(integer_of(spec, value), weight));
			return;
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
			accumulate_numeric(spec, acc, value, weight);
			return;
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			accumulate_floats(spec, acc, value, spec->second ? row[spec->second - 1] : (Datum) 0,
							  weight);
			return;
		case AggregateKind::kSumInterval:
		case AggregateKind::kAvgInterval:
			accumulate_interval(acc, DatumGetIntervalP(value), weight);
			return;
		case AggregateKind::kSumMoney:
			acc->n += weight;
			acc->sum = wrapping_sum(acc->sum, (uint64) DatumGetCash(value) * (uint64) weight);
			return;
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			accumulate_extreme(spec, compare, acc, value, weight);
			return;
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			(DatumGetBool(value) ? acc->n : acc->n2) += weight;
			return;
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
		case AggregateKind::kBitXor:
			accumulate_bits(spec, acc, integer_of(spec, value), weight);
			return;
	}
}

bool
is_noop(const AggregateSpec *spec, const Accumulator *acc)
{
	if (acc->n != 0)
		return false;
	switch (spec->kind)
	{
		case AggregateKind::kSumInt:
		case AggregateKind::kAvgInt:
		case AggregateKind::kSumMoney:
		case AggregateKind::kBitXor:
			return acc->sum == 0;
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
			return acc->sum == 0 && acc->went_bits == 0;
		case AggregateKind::kSumInterval:
		case AggregateKind::kAvgInterval:
			return acc->sum == 0 && acc->days == 0 && acc->months == 0;
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			return floats_are_noop(spec, acc);
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
			if (acc->nan || acc->positive_infinity || acc->negative_infinity)
				return false;
			for (int i = 0; i < acc->nscales; i++)
				if (acc->scales[i].n != 0)
					return false;
			return !acc->has_numeric_sum ||
				   (is_numeric_zero(acc->numeric_sum) && is_numeric_zero(acc->numeric_squares));
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			/* What went and what came look the same. */
			return acc->came.n == acc->went.n && !acc->came.more && !acc->went.more &&
				   !acc->came.mixed && !acc->went.mixed &&
				   (acc->came.n == 0 || same_image(spec, acc->came.value, acc->went.value));
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			return acc->n2 == 0;
		default:
			return true;
	}
}

void
empty_state(const AggregateSpec *spec, Datum *values, bool *nulls)
{
	for (int i = 0; i < spec->nstate; i++)
	{
		values[i] = Int64GetDatum(0);
		nulls[i] = false;
	}
	if (spec->nstate > 1 && state_type(spec, 1) == NUMERICOID)
		values[1] = numeric_of(0);
	if (spec->kind == AggregateKind::kVarNumeric)
		values[7] = numeric_of(0);
	if (float_sums(spec) != FloatSums::kNone)
	{
		FloatTotals totals;

		clear_totals(&totals, float_sums(spec));
		values[0] = pack_totals(&totals);
	}
	if (spec->kind == AggregateKind::kMin || spec->kind == AggregateKind::kMax)
	{
		values[kExtreme] = values[kNext] = (Datum) 0;
		nulls[kExtreme] = nulls[kNext] = true;
	}
}

bool
merge(const AggregateSpec *spec, FmgrInfo *compare, const Accumulator *acc, Datum *values,
	  bool *nulls)
{
	switch (spec->kind)
	{
		case AggregateKind::kCountStar:
			return true;
		case AggregateKind::kCount:
			values[0] = Int64GetDatum(DatumGetInt64(values[0]) + acc->n);
			return true;
		case AggregateKind::kSumInt:
		case AggregateKind::kAvgInt:
			values[0] = Int64GetDatum(DatumGetInt64(values[0]) + acc->n);
			values[1] = Int64GetDatum(add_int64(DatumGetInt64(values[1]), acc->sum));
			return true;
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
			return merge_numeric(spec, acc, values);
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			merge_floats(spec, acc, values);
			return true;
		case AggregateKind::kSumInterval:
		case AggregateKind::kAvgInterval:
			merge_interval(acc, values);
			return true;
		case AggregateKind::kSumMoney:
			values[0] = Int64GetDatum(DatumGetInt64(values[0]) + acc->n);
			values[1] = Int64GetDatum(wrapping_sum(DatumGetInt64(values[1]), acc->sum));
			return true;
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
		case AggregateKind::kBitXor:
			return merge_bits(spec, acc, values);
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return merge_extreme(spec, compare, acc, values, nulls);
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			values[0] = Int64GetDatum(DatumGetInt64(values[0]) + acc->n);
			values[1] = Int64GetDatum(DatumGetInt64(values[1]) + acc->n2);
			return true;
	}
	pg_unreachable();
}

namespace
{

Datum
numeric_result(const AggregateSpec *spec, const Datum *values)
{
	int64 nan = DatumGetInt64(values[4]);
	int64 positive = DatumGetInt64(values[5]);
	int64 negative = DatumGetInt64(values[6]);

	if (nan > 0 || positive > 0 || negative > 0)
	{
		const char *text = nan > 0 || (positive > 0 && negative > 0)
							   ? "NaN"
							   : (positive > 0 ? "Infinity" : "-Infinity");

		return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
								   Int32GetDatum(-1));
	}

	Datum sum = values[1];
	int32 scale = DatumGetInt32(values[2]);
	if (DatumGetInt32(DirectFunctionCall1(numeric_scale, sum)) != scale)
		sum = DirectFunctionCall2(numeric_round, sum, Int32GetDatum(scale));
	if (spec->kind == AggregateKind::kAvgNumeric)
		sum = DirectFunctionCall2(numeric_div, sum, numeric_of(DatumGetInt64(values[0])));
	return sum;
}

Datum
floats_result(const AggregateSpec *spec, const Datum *values, bool *isnull)
{
	FloatTotals totals;

	unpack_totals(values[0], float_sums(spec), &totals);
	return float_result(spec->function, &totals, isnull);
}

Datum
interval_result(const AggregateSpec *spec, const Datum *values, bool *isnull)
{
	int64 n = DatumGetInt64(values[0]);
	int64 months = DatumGetInt64(values[1]);
	int64 days = DatumGetInt64(values[2]);
	Interval *sum = (Interval *) palloc(sizeof(Interval));

	*isnull = n == 0;
	if (*isnull)
		return (Datum) 0;
	if (months != (int32) months || days != (int32) days)
		ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				errmsg("interval out of range"));
	sum->month = months;
	sum->day = days;
	sum->time = DatumGetInt64(values[3]);
	if (spec->kind == AggregateKind::kSumInterval)
		return IntervalPGetDatum(sum);
	return DirectFunctionCall2(interval_div, IntervalPGetDatum(sum), Float8GetDatum((float8) n));
}

Datum
bits_result(const AggregateSpec *spec, const Datum *values, bool *isnull)
{
	int64 bits = DatumGetInt64(values[1]);

	*isnull = DatumGetInt64(values[0]) == 0;
	if (spec->kind == AggregateKind::kBitAnd)
		bits = ~bits;
	return spec->argtype == INT2OID
			   ? Int16GetDatum(bits)
			   : (spec->argtype == INT4OID ? Int32GetDatum(bits) : Int64GetDatum(bits));
}

} // namespace

Datum
result(const AggregateSpec *spec, int64 count, const Datum *values, const bool *nulls, bool *isnull)
{
	*isnull = false;
	switch (spec->kind)
	{
		case AggregateKind::kCountStar:
			return Int64GetDatum(count);
		case AggregateKind::kCount:
			return values[0];
		case AggregateKind::kSumInt:
			*isnull = DatumGetInt64(values[0]) == 0;
			return values[1];
		case AggregateKind::kAvgInt:
			*isnull = DatumGetInt64(values[0]) == 0;
			return *isnull ? (Datum) 0
						   : DirectFunctionCall2(numeric_div, numeric_of(DatumGetInt64(values[1])),
												 numeric_of(DatumGetInt64(values[0])));
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
			*isnull = DatumGetInt64(values[0]) == 0;
			return *isnull ? (Datum) 0 : numeric_result(spec, values);
		case AggregateKind::kVarNumeric:
			return variance_result(spec->function, values, isnull);
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			return floats_result(spec, values, isnull);
		case AggregateKind::kSumInterval:
		case AggregateKind::kAvgInterval:
			return interval_result(spec, values, isnull);
		case AggregateKind::kSumMoney:
			*isnull = DatumGetInt64(values[0]) == 0;
			return values[1];
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
		case AggregateKind::kBitXor:
			return bits_result(spec, values, isnull);
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			*isnull = nulls[0];
			return values[0];
		case AggregateKind::kBoolAnd:
			*isnull = DatumGetInt64(values[0]) + DatumGetInt64(values[1]) == 0;
			return BoolGetDatum(DatumGetInt64(values[1]) == 0);
		case AggregateKind::kBoolOr:
			*isnull = DatumGetInt64(values[0]) + DatumGetInt64(values[1]) == 0;
			return BoolGetDatum(DatumGetInt64(values[0]) > 0);
	}
	pg_unreachable();
}

Oid
state_type(const AggregateSpec *spec, int i)
{
	switch (spec->kind)
	{
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
			return i == 1 || i == 7 ? NUMERICOID : (i == 2 ? INT4OID : INT8OID);
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			return BYTEAOID;
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return i % 2 == 0 ? spec->argtype : INT8OID;
		default:
			return INT8OID;
	}
}

} // namespace tw::state
