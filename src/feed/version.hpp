/*
 * version.hpp - the table of versions, and the snapshots stored in it.
 *
 * Read with the snapshot the caller gives, never with the catalog snapshot:
 * what a reader may know of versions is what its snapshot sees.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::feed
{

/* Image of a pg_snapshot value (the type's on-disk form, private to xid8funcs.c). */
struct StoredSnapshot
{
	int32 varlena_header;
	uint32 num_running;
	uint64 xmin;
	uint64 xmax;
	uint64 running[FLEXIBLE_ARRAY_MEMBER]; /* ascending; top-level transactions only */

	/* Whether it sees the effects of a top-level transaction that did commit. */
	bool sees(uint64 xid) const;
};

struct Version
{
	int64 number; /* 0: none */
	TimestampTz committed_at;
	int64 timeline;           /* of the write-ahead log in which it was committed */
	StoredSnapshot *snapshot; /* palloc'd */
	ItemPointerData tid;
};

/* Columns of tailwater_internal.version. */
constexpr AttrNumber kVersionColumns = 5;

/* Reads versions in ascending or descending order. */
struct VersionScan
{
	/* Versions first <= v; returns false where the extension is absent. */
	bool open(int64 first, LOCKMODE lockmode, Snapshot snapshot);
	/* Returns false at the end. The snapshot is allocated in the current memory context. */
	bool next(ScanDirection direction, Version *out);
	void close();

	Relation rel;

  private:
	Relation index_;
	SysScanDesc scan_;
};

/* Newest, oldest and a given version that the snapshot sees; false where there is none. */
bool find_newest(Snapshot snapshot, Version *out);
bool find_oldest(Snapshot snapshot, Version *out);
bool find_version(int64 number, Snapshot snapshot, Version *out);

/* The first version from the number on: there are gaps where a timeline ended. */
bool find_version_from(int64 number, Snapshot snapshot, Version *out);

/*
 * Scan of the log rows of an index range first <= xid < end that the snapshot
 * sees, in order of (xid, seq).
 */
struct LogScan
{
	void open(Relation log, Snapshot snapshot, uint64 first, uint64 end);
	HeapTuple next(); /* nullptr at the end; valid until the next call */
	void close();

  private:
	Relation index_;
	SysScanDesc scan_;
};

uint64 log_row_xid(HeapTuple row, TupleDesc desc);

/* Oldest position of a log that was cut for its size, as the active snapshot sees it; 0: not cut. */
int64 log_floor(Oid log);

} // namespace tw::feed
