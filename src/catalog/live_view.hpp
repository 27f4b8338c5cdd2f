/*
 * live_view.hpp - look-ups in the tables that remember the live views.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/internal_rows.hpp"

namespace tw::catalog
{

enum class Mode : char
{
	kImmediate = 'i',
	kDeferred = 'd'
};

/* One row of tailwater_internal.attachment. */
struct LiveView
{
	Oid view;
	Mode mode;
	int64 epoch;
	Oid log;             /* change log table; InvalidOid: feed off */
	Oid key_index;       /* index by which rows are found */
	uint64 attached_xid; /* full id of the attaching transaction; older positions are not valid */
};

/* A row of tailwater_internal.attachment. */
LiveView live_view_from_tuple(HeapTuple tup, TupleDesc desc);

/* Fills *out and returns true if the relation is a live view that is attached. */
bool find_live_view(Oid view, LiveView *out);

} // namespace tw::catalog
