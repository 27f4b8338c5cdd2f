/*
 * packed.hpp - many rows of a change log in one.
 *
 * A statement that changes many rows would spend more on the log's line
 * pointers and index entries than on the rows. So its rows go together, as
 * minimal tuples one after the other, each aligned, into the `rows` column
 * of a row that has their transaction, the first one's number, and nothing else.
 * The column is stored outside of that row if need be, and never compressed.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::feed
{

/* The column of a log that holds packed rows, its last; 0: the view's rows are too wide for it. */
constexpr const char *kPackedName = "rows";
AttrNumber packed_column(TupleDesc log);

/* The bytea that holds the tuples, without their transaction status; palloc'd. */
Datum pack_rows(const HeapTuple *tuples, int n);

/* Whether a row of a log stands for packed ones, and which. */
bool log_row_packed(HeapTuple row, TupleDesc log, Datum *rows);

/* Goes over the tuples in a packed column. */
struct PackedRows
{
	void open(Datum rows);
	HeapTuple next(); /* nullptr at the end; valid until close() or the next call */
	void close();

  private:
	char *copy_;
	char *at_;
	char *end_;
	HeapTupleData tuple_;
};

} // namespace tw::feed
