/*
 * bulk_insert.hpp - inserts many rows through a writer, some at a time.
 *
 * Rows that wait are in no table and no index yet: for the end of a batch, when
 * nothing is searched any more.
 */
#pragma once

#include "state/writer.hpp"

namespace tw::state
{

struct BulkInsert;

BulkInsert *begin_bulk_insert(Writer *writer);
void bulk_insert(BulkInsert *insert, TupleTableSlot *row); /* copies the row */
void end_bulk_insert(BulkInsert *insert);

} // namespace tw::state
