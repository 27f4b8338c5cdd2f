/*
 * replica_identity.hpp - what tables write to the log of rows that are updated or deleted.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::maintain
{

/*
 * Makes sure that all that is needed to read changes of the tables from the log
 * is in the log from now on: REPLICA IDENTITY FULL, under a lock on the tables
 * that need it. What it was is remembered.
 */
void log_whole_rows(List *tables);

/*
 * A table that no deferred view reads any more gets back the replica identity
 * that was replaced, unless somebody has changed it since. The table may be gone.
 */
void log_rows_as_before(Oid table);

/*
 * What is remembered of all tables, and its end: the extension goes, and with it
 * the table in which that is kept, but later in the command it is taken back all the same.
 */
List *replaced_identities();
void take_back_identities(List *replaced);

/* Somebody wants the table's replica identity to be FULL, whatever reads it: it stays. */
void keep_whole_rows(Oid table);

} // namespace tw::maintain
