/*
 * frontier.cpp - reads and writes tailwater_internal.frontier and .rebuild.
 *
 * Both are written by the maintainer only, and marks also by commands that
 * alter what a view stands for; a lock on the view keeps the two apart.
 */
#include "decode/frontier.hpp"
#include "catalog/view_list.hpp"

namespace tw::decode
{

namespace
{

constexpr int kFrontierColumns = 4;

Relation
open_internal(const char *name, LOCKMODE lock)
{
	return table_open(catalog::internal_relation(name), lock);
}

} // namespace

bool
read_frontier(Frontier *out)
{
	Relation rel = open_internal("frontier", AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tup = systable_getnext(scan);
	bool found = HeapTupleIsValid(tup);

	if (found)
	{
		Datum values[kFrontierColumns];
		bool nulls[kFrontierColumns];

		heap_deform_tuple(tup, RelationGetDescr(rel), values, nulls);
		out->snapshot = (feed::StoredSnapshot *) PG_DETOAST_DATUM_COPY(values[0]);
		out->lsn = DatumGetLSN(values[1]);
		out->timeline = DatumGetInt64(values[3]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
store_frontier(Datum snapshot, XLogRecPtr lsn)
{
	Relation rel = open_internal("frontier", RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple old = systable_getnext(scan);
	Datum values[kFrontierColumns] = {snapshot, LSNGetDatum(lsn),
									  TimestampTzGetDatum(GetCurrentTimestamp()),
									  Int64GetDatum(pg::timeline())};
	bool nulls[kFrontierColumns] = {};
	HeapTuple tup = heap_form_tuple(RelationGetDescr(rel), values, nulls);

	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(rel, &old->t_self, tup);
	else
		CatalogTupleInsert(rel, tup);
	systable_endscan(scan);
	table_close(rel, NoLock);
}

void
unmark_rebuild(Oid view)
{
	Relation rel = open_internal("rebuild", RowExclusiveLock);
	ScanKeyData key;
	HeapTuple tup;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(view));
	SysScanDesc scan = systable_beginscan(rel, catalog::internal_relation("rebuild_pkey"), true,
										  nullptr, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		CatalogTupleDelete(rel, &tup->t_self);
	systable_endscan(scan);
	table_close(rel, NoLock);
}

void
mark_for_rebuild(Oid view)
{
	unmark_rebuild(view);
	CommandCounterIncrement();

	Relation rel = open_internal("rebuild", RowExclusiveLock);
	Datum values[2] = {ObjectIdGetDatum(view), TimestampTzGetDatum(GetCurrentTimestamp())};
	bool nulls[2] = {false, false};

	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

List *
marked_views()
{
	return catalog::first_column("rebuild");
}

} // namespace tw::decode
