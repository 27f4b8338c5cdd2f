/*
 * apply.hpp - applies the delta of a view to the view.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/zset.hpp"
#include "state/writer.hpp"

namespace tw::state
{

/*
 * Applies the consolidated delta to the view that is open in the writer, and
 * calls back for each changed row with its weight. Needs an active snapshot.
 * Returns the number of rows inserted, updated and deleted. A row to be removed
 * that is not there raises XX001: the view was damaged.
 */
int64 apply(Writer *writer, capture::ZSet *delta, Packing packing, capture::RowCallback changed,
			void *arg);

/* True if the view that is open in the writer has the row, whose values are canonical, under the active snapshot. */
bool has_row(Writer *writer, TupleDesc desc, TupleTableSlot *row);

} // namespace tw::state
