/*
 * float_totals.hpp - exact sums behind the aggregates over floating-point numbers.
 */
#pragma once

#include "pg/postgres.hpp"
#include "base/exact_number.hpp"

namespace tw::state
{

/* What an aggregate needs; each includes the ones before. */
enum class FloatSums : char
{
	kNone = 0,
	kValues = 1,  /* sum */
	kSquares = 2, /* avg, variance and stddev: the server looks at the squares for avg, too */
	kPairs = 5    /* two arguments, y and x: corr, covar, regr */
};

/* Inputs that are not finite numbers, of one argument. */
struct NotFinite
{
	int64 nan;
	int64 positive;
	int64 negative;
};

/*
 * The sums of some inputs; counts may be negative in a change. Values that are
 * not finite are counted and left out of the sums, as they could not be
 * subtracted.
 */
struct FloatTotals
{
	FloatSums kind;
	int64 n;
	int64 minus_zeros; /* of the first argument */
	NotFinite special[2];
	ExactNumber sums[5]; /* a, a*a, b, b*b, a*b for the arguments a and b */
};

void clear_totals(FloatTotals *totals, FloatSums kind);
void add_value(FloatTotals *totals, float8 value, int64 weight);
void add_pair(FloatTotals *totals, float8 first, float8 second, int64 weight);
void add_totals(FloatTotals *totals, const FloatTotals *other);
bool totals_are_zero(const FloatTotals *totals);

/* As a bytea in the current memory context; equal totals have equal bytes. */
Datum pack_totals(const FloatTotals *totals);
void unpack_totals(Datum packed, FloatSums kind, FloatTotals *totals);

/*
 * The result of a built-in aggregate over float4 or float8: the exact sums,
 * each rounded once, given to the server's own final function. Overflows are
 * raised as the server does.
 */
Datum float_result(Oid aggregate, const FloatTotals *totals, bool *isnull);

} // namespace tw::state
