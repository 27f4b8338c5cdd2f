/*
 * old_state.hpp - the snapshot that the deferred views are at, kept from one batch to the next.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::decode
{

/*
 * The views will be at this snapshot, together with what the transaction `own`
 * (this one, or none) writes. To be called before it commits, as long as the
 * snapshot is registered: from then on the slot keeps vacuum from removing rows
 * that it sees.
 */
void keep_old_state(Snapshot snapshot, TransactionId own);

/* Forgets it, and lets vacuum go on. */
void drop_old_state();

/* What was kept; null where there is nothing. Valid until the next call of the others. */
Snapshot old_state();

} // namespace tw::decode
