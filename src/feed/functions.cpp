/*
 * functions.cpp - the SQL functions of feed.sql: changes, snapshot and version.
 *
 * The set-returning ones fill a tuplestore. They check SELECT on the view by
 * themselves, because they read it, and its log, through the access methods.
 */
#include "feed/reader.hpp"

#include "feed/version.hpp"

namespace tw::feed
{

namespace
{

catalog::LiveView
require_live_view(Oid relid)
{
	catalog::LiveView view;

	if (!get_rel_name(relid))
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", relid));
	check_select_privilege(relid);
	if (!catalog::find_live_view(relid, &view))
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a live view", get_rel_name(relid)),
				errhint("Use tailwater.maintain() to keep a materialized view up to date."));
	return view;
}

/* Where the rows of a set-returning function go. */
struct Sink
{
	ReturnSetInfo *result;
	MemoryContext row_context;
	Datum *values;
	bool *nulls;
};

void
open_sink(Sink *sink, FunctionCallInfo fcinfo)
{
	int columns;

	pg::init_materialized_srf(fcinfo);
	sink->result = (ReturnSetInfo *) fcinfo->resultinfo;
	columns = sink->result->setDesc->natts;
	sink->values = static_cast<Datum *>(palloc(sizeof(Datum) * columns));
	sink->nulls = static_cast<bool *>(palloc(sizeof(bool) * columns));
	sink->row_context = AllocSetContextCreate(CurrentMemoryContext, "tailwater result row",
											  ALLOCSET_DEFAULT_SIZES);
}

/* The columns the caller expects must be tw_version, tw_diff and those of the view. */
void
check_columns(const Sink *sink, Oid view)
{
	Relation rel = relation_open(view, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	TupleDesc expected = sink->result->setDesc;
	bool fits = expected->natts >= 2 && TupleDescAttr(expected, 0)->atttypid == INT8OID &&
				TupleDescAttr(expected, 1)->atttypid == INT8OID;
	int column = 2;

	for (int i = 0; fits && i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		fits = column < expected->natts &&
			   TupleDescAttr(expected, column)->atttypid == TupleDescAttr(desc, i)->atttypid;
		column++;
	}
	relation_close(rel, AccessShareLock);
	if (!fits || column != expected->natts)
		ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("the column definition list does not fit live view \"%s\"",
					   get_rel_name(view)),
				errdetail(
					"Expected are tw_version bigint, tw_diff bigint and the view's columns."));
}

bool
put_columns(void *arg, int64 version, int64 diff, TupleTableSlot *row)
{
	Sink *sink = static_cast<Sink *>(arg);
	TupleDesc desc = row->tts_tupleDescriptor;
	int column = 2;

	slot_getallattrs(row);
	sink->values[0] = Int64GetDatum(version);
	sink->values[1] = Int64GetDatum(diff);
	sink->nulls[0] = sink->nulls[1] = false;
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		sink->values[column] = row->tts_values[i];
		sink->nulls[column] = row->tts_isnull[i];
		column++;
	}
	tuplestore_putvalues(sink->result->setResult, sink->result->setDesc, sink->values, sink->nulls);
	return true;
}

bool
put_json(void *arg, int64 version, int64 diff, TupleTableSlot *row)
{
	Sink *sink = static_cast<Sink *>(arg);

	MemoryContextReset(sink->row_context);
	MemoryContext old = MemoryContextSwitchTo(sink->row_context);
	Datum record = ExecFetchSlotHeapTupleDatum(row);
	Datum json = DirectFunctionCall1(row_to_json, record);
	sink->values[0] = Int64GetDatum(version);
	sink->values[1] = Int64GetDatum(diff);
	sink->values[2] = DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(json)));
	memset(sink->nulls, false, 3);
	tuplestore_putvalues(sink->result->setResult, sink->result->setDesc, sink->values, sink->nulls);
	MemoryContextSwitchTo(old);
	return true;
}

/* Common part of feed_read() and changes(). */
void
read_into(FunctionCallInfo fcinfo, Sink *sink, ChangeCallback put)
{
	catalog::LiveView view = require_live_view(PG_GETARG_OID(0));
	int64 after = PG_GETARG_INT64(1);
	bool bounded = !PG_ARGISNULL(2);
	int64 upto = bounded ? PG_GETARG_INT64(2) : 0;

	if (put == put_columns)
		check_columns(sink, view.view);
	/* An upper bound that leaves nothing still demands a valid position. */
	(void) read_changes(view, after, bounded ? Max(upto, after) : 0, put, sink);
}

} // namespace

} // namespace tw::feed

using namespace tw;

extern "C"
{
	PGDLLEXPORT Datum tailwater_feed_read(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_feed_snapshot(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_changes(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_version(PG_FUNCTION_ARGS);
	PG_FUNCTION_INFO_V1(tailwater_feed_read);
	PG_FUNCTION_INFO_V1(tailwater_feed_snapshot);
	PG_FUNCTION_INFO_V1(tailwater_changes);
	PG_FUNCTION_INFO_V1(tailwater_version);
}

Datum
tailwater_feed_read(PG_FUNCTION_ARGS)
{
	feed::Sink sink;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("view and position must not be null"));
	feed::open_sink(&sink, fcinfo);
	feed::read_into(fcinfo, &sink, feed::put_columns);
	return (Datum) 0;
}

Datum
tailwater_feed_snapshot(PG_FUNCTION_ARGS)
{
	feed::Sink sink;

	feed::open_sink(&sink, fcinfo);
	catalog::LiveView view = feed::require_live_view(PG_GETARG_OID(0));
	feed::check_columns(&sink, view.view);
	(void) feed::read_snapshot(view, feed::put_columns, &sink);
	return (Datum) 0;
}

Datum
tailwater_changes(PG_FUNCTION_ARGS)
{
	feed::Sink sink;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("view and position must not be null"));
	feed::open_sink(&sink, fcinfo);
	feed::read_into(fcinfo, &sink, feed::put_json);
	return (Datum) 0;
}

Datum
tailwater_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(feed::newest_version());
}
