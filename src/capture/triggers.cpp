/*
 * triggers.cpp - the statement triggers on base tables.
 *
 * One set serves all live views that read the table: BEFORE STATEMENT for any
 * event counts the statement in, and an AFTER STATEMENT trigger for each event
 * receives the transition tables (a trigger with transition tables can have
 * one event only). They are internal, so that dumps leave them out and users
 * cannot drop them by name, and fire always, also in replica sessions.
 *
 * The apply worker of a subscription runs no statements: it fires the triggers
 * of each row only. So there is an AFTER ROW trigger, too, which fires in
 * replica sessions and does something in such a worker only. It comes before
 * triggers of users, which may run statements: what they change is a batch of its own.
 */
#include "capture/triggers.hpp"

namespace tw::capture
{

namespace
{

constexpr char kBegin[] = "tailwater_begin"; /* the server appends an OID */

Oid
capture_function()
{
	return LookupFuncName(list_make2(makeString(pstrdup("tailwater_internal")),
									 makeString(pstrdup("capture"))),
						  0, nullptr, false);
}

TriggerTransition *
transition(const char *name, bool is_new)
{
	TriggerTransition *table = makeNode(TriggerTransition);

	table->name = pstrdup(name);
	table->isNew = is_new;
	table->isTable = true;
	return table;
}

enum class Level
{
	kStatement,
	kRow
};

void
create_trigger(Oid table, const char *name, int16 timing, int16 events, List *transitions,
			   Level level)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);

	stmt->trigname = pstrdup(name);
	stmt->funcname = list_make2(makeString(pstrdup("tailwater_internal")),
								makeString(pstrdup("capture")));
	stmt->row = level == Level::kRow;
	stmt->timing = timing;
	stmt->events = events;
	stmt->transitionRels = transitions;
	pg::create_internal_trigger(stmt, table, capture_function(),
								level == Level::kRow ? TRIGGER_FIRES_ON_REPLICA
													 : TRIGGER_FIRES_ALWAYS);
}

/* Copies of the rows of the table's triggers that call the capture function. */
List *
own_triggers(Relation catalog, Oid table)
{
	Oid function = capture_function();
	List *found = NIL;
	ScanKeyData key;
	HeapTuple tup;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	SysScanDesc scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, nullptr, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		if (((Form_pg_trigger) GETSTRUCT(tup))->tgfoid == function)
			found = lappend(found, heap_copytuple(tup));
	systable_endscan(scan);
	return found;
}

List *
find_triggers(Oid table)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	List *found = NIL;
	ListCell *lc;

	foreach (lc, own_triggers(catalog, table))
		found = lappend_oid(found, ((Form_pg_trigger) GETSTRUCT((HeapTuple) lfirst(lc)))->oid);
	table_close(catalog, AccessShareLock);
	return found;
}

/* When a trigger of ours fires; a user may have said otherwise, for all triggers of the table. */
char
wanted_state(Form_pg_trigger trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) ? TRIGGER_FIRES_ON_REPLICA : TRIGGER_FIRES_ALWAYS;
}

/* Enables the triggers that are there, and returns their names. */
List *
enable_triggers(Oid table)
{
	Relation catalog = table_open(TriggerRelationId, RowExclusiveLock);
	bool changed = false;
	List *names = NIL;
	ListCell *lc;

	foreach (lc, own_triggers(catalog, table))
	{
		HeapTuple tup = (HeapTuple) lfirst(lc);
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tup);

		names = lappend(names, pstrdup(NameStr(trigger->tgname)));
		if (trigger->tgenabled == wanted_state(trigger))
			continue;
		trigger->tgenabled = wanted_state(trigger);
		CatalogTupleUpdate(catalog, &tup->t_self, tup);
		changed = true;
	}
	table_close(catalog, NoLock);
	if (changed)
	{
		CacheInvalidateRelcacheByRelid(table);
		CommandCounterIncrement();
	}
	return names;
}

/* True if one of the names is the given one with a number after it. */
bool
is_there(List *names, const char *name)
{
	ListCell *lc;

	foreach (lc, names)
		if (strncmp((const char *) lfirst(lc), name, strlen(name)) == 0)
			return true;
	return false;
}

} // namespace

bool
create_triggers(Oid table)
{
	List *there = enable_triggers(table);
	bool created = false;
	auto ensure = [&](const char *name, int16 timing, int16 events, List *transitions, Level level)
	{
		if (is_there(there, name))
			return;
		create_trigger(table, name, timing, events, transitions, level);
		created = true;
	};

	ensure(kBegin, TRIGGER_TYPE_BEFORE,
		   TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE,
		   NIL, Level::kStatement);
	ensure("tailwater_insert", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_INSERT,
		   list_make1(transition("tailwater_new", true)), Level::kStatement);
	ensure("tailwater_delete", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_DELETE,
		   list_make1(transition("tailwater_old", false)), Level::kStatement);
	ensure("tailwater_update", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_UPDATE,
		   list_make2(transition("tailwater_old", false), transition("tailwater_new", true)),
		   Level::kStatement);
	ensure("tailwater_truncate", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_TRUNCATE, NIL, Level::kStatement);
	/* Rows of a partitioned table are applied to its partitions. The name is the first in order. */
	if (get_rel_relkind(table) != RELKIND_PARTITIONED_TABLE)
		ensure(" tailwater_row", TRIGGER_TYPE_AFTER,
			   TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE, NIL, Level::kRow);
	CommandCounterIncrement();
	return created;
}

bool
has_triggers(const TriggerDesc *triggers)
{
	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (triggers->triggers[i].tgisinternal &&
			strncmp(triggers->triggers[i].tgname, kBegin, strlen(kBegin)) == 0)
			return true;
	return false;
}

void
drop_triggers(Oid table)
{
	ObjectAddresses *triggers = new_object_addresses();
	ListCell *lc;

	foreach (lc, find_triggers(table))
	{
		ObjectAddress trigger;

		ObjectAddressSet(trigger, TriggerRelationId, lfirst_oid(lc));
		add_exact_object_address(&trigger, triggers);
	}
	performMultipleDeletions(triggers, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	free_object_addresses(triggers);
}

} // namespace tw::capture
