/*
 * functions.cpp - the SQL functions of worker.sql.
 *
 * tailwater.sync() shall not hold back vacuum while it waits. Called as
 * `SELECT tailwater.sync()` it therefore lets go of the statement's snapshot:
 * a query without tables has read nothing with it, and goes on with a new one.
 * Called from anywhere else it keeps the snapshot.
 */
#include "worker/shmem.hpp"
#include "worker/shared_state.hpp"
#include "catalog/live_view.hpp"
#include "catalog/view_list.hpp"
#include "maintain/deferred.hpp"

namespace tw::worker
{

namespace
{

/*
 * The running statement, if it is the client's own, reads no table, and alone
 * holds the active snapshot.
 */
QueryDesc *
statement_without_tables()
{
	if (IsolationUsesXactSnapshot() || !ActivePortal || !ActivePortal->queryDesc ||
		ActivePortal->strategy != PORTAL_ONE_SELECT || ActivePortal->holdSnapshot ||
		ActivePortal->activeSubid != GetCurrentSubTransactionId())
		return nullptr;

	QueryDesc *query = ActivePortal->queryDesc;
	PlannedStmt *plan = query->plannedstmt;
	ListCell *lc;

	if (!ActiveSnapshotSet() || GetActiveSnapshot() != query->snapshot || !query->estate ||
		query->estate->es_snapshot != query->snapshot || query->snapshot->active_count != 1 ||
		query->snapshot->regd_count != 2 || CurrentResourceOwner != ActivePortal->resowner ||
		plan->subplans != NIL || !IsA(plan->planTree, Result) ||
		query->crosscheck_snapshot != InvalidSnapshot)
		return nullptr;
	foreach (lc, plan->rtable)
		if (lfirst_node(RangeTblEntry, lc)->rtekind != RTE_RESULT)
			return nullptr;
	return query;
}

void
release_snapshot(QueryDesc *query)
{
	Snapshot snapshot = query->snapshot;

	query->snapshot = query->estate->es_snapshot = InvalidSnapshot;
	UnregisterSnapshot(snapshot);
	UnregisterSnapshot(snapshot);
	PopActiveSnapshot();
}

void
take_new_snapshot(QueryDesc *query)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	query->snapshot = RegisterSnapshot(GetActiveSnapshot());
	query->estate->es_snapshot = RegisterSnapshot(GetActiveSnapshot());
}

/* True if there is a deferred view; not counting those of this transaction, which nobody else sees yet. */
bool
deferred_views_exist()
{
	bool found = false;
	ListCell *lc;

	foreach (lc, maintain::deferred_views())
	{
		catalog::LiveView live;

		found |= catalog::find_live_view(lfirst_oid(lc), &live) &&
				 !TransactionIdIsCurrentTransactionId((TransactionId) live.attached_xid);
	}
	/* Its snapshot is not to be held while we wait. */
	InvalidateCatalogSnapshot();
	return found;
}

/* The error of a view that could not be maintained, for those who may read it. */
[[noreturn]] void
raise_view_error()
{
	char *message = nullptr;
	Oid view = catalog::oldest_error(&message);
	bool told = OidIsValid(view) && get_rel_name(view) &&
				pg_class_aclcheck(view, GetUserId(), ACL_SELECT) == ACLCHECK_OK;

	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			told ? errmsg("deferred views do not cover the latest commits: %s", message)
				 : errmsg("deferred views do not cover the latest commits"),
			told
				? errdetail("Materialized view \"%s\" could not be maintained.", get_rel_name(view))
				: errdetail("A materialized view could not be maintained."),
			errhint("It is tried again at intervals, and at the next tailwater.sync(). See "
					"last_error in tailwater.views."));
	pg_unreachable();
}

/* Waits for the deferred views; a failure that is over by now has them tried again. */
Waited
wait_for_views(TimestampTz deadline)
{
	for (;;)
	{
		Waited waited = wait_until_maintained(deadline);
		char *message;

		if (waited != Waited::kFailed || OidIsValid(catalog::oldest_error(&message)))
			return waited;
		if (GetCurrentTimestamp() >= deadline)
			return Waited::kTimeout;
		InvalidateCatalogSnapshot();
	}
}

} // namespace

} // namespace tw::worker

extern "C"
{
	PGDLLEXPORT Datum tailwater_sync(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_announce(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_deferred_lag(PG_FUNCTION_ARGS);
	PG_FUNCTION_INFO_V1(tailwater_sync);
	PG_FUNCTION_INFO_V1(tailwater_announce);
	PG_FUNCTION_INFO_V1(tailwater_deferred_lag);
}

/* tailwater.sync(timeout interval): see worker.sql. */
Datum
tailwater_sync(PG_FUNCTION_ARGS)
{
	Interval *timeout = PG_GETARG_INTERVAL_P(0);

	if (RecoveryInProgress())
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("recovery is in progress"),
				errhint("tailwater.sync() cannot be executed on a standby."));

	TimestampTz now = GetCurrentTimestamp();
	TimestampTz deadline = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
																   TimestampTzGetDatum(now),
																   PointerGetDatum(timeout)));
	QueryDesc *query = tw::worker::statement_without_tables();

	if (query)
		tw::worker::release_snapshot(query);
	tw::worker::Waited waited = tw::worker::deferred_views_exist()
									? tw::worker::wait_for_views(deadline)
									: tw::worker::Waited::kDone;
	bool maintained = waited == tw::worker::Waited::kDone;
	bool covered = maintained && tw::worker::wait_until_covered(deadline);
	if (query)
		tw::worker::take_new_snapshot(query);
	if (waited == tw::worker::Waited::kFailed)
		tw::worker::raise_view_error();
	if (!maintained)
		ereport(ERROR, errcode(ERRCODE_QUERY_CANCELED),
				errmsg("deferred views do not cover the latest commits yet"),
				errdetail("The timeout of tailwater.sync() has passed."),
				errhint("Look for last_error in tailwater.views, for \"tailwater maintainer\" in "
						"pg_stat_activity, and into the server's log."));
	if (!covered)
		ereport(ERROR, errcode(ERRCODE_QUERY_CANCELED),
				errmsg("no version covers the latest commits yet"),
				errdetail("The timeout of tailwater.sync() has passed."),
				errhint("Look for \"tailwater sequencer\" in pg_stat_activity and in the server's "
						"log."));
	PG_RETURN_VOID();
}

/* tailwater_internal.announce(): the install script calls it, so that workers start at commit. */
Datum
tailwater_announce(PG_FUNCTION_ARGS)
{
	tw::worker::review_at_commit(MyDatabaseId);
	PG_RETURN_VOID();
}

/* tailwater_internal.deferred_lag(): see worker.sql. */
Datum
tailwater_deferred_lag(PG_FUNCTION_ARGS)
{
	tw::worker::Lag lag;
	TupleDesc desc;
	Datum values[3];
	bool nulls[3] = {};

	if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!tw::worker::find_lag(&lag))
		memset(nulls, true, sizeof(nulls));
	values[0] = Int64GetDatum(lag.bytes);
	values[1] = Int64GetDatum(lag.transactions);
	values[2] = Float8GetDatum(lag.seconds);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
