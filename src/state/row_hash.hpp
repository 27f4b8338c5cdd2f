/*
 * row_hash.hpp - a hash over several columns that respects their equality.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::state
{

/* Hash of the columns (attribute numbers) of a row. Equal rows have equal hashes, and so have equal images. */
int32 row_hash(TupleDesc desc, const AttrNumber *columns, int ncolumns, const Datum *values,
			   const bool *nulls);

/* The same by the server's hash_record(), as the expression hash_record(ROW(columns)) computes it. */
int32 record_hash(TupleDesc desc, const AttrNumber *columns, int ncolumns, const Datum *values,
				  const bool *nulls);

} // namespace tw::state
