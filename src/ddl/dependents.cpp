/*
 * dependents.cpp - which live views use an object.
 *
 * Walks pg_depend from the object upwards: an ordinary view, function, operator,
 * cast or type that uses it passes the question on, a live view answers it, and
 * everything else (tables, constraints, indexes, plain materialized views) ends
 * the walk, because its content does not change when the object is redefined.
 * The exception are the columns of a composite type: rows stored with them show
 * them as the type is now, and so do all who read the table.
 * What a function does inside a body given as a string is not in pg_depend.
 */
#include "ddl/aftermath.hpp"

#include "catalog/view_list.hpp"

namespace tw::ddl
{

namespace
{

/* What was found so far, in order of discovery. */
struct Walk
{
	List *objects; /* of ObjectAddress * */
	List *views;   /* of OIDs */
};

void
enqueue(Walk *walk, Oid class_id, Oid object_id)
{
	ListCell *lc;

	foreach (lc, walk->objects)
	{
		ObjectAddress *known = static_cast<ObjectAddress *>(lfirst(lc));

		if (known->classId == class_id && known->objectId == object_id)
			return;
	}

	ObjectAddress *object = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));

	ObjectAddressSet(*object, class_id, object_id);
	walk->objects = lappend(walk->objects, object);
}

/* A view that has taken in functions depends on what these name. */
void
visit_view(Walk *walk, Oid relation)
{
	catalog::LiveView live;

	if (get_rel_relkind(relation) == RELKIND_MATVIEW && catalog::find_live_view(relation, &live))
		walk->views = list_append_unique_oid(walk->views, relation);
}

/* The relation a rule belongs to; InvalidOid if the rule is gone. */
Oid
relation_of_rule(Oid rule)
{
	Relation rel = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	Oid relation = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(rule));
	SysScanDesc scan = systable_beginscan(rel, RewriteOidIndexId, true, nullptr, 1, &key);
	HeapTuple tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
		relation = reinterpret_cast<Form_pg_rewrite>(GETSTRUCT(tup))->ev_class;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relation;
}

void
visit_rule(Walk *walk, Oid rule)
{
	Oid relation = relation_of_rule(rule);
	catalog::LiveView live;

	if (!OidIsValid(relation))
		return;
	switch (get_rel_relkind(relation))
	{
		case RELKIND_VIEW:
			enqueue(walk, RelationRelationId, relation);
			break;
		case RELKIND_MATVIEW:
			if (catalog::find_live_view(relation, &live) || catalog::has_build(relation))
				walk->views = list_append_unique_oid(walk->views, relation);
			break;
		default:
			break;
	}
}

/* A relation with a column of the type: of a composite type it is a part, elsewhere it is stored. */
void
visit_column(Walk *walk, Oid relation)
{
	if (get_rel_relkind(relation) == RELKIND_COMPOSITE_TYPE)
		enqueue(walk, TypeRelationId, get_rel_type_id(relation));
	else
		enqueue(walk, RelationRelationId, relation);
}

void
visit_dependent(Walk *walk, const ObjectAddress *object, Form_pg_depend dep)
{
	switch (dep->classid)
	{
		case RewriteRelationId:
			visit_rule(walk, dep->objid);
			break;
		case RelationRelationId:
			if (object->classId == ProcedureRelationId)
				visit_view(walk, dep->objid);
			if (object->classId == TypeRelationId)
				visit_column(walk, dep->objid);
			break;
		case TypeRelationId:
		case ProcedureRelationId:
		case OperatorRelationId:
		case CastRelationId:
		case TSConfigRelationId:
			enqueue(walk, dep->classid, dep->objid);
			break;
		default:
			break;
	}
}

/* only: the class of dependents that matter; InvalidOid: all. */
void
visit_dependents(Walk *walk, const ObjectAddress *object, Oid only)
{
	Relation rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	HeapTuple tup;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->classId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->objectId));
	SysScanDesc scan = systable_beginscan(rel, DependReferenceIndexId, true, nullptr, 2, keys);

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_depend dep = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tup));

		if (!OidIsValid(only) || dep->classid == only)
			visit_dependent(walk, object, dep);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

} // namespace

List *
live_dependents(Oid class_id, Oid object_id)
{
	Walk walk = {};

	if (class_id != RewriteRelationId)
		enqueue(&walk, class_id, object_id);
	else
	{
		Oid relation = relation_of_rule(object_id);

		/* The rule of a materialized view is made once, with it, and never replaced. */
		if (OidIsValid(relation) && get_rel_relkind(relation) == RELKIND_VIEW)
			enqueue(&walk, RelationRelationId, relation);
	}

	/* The list grows while it is walked. */
	for (int i = 0; i < list_length(walk.objects); i++)
		visit_dependents(&walk, static_cast<ObjectAddress *>(list_nth(walk.objects, i)),
						 InvalidOid);
	return walk.views;
}

List *
live_dependents_by_name(Oid function)
{
	Walk walk = {};
	ObjectAddress object;

	ObjectAddressSet(object, ProcedureRelationId, function);
	visit_dependents(&walk, &object, RelationRelationId);
	return walk.views;
}

} // namespace tw::ddl
