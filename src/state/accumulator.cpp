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
 *   min, max              see extreme.cpp
 *   bool_and, bool_or     number of true and of false inputs
 *   bit_and, bit_or, bit_xor
 *                         n and the result
 *
 * The display scale of a numeric sum is the largest among its inputs; NaN and
 * infinities cannot be subtracted. Both are counted apart, so that a value that
 * leaves also leaves no trace. What a column mostly says, see usual_state(), is
 * stored as null.
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

void
count_scale(NumericChange *change, int32 scale, int64 weight)
{
	for (int i = 0; i < change->nscales; i++)
		if (change->scales[i].scale == scale)
		{
			change->scales[i].n += weight;
			return;
		}

	Size size = sizeof(ScaleCount) * (change->nscales + 1);
	change->scales = (ScaleCount *) (change->scales ? repalloc(change->scales, size)
													: palloc(size));
	change->scales[change->nscales].scale = scale;
	change->scales[change->nscales++].n = weight;
}

void
accumulate_numeric(const AggregateSpec *spec, Accumulator *acc, Datum value, int64 weight)
{
	NumericChange *change = &acc->numeric;
	Numeric number = spec->argtype == NUMERICOID ? DatumGetNumeric(value)
												 : int64_to_numeric(integer_of(spec, value));

	acc->n += weight;
	if (numeric_is_nan(number))
	{
		change->nan += weight;
		return;
	}
	if (numeric_is_inf(number))
	{
		bool positive = DatumGetBool(
			DirectFunctionCall2(numeric_gt, NumericGetDatum(number), numeric_of(0)));

		(positive ? change->positive_infinity : change->negative_infinity) += weight;
		return;
	}

	count_scale(change, DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(number))),
				weight);

	if (!change->sum)
		change->sum = numeric_of(0);
	add_weighted(&change->sum, NumericGetDatum(number), weight);
	if (spec->kind == AggregateKind::kVarNumeric)
	{
		Datum square = DirectFunctionCall2(numeric_mul, NumericGetDatum(number),
										   NumericGetDatum(number));

		if (!change->squares)
			change->squares = numeric_of(0);
		add_weighted(&change->squares, square, weight);
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
	acc->interval.months += value->month * weight;
	acc->interval.days += value->day * weight;
	acc->interval.microseconds = add_int64(acc->interval.microseconds,
										   multiply_int64(value->time, weight));
}

void
accumulate_bits(const AggregateSpec *spec, Accumulator *acc, int64 bits, int64 weight)
{
	/* The bits that a value sets or, for bit_and, clears. */
	int64 effect = spec->kind == AggregateKind::kBitAnd ? ~bits : bits;

	acc->n += weight;
	if (spec->kind == AggregateKind::kBitXor)
		acc->bits.came ^= weight % 2 != 0 ? bits : 0;
	else if (weight > 0)
		acc->bits.came |= effect;
	else
		acc->bits.went |= effect;
}

bool
merge_numeric(const AggregateSpec *spec, const Accumulator *acc, Datum *values)
{
	const NumericChange *change = &acc->numeric;
	bool squares = spec->kind == AggregateKind::kVarNumeric;
	int64 n = DatumGetInt64(values[0]) + acc->n;
	int32 scale = DatumGetInt32(values[2]);
	int64 scale_n = DatumGetInt64(values[3]);

	values[0] = Int64GetDatum(n);
	values[4] = Int64GetDatum(DatumGetInt64(values[4]) + change->nan);
	values[5] = Int64GetDatum(DatumGetInt64(values[5]) + change->positive_infinity);
	values[6] = Int64GetDatum(DatumGetInt64(values[6]) + change->negative_infinity);
	if (change->sum)
		values[1] = numeric_plus(values[1], change->sum);
	if (change->squares)
		values[7] = numeric_plus(values[7], change->squares);
	for (int i = 0; i < change->nscales; i++)
	{
		const ScaleCount *count = &change->scales[i];

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

bool
merge_bits(const AggregateSpec *spec, const Accumulator *acc, Datum *values)
{
	int64 n = DatumGetInt64(values[0]) + acc->n;
	int64 bits = DatumGetInt64(values[1]);

	values[0] = Int64GetDatum(n);
	if (spec->kind == AggregateKind::kBitXor)
		values[1] = Int64GetDatum(bits ^ acc->bits.came);
	else
		values[1] = Int64GetDatum(n == 0 ? 0 : bits | acc->bits.came);
	/* What went may have been the only one to set a bit. */
	return n == 0 || (acc->bits.went & ~acc->bits.came) == 0;
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
	values[1] = Int64GetDatum(DatumGetInt64(values[1]) + acc->interval.months);
	values[2] = Int64GetDatum(DatumGetInt64(values[2]) + acc->interval.days);
	values[3] = Int64GetDatum(add_int64(DatumGetInt64(values[3]), acc->interval.microseconds));
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
			acc->int_sum = add_int64(acc->int_sum, multiply_int64(integer_of(spec, value), weight));
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
			acc->int_sum = wrapping_sum(acc->int_sum,
										(uint64) DatumGetCash(value) * (uint64) weight);
			return;
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			acc->n += weight;
			accumulate_extreme(spec, compare, &acc->extreme, value, weight);
			return;
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			(DatumGetBool(value) ? acc->n : acc->false_n) += weight;
			return;
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
		case AggregateKind::kBitXor:
			accumulate_bits(spec, acc, integer_of(spec, value), weight);
			return;
	}
}

Size
accumulator_size(const AggregateSpec *spec)
{
	switch (spec->kind)
	{
		case AggregateKind::kCountStar:
			return 0;
		case AggregateKind::kCount:
			return offsetof(Accumulator, int_sum);
		case AggregateKind::kSumInt:
		case AggregateKind::kAvgInt:
		case AggregateKind::kSumMoney:
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			return offsetof(Accumulator, int_sum) + sizeof(int64);
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
			return offsetof(Accumulator, numeric) + sizeof(Accumulator::numeric);
		case AggregateKind::kSumInterval:
		case AggregateKind::kAvgInterval:
			return offsetof(Accumulator, interval) + sizeof(Accumulator::interval);
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
		case AggregateKind::kBitXor:
			return offsetof(Accumulator, bits) + sizeof(Accumulator::bits);
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return offsetof(Accumulator, extreme) + sizeof(Accumulator::extreme);
	}
	pg_unreachable();
}

bool
has_values(const AggregateSpec *spec)
{
	switch (spec->kind)
	{
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			return true;
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return !spec->typbyval;
		default:
			return false;
	}
}

namespace
{

bool
numbers_are_noop(const NumericChange *change)
{
	if (change->nan || change->positive_infinity || change->negative_infinity)
		return false;
	for (int i = 0; i < change->nscales; i++)
		if (change->scales[i].n != 0)
			return false;
	return (!change->sum || is_numeric_zero(change->sum)) &&
		   (!change->squares || is_numeric_zero(change->squares));
}

} // namespace

bool
is_noop(const AggregateSpec *spec, const Accumulator *acc)
{
	if (spec->kind == AggregateKind::kCountStar)
		return true;
	if (acc->n != 0)
		return false;
	switch (spec->kind)
	{
		case AggregateKind::kSumInt:
		case AggregateKind::kAvgInt:
		case AggregateKind::kSumMoney:
			return acc->int_sum == 0;
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
		case AggregateKind::kBitXor:
			return acc->bits.came == 0 && acc->bits.went == 0;
		case AggregateKind::kSumInterval:
		case AggregateKind::kAvgInterval:
			return acc->interval.microseconds == 0 && acc->interval.days == 0 &&
				   acc->interval.months == 0;
		case AggregateKind::kFloatSum:
		case AggregateKind::kFloatOne:
		case AggregateKind::kFloatTwo:
			return floats_are_noop(spec, acc);
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
			return numbers_are_noop(&acc->numeric);
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return extremes_are_noop(spec, &acc->extreme);
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			return acc->false_n == 0;
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
		empty_extreme(values, nulls);
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
			values[1] = Int64GetDatum(add_int64(DatumGetInt64(values[1]), acc->int_sum));
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
			values[1] = Int64GetDatum(wrapping_sum(DatumGetInt64(values[1]), acc->int_sum));
			return true;
		case AggregateKind::kBitAnd:
		case AggregateKind::kBitOr:
		case AggregateKind::kBitXor:
			return merge_bits(spec, acc, values);
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return merge_extreme(spec, compare, &acc->extreme, values, nulls);
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			values[0] = Int64GetDatum(DatumGetInt64(values[0]) + acc->n);
			values[1] = Int64GetDatum(DatumGetInt64(values[1]) + acc->false_n);
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

Usual
usual_state(const AggregateSpec *spec, int i)
{
	if (state_type(spec, i) != INT8OID)
		return Usual::kNothing;
	switch (spec->kind)
	{
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return i % 2 == 1 ? Usual::kOne : Usual::kNothing;
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
		case AggregateKind::kVarNumeric:
			return i == 0 || i == 3 ? Usual::kCount : Usual::kZero;
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			return i == 0 ? Usual::kCount : Usual::kZero;
		case AggregateKind::kSumInterval:
		case AggregateKind::kAvgInterval:
			return i == 0 ? Usual::kCount : (i == 3 ? Usual::kNothing : Usual::kZero);
		default:
			return i == 0 ? Usual::kCount : Usual::kNothing;
	}
}

} // namespace tw::state
