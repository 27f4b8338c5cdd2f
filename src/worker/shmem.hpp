/*
 * shmem.hpp - shared memory: who sequences a database, and who waits for its versions.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::worker
{

/*
 * This transaction wrote a log row: at its commit the sequencer of the database
 * is woken. Cheap; may be called for every row. What a rolled back
 * subtransaction noted does not count. A transaction that attaches a view
 * calls it too, so that the view has a readable version at once.
 */
void note_log_written();

/*
 * While on, this process's latch is set after each new version of its database
 * (spurious wakeups happen). A hot standby has no sequencer: there nobody sets
 * the latch, and who waits must look for himself.
 */
void wait_for_versions(bool on);
bool waits_for_versions();

/*
 * Newest version of this database that is committed, read without a snapshot.
 * 0 where it is not known: no sequencer has started yet, or a hot standby.
 */
int64 published_version();

/*
 * Waits until a version covers everything that committed before the call, or
 * until `deadline`; returns false in the latter case. Writes no version where
 * the newest already covers everything. Interruptible. Not during recovery.
 */
bool wait_until_covered(TimestampTz deadline);

/* This transaction attaches a deferred view: at its commit the database gets a maintainer. */
void want_maintainer_at_commit();

/* How far the deferred views of this database are behind what is committed. */
struct Lag
{
	int64 bytes;        /* of the write-ahead log, not read yet */
	int64 transactions; /* that wrote something and committed since */
	double seconds; /* since the snapshot the views are at, 0 where nothing was committed since */
};

/* False where it is not known: no maintainer has run since the server was started. */
bool find_lag(Lag *out);

enum class Waited
{
	kDone,
	kTimeout,
	kFailed /* views could not be maintained and were left out */
};

/* Waits until the deferred views cover everything that committed before the call, or cannot. */
Waited wait_until_maintained(TimestampTz deadline);

/* At commit of this transaction the launcher looks at a database again: start or stop its workers. */
void review_at_commit(Oid database);

} // namespace tw::worker
