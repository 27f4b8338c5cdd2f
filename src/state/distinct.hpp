/*
 * distinct.hpp - the distinct values that some aggregates of a group take.
 */
#pragma once

#include "pg/postgres.hpp"
#include "state/groups.hpp"

namespace tw::state
{

/*
 * A row of the input block with the number of its distinct input, 0, as last
 * column; it is first passed on to the distinct inputs. Rows that have the column
 * are returned as they are.
 */
TupleTableSlot *tag_row(Groups *groups, TupleTableSlot *row, int64 weight);

/*
 * Brings the state of the distinct inputs up to date by settle(), which is
 * fold_groups() or store_groups(), and adds the values that came and went to the groups.
 */
void take_distinct(Groups *groups, void (*settle)(Groups *, capture::ZSet *));

} // namespace tw::state
