/*
 * accumulator.hpp - what a batch changes in one aggregate of one group.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"
#include "state/extreme.hpp"
#include "state/float_totals.hpp"

namespace tw::state
{

/* How many finite inputs have a display scale. */
struct ScaleCount
{
	int32 scale;
	int64 n;
};

/* Sums of numbers, in memory of their own; 0: none yet. */
struct NumericChange
{
	Datum sum;
	Datum squares; /* of variance and stddev only */
	ScaleCount *scales;
	int nscales;
	int64 nan;
	int64 positive_infinity;
	int64 negative_infinity;
};

/*
 * The change of one aggregate: differences of counts and sums, and for min and
 * max the best of the values that came and the best of those that went. There is
 * one for each group: no more memory is taken than accumulator_size() says.
 */
struct Accumulator
{
	int64 n; /* inputs that are not null; bool_and, bool_or: true ones */
	union
	{
		int64 false_n; /* bool_and, bool_or: false ones */
		int64 int_sum; /* of integers and money */
		Datum floats;  /* packed FloatTotals, 0: none */
		NumericChange numeric;
		struct
		{
			int64 microseconds;
			int64 months;
			int64 days;
		} interval;
		struct
		{
			int64 came; /* bits that came, of bit_xor in an odd number */
			int64 went; /* bit_and: zeros, bit_or: ones of values that went */
		} bits;
		ExtremeChange extreme;
	};
};

/* Bytes of an accumulator of this aggregate. */
Size accumulator_size(const analyze::AggregateSpec *spec);

/* True if it points to memory of its own. */
bool has_values(const analyze::AggregateSpec *spec);

/* Adds a row of the input block. Allocates in the current memory context. */
void accumulate(const analyze::AggregateSpec *spec, FmgrInfo *compare, Accumulator *acc,
				const Datum *row, const bool *nulls, int64 weight);

/* True if the accumulator changes nothing. */
bool is_noop(const analyze::AggregateSpec *spec, const Accumulator *acc);

/* Writes the state columns of an aggregate without inputs. */
void empty_state(const analyze::AggregateSpec *spec, Datum *values, bool *nulls);

/*
 * Adds the accumulator to the aggregate's state columns (values and nulls point
 * to the first). Returns false where the state cannot tell the result: an
 * extreme left, or the last input of the largest scale. The group must then be
 * read again.
 */
bool merge(const analyze::AggregateSpec *spec, FmgrInfo *compare, const Accumulator *acc,
		   Datum *values, bool *nulls);

/* The aggregate's result from its state columns and the number of rows of the group. */
Datum result(const analyze::AggregateSpec *spec, int64 count, const Datum *values,
			 const bool *nulls, bool *isnull);

/* Type of a state column, 0 <= i < spec->nstate. */
Oid state_type(const analyze::AggregateSpec *spec, int i);

/*
 * The value that a state column of type bigint mostly has. In the table null
 * stands for it: rows are small, and what does not differ is not logged.
 */
enum class Usual : char
{
	kNothing,
	kZero,
	kOne,
	kCount /* the number of rows of the group */
};
Usual usual_state(const analyze::AggregateSpec *spec, int i);

} // namespace tw::state
