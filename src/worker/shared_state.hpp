/*
 * shared_state.hpp - layout of tailwater's shared memory; private to this folder.
 *
 * One SharedState, protected by `lock` except for the atomic counters, which
 * may be read and advanced under the shared lock. A DatabaseSlot belongs to a
 * database from the moment the launcher reserves it until the database's
 * workers are gone for good; it survives restarts of the sequencer. There are
 * max_worker_processes slots: a database without a running worker needs none.
 * The array `waiting`, indexed by process number, is written only by its
 * owner and read without a lock.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::worker
{

enum class SequencerState : int
{
	kStarting = 0, /* registered; does not know yet whether the extension is there */
	kRunning,
	kAbsent /* ended because the database does not have the extension */
};

struct DatabaseSlot
{
	Oid database;      /* InvalidOid: free */
	uint32 generation; /* changes when the slot is reserved anew */
	SequencerState state;
	pid_t sequencer_pid; /* 0: none */
	Latch *sequencer_latch;
	pid_t gateway_pid;
	pid_t maintainer_pid; /* 0: none */
	Latch *maintainer_latch;
	bool maintainer_wanted;   /* there are deferred views */
	bool maintainer_left;     /* it ended because there were none */
	bool log_lost;            /* the slot held back too much log; no view says so yet */
	int port;                 /* tailwater.port as it is in that database */
	pg_atomic_uint64 commits; /* commits that wrote a log, since the slot was reserved */
	pg_atomic_uint64 checks;  /* requests to look for commits that no version covers */
	pg_atomic_uint64 checks_done;
	pg_atomic_uint64 newest; /* newest committed version */

	/* Of the maintainer. */
	pg_atomic_uint64 writes;      /* commits that wrote, while a maintainer ran */
	pg_atomic_uint64 writes_done; /* of these, commits that the deferred views cover */
	pg_atomic_uint64 rounds;      /* requests for a batch that covers what is committed */
	pg_atomic_uint64 rounds_done;
	pg_atomic_uint64 rounds_failed; /* the same, of rounds that left views out */
	pg_atomic_uint64 covered_lsn;   /* position of the log that the deferred views cover */
	pg_atomic_uint64 covered_at;    /* TimestampTz of the snapshot they are at */
};

struct ReviewRequest
{
	Oid database;
	bool restart; /* its settings changed: restart what runs */
};

constexpr int kMaxRequests = 64;
constexpr int kMaxSuspended = 32;

struct SharedState
{
	LWLock *lock;
	Latch *launcher_latch;
	pg_atomic_uint64 lag_alarm; /* a commit beyond this position wakes the launcher; see lag.hpp */
	int num_requests;
	bool review_all; /* more requests than fit, or the launcher has just started */
	ReviewRequest requests[kMaxRequests];
	/* Databases whose workers must stay away while DROP DATABASE and its like run. */
	Oid suspended[kMaxSuspended];
	ConditionVariable slot_released;
	int num_slots;
	int num_procs;
	DatabaseSlot *slots;
	Oid *waiting; /* by process number: database whose versions wake the process */
};

extern SharedState *shared;

/* Caller holds the lock. nullptr where the database has no slot. */
DatabaseSlot *find_slot(Oid database);

/* Sets the latches of the processes that wait for versions of the database. */
void wake_waiting(Oid database);

/* Wakes the launcher; `database` InvalidOid: it only looks after its workers. */
void request_review(Oid database, bool restart);

/* At commit of this transaction the sequencer looks whether a commit has no version yet. */
void check_at_commit();

/* At commit of this transaction the maintainer looks for what was committed, if there is one. */
void maintain_at_commit();

/* This transaction does nothing that the maintainer has to read: its commit does not wake it. */
void leave_maintainer_asleep();

/* As review_at_commit(), but restarts the workers, whose settings changed. */
void restart_at_commit(Oid database);

/*
 * Stops the workers of a database and keeps them away until the end of this
 * transaction. Waits for them to end, but not for ever.
 */
void suspend_until_xact_end(Oid database);

void init_shmem();
void init_launcher();
void init_hooks();

/* Names of the entry points, as the postmaster looks them up. */
constexpr const char *kLibrary = "tailwater";
constexpr const char *kGatewayLibrary = "tailwater_gateway";

} // namespace tw::worker
