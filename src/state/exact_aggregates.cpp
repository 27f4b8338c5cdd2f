/*
 * exact_aggregates.cpp - aggregates over floats for SQL whose sums are exact.
 *
 * What tailwater.verify() computes in place of the server's aggregates over
 * floats, and what users compare live views with. The sums themselves are those
 * of float_totals.cpp.
 */
#include "state/float_totals.hpp"

namespace tw::state
{

namespace
{

/* The running totals, in the memory of the aggregate. */
FloatTotals *
totals_of(FunctionCallInfo fcinfo, FloatSums kind)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	if (!PG_ARGISNULL(0))
		return (FloatTotals *) PG_GETARG_POINTER(0);

	FloatTotals *totals = (FloatTotals *) MemoryContextAlloc(context, sizeof(FloatTotals));
	clear_totals(totals, kind);
	return totals;
}

/* The transition function of one argument: the value counts unless the argument is null. */
Datum
added(FunctionCallInfo fcinfo, double value)
{
	FloatTotals *totals = totals_of(fcinfo, FloatSums::kSquares);

	if (!PG_ARGISNULL(1))
		add_value(totals, value, 1);
	PG_RETURN_POINTER(totals);
}

Datum
result_of(FunctionCallInfo fcinfo, Oid aggregate)
{
	FloatTotals totals;
	bool isnull;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	totals = *(FloatTotals *) PG_GETARG_POINTER(0);
	if (aggregate == F_SUM_FLOAT4 || aggregate == F_SUM_FLOAT8)
		totals.kind = FloatSums::kValues;

	Datum result = float_result(aggregate, &totals, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	return result;
}

} // namespace

} // namespace tw::state

using namespace tw::state;

#define EXACT_FINAL(name, aggregate)                            \
	PGDLLEXPORT Datum tailwater_float_##name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(tailwater_float_##name);                \
	Datum tailwater_float_##name(PG_FUNCTION_ARGS)              \
	{                                                           \
		return result_of(fcinfo, aggregate);                    \
	}

extern "C"
{
	PGDLLEXPORT Datum tailwater_float_add(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_float4_add(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_float_add_pair(PG_FUNCTION_ARGS);

	PG_FUNCTION_INFO_V1(tailwater_float_add);
	PG_FUNCTION_INFO_V1(tailwater_float4_add);
	PG_FUNCTION_INFO_V1(tailwater_float_add_pair);

	EXACT_FINAL(sum_float4, F_SUM_FLOAT4)
	EXACT_FINAL(sum, F_SUM_FLOAT8)
	EXACT_FINAL(avg, F_AVG_FLOAT8)
	EXACT_FINAL(var_pop, F_VAR_POP_FLOAT8)
	EXACT_FINAL(var_samp, F_VAR_SAMP_FLOAT8)
	EXACT_FINAL(stddev_pop, F_STDDEV_POP_FLOAT8)
	EXACT_FINAL(stddev_samp, F_STDDEV_SAMP_FLOAT8)
	EXACT_FINAL(corr, F_CORR)
	EXACT_FINAL(covar_pop, F_COVAR_POP)
	EXACT_FINAL(covar_samp, F_COVAR_SAMP)
	EXACT_FINAL(regr_avgx, F_REGR_AVGX)
	EXACT_FINAL(regr_avgy, F_REGR_AVGY)
	EXACT_FINAL(regr_intercept, F_REGR_INTERCEPT)
	EXACT_FINAL(regr_r2, F_REGR_R2)
	EXACT_FINAL(regr_slope, F_REGR_SLOPE)
	EXACT_FINAL(regr_sxx, F_REGR_SXX)
	EXACT_FINAL(regr_sxy, F_REGR_SXY)
	EXACT_FINAL(regr_syy, F_REGR_SYY)
}

Datum
tailwater_float_add(PG_FUNCTION_ARGS)
{
	return added(fcinfo, PG_ARGISNULL(1) ? 0 : PG_GETARG_FLOAT8(1));
}

Datum
tailwater_float4_add(PG_FUNCTION_ARGS)
{
	return added(fcinfo, PG_ARGISNULL(1) ? 0 : PG_GETARG_FLOAT4(1));
}

Datum
tailwater_float_add_pair(PG_FUNCTION_ARGS)
{
	FloatTotals *totals = totals_of(fcinfo, FloatSums::kPairs);

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		add_pair(totals, PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2), 1);
	PG_RETURN_POINTER(totals);
}
