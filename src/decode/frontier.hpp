/*
 * frontier.hpp - how far the deferred views of this database are, as stored with their rows.
 */
#pragma once

#include "pg/postgres.hpp"
#include "feed/version.hpp"

namespace tw::decode
{

/* The one row of tailwater_internal.frontier. */
struct Frontier
{
	feed::StoredSnapshot *snapshot; /* palloc'd; all deferred views are as it sees the database */
	XLogRecPtr lsn;                 /* the log was decoded up to here */
	int64 timeline;                 /* of the log */
};

/* False where none is stored yet. */
bool read_frontier(Frontier *out);

/* Stores a frontier, in the current transaction. `snapshot` is a value of type pg_snapshot. */
void store_frontier(Datum snapshot, XLogRecPtr lsn);

/*
 * The view is to be computed as a whole in the next batch, which publishes the
 * net difference. The caller holds a lock on the view that excludes the
 * maintainer (SHARE ROW EXCLUSIVE or higher).
 */
void mark_for_rebuild(Oid view);
void unmark_rebuild(Oid view);

/* OIDs of the views that are marked. */
List *marked_views();

} // namespace tw::decode
