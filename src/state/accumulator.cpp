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
 *   min, max              the extreme and how many inputs look like it; the next
 *                         best value and how many look like that one, null where
 *                         not known. The second pair serves values that come as
 *                         a new extreme and leave again.
 *   bool_and, bool_or     number of true and of false inputs
 *
 * The display scale of a numeric sum is the largest among its inputs; NaN and
 * infinities cannot be subtracted. Both are counted apart, so that a value that
 * leaves also leaves no trace.
 */
#include "state/accumulator.hpp"

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
	Numeric number = spec->argtype == INT8OID ? int64_to_numeric(DatumGetInt64(value))
											  : DatumGetNumeric(value);

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

	Datum sum = acc->has_numeric_sum ? acc->numeric_sum : numeric_of(0);
	Datum old = sum;
	if (weight == 1)
		sum = numeric_plus(sum, NumericGetDatum(number));
	else if (weight == -1)
		sum = DirectFunctionCall2(numeric_sub, sum, NumericGetDatum(number));
	else
		sum = numeric_plus(sum, DirectFunctionCall2(numeric_mul, NumericGetDatum(number),
													numeric_of(weight)));
	pfree(DatumGetPointer(old));
	acc->numeric_sum = sum;
	acc->has_numeric_sum = true;
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
		return;
	}
	if (best->n > 0)
		best->more = true;
	if (cmp > 0)
		return;
	if (best->n > 0 && !spec->typbyval)
		pfree(DatumGetPointer(best->value));
	best->value = copy_value(spec, value);
	best->n = std::abs(weight);
}

bool
merge_numeric(const Accumulator *acc, Datum *values, bool *nulls)
{
	int64 n = DatumGetInt64(values[0]) + acc->n;
	int32 scale = DatumGetInt32(values[2]);
	int64 scale_n = DatumGetInt64(values[3]);

	values[0] = Int64GetDatum(n);
	values[4] = Int64GetDatum(DatumGetInt64(values[4]) + acc->nan);
	values[5] = Int64GetDatum(DatumGetInt64(values[5]) + acc->positive_infinity);
	values[6] = Int64GetDatum(DatumGetInt64(values[6]) + acc->negative_infinity);
	if (acc->has_numeric_sum)
		values[1] = numeric_plus(values[1], acc->numeric_sum);
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

bool
merge_extreme(const AggregateSpec *spec, FmgrInfo *compare, const Accumulator *acc, Datum *values,
			  bool *nulls)
{
	Extreme state = {spec, compare, values, nulls};

	if (acc->came.n > 0)
		add_best(&state, &acc->came);
	return acc->went.n == 0 || subtract_best(&state, &acc->went);
}

} // namespace

void
accumulate(const AggregateSpec *spec, FmgrInfo *compare, Accumulator *acc, Datum value, bool isnull,
		   int64 weight)
{
	if (spec->argument && isnull)
		return;
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
			acc->sum = add_int64(acc->sum,
								 multiply_int64(spec->argtype == INT2OID ? DatumGetInt16(value)
																		 : DatumGetInt32(value),
												weight));
			return;
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
			accumulate_numeric(spec, acc, value, weight);
			return;
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			accumulate_extreme(spec, compare, acc, value, weight);
			return;
		case AggregateKind::kBoolAnd:
		case AggregateKind::kBoolOr:
			(DatumGetBool(value) ? acc->n : acc->n2) += weight;
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
			return acc->sum == 0;
		case AggregateKind::kSumNumeric:
		case AggregateKind::kAvgNumeric:
			if (acc->nan || acc->positive_infinity || acc->negative_infinity)
				return false;
			for (int i = 0; i < acc->nscales; i++)
				if (acc->scales[i].n != 0)
					return false;
			return !acc->has_numeric_sum ||
				   DatumGetBool(DirectFunctionCall2(numeric_eq, acc->numeric_sum, numeric_of(0)));
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			/* What went and what came look the same. */
			return acc->came.n == acc->went.n && !acc->came.more && !acc->went.more &&
				   (acc->came.n == 0 ||
					datum_image_eq(acc->came.value, acc->went.value, spec->typbyval, spec->typlen));
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
	if (spec->kind == AggregateKind::kSumNumeric || spec->kind == AggregateKind::kAvgNumeric)
		values[1] = numeric_of(0);
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
			return merge_numeric(acc, values, nulls);
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
			return i == 1 ? NUMERICOID : (i == 2 ? INT4OID : INT8OID);
		case AggregateKind::kMin:
		case AggregateKind::kMax:
			return i % 2 == 0 ? spec->argtype : INT8OID;
		default:
			return INT8OID;
	}
}

} // namespace tw::state
