/*
 * live_view.cpp - see live_view.hpp.
 */
#include "catalog/live_view.hpp"
#include "catalog/inner_relation.hpp"

namespace tw::catalog
{

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
	InternalRows rows;

	rows.find("attachment", 1, view, AccessShareLock);
	bool found = rows.next() != nullptr;
	if (found)
		*out = live_view_from_tuple(rows.row, rows.desc());
	rows.close();
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
