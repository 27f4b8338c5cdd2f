/*
 * gather.hpp - collects decoded changes by relation, for the batch they belong to.
 *
 * A transaction belongs to the batch if the batch's snapshot sees it and the
 * frontier does not. One that the snapshot does not see yet is kept apart, and
 * joins the first batch whose snapshot does. All of it outlives transactions:
 * a batch that fails is done again with what was gathered.
 */
#pragma once

#include "pg/postgres.hpp"
#include "feed/version.hpp"

namespace tw::decode
{

/*
 * Begins a batch, or begins it again with a newer snapshot: what was kept
 * before and is seen by it now joins the batch. Both snapshots must live until
 * the decoding is over. `relevant`: OIDs of the relations whose changes count.
 */
void begin_gathering(const feed::StoredSnapshot *frontier, const feed::StoredSnapshot *batch,
					 List *relevant);

/* The changes of the batch (List of capture::Change); valid until end_batch(). */
List *gathered_changes();

/* The batch is committed: forgets its changes, not those that are kept for later ones. */
void end_batch();

/* Position of the first commit record that is kept for a later batch; invalid: there is none. */
XLogRecPtr first_kept_commit();

/* Forgets everything. */
void forget_gathered();

/* ---- called by the output plugin ---- */

void gather_begin(ReorderBufferTXN *txn);
void gather_row(Relation rel, ReorderBufferChange *change);
void gather_truncate(int n, Relation *relations);

} // namespace tw::decode
