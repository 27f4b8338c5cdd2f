/*
 * triggers.cpp - the statement triggers on base tables.
 *
 * One set serves all live views that read the table: BEFORE STATEMENT for any
 * event counts the statement in, and an AFTER STATEMENT trigger for each event
 * receives the transition tables (a trigger with transition tables can have
 * one event only). They are internal, so that dumps leave them out, and fire
 * always, also in replica sessions. One that a user has dropped, renamed or
 * switched off is put right by the next create_triggers(), which comes with any
 * change of the table. Triggers of users that call our function are none of ours.
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

/* What a trigger is for; the server appends an OID to the name. */
struct Spec
{
	const char *name;
	int16 type; /* as in pg_trigger.tgtype */
	bool old_rows;
	bool new_rows;
};

constexpr int16 kAfter = TRIGGER_TYPE_AFTER;
constexpr int16 kStatement = TRIGGER_TYPE_STATEMENT;

const Spec kBegin = {"tailwater_begin",
					 kStatement | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
						 TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE,
					 false, false};
/* The name is the first in order. */
const Spec kRow = {" tailwater_row",
				   TRIGGER_TYPE_ROW | kAfter | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
					   TRIGGER_TYPE_DELETE,
				   false, false};
const Spec kSpecs[] = {kBegin,
					   {"tailwater_insert", kStatement | kAfter | TRIGGER_TYPE_INSERT, false, true},
					   {"tailwater_delete", kStatement | kAfter | TRIGGER_TYPE_DELETE, true, false},
					   {"tailwater_update", kStatement | kAfter | TRIGGER_TYPE_UPDATE, true, true},
					   {"tailwater_truncate", kStatement | kAfter | TRIGGER_TYPE_TRUNCATE, false,
						false},
					   kRow};
constexpr int kSpecCount = lengthof(kSpecs);

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

void
create_trigger(Oid table, const Spec &spec)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	constexpr int16 kTimings = TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSTEAD;
	bool row = TRIGGER_FOR_ROW(spec.type);

	stmt->trigname = pstrdup(spec.name);
	stmt->funcname = list_make2(makeString(pstrdup("tailwater_internal")),
								makeString(pstrdup("capture")));
	stmt->row = row;
	stmt->timing = spec.type & kTimings;
	stmt->events = spec.type & ~(kTimings | TRIGGER_TYPE_ROW);
	if (spec.old_rows)
		stmt->transitionRels = lappend(stmt->transitionRels, transition("tailwater_old", false));
	if (spec.new_rows)
		stmt->transitionRels = lappend(stmt->transitionRels, transition("tailwater_new", true));
	pg::create_internal_trigger(stmt, table, capture_function(),
								row ? TRIGGER_FIRES_ON_REPLICA : TRIGGER_FIRES_ALWAYS);
}

/* Copies of the rows of the table's internal triggers that call the capture function. */
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
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tup);

		if (trigger->tgisinternal && trigger->tgfoid == function)
			found = lappend(found, heap_copytuple(tup));
	}
	systable_endscan(scan);
	return found;
}

/* When a trigger of ours fires; a user may have said otherwise, for all triggers of the table. */
char
wanted_state(Form_pg_trigger trigger)
{
	return TRIGGER_FOR_ROW(trigger->tgtype) ? TRIGGER_FIRES_ON_REPLICA : TRIGGER_FIRES_ALWAYS;
}

bool
is_of(const Spec &spec, const char *name, int16 type)
{
	return type == spec.type && strncmp(name, spec.name, strlen(spec.name)) == 0;
}

/* What the trigger is for; kSpecCount for one that has another name. */
int
find_spec(Form_pg_trigger trigger)
{
	int number = 0;

	while (number < kSpecCount && !is_of(kSpecs[number], NameStr(trigger->tgname), trigger->tgtype))
		number++;
	return number;
}

void
remove_triggers(List *oids)
{
	ObjectAddresses *triggers = new_object_addresses();
	ListCell *lc;

	foreach (lc, oids)
	{
		ObjectAddress trigger;

		ObjectAddressSet(trigger, TriggerRelationId, lfirst_oid(lc));
		add_exact_object_address(&trigger, triggers);
	}
	performMultipleDeletions(triggers, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	free_object_addresses(triggers);
}

/*
 * Enables the triggers that are there, and removes those with another name,
 * which would fire in another order. Returns the numbers of what remains.
 */
Bitmapset *
put_triggers_right(Oid table)
{
	Relation catalog = table_open(TriggerRelationId, RowExclusiveLock);
	bool changed = false;
	Bitmapset *there = nullptr;
	List *renamed = NIL;
	ListCell *lc;

	foreach (lc, own_triggers(catalog, table))
	{
		HeapTuple tup = (HeapTuple) lfirst(lc);
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tup);
		int number = find_spec(trigger);

		if (number == kSpecCount)
		{
			renamed = lappend_oid(renamed, trigger->oid);
			continue;
		}
		there = bms_add_member(there, number);
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
	remove_triggers(renamed);
	return there;
}

} // namespace

bool
create_triggers(Oid table)
{
	Bitmapset *there = put_triggers_right(table);
	bool created = false;

	for (int i = 0; i < kSpecCount; i++)
	{
		/* Rows of a partitioned table are applied to its partitions. */
		if (bms_is_member(i, there) || (TRIGGER_FOR_ROW(kSpecs[i].type) &&
										get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE))
			continue;
		create_trigger(table, kSpecs[i]);
		created = true;
	}
	CommandCounterIncrement();
	return created;
}

bool
has_triggers(const TriggerDesc *triggers)
{
	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (triggers->triggers[i].tgisinternal &&
			is_of(kBegin, triggers->triggers[i].tgname, triggers->triggers[i].tgtype))
			return true;
	return false;
}

void
drop_triggers(Oid table)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	List *found = NIL;
	ListCell *lc;

	foreach (lc, own_triggers(catalog, table))
		found = lappend_oid(found, ((Form_pg_trigger) GETSTRUCT((HeapTuple) lfirst(lc)))->oid);
	table_close(catalog, AccessShareLock);
	remove_triggers(found);
}

} // namespace tw::capture
