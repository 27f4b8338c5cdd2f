/*
 * packed.hpp - the state of many aggregates in one column.
 */
#pragma once

#include "pg/postgres.hpp"
#include "state/accumulator.hpp"

namespace tw::state
{

/* Columns of a state table, and how it stores them. */
struct StateLayout
{
	TupleDesc columns; /* what the operator works with */
	int nplain;        /* the first of them are columns of the table */
	bool packed;       /* the others are together in one more */
	Usual *usual;      /* by column, where they are not packed; null: none has a usual value */
};

StateLayout state_layout(TupleDesc columns, int nplain);

/* The columns of the table. */
TupleDesc stored_descriptor(const StateLayout &layout);

/*
 * Values of the table's columns for those of the layout, and back; copies in the current memory
 * context. The last plain column is the number of the group's rows.
 */
void pack(const StateLayout &layout, const Datum *values, const bool *nulls, Datum *stored,
		  bool *stored_nulls);
void unpack(const StateLayout &layout, const Datum *stored, const bool *stored_nulls, Datum *values,
			bool *nulls);

} // namespace tw::state
