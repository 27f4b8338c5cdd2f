/*
 * version.cpp - the table of versions, and the snapshots stored in it.
 */
#include "feed/version.hpp"

#include "catalog/live_view.hpp"

namespace tw::feed
{

bool
StoredSnapshot::sees(uint64 xid) const
{
	if (xid < xmin)
		return true;
	if (xid >= xmax)
		return false;

	uint32 low = 0, high = num_running;
	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;
		if (running[middle] == xid)
			return false;
		if (running[middle] < xid)
			low = middle + 1;
		else
			high = middle;
	}
	return true;
}

bool
VersionScan::open(int64 first, LOCKMODE lockmode, Snapshot snapshot)
{
	Oid relid = catalog::internal_relation("version");
	Oid indexid = catalog::internal_relation("version_pkey");

	rel = OidIsValid(relid) ? try_relation_open(relid, lockmode) : nullptr;
	if (!rel)
		return false;
	index_ = index_open(indexid, AccessShareLock);

	ScanKeyData key;
	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(first));
	scan_ = systable_beginscan_ordered(rel, index_, snapshot, 1, &key);
	return true;
}

bool
VersionScan::next(ScanDirection direction, Version *out)
{
	HeapTuple tup = systable_getnext_ordered(scan_, direction);
	if (!HeapTupleIsValid(tup))
		return false;

	Datum values[kVersionColumns];
	bool nulls[kVersionColumns];

	heap_deform_tuple(tup, RelationGetDescr(rel), values, nulls);
	out->number = DatumGetInt64(values[0]);
	out->snapshot = reinterpret_cast<StoredSnapshot *>(PG_DETOAST_DATUM_COPY(values[1]));
	out->committed_at = DatumGetTimestampTz(values[3]);
	out->timeline = DatumGetInt64(values[4]);
	out->tid = tup->t_self;
	return true;
}

void
VersionScan::close()
{
	systable_endscan_ordered(scan_);
	index_close(index_, AccessShareLock);
	relation_close(rel, NoLock);
}

namespace
{

bool
first_in_order(int64 from, ScanDirection direction, Snapshot snapshot, Version *out)
{
	VersionScan scan;

	out->number = 0;
	if (!scan.open(from, AccessShareLock, snapshot))
		return false;
	bool found = scan.next(direction, out);
	scan.close();
	return found;
}

} // namespace

bool
find_newest(Snapshot snapshot, Version *out)
{
	return first_in_order(1, BackwardScanDirection, snapshot, out);
}

bool
find_oldest(Snapshot snapshot, Version *out)
{
	return first_in_order(1, ForwardScanDirection, snapshot, out);
}

bool
find_version(int64 number, Snapshot snapshot, Version *out)
{
	return find_version_from(number, snapshot, out) && out->number == number;
}

bool
find_version_from(int64 number, Snapshot snapshot, Version *out)
{
	return first_in_order(number, ForwardScanDirection, snapshot, out);
}

namespace
{

/* The index by which a log is read: not one that is being built, or taken away. */
Relation
open_valid_index(Relation log)
{
	List *indexes = RelationGetIndexList(log);
	Relation index = nullptr;
	ListCell *lc;

	foreach (lc, indexes)
	{
		index = index_open(lfirst_oid(lc), AccessShareLock);
		if (index->rd_index->indisvalid)
			break;
		index_close(index, AccessShareLock);
		index = nullptr;
	}
	list_free(indexes);
	if (!index)
		elog(ERROR, "change log \"%s\" has no index", RelationGetRelationName(log));
	return index;
}

} // namespace

void
LogScan::open(Relation log, Snapshot snapshot, uint64 first, uint64 end)
{
	index_ = open_valid_index(log);

	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_XID8GE, UInt64GetDatum(first));
	ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_XID8LT, UInt64GetDatum(end));
	scan_ = systable_beginscan_ordered(log, index_, snapshot, 2, keys);
}

HeapTuple
LogScan::next()
{
	return systable_getnext_ordered(scan_, ForwardScanDirection);
}

void
LogScan::close()
{
	systable_endscan_ordered(scan_);
	index_close(index_, AccessShareLock);
}

int64
log_floor(Oid log)
{
	catalog::InternalRows rows;
	int64 version = 0;

	rows.find("log_floor", 1, log, AccessShareLock, GetActiveSnapshot());
	if (rows.next())
		version = DatumGetInt64(rows.value(2));
	rows.close();
	return version;
}

uint64
log_row_xid(HeapTuple row, TupleDesc desc)
{
	bool isnull;

	return DatumGetUInt64(heap_getattr(row, 1, desc, &isnull));
}

} // namespace tw::feed
