/*
 * trigger.cpp - entry of the change lane: the trigger function of base tables.
 */
#include "maintain/batch.hpp"
#include "maintain/guard.hpp"
#include "capture/statement.hpp"

namespace tw::maintain
{

namespace
{

/* The bases of a view through which a change of the relation reaches it. */
void
guard_views(Oid relid)
{
	List *views = affected_views(list_make1_oid(relid));
	ListCell *lc;

	foreach (lc, views)
	{
		const ViewRuntime *view = get_runtime(lfirst_oid(lc));
		ListCell *lb;

		if (!needs_guard(view))
			continue;
		foreach (lb, view->plan->bases)
		{
			Oid base = lfirst_oid(lb);

			if (base == relid || list_member_oid(views, base) ||
				(list_member_oid(views_of_base(relid), view->info.view) &&
				 get_rel_relkind(base) != RELKIND_MATVIEW &&
				 capture::is_descendant(relid, base)))
				guard_write(view, base);
		}
	}
}

void
before_statement(TriggerData *trigger)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tailwater guards",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	guard_views(RelationGetRelid(trigger->tg_relation));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	capture::enter_statement();
}

void
after_statement(TriggerData *trigger)
{
	bool run_now = capture::is_outermost_statement();

	capture::add_change(trigger, run_now ? capture::RowsLifetime::kThisTrigger
										 : capture::RowsLifetime::kBatch);
	capture::leave_statement();
	if (!run_now)
		return;

	run_batch(capture::take_changes());
	MemoryContextReset(capture::batch_context());
}

} // namespace

} // namespace tw::maintain

extern "C"
{
	PGDLLEXPORT Datum tailwater_capture(PG_FUNCTION_ARGS);

	PG_FUNCTION_INFO_V1(tailwater_capture);
}

Datum
tailwater_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *)fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("tailwater_internal.capture() can only be called as a statement trigger"));
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		tw::maintain::before_statement(trigger);
	else
		tw::maintain::after_statement(trigger);
	return PointerGetDatum(nullptr);
}
