/*
 * touch.hpp - which rows of a query's result a change of a table can touch.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* A place where a query, at any depth, reads a base table. */
struct TouchPoint
{
	Oid relid;
	Bitmapset *used; /* columns read there, as attnum - FirstLowInvalidHeapAttributeNumber */
	List *path;      /* how to get there from the whole query, see touch.cpp; NIL: not reachable */
	bool followed;   /* the view's key columns are known of the rows a change there touches */
	bool
		apart; /* writers of any other table are kept off while this one is written, as far as they matter */
};

/* All places where the query reads base tables. List of TouchPoint. */
List *find_touch_points(Query *query);

/* Columns of the table that the query reads, at any depth (attnum - FirstLowInvalidHeapAttributeNumber). */
Bitmapset *columns_read(Query *query, Oid relid);

/*
 * The query that computes, from the delta of the point's table, the values of
 * as many result columns as can be known of all rows of the result that came,
 * went or changed; columns that cannot be known are null. *known is the set of
 * those that can. Returns null where any row may be touched.
 *
 * changed: OIDs of all tables that changed together; where the query reads
 * others of them, it reads rows before and after.
 */
Query *touch_query(Query *whole, const TouchPoint *point, List *changed, Bitmapset **known);

} // namespace tw::analyze
