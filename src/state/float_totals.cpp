/*
 * float_totals.cpp - exact sums behind the aggregates over floating-point numbers.
 *
 * The server's sums of floats depend on the order of their inputs, and what is
 * lost when a large value comes does not come back when it goes. Here sums,
 * sums of squares and of products are kept without error (base/exact_number),
 * so that they depend on the inputs only, whatever was added and removed before.
 * Results are the exact ones rounded once; where the server's own sums are
 * without error, as for whole numbers of ordinary size, they are the same.
 *
 * Packed form: a byte that says which counts are not 0, these counts, the sums.
 */
#include "state/float_totals.hpp"

namespace tw::state
{

namespace
{

struct Final
{
	Oid aggregate;
	PGFunction
		function; /* takes n, sums of values, and sums of squares and products of deviations */
};

const Final kFinals[] = {
	{F_AVG_FLOAT4, float8_avg},
	{F_AVG_FLOAT8, float8_avg},
	{F_VAR_POP_FLOAT4, float8_var_pop},
	{F_VAR_POP_FLOAT8, float8_var_pop},
	{F_VAR_SAMP_FLOAT4, float8_var_samp},
	{F_VAR_SAMP_FLOAT8, float8_var_samp},
	{F_VARIANCE_FLOAT4, float8_var_samp},
	{F_VARIANCE_FLOAT8, float8_var_samp},
	{F_STDDEV_POP_FLOAT4, float8_stddev_pop},
	{F_STDDEV_POP_FLOAT8, float8_stddev_pop},
	{F_STDDEV_SAMP_FLOAT4, float8_stddev_samp},
	{F_STDDEV_SAMP_FLOAT8, float8_stddev_samp},
	{F_STDDEV_FLOAT4, float8_stddev_samp},
	{F_STDDEV_FLOAT8, float8_stddev_samp},
	{F_REGR_SXX, float8_regr_sxx},
	{F_REGR_SYY, float8_regr_syy},
	{F_REGR_SXY, float8_regr_sxy},
	{F_REGR_AVGX, float8_regr_avgx},
	{F_REGR_AVGY, float8_regr_avgy},
	{F_REGR_R2, float8_regr_r2},
	{F_REGR_SLOPE, float8_regr_slope},
	{F_REGR_INTERCEPT, float8_regr_intercept},
	{F_COVAR_POP, float8_covar_pop},
	{F_COVAR_SAMP, float8_covar_samp},
	{F_CORR, float8_corr},
};

PGFunction
final_of(Oid aggregate)
{
	for (const Final &final : kFinals)
		if (final.aggregate == aggregate)
			return final.function;
	elog(ERROR, "aggregate %u is not one of floats", aggregate);
}

/* Counts a value that is not finite; false where it is. */
bool
add_special(NotFinite *special, float8 value, int64 weight)
{
	if (isnan(value))
		special->nan += weight;
	else if (isinf(value))
		(value > 0 ? special->positive : special->negative) += weight;
	else
		return false;
	return true;
}

bool
any_special(const NotFinite *special)
{
	return special->nan != 0 || special->positive != 0 || special->negative != 0;
}

constexpr int kCounts = 8;

/* The totals' counts in the order in which they are stored. */
void
counts_of(FloatTotals *totals, int64 **counts)
{
	int64 *all[kCounts] = {&totals->n,
						   &totals->minus_zeros,
						   &totals->special[0].nan,
						   &totals->special[0].positive,
						   &totals->special[0].negative,
						   &totals->special[1].nan,
						   &totals->special[1].positive,
						   &totals->special[1].negative};

	memcpy(counts, all, sizeof(all));
}

/* The sum of one argument: `sum`, unless there are values that are not finite. */
float8
rounded_sum(const ExactNumber *sum, const NotFinite *special)
{
	if (special->nan > 0)
		return get_float8_nan();
	if (special->positive > 0 && special->negative > 0)
	{
		/* What the processor makes of it, as in the server's sum. */
		volatile float8 infinity = get_float8_infinity();

		return infinity + -infinity;
	}
	if (special->positive > 0 || special->negative > 0)
		return special->positive > 0 ? get_float8_infinity() : -get_float8_infinity();

	float8 result = sum->to_double();
	if (isinf(result))
		float_overflow_error();
	return result;
}

/* Sum of (a - avg(a)) * (b - avg(b)): (n * sum(a * b) - sum(a) * sum(b)) / n, rounded once. */
float8
rounded_deviation(int64 n, const ExactNumber *products, const ExactNumber *a, const ExactNumber *b,
				  bool special)
{
	if (special)
		return get_float8_nan();

	ExactNumber exact = *products;
	ExactNumber product;
	exact.multiply(n);
	product.set_product(*a, *b);
	product.negate();
	exact.add(product);

	float8 result = exact.quotient(n);
	if (isinf(result))
		float_overflow_error();
	return result;
}

/* Calls a final function of the server with its transition array. */
Datum
call_final(PGFunction final, const float8 *state, int n, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum *values = (Datum *) palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		values[i] = Float8GetDatum(state[i]);
	InitFunctionCallInfoData(*fcinfo, nullptr, 1, InvalidOid, nullptr, nullptr);
	fcinfo->args[0].value = PointerGetDatum(
		construct_array(values, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	fcinfo->args[0].isnull = false;

	Datum result = final(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

Datum
sum_result(Oid aggregate, const FloatTotals *totals)
{
	/* A sum of nothing but minus zeros is one. */
	bool minus = totals->minus_zeros == totals->n;

	if (aggregate == F_SUM_FLOAT8)
		return Float8GetDatum(minus ? -0.0 : rounded_sum(&totals->sums[0], &totals->special[0]));
	if (minus || any_special(&totals->special[0]))
		return Float4GetDatum(minus ? -0.0f
									: (float4) rounded_sum(&totals->sums[0], &totals->special[0]));

	float4 result = totals->sums[0].to_float();
	if (isinf(result))
		float_overflow_error();
	return Float4GetDatum(result);
}

} // namespace

void
clear_totals(FloatTotals *totals, FloatSums kind)
{
	totals->kind = kind;
	totals->n = totals->minus_zeros = 0;
	totals->special[0] = totals->special[1] = {0, 0, 0};
	for (int i = 0; i < static_cast<int>(kind); i++)
		totals->sums[i].clear();
}

void
add_value(FloatTotals *totals, float8 value, int64 weight)
{
	totals->n += weight;
	if (add_special(&totals->special[0], value, weight))
		return;
	if (value == 0 && signbit(value))
		totals->minus_zeros += weight;
	totals->sums[0].add(value, weight);
	if (totals->kind >= FloatSums::kSquares)
		totals->sums[1].add_product(value, value, weight);
}

void
add_pair(FloatTotals *totals, float8 first, float8 second, int64 weight)
{
	bool special = !isfinite(first) || !isfinite(second);

	add_value(totals, first, weight);
	if (!add_special(&totals->special[1], second, weight))
	{
		totals->sums[2].add(second, weight);
		totals->sums[3].add_product(second, second, weight);
	}
	if (!special)
		totals->sums[4].add_product(first, second, weight);
}

void
add_totals(FloatTotals *totals, const FloatTotals *other)
{
	int64 *counts[kCounts];
	int64 *others[kCounts];

	counts_of(totals, counts);
	counts_of(const_cast<FloatTotals *>(other), others);
	for (int i = 0; i < kCounts; i++)
		*counts[i] += *others[i];
	for (int i = 0; i < static_cast<int>(totals->kind); i++)
		totals->sums[i].add(other->sums[i]);
}

bool
totals_are_zero(const FloatTotals *totals)
{
	int64 *counts[kCounts];

	counts_of(const_cast<FloatTotals *>(totals), counts);
	for (int64 *count : counts)
		if (*count != 0)
			return false;
	for (int i = 0; i < static_cast<int>(totals->kind); i++)
		if (!totals->sums[i].is_zero())
			return false;
	return true;
}

Datum
pack_totals(const FloatTotals *totals)
{
	int nsums = static_cast<int>(totals->kind);
	bytea *packed = (bytea *) palloc(VARHDRSZ + 1 + sizeof(int64) * kCounts +
									 nsums * ExactNumber::kMaxBytes);
	unsigned char *flags = (unsigned char *) VARDATA(packed);
	unsigned char *to = flags + 1;
	int64 *counts[kCounts];

	counts_of(const_cast<FloatTotals *>(totals), counts);
	*flags = 0;
	for (int i = 0; i < kCounts; i++)
		if (*counts[i] != 0)
		{
			*flags |= 1 << i;
			memcpy(to, counts[i], sizeof(int64));
			to += sizeof(int64);
		}
	for (int i = 0; i < nsums; i++)
		to += totals->sums[i].write(to);
	SET_VARSIZE(packed, to - (unsigned char *) packed);
	return PointerGetDatum(packed);
}

void
unpack_totals(Datum packed, FloatSums kind, FloatTotals *totals)
{
	const unsigned char *from = (const unsigned char *) VARDATA_ANY(DatumGetPointer(packed));
	unsigned char flags = *from++;
	int64 *counts[kCounts];

	totals->kind = kind;
	counts_of(totals, counts);
	for (int i = 0; i < kCounts; i++)
	{
		*counts[i] = 0;
		if ((flags & 1 << i) == 0)
			continue;
		memcpy(counts[i], from, sizeof(int64));
		from += sizeof(int64);
	}
	for (int i = 0; i < static_cast<int>(kind); i++)
		from += totals->sums[i].read(from);
}

Datum
float_result(Oid aggregate, const FloatTotals *totals, bool *isnull)
{
	const ExactNumber *sums = totals->sums;
	const NotFinite *special = totals->special;
	bool odd[2] = {any_special(&special[0]), any_special(&special[1])};

	*isnull = totals->n == 0;
	if (*isnull)
		return (Datum) 0;
	if (totals->kind == FloatSums::kValues)
		return sum_result(aggregate, totals);

	float8 first = rounded_sum(&sums[0], &special[0]);
	float8 first_squares = rounded_deviation(totals->n, &sums[1], &sums[0], &sums[0], odd[0]);
	if (totals->kind == FloatSums::kSquares)
	{
		float8 state[3] = {(float8) totals->n, first, first_squares};

		return call_final(final_of(aggregate), state, 3, isnull);
	}

	/* The server's order is x before y, and the first argument is y. */
	float8 state[6] = {(float8) totals->n,
					   rounded_sum(&sums[2], &special[1]),
					   rounded_deviation(totals->n, &sums[3], &sums[2], &sums[2], odd[1]),
					   first,
					   first_squares,
					   rounded_deviation(totals->n, &sums[4], &sums[0], &sums[2],
										 odd[0] || odd[1])};
	return call_final(final_of(aggregate), state, 6, isnull);
}

} // namespace tw::state
