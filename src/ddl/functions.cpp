/*
 * functions.cpp - tailwater.maintain() and tailwater.release().
 */
#include "ddl/aside.hpp"
#include "ddl/conduct.hpp"
#include "ddl/options.hpp"

namespace tw::ddl
{

namespace
{

/*
 * Locks a materialized view for a change of how it is kept, and checks that it
 * is one, belongs to the caller, and is not being read by an open cursor.
 */
void
lock_own_view(Oid view, const char *action)
{
	require_extension();
	PreventCommandIfReadOnly(action);
	PreventCommandDuringRecovery(action);
	lock_with_view(view);
	LockRelationOid(view, AccessExclusiveLock);

	char relkind = get_rel_relkind(view);

	if (relkind == '\0')
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", view));
	if (relkind != RELKIND_MATVIEW)
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a materialized view", get_rel_name(view)),
				errhint("Only materialized views can be kept up to date."));
	if (!pg::owns_relation(view, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_MATVIEW, get_rel_name(view));

	Relation rel = relation_open(view, NoLock);
	CheckTableNotInUse(rel, action);
	relation_close(rel, NoLock);
}

/* True if the function call is a column of a SELECT that is all its transaction does. */
bool
stands_alone(FunctionCallInfo fcinfo)
{
	Node *call = fcinfo->flinfo->fn_expr;

	if (IsTransactionBlock() || IsSubTransaction() || !ActivePortal || !call ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		ActivePortal->strategy != PORTAL_ONE_SELECT || list_length(ActivePortal->stmts) != 1)
		return false;

	PlannedStmt *statement = linitial_node(PlannedStmt, ActivePortal->stmts);
	ListCell *lc;

	if (!statement->planTree || !IsA(statement->planTree, Result) || statement->planTree->lefttree)
		return false;
	foreach (lc, statement->planTree->targetlist)
		if ((Node *) lfirst_node(TargetEntry, lc)->expr == call)
			return true;
	return false;
}

/* Starts to keep a view up to date beside the writers of its base tables; false if that must be done in this transaction. */
bool
maintain_aside(Oid view, catalog::Mode mode)
{
	catalog::Listing listing = {mode, true};
	catalog::LiveView live;
	maintain::Build wanted = {};

	if (mode != catalog::Mode::kImmediate || !is_populated(view) ||
		catalog::find_live_view(view, &live) || way_to_attach(view) != maintain::Way::kBeside)
		return false;

	wanted.listed = !catalog::find_listing(view, &listing);
	wanted.database = MyDatabaseId;
	wanted.view = view;
	wanted.mode = mode;
	wanted.feed = listing.feed;
	/* Nothing has been done to it yet. */
	UnlockRelationOid(view, AccessExclusiveLock);
	if (attach_aside(wanted, Caller::kFunction) >= 0)
		return true;
	LockRelationOid(view, AccessExclusiveLock);
	return false;
}

} // namespace

} // namespace tw::ddl

extern "C"
{
	PGDLLEXPORT Datum tailwater_maintain(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_release(PG_FUNCTION_ARGS);
	PGDLLEXPORT Datum tailwater_list(PG_FUNCTION_ARGS);
	PG_FUNCTION_INFO_V1(tailwater_list);
	PG_FUNCTION_INFO_V1(tailwater_maintain);
	PG_FUNCTION_INFO_V1(tailwater_release);
}

/* tailwater.maintain(view regclass, mode text) */
Datum
tailwater_maintain(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);
	tw::ddl::ViewOptions options;

	options.maintain = tw::ddl::Change::kSet;
	options.mode = tw::ddl::parse_mode(nullptr, text_to_cstring(PG_GETARG_TEXT_PP(1)), -1);
	bool alone = tw::ddl::stands_alone(fcinfo);
	tw::ddl::lock_own_view(view, "tailwater.maintain()");
	tw::ddl::check_not_being_built(view);
	if (!alone || !tw::ddl::maintain_aside(view, options.mode))
		tw::ddl::apply_options(view, options);
	PG_RETURN_VOID();
}

/* tailwater.release(view regclass) */
Datum
tailwater_release(PG_FUNCTION_ARGS)
{
	Oid view = PG_GETARG_OID(0);

	tw::ddl::lock_own_view(view, "tailwater.release()");
	tw::ddl::check_not_being_built(view);
	if (!tw::ddl::release_view(view))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("materialized view \"%s\" is not kept up to date", get_rel_name(view)));
	PG_RETURN_VOID();
}

/* tailwater_internal.list(): puts the row where the others are, and the label on the view. */
Datum
tailwater_list(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("tailwater_internal.list() can only be called as a trigger"));

	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Datum values[3];
	bool nulls[3];

	heap_deform_tuple(trigger->tg_trigtuple, desc, values, nulls);
	if (nulls[0] || nulls[1] || nulls[2])
		return PointerGetDatum(trigger->tg_trigtuple); /* the constraints say what is wrong */

	Oid view = DatumGetObjectId(values[0]);
	tw::catalog::LiveView live;
	if (get_rel_relkind(view) == '\0')
		ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", view));
	if (get_rel_relkind(view) != RELKIND_MATVIEW)
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a materialized view", get_rel_name(view)));
	if (!tw::pg::owns_relation(view, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_MATVIEW, get_rel_name(view));
	/* It is live already, in the way its owner wants now. */
	if (tw::catalog::find_live_view(view, &live))
		return PointerGetDatum(nullptr);
	tw::catalog::put_listing(view,
							 {tw::ddl::parse_mode(nullptr, TextDatumGetCString(values[1]), -1),
							  DatumGetBool(values[2])});
	return PointerGetDatum(nullptr);
}
