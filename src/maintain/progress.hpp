/*
 * progress.hpp - builds under way, in shared memory.
 *
 * A build is done by a background worker for a session that waits for it. The
 * session reserves a slot, starts the worker, and lets it begin once everything
 * that the worker must see is committed; the worker says how far it is, and at
 * last how it ended.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/live_view.hpp"

namespace tw::maintain
{

enum class BuildState
{
	kFree,
	kReserved, /* the worker waits for kBegun or kCalledOff */
	kBegun,
	kCalledOff, /* the session gave up before it began */
	kDone,
	kFailed
};

enum class BuildPhase
{
	kStarting,
	kRecording,  /* waiting for the moment to begin to record changes */
	kComputing,  /* computing the content as of a snapshot */
	kCatchingUp, /* applying what was recorded since */
	kSwitching,  /* waiting for the moment to switch */
	kCleaningUp
};

constexpr int kBuildText = 1024;

struct Build
{
	/* set by the session */
	BuildState state;
	Oid database;
	Oid view;
	catalog::Mode mode;
	bool feed;
	bool created; /* with the view; if it fails the view goes */
	bool listed;  /* for the first time; if it fails the view is taken off the list */
	int caller;   /* PID */
	TimestampTz begun_at;

	/* set by the worker */
	int builder; /* PID; 0: has ended or not started */
	BuildPhase phase;
	int64 rows;                   /* rows computed */
	int64 caught_up;              /* recorded changes that are applied */
	int64 to_catch_up;            /* recorded changes found in the round under way */
	VirtualTransactionId blocker; /* transaction that is waited for, or invalid */
	int64 result;                 /* rows of the view */
	int sqlstate;
	char message[kBuildText];
	char detail[kBuildText];
	char hint[kBuildText];
};

/* At preload. */
void init_progress();

/* A slot for a build in this database, or -1 where all are taken. */
int reserve_build(const Build *wanted);
void release_build(int number);

Build *build_slot(int number);

/* Moves a slot on and wakes who waits for that. */
void set_build_state(int number, BuildState state);

/* The worker waits until the session has decided; true if it is to begin. */
bool await_beginning(int number);

/* The transaction that a build waits for; invalid if there is none. */
VirtualTransactionId blocker_of(int number);

/* True if a worker builds the view right now, or is about to. */
bool is_being_built(Oid view);

/* In the worker: from now on note_rows() and note_phase() are about this slot. */
void claim_build(int number);
void note_phase(BuildPhase phase);
void note_blocker(VirtualTransactionId blocker);
void note_rows(int64 more);

} // namespace tw::maintain
