/*
 * aftermath.cpp - notes what commands do, and acts when they are over.
 *
 * The hook sees every way in which an object is dropped or altered (cascades,
 * DROP OWNED, functions of other extensions), in the middle of the command,
 * where little may be read and nothing done. So it appends an OID to a list;
 * settle(), called after each utility command, asks the extension's tables
 * whether anything noted concerns a live view. Notes live in the transaction's
 * memory and are forgotten with it. A note of work that was rolled back to a
 * savepoint only costs a look.
 *
 * The exception is the index by which a live view's rows are found. When
 * REINDEX CONCURRENTLY replaces it, the attachment follows in the transaction
 * that drops the old one, since each step of that command commits.
 */
#include "ddl/aftermath.hpp"

#include "analyze/view_plan.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/internal_rows.hpp"
#include "catalog/internal_table.hpp"
#include "catalog/label.hpp"
#include "catalog/view_list.hpp"
#include "ddl/conduct.hpp"
#include "maintain/replica_identity.hpp"

namespace tw::ddl
{

namespace
{

object_access_hook_type previous_hook = nullptr;
NodeTag command = T_Invalid;

/* What was noted; all lists are in TopTransactionContext. */
List *dropped = NIL;        /* OIDs of dropped tables and materialized views */
List *altered = NIL;        /* OIDs of altered relations */
List *lost_key_views = NIL; /* OIDs of attached views whose key index was dropped */
List *redefined = NIL;      /* ObjectAddress *: functions, rules that were replaced or altered */
List *renamed = NIL;        /* ObjectAddress *: objects that have another name or schema */
List *altered_parts = NIL;  /* ObjectAddress *: triggers and policies, whose relation was altered */

List *identities =
	NIL; /* what maintain::replaced_identities() returned, when the extension is dropped */

List *owned = NIL; /* Owned *: altered materialized views, and whose they were */

struct Owned
{
	Oid view;
	Oid owner;
};

void
forget_notes()
{
	dropped = altered = lost_key_views = redefined = renamed = altered_parts = owned = NIL;
	identities = NIL;
}

void
forget_at_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget_notes();
}

void
note_oid(List **list, Oid oid)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	*list = list_append_unique_oid(*list, oid);
	MemoryContextSwitchTo(old);
}

void
note_object(List **list, Oid class_id, Oid object_id)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	ObjectAddress *object = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));

	ObjectAddressSet(*object, class_id, object_id);
	*list = lappend(*list, object);
	MemoryContextSwitchTo(old);
}

/* Relation of a trigger or policy; InvalidOid if that is gone. */
Oid
relation_of_part(Oid class_id, Oid object_id)
{
	bool trigger = class_id == TriggerRelationId;
	Relation rel = table_open(class_id, AccessShareLock);
	ScanKeyData key;
	Oid relation = InvalidOid;

	ScanKeyInit(&key, trigger ? Anum_pg_trigger_oid : Anum_pg_policy_oid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object_id));
	SysScanDesc scan = systable_beginscan(rel, trigger ? TriggerOidIndexId : PolicyOidIndexId, true,
										  nullptr, 1, &key);
	HeapTuple tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
		relation = trigger ? reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tup))->tgrelid
						   : reinterpret_cast<Form_pg_policy>(GETSTRUCT(tup))->polrelid;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relation;
}

/* Notes the parents of a partition or inheritance child that is being dropped. */
void
note_parents(Oid child)
{
	Relation rel = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	HeapTuple tup;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(child));
	SysScanDesc scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
		note_oid(&altered, reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tup))->inhparent);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Our own tables go with the extension: what one of them says is still to be done. */
void
watch_own_table(Oid table)
{
	if (strcmp(get_rel_name(table), "replica_identity") != 0 ||
		table != catalog::internal_relation("replica_identity"))
		return;

	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	identities = maintain::replaced_identities();
	MemoryContextSwitchTo(old);
}

/* An index is about to go: if a live view needs it, find the one that replaces it. */
void
watch_key_index(Oid index, int drop_flags)
{
	Oid view = IndexGetRelation(index, true);
	catalog::LiveView live;

	if (!OidIsValid(view) || !catalog::extension_present() || !catalog::is_maintained(view) ||
		!catalog::find_live_view(view, &live) || live.key_index != index)
		return;

	/* Only REINDEX CONCURRENTLY has swapped another index in; else the user wants this one gone. */
	if ((drop_flags & PERFORM_DELETION_CONCURRENT_LOCK) != 0)
	{
		Relation heap = table_open(view, AccessShareLock);
		Oid other = catalog::index_like(heap, index);

		table_close(heap, AccessShareLock);
		if (OidIsValid(other))
		{
			catalog::set_key_index(view, other);
			return;
		}
	}
	/* This form commits before the command is over. */
	if ((drop_flags & PERFORM_DELETION_CONCURRENTLY) != 0)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot concurrently drop the index by which rows of materialized view "
					   "\"%s\" are found",
					   get_rel_name(view)),
				errdetail("The view is kept up to date by tailwater."),
				errhint("Use DROP INDEX without CONCURRENTLY; another index takes its place."));
	note_oid(&lost_key_views, catalog::view_of(view));
}

/* Rows of views may be told apart by what a unique index of a base table promises. */
void
watch_unique_index(Oid index)
{
	HeapTuple tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));

	if (!HeapTupleIsValid(tup))
		return;

	Form_pg_index form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tup));
	if (form->indisunique && command != T_ReindexStmt &&
		get_rel_relkind(form->indrelid) != RELKIND_MATVIEW)
		note_oid(&altered, form->indrelid);
	ReleaseSysCache(tup);
}

void
watch_drop(Oid class_id, Oid object_id, int sub_id, int drop_flags)
{
	if (class_id == TriggerRelationId || class_id == PolicyRelationId)
	{
		Oid relation = relation_of_part(class_id, object_id);

		if (OidIsValid(relation))
			note_oid(&altered, relation);
		return;
	}
	if (class_id == ExtensionRelationId && object_id == get_extension_oid("tailwater", true))
		catalog::remove_labels();
	if (class_id != RelationRelationId)
		return;
	if (sub_id != 0)
	{
		note_oid(&altered, object_id);
		return;
	}
	switch (get_rel_relkind(object_id))
	{
		case RELKIND_RELATION:
			watch_own_table(object_id);
			[[fallthrough]];
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
			note_oid(&dropped, object_id);
			note_parents(object_id);
			break;
		case RELKIND_MATVIEW:
			note_oid(&dropped, object_id);
			break;
		case RELKIND_INDEX:
			watch_key_index(object_id, drop_flags);
			watch_unique_index(object_id);
			break;
		default:
			break;
	}
}

/* Commands that leave a relation's rows and definition as they were. */
bool
reorganizes_only()
{
	return command == T_ClusterStmt || command == T_VacuumStmt || command == T_ReindexStmt ||
		   command == T_RefreshMatViewStmt || command == T_IndexStmt;
}

/* Commands that leave a function's meaning as it was. */
bool
renames_only()
{
	return command == T_RenameStmt || command == T_AlterObjectSchemaStmt ||
		   command == T_AlterObjectDependsStmt;
}

Oid
owner_of(Oid relation)
{
	HeapTuple tup = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tup))
	{
		owner = ((Form_pg_class) GETSTRUCT(tup))->relowner;
		ReleaseSysCache(tup);
	}
	return owner;
}

/* What the command did to the catalogs cannot be seen yet. */
void
note_owner(Oid view)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Owned *note = (Owned *) palloc(sizeof(Owned));

	note->view = view;
	note->owner = owner_of(view);
	owned = lappend(owned, note);
	MemoryContextSwitchTo(old);
}

void
watch_alter(Oid class_id, Oid object_id, const ObjectAccessPostAlter *arg)
{
	if (renames_only())
		note_object(&renamed, class_id, object_id);
	switch (class_id)
	{
		case RelationRelationId:
			if (reorganizes_only())
				break;
			note_oid(&altered, object_id);
			if (get_rel_relkind(object_id) == RELKIND_MATVIEW)
				note_owner(object_id);
			break;
		case InheritsRelationId:
			note_oid(&altered, object_id);
			if (OidIsValid(arg->auxiliary_id))
				note_oid(&altered, arg->auxiliary_id);
			break;
		case TriggerRelationId:
		case PolicyRelationId:
			note_object(&altered_parts, class_id, object_id);
			break;
		case ProcedureRelationId:
		case TSConfigRelationId:
		case TSDictionaryRelationId:
			if (!renames_only())
				note_object(&redefined, class_id, object_id);
			break;
		default:
			break;
	}
}

/* CREATE OR REPLACE tells of the replaced object as if it were new. */
void
watch_create(Oid class_id, Oid object_id, int sub_id)
{
	switch (class_id)
	{
		case RelationRelationId:
			if (sub_id != 0)
				note_oid(&altered, object_id);
			break;
		case PolicyRelationId:
			note_object(&altered_parts, class_id, object_id);
			break;
		case ProcedureRelationId:
		case RewriteRelationId:
			note_object(&redefined, class_id, object_id);
			break;
		default:
			break;
	}
}

void
watch(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (previous_hook)
		previous_hook(access, class_id, object_id, sub_id, arg);
	if (conducting() || !IsTransactionState() || IsBootstrapProcessingMode())
		return;

	switch (access)
	{
		case OAT_DROP:
			watch_drop(class_id, object_id, sub_id,
					   static_cast<ObjectAccessDrop *>(arg)->dropflags);
			break;
		case OAT_POST_ALTER:
			watch_alter(class_id, object_id, static_cast<ObjectAccessPostAlter *>(arg));
			break;
		case OAT_POST_CREATE:
			watch_create(class_id, object_id, sub_id);
			break;
		default:
			break;
	}
}

bool
relation_exists(Oid relation)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation));
}

/* Cleans up after views that are gone. */
void
settle_drops(List *relations)
{
	bool live = false;
	ListCell *lc;

	foreach (lc, relations)
	{
		Oid relation = lfirst_oid(lc);
		catalog::LiveView view;
		catalog::Listing listing;

		if (relation_exists(relation))
			continue;
		if (catalog::find_live_view(relation, &view) || catalog::is_base(relation))
			live = true;
		if (catalog::find_listing(relation, &listing))
			unlist(relation);
	}
	if (live)
		sweep();
}

/* A view that lost its key index but not itself finds its rows by another one from now on. */
void
settle_key_indexes(List *views)
{
	ListCell *lc;

	foreach (lc, views)
	{
		Oid view = lfirst_oid(lc);
		catalog::LiveView live;

		if (relation_exists(view) && catalog::find_live_view(view, &live) &&
			!relation_exists(live.key_index))
			key_index_lost(view);
	}
}

/* The row types of altered relations: views may show rows of these as a whole. */
void
settle_types(List *types)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, types)
		views = list_concat_unique_oid(views, live_dependents(TypeRelationId, lfirst_oid(lc)));
	foreach (lc, views)
		query_altered(lfirst_oid(lc));
}

void
settle_alterations(List *relations, List *parts)
{
	List *types = NIL;
	ListCell *lc;

	foreach (lc, parts)
	{
		ObjectAddress *part = static_cast<ObjectAddress *>(lfirst(lc));
		Oid relation = relation_of_part(part->classId, part->objectId);

		if (OidIsValid(relation))
			relations = list_append_unique_oid(relations, relation);
	}
	foreach (lc, relations)
	{
		Oid relation = lfirst_oid(lc);

		if (relation_exists(relation) && catalog::is_base(relation))
			base_altered(relation);
		if (OidIsValid(get_rel_type_id(relation)))
			types = lappend_oid(types, get_rel_type_id(relation));
	}
	settle_types(types);
}

void
settle_redefinitions(List *objects)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, objects)
	{
		ObjectAddress *object = static_cast<ObjectAddress *>(lfirst(lc));

		views = list_concat_unique_oid(views, live_dependents(object->classId, object->objectId));
	}
	foreach (lc, views)
		query_altered(lfirst_oid(lc));
}

/* Names are shown by views, and looked up by functions that views have taken in. */
void
settle_names(List *objects)
{
	ListCell *lc;

	foreach (lc, objects)
	{
		ObjectAddress *object = static_cast<ObjectAddress *>(lfirst(lc));
		ListCell *lv;

		foreach (lv, live_dependents(object->classId, object->objectId))
			name_altered(lfirst_oid(lv), object->objectId);
		if (object->classId == ProcedureRelationId)
			foreach (lv, live_dependents_by_name(object->objectId))
				query_altered(lfirst_oid(lv));
	}
}

/* A view shows what its owner may see. */
void
settle_owners(List *notes)
{
	ListCell *lc;

	foreach (lc, notes)
	{
		const Owned *note = static_cast<const Owned *>(lfirst(lc));
		catalog::LiveView live;

		if (relation_exists(note->view) && owner_of(note->view) != note->owner &&
			catalog::find_live_view(note->view, &live) && analyze::depends_on_owner(note->view))
			query_altered(note->view);
	}
}

} // namespace

void
init_aftermath()
{
	previous_hook = object_access_hook;
	object_access_hook = watch;
	RegisterXactCallback(forget_at_end, nullptr);
}

NodeTag
enter_command(NodeTag entered)
{
	NodeTag left = command;

	command = entered;
	return left;
}

void
note_altered(Oid relation)
{
	note_oid(&altered, relation);
}

void
settle()
{
	if (dropped == NIL && altered == NIL && lost_key_views == NIL && redefined == NIL &&
		renamed == NIL && altered_parts == NIL)
		return;

	List *todo_dropped = dropped;
	List *todo_altered = altered;
	List *todo_lost = lost_key_views;
	List *todo_redefined = redefined;
	List *todo_renamed = renamed;
	List *todo_parts = altered_parts;
	List *todo_owners = owned;
	List *todo_identities = identities;

	forget_notes();
	CommandCounterIncrement();
	maintain::take_back_identities(todo_identities);
	if (!catalog::extension_present())
		return;
	settle_drops(todo_dropped);
	if (catalog::attached_views() == NIL && !catalog::any_build())
		return;
	settle_key_indexes(todo_lost);
	settle_alterations(todo_altered, todo_parts);
	settle_redefinitions(todo_redefined);
	settle_names(todo_renamed);
	settle_owners(todo_owners);
}

} // namespace tw::ddl
