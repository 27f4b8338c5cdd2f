/*
 * trigger.cpp - entry of the change lane: the trigger function of base tables.
 */
#include "maintain/trigger.hpp"
#include "maintain/batch.hpp"
#include "maintain/reach.hpp"
#include "maintain/serializable.hpp"
#include "capture/statement.hpp"
#include "capture/triggers.hpp"

namespace tw::maintain
{

namespace
{

ExecutorStart_hook_type previous_start = nullptr;

enum class Event
{
	kUpdate,
	kDelete
};

struct Writes
{
	List *updated; /* tables, with what follows from them by foreign key actions */
	List *deleted;
};

void add_actions(Writes *writes, Oid relid, const TriggerDesc *triggers, Event event);

void
add_written(Writes *writes, Oid relid, Event event)
{
	List **list = event == Event::kUpdate ? &writes->updated : &writes->deleted;

	if (list_member_oid(*list, relid))
		return;
	*list = lappend_oid(*list, relid);

	Relation rel = table_open(relid, AccessShareLock);
	if (rel->trigdesc)
		add_actions(writes, relid, rel->trigdesc, event);
	table_close(rel, NoLock);
}

/* Adds the tables that foreign key actions write when rows of the table are updated or deleted. */
void
add_actions(Writes *writes, Oid relid, const TriggerDesc *triggers, Event event)
{
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Oid target = triggers->triggers[i].tgconstrrelid;

		switch (triggers->triggers[i].tgfoid)
		{
			case F_RI_FKEY_CASCADE_DEL:
				if (event == Event::kDelete)
					add_written(writes, target, Event::kDelete);
				break;
			case F_RI_FKEY_SETNULL_DEL:
			case F_RI_FKEY_SETDEFAULT_DEL:
				if (event == Event::kDelete)
					add_written(writes, target, Event::kUpdate);
				break;
			case F_RI_FKEY_CASCADE_UPD:
			case F_RI_FKEY_SETNULL_UPD:
			case F_RI_FKEY_SETDEFAULT_UPD:
				if (event == Event::kUpdate)
					add_written(writes, target, Event::kUpdate);
				break;
			default:
				break;
		}
	}
}

/* The table and those that the statement writes through foreign keys. */
List *
written_tables(TriggerData *trigger)
{
	Relation rel = trigger->tg_relation;
	Writes writes = {NIL, NIL};

	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		add_written(&writes, RelationGetRelid(rel), Event::kDelete);
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
			 bms_overlap(trigger->tg_updatedcols,
						 RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY)))
		add_written(&writes, RelationGetRelid(rel), Event::kUpdate);
	else
		return list_make1_oid(RelationGetRelid(rel));
	return list_concat_unique_oid(writes.updated, writes.deleted);
}

/*
 * True if the statement is an UPDATE of certain columns of a table that stands alone, and what
 * it does can be no more than that: no trigger changes the rows under way, and no foreign key follows.
 */
bool
updates_some_columns(TriggerData *trigger)
{
	Relation rel = trigger->tg_relation;

	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		   !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) && rel->rd_rel->relkind == RELKIND_RELATION &&
		   !rel->rd_rel->relispartition && !rel->rd_rel->relhassubclass &&
		   !rel->trigdesc->trig_update_before_row &&
		   !bms_overlap(trigger->tg_updatedcols,
						RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY));
}

void
guard_tables_of(TriggerData *trigger)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tailwater guards",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	if (updates_some_columns(trigger))
		guard_views(RelationGetRelid(trigger->tg_relation), trigger->tg_updatedcols);
	else
		guard_views(written_tables(trigger));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
before_statement(TriggerData *trigger)
{
	guard_tables_of(trigger);
	capture::enter_statement();
}

void
run_pending()
{
	List *changes = capture::take_changes();

	run_batch(changes);
	capture::note_applied();
	capture::end_changes(changes);
	MemoryContextReset(capture::batch_context());
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

	run_pending();
}

/* A row that a subscription's worker applied: no statement, but a batch. */
void
after_row(TriggerData *trigger)
{
	if (!IsLogicalWorker() || !capture::is_outside_statement())
		return;
	guard_tables_of(trigger);
	capture::enter_statement();
	capture::add_row_change(trigger);
	capture::leave_statement();
	run_pending();
}

/* A writable CTE writes several tables, whose BEFORE triggers fire one after the other: too late. */
void
guard_statement(PlannedStmt *statement)
{
	List *relids = NIL;
	ListCell *lc;

	if (!statement->hasModifyingCTE || list_length(statement->resultRelations) < 2)
		return;
	foreach (lc, statement->resultRelations)
		relids = list_append_unique_oid(relids, rt_fetch(lfirst_int(lc), statement->rtable)->relid);
	guard_views(relids);
}

/*
 * MERGE counts a row that its UPDATE moves to another partition among the
 * deleted and the inserted ones, but fires the statement triggers of those
 * events only if it has such actions. We must see the row leave and arrive.
 */
void
report_moves(ModifyTableState *node)
{
	const ResultRelInfo *target = node->rootResultRelInfo;

	if (node->operation == pg::kMerge &&
		target->ri_RelationDesc->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		capture::has_triggers(target->ri_TrigDesc))
		pg::fire_triggers_of_moves(node);
}

void
report_moves(QueryDesc *query)
{
	ListCell *lc;

	if (IsA(query->planstate, ModifyTableState))
		report_moves(castNode(ModifyTableState, query->planstate));
	foreach (lc, query->estate->es_auxmodifytables)
		report_moves(lfirst_node(ModifyTableState, lc));
}

void
start_executor(QueryDesc *query, int eflags)
{
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY))
	{
		guard_statement(query->plannedstmt);
		note_reads(query->plannedstmt, query->snapshot);
	}
	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE)
		report_moves(query);
}

} // namespace

void
init_triggers()
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
}

} // namespace tw::maintain

extern "C"
{
	PGDLLEXPORT Datum tailwater_capture(PG_FUNCTION_ARGS);

	PG_FUNCTION_INFO_V1(tailwater_capture);
}

Datum
tailwater_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("tailwater_internal.capture() can only be called as a trigger"));
	if (!trigger->tg_trigger->tgisinternal)
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("trigger \"%s\" is none of tailwater's", trigger->tg_trigger->tgname),
				errdetail(
					"Function tailwater_internal.capture() is for the triggers that tailwater "
					"creates itself."),
				errhint("Drop the trigger."));
	if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		tw::maintain::after_row(trigger);
	else if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		tw::maintain::before_statement(trigger);
	else
		tw::maintain::after_statement(trigger);
	return PointerGetDatum(nullptr);
}
