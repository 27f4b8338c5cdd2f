/*
 * record.hpp - changes of the inputs of a view that is being built.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/delta.hpp"
#include "maintain/session.hpp"

namespace tw::maintain
{

/* Creates the table in which changes of an input of the view are recorded. */
Oid create_changes(Oid view, Oid base);

/*
 * Writes the changes (List of capture::Change) of the relations, and the deltas
 * of live views, to the tables of all views being built that they reach.
 */
void record_changes(List *relids, List *changes, List *view_deltas);

/* What a snapshot sees, as long as it is needed after it. */
struct Frontier
{
	TransactionId xmin;
	TransactionId xmax;
	TransactionId *xip;
	uint32 xcnt;
};

/* Allocates in the current memory context. */
Frontier make_frontier(Snapshot snapshot);

/*
 * The recorded changes of an input that the active snapshot sees and the
 * frontier does not; null where there are none. `reset` is set in the delta
 * where the input was changed beyond rows.
 */
capture::Delta *read_changes(const Recording *recording, const Frontier *frontier, int64 *nrows);

} // namespace tw::maintain
