/*
 * ordered_read.hpp - reads a table along an index, from a place in its order on.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::state
{

struct OrderedRead;

/* Where to begin. */
enum class From
{
	kEnd,   /* with the first row in the direction */
	kPlace, /* with the rows whose keys are the given ones */
	kBeyond /* with what comes after these */
};

/*
 * The first n columns of the B-tree index are the keys. What is given of them
 * must live until the end. Rows are those the active snapshot sees.
 */
OrderedRead *begin_ordered_read(Oid table, Oid index, int n, From from, const Datum *keys,
								const bool *nulls, ScanDirection direction);

/* The next row, valid until the one after it; null after the last. */
TupleTableSlot *next_in_order(OrderedRead *read);
void end_ordered_read(OrderedRead *read);

/* True if the active snapshot sees none of the rows that the index is on. */
bool is_empty_index(Oid table, Oid index);

} // namespace tw::state
