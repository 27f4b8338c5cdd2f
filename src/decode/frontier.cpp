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

bool
read_frontier(Frontier *out)
{
	catalog::InternalRows rows;

	rows.open("frontier", AccessShareLock);
	bool found = rows.next() != nullptr;
	if (found)
	{
		out->snapshot = (feed::StoredSnapshot *) PG_DETOAST_DATUM_COPY(rows.value(1));
		out->lsn = DatumGetLSN(rows.value(2));
	}
	rows.close();
	return found;
}

void
store_frontier(Datum snapshot, XLogRecPtr lsn)
{
	Datum values[] = {snapshot, LSNGetDatum(lsn), TimestampTzGetDatum(GetCurrentTimestamp())};

	catalog::put_internal("frontier", InvalidOid, values);
}

void
mark_for_rebuild(Oid view)
{
	Datum values[] = {ObjectIdGetDatum(view), TimestampTzGetDatum(GetCurrentTimestamp())};

	catalog::put_internal("rebuild", view, values);
}

void
unmark_rebuild(Oid view)
{
	catalog::delete_internal("rebuild", 1, view);
}

List *
marked_views()
{
	return catalog::extension_present() ? catalog::read_internal("rebuild", 1, InvalidOid, 1) : NIL;
}

} // namespace tw::decode
