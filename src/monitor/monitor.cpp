/*
 * monitor.cpp - tailwater.explain() and tailwater.verify().
 *
 * Who may read a view may also see how it is kept and whether it is right. The
 * stages run the query as the view's owner.
 */
#include "pg/postgres.hpp"

#include "analyze/explain.hpp"
#include "catalog/view_list.hpp"
#include "maintain/maintain.hpp"

namespace tw::monitor
{

namespace
{

/* Locks a live view against being dropped or redefined, and checks that the caller may read it. */
void
open_live_view(Oid view)
{
	catalog::LiveView live;

	LockRelationOid(view, AccessShareLock);

	char relkind = get_rel_relkind(view);

	if (relkind == '\0')
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", view));

	AclResult allowed = pg_class_aclcheck(view, GetUserId(), ACL_SELECT);
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, get_relkind_objtype(relkind), get_rel_name(view));
	if (relkind != RELKIND_MATVIEW)
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a materialized view", get_rel_name(view)));
	if (!catalog::extension_present() || !catalog::find_live_view(view, &live))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("materialized view \"%s\" is not kept up to date", get_rel_name(view)),
				errhint("Start with tailwater.maintain(), or with REFRESH MATERIALIZED VIEW if "
						"the view is listed in tailwater.views."));
}

} // namespace

} // namespace tw::monitor

extern "C"
{
	PGDLLEXPORT Datum tailwater_explain(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_verify(PG_FUNCTION_ARGS);
	PG_FUNCTION_INFO_V1(tailwater_explain);
	PG_FUNCTION_INFO_V1(tailwater_verify);
}

/* tailwater.explain(view regclass) RETURNS SETOF text */
Datum
tailwater_explain(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;

	if (SRF_IS_FIRSTCALL())
	{
		context = SRF_FIRSTCALL_INIT();
		MemoryContext old = MemoryContextSwitchTo(context->multi_call_memory_ctx);

		tw::monitor::open_live_view(PG_GETARG_OID(0));
		context->user_fctx = tw::analyze::explain(PG_GETARG_OID(0));
		MemoryContextSwitchTo(old);
	}

	context = SRF_PERCALL_SETUP();
	List *lines = static_cast<List *>(context->user_fctx);

	if (context->call_cntr >= static_cast<uint64>(list_length(lines)))
		SRF_RETURN_DONE(context);

	const char *line = static_cast<char *>(list_nth(lines, static_cast<int>(context->call_cntr)));
	SRF_RETURN_NEXT(context, CStringGetTextDatum(line));
}

/* tailwater.verify(view regclass) RETURNS bigint */
Datum
tailwater_verify(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);

	tw::monitor::open_live_view(view);
	PG_RETURN_INT64(tw::maintain::verify(view));
}
