/*
 * database_worker.hpp - what the workers of one database have in common: their
 * place in shared memory, their signals, and transactions that keep the extension.
 */
#pragma once

#include "worker/shared_state.hpp"

namespace tw::worker
{

/* Where a kind of worker says in its database's slot that it is there. */
struct Place
{
	pid_t DatabaseSlot::*pid;
	Latch *DatabaseSlot::*latch;
};

/*
 * Begins the process: signals, its place until it ends, the connection. Ends it
 * where another one has the place still, or the launcher has changed its mind.
 */
DatabaseSlot *begin_worker(Oid database, Place place);

/*
 * Starts a transaction; returns whether the extension is still there. Its lock
 * keeps DROP EXTENSION out until commit, so that no table vanishes under us
 * and no deadlock with the drop is possible.
 */
bool begin_with_extension();

/*
 * How fast commits come to a worker. Under load it pauses between its rounds:
 * each round costs a commit, each wake-up costs the writer a system call. The
 * latch is not waited for then: who commits meanwhile finds nobody to wake.
 */
class Pace
{
  public:
	/* A round begins, for so many commits. */
	void note_round(uint64 commits);

	/* Under load, sleeps until the distance (µs) to the last round's begin is reached. */
	void wait(int64 distance) const;

  private:
	TimestampTz begun_ = 0;
	int fast_rounds_ = 0;
};

/* To be called when the latch was set; returns whether settings were read again. Ends the process if that is wanted. */
bool look_around();

} // namespace tw::worker
