/*
 * live_view.cpp - look-ups in the tables that remember the live views.
 *
 * The tables are ordinary heap tables, read with systable scans under the
 * catalog snapshot: what a command of this transaction wrote before the last
 * CommandCounterIncrement() is seen, as with the system catalogs.
 */
#include "catalog/live_view.hpp"
#include "catalog/inner_relation.hpp"

namespace tw::catalog
{

Oid
internal_relation(const char *name)
{
	Oid nsp = get_namespace_oid("tailwater_internal", true);

	return OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;
}

LiveView
live_view_from_tuple(HeapTuple tup, TupleDesc desc)
{
	constexpr int kColumns = 9;
	Datum values[kColumns];
	bool nulls[kColumns];
	LiveView view;

	heap_deform_tuple(tup, desc, values, nulls);
	view.view = DatumGetObjectId(values[0]);
	view.mode = static_cast<Mode>(DatumGetChar(values[1]));
	view.epoch = DatumGetInt64(values[2]);
	view.log = DatumGetObjectId(values[3]);
	view.key_index = DatumGetObjectId(values[4]);
	view.attached_xid = DatumGetUInt64(values[6]);
	return view;
}

namespace
{

bool
find_attachment(Oid view, LiveView *out)
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
		*out = live_view_from_tuple(tup, RelationGetDescr(rel));
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

} // namespace

bool
find_live_view(Oid view, LiveView *out)
{
	InnerRelation inner;

	if (find_attachment(view, out))
		return true;
	if (!find_inner_relation(view, &inner))
		return false;
	/* It shares everything with its view, which may not be attached yet, but not the log. */
	if (!find_attachment(inner.view, out))
		*out = {inner.view, Mode::kImmediate, 0, InvalidOid, InvalidOid, 0};
	out->view = view;
	out->log = InvalidOid;
	out->key_index = inner.key_index;
	return true;
}

} // namespace tw::catalog
