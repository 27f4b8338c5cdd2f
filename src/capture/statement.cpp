/*
 * statement.cpp - gathers what one outermost statement changes in base tables.
 *
 * One statement can change several base tables: by a writable CTE, by foreign
 * key cascades, by triggers that write. Their AFTER triggers fire one after
 * the other when all or some of the changes are already in the tables, so a
 * delta is only computed when the last of them has fired: BEFORE triggers
 * count statements in, AFTER triggers count them out, and the batch is run when
 * the count is back at the outermost one. All inputs are then new, and "old" is
 * new minus the batch's delta.
 *
 * The command that began the outermost statement tells old rows from new ones:
 * everything that the batch changes is changed by this command or a later one.
 *
 * The count and the pending changes belong to the transaction. What a rolled
 * back subtransaction counted in or added is dropped with it.
 */
#include "capture/statement.hpp"
#include "capture/generated.hpp"

namespace tw::capture
{

namespace
{

struct Pending
{
	MemoryContext context; /* child of TopTransactionContext, or null */
	List *open;            /* nest level of each statement under way, innermost first */
	List *changes;
	CommandId first;   /* see first_command() */
	CommandId applied; /* changes of earlier commands are in the views */
};

Pending pending = {nullptr, NIL, NIL, InvalidCommandId, FirstCommandId};

MemoryContext
pending_context()
{
	if (!pending.context)
		pending.context = AllocSetContextCreate(TopTransactionContext, "tailwater batch",
												ALLOCSET_DEFAULT_SIZES);
	return pending.context;
}

void
forget_transaction(XactEvent event, void *unused)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	pending.context = nullptr;
	pending.open = NIL;
	pending.changes = NIL;
	pending.first = InvalidCommandId;
	pending.applied = FirstCommandId;
}

void
end_change(Change *change)
{
	if (change->copied && change->old_rows)
		tuplestore_end(change->old_rows);
	if (change->copied && change->new_rows)
		tuplestore_end(change->new_rows);
}

/* Level a nested transaction's entries move to when it ends, by commit; they go by abort. */
void
end_subtransaction(SubXactEvent event, SubTransactionId sub, SubTransactionId parent, void *unused)
{
	int level = GetCurrentTransactionNestLevel();
	ListCell *lc;

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (pending.open != NIL && linitial_int(pending.open) >= level)
			pending.open = list_delete_first(pending.open);
		foreach (lc, pending.changes)
			if (((Change *) lfirst(lc))->nest_level >= level)
			{
				end_change((Change *) lfirst(lc));
				pending.changes = foreach_delete_current (pending.changes, lc);
			}
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		foreach (lc, pending.changes)
			if (((Change *) lfirst(lc))->nest_level >= level)
				((Change *) lfirst(lc))->nest_level = level - 1;
	}
}

Tuplestorestate *
copy_store(Tuplestorestate *from, TupleDesc desc)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	Tuplestorestate *copy = begin_store(TopTransactionResourceOwner);

	(void) rewound_pointer(from);
	while (tuplestore_gettupleslot(from, true, false, slot))
		tuplestore_puttupleslot(copy, slot);
	ExecDropSingleTupleTableSlot(slot);
	return copy;
}

/* True if rows of the relation may be among what a statement on an ancestor, or on another parent of a child, changed. */
bool
reaches_by_tree(const Change *change, Oid relid, bool with_descendants)
{
	/* TRUNCATE fires the triggers of each table, and INSERT reaches partitions only. */
	if (change->exact || change->truncated || (!change->old_rows && !get_rel_relispartition(relid)))
		return false;
	return is_descendant(relid, change->relid) ||
		   (with_descendants && share_descendant(relid, change->relid));
}

/* True if the change holds rows of other inheritance parents or children that cannot be told apart from the relation's. */
bool
mixes_relations(const Change *change, Oid relid, bool with_descendants)
{
	if (change->exact)
		return false;
	if (change->relid != relid)
		return !is_descendant(change->relid, relid) && !get_rel_relispartition(relid);
	return !with_descendants && change->old_rows && find_inheritance_children(relid, NoLock) != NIL;
}

/* Keeps of the part's rows those that the partition's constraint lets in. */
void
filter_part(DeltaPart *part, Oid partition)
{
	Relation rel = table_open(partition, AccessShareLock);
	List *quals = RelationGetPartitionQual(rel);

	part->econtext = CreateStandaloneExprContext();
	part->filter = ExecInitQual((List *) expression_planner((Expr *) quals), nullptr);
	table_close(rel, NoLock);
}

void
add_part(Delta *delta, const Change *change, Tuplestorestate *rows, int weight)
{
	if (!rows)
		return;

	DeltaPart *part = (DeltaPart *) palloc0(sizeof(DeltaPart));

	part->rows = rows;
	part->weight = weight;
	part->desc = change->desc;
	if (change->relid != delta->relid)
	{
		part->map = convert_tuples_by_name(change->desc, delta->desc);
		if (is_descendant(delta->relid, change->relid))
			filter_part(part, delta->relid);
	}
	delta->parts = lappend(delta->parts, part);
}

} // namespace

namespace
{

/* The relation and all it is a partition of or inherits from. */
struct Ancestry
{
	Oid relid; /* hash key */
	bool valid;
	bool news;       /* came while it is being read */
	List *ancestors; /* in CacheMemoryContext */
};

HTAB *ancestries = nullptr;

/* A relation that gets or loses a parent is announced by the relation cache, as is the parent. */
void
relation_changed(Datum unused, Oid relid)
{
	HASH_SEQ_STATUS seq;
	Ancestry *entry;

	if (!ancestries)
		return;
	hash_seq_init(&seq, ancestries);
	while ((entry = (Ancestry *) hash_seq_search(&seq)) != nullptr)
	{
		entry->news = true;
		if (!OidIsValid(relid) || list_member_oid(entry->ancestors, relid))
			entry->valid = false;
	}
}

List *
read_ancestors(Oid relid)
{
	List *ancestors = list_make1_oid(relid);
	ListCell *lc;

	/* The list grows while it is read. */
	foreach (lc, ancestors)
	{
		Relation rel = table_open(InheritsRelationId, AccessShareLock);
		ScanKeyData key;
		HeapTuple tup;

		ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(lfirst_oid(lc)));
		SysScanDesc scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, nullptr, 1,
											  &key);
		while (HeapTupleIsValid(tup = systable_getnext(scan)))
			ancestors = list_append_unique_oid(ancestors,
											   ((Form_pg_inherits) GETSTRUCT(tup))->inhparent);
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	return ancestors;
}

List *
known_ancestors(Oid relid)
{
	if (!ancestries)
	{
		HASHCTL ctl = {};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(Ancestry);
		ctl.hcxt = CacheMemoryContext;
		ancestries = hash_create("tailwater ancestors", 64, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}

	bool found;
	Ancestry *entry = (Ancestry *) hash_search(ancestries, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->ancestors = NIL;
	}
	if (!entry->valid)
	{
		entry->news = false;

		List *ancestors = read_ancestors(relid);
		MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);

		list_free(entry->ancestors);
		entry->ancestors = list_copy(ancestors);
		entry->valid = !entry->news;
		MemoryContextSwitchTo(old);
	}
	return entry->ancestors;
}

} // namespace

List *
ancestors_of(Oid relid)
{
	return list_copy(known_ancestors(relid));
}

bool
is_descendant(Oid relid, Oid ancestor)
{
	return relid == ancestor || list_member_oid(known_ancestors(relid), ancestor);
}

bool
share_descendant(Oid a, Oid b)
{
	ListCell *lc;

	if (get_rel_relkind(a) != RELKIND_RELATION || get_rel_relkind(b) != RELKIND_RELATION ||
		find_inheritance_children(a, NoLock) == NIL)
		return false;
	foreach (lc, find_all_inheritors(a, NoLock, nullptr))
		if (is_descendant(lfirst_oid(lc), b))
			return true;
	return false;
}

void
enter_statement()
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	/* Not the current command: a BEFORE trigger of a user may have gone on since the statement began. */
	if (pending.open == NIL)
	{
		CommandId command = ActiveSnapshotSet() ? GetActiveSnapshot()->curcid : InvalidCommandId;

		pending.first = command < pending.applied ? InvalidCommandId : command;
	}
	pending.open = lcons_int(GetCurrentTransactionNestLevel(), pending.open);
	MemoryContextSwitchTo(old);
}

CommandId
first_command()
{
	return pending.first;
}

bool
is_outermost_statement()
{
	return list_length(pending.open) <= 1;
}

void
leave_statement()
{
	pending.open = list_delete_first(pending.open);
}

void
add_change(TriggerData *trigger, RowsLifetime lifetime)
{
	MemoryContext old = MemoryContextSwitchTo(pending_context());
	Change *change = (Change *) palloc0(sizeof(Change));
	bool copy = lifetime == RowsLifetime::kBatch;

	change->relid = RelationGetRelid(trigger->tg_relation);
	change->desc = copy ? CreateTupleDescCopyConstr(RelationGetDescr(trigger->tg_relation))
						: RelationGetDescr(trigger->tg_relation);
	change->nest_level = GetCurrentTransactionNestLevel();
	change->truncated = TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event);
	change->old_rows = trigger->tg_oldtable;
	change->new_rows = trigger->tg_newtable;
	change->copied = copy;
	if (copy && change->old_rows)
		change->old_rows = copy_store(change->old_rows, change->desc);
	if (change->new_rows && TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
		lacks_generated_columns(trigger->tg_relation))
	{
		change->new_rows = with_generated_columns(trigger->tg_relation, change->new_rows);
		change->copied = true;
	}
	else if (copy && change->new_rows)
		change->new_rows = copy_store(change->new_rows, change->desc);
	pending.changes = lappend(pending.changes, change);
	MemoryContextSwitchTo(old);
}

bool
is_outside_statement()
{
	return pending.open == NIL;
}

namespace
{

Tuplestorestate *
store_of(TupleTableSlot *row)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);

	tuplestore_puttupleslot(store, row);
	return store;
}

} // namespace

void
add_row_change(TriggerData *trigger)
{
	MemoryContext old = MemoryContextSwitchTo(pending_context());
	Change *change = (Change *) palloc0(sizeof(Change));
	TriggerEvent event = trigger->tg_event;

	change->relid = RelationGetRelid(trigger->tg_relation);
	change->desc = RelationGetDescr(trigger->tg_relation);
	change->nest_level = GetCurrentTransactionNestLevel();
	change->copied = true;
	if (!TRIGGER_FIRED_BY_INSERT(event))
		change->old_rows = store_of(trigger->tg_trigslot);
	if (!TRIGGER_FIRED_BY_DELETE(event))
		change->new_rows = store_of(TRIGGER_FIRED_BY_UPDATE(event) ? trigger->tg_newslot
																   : trigger->tg_trigslot);
	pending.changes = lappend(pending.changes, change);
	MemoryContextSwitchTo(old);
}

List *
take_changes()
{
	List *changes = pending.changes;

	pending.changes = NIL;
	pending.applied = GetCurrentCommandId(false) + 1;
	return changes;
}

void
note_applied()
{
	/*
	 * The counter moves on only if the batch wrote anything. The next statement may have
	 * the present number as well: nothing that it must not see as old has that one.
	 */
	CommandCounterIncrement();
	pending.applied = GetCurrentCommandId(false);
}

void
end_changes(List *changes)
{
	ListCell *lc;

	foreach (lc, changes)
		end_change((Change *) lfirst(lc));
}

MemoryContext
batch_context()
{
	return pending_context();
}

namespace
{

constexpr int kComparedRows = 100;

/* Whether two values are the same bytes; values that are stored apart count as different. */
bool
same_bytes(Form_pg_attribute att, Datum a, Datum b)
{
	if (att->attlen > 0)
		return att->attbyval ? a == b
							 : memcmp(DatumGetPointer(a), DatumGetPointer(b), att->attlen) == 0;
	if (att->attlen == -2)
		return strcmp(DatumGetCString(a), DatumGetCString(b)) == 0;

	Size size = VARSIZE_ANY(DatumGetPointer(a));
	return size == VARSIZE_ANY(DatumGetPointer(b)) &&
		   memcmp(DatumGetPointer(a), DatumGetPointer(b), size) == 0;
}

Bitmapset *
add_differences(Bitmapset *touched, TupleTableSlot *old_row, TupleTableSlot *new_row)
{
	TupleDesc desc = old_row->tts_tupleDescriptor;

	slot_getallattrs(old_row);
	slot_getallattrs(new_row);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || (old_row->tts_isnull[i] == new_row->tts_isnull[i] &&
								  (old_row->tts_isnull[i] || same_bytes(att, old_row->tts_values[i],
																		new_row->tts_values[i]))))
			continue;
		touched = bms_add_member(touched, i + 1 - FirstLowInvalidHeapAttributeNumber);
	}
	return touched;
}

/*
 * Compares the rows pair by pair. Which old row became which new one does not
 * matter: if a column is the same in all pairs, the same values went and came,
 * and that holds for all such columns together.
 */
void
compare_rows(Change *change)
{
	TupleTableSlot *old_row = MakeSingleTupleTableSlot(change->desc, &TTSOpsMinimalTuple);
	TupleTableSlot *new_row = MakeSingleTupleTableSlot(change->desc, &TTSOpsMinimalTuple);

	(void) rewound_pointer(change->old_rows);
	(void) rewound_pointer(change->new_rows);
	while (tuplestore_gettupleslot(change->old_rows, true, false, old_row) &&
		   tuplestore_gettupleslot(change->new_rows, true, false, new_row))
		change->touched = add_differences(change->touched, old_row, new_row);
	ExecDropSingleTupleTableSlot(old_row);
	ExecDropSingleTupleTableSlot(new_row);
}

} // namespace

bool
touches_columns(Change *change, const Bitmapset *columns)
{
	if (change->truncated || !change->old_rows || !change->new_rows ||
		tuplestore_tuple_count(change->old_rows) > kComparedRows ||
		tuplestore_tuple_count(change->old_rows) != tuplestore_tuple_count(change->new_rows))
		return true;
	if (!change->compared)
	{
		MemoryContext old = MemoryContextSwitchTo(pending_context());

		compare_rows(change);
		change->compared = true;
		MemoryContextSwitchTo(old);
	}
	if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns))
		return !bms_is_empty(change->touched);
	return bms_overlap(change->touched, columns);
}

Delta *
delta_of(Oid relid, List *changes, bool with_descendants)
{
	Delta *delta = nullptr;
	ListCell *lc;

	foreach (lc, changes)
	{
		const Change *change = (const Change *) lfirst(lc);
		bool below = change->relid == relid ||
					 (with_descendants && is_descendant(change->relid, relid));

		if (!below && !reaches_by_tree(change, relid, with_descendants))
			continue;
		if (!with_descendants && get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			continue; /* has no rows of its own */
		if (!delta)
		{
			Relation rel = table_open(relid, AccessShareLock);

			delta = (Delta *) palloc0(sizeof(Delta));
			delta->relid = relid;
			delta->desc = change->relid == relid && change->desc
							  ? change->desc
							  : CreateTupleDescCopyConstr(RelationGetDescr(rel));
			table_close(rel, NoLock);
		}
		delta->reset |= change->truncated;
		delta->many |= change->exact;
		if (mixes_relations(change, relid, with_descendants))
		{
			delta->reset = true;
			continue;
		}
		add_part(delta, change, change->old_rows, -1);
		add_part(delta, change, change->new_rows, +1);
	}
	return delta;
}

void
init()
{
	RegisterXactCallback(forget_transaction, nullptr);
	RegisterSubXactCallback(end_subtransaction, nullptr);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

} // namespace tw::capture
