/*
 * shmem.hpp - shared memory: who sequences a database, and who waits for its versions.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::worker
{

/* This transaction wrote a log row: at its commit the sequencer of the database is woken. */
void note_log_written();

/* While on, this process's latch is set after each new version of its database. */
void wait_for_versions(bool on);

} // namespace tw::worker
