/*
 * live_view.cpp - look-ups in the tables that remember the live views.
 *
 * The tables are ordinary heap tables, read with systable scans under the
 * catalog snapshot: what a command of this transaction wrote before the last
 * CommandCounterIncrement() is seen, as with the system catalogs.
 */
#include "catalog/live_view.hpp"

namespace tw::catalog
{

Oid
internal_relation(const char *name)
{
	Oid nsp = get_namespace_oid("tailwater_internal", true);

	return OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;
}

bool
find_live_view(Oid view, LiveView *out)
{
	Oid relid = internal_relation("attachment");

	if (!OidIsValid(relid))
		return false;

	Relation rel = table_open(relid, AccessShareLock);
	ScanKeyData key;
	bool found = false;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(view));
	SysScanDesc scan = systable_beginscan(rel, internal_relation("attachment_pkey"), true, nullptr,
										  1, &key);
	HeapTuple tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
	{
		Datum values[6];
		bool nulls[6];

		heap_deform_tuple(tup, RelationGetDescr(rel), values, nulls);
		out->view = view;
		out->mode = static_cast<Mode>(DatumGetChar(values[1]));
		out->epoch = DatumGetInt64(values[2]);
		out->log = DatumGetObjectId(values[3]);
		out->key_index = DatumGetObjectId(values[4]);
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

} // namespace tw::catalog
