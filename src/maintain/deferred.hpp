/*
 * deferred.hpp - brings the deferred views from one snapshot to the next.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::maintain
{

/* What takes part in a batch; locked and read before its snapshot is taken. */
struct DeferredViews
{
	List *views;    /* OIDs of the deferred views to be maintained */
	List *rebuild;  /* those of them that are computed as a whole */
	List *relevant; /* relations whose changes are read from the log: tables, and immediate views */
};

/* OIDs of all deferred views that are attached. */
List *deferred_views();

/*
 * Locks the views but those in `without`, and all that they read, until the end
 * of the transaction, so that what they stand for does not change before the
 * batch is committed; and looks up what is to be done. Does not wait: returns
 * the relation that somebody else has locked, if there is one. Who then waits
 * for it with nothing locked can be part of no deadlock.
 */
struct BusyRelation
{
	Oid relation; /* InvalidOid: none */
	LOCKMODE lock;
};
BusyRelation try_lock_deferred_views(List *without, DeferredViews *what);

/* A batch: all deferred views move to the snapshot, and immediate views over them follow. */
struct DeferredBatch
{
	DeferredViews what;
	List *changes;     /* capture::Change that the snapshot sees and the views do not have */
	Snapshot snapshot; /* registered */
	Snapshot before;   /* that the views are at; null: not known */

	/* Set while it runs, also where it fails. */
	Oid current; /* the view that is being maintained */

	/* Results. */
	bool
		feeds_itself; /* it changed an immediate view that a deferred one reads: another batch has to follow */
};

void run_deferred_batch(DeferredBatch *batch);

/* The deferred views that the view reads, directly or through others; itself if it is one. */
List *deferred_below(Oid view);

/* True if a deferred view reads an immediate one that reads a deferred one. */
bool deferred_views_feed_themselves();

/* Raises 55000 where the server is not set up for what deferred views need. */
void check_decoding();

} // namespace tw::maintain
