/*
 * extreme.hpp - what is kept of min and max.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"

namespace tw::state
{

/* The most extreme value among some inputs, and the next one. */
struct Best
{
	Datum value;
	int64 n; /* how many are equal to it; 0: there was no input */
	Datum second;
	int64 second_n; /* how many are equal to that; 0: there were no others */
	bool mixed;     /* those equal to the extreme look different; this is the last of them */
};

/* Of the inputs that came and of those that went. */
struct ExtremeChange
{
	Best came;
	Best went;
};

/* Adds an input. Copies it where needed, to the current memory context. */
void accumulate_extreme(const analyze::AggregateSpec *spec, FmgrInfo *compare,
						ExtremeChange *change, Datum value, int64 weight);

/* True if what went and what came look the same. */
bool extremes_are_noop(const analyze::AggregateSpec *spec, const ExtremeChange *change);

/* The four state columns where there are no inputs. */
void empty_extreme(Datum *values, bool *nulls);

/* Adds the change to the state columns; false where the group must be read again. */
bool merge_extreme(const analyze::AggregateSpec *spec, FmgrInfo *compare,
				   const ExtremeChange *change, Datum *values, bool *nulls);

} // namespace tw::state
