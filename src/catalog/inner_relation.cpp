/*
 * inner_relation.cpp - see inner_relation.hpp.
 */
#include "catalog/inner_relation.hpp"
#include "catalog/internal_table.hpp"
#include "catalog/live_view.hpp"

namespace tw::catalog
{

namespace
{

constexpr int kColumns = 5;

InnerRelation
from_tuple(HeapTuple tup, TupleDesc desc)
{
	Datum values[kColumns];
	bool nulls[kColumns];
	InnerRelation inner;

	heap_deform_tuple(tup, desc, values, nulls);
	inner.relation = DatumGetObjectId(values[0]);
	inner.view = DatumGetObjectId(values[1]);
	inner.number = DatumGetInt32(values[2]);
	inner.key_index = DatumGetObjectId(values[3]);
	inner.key = NIL;

	int2vector *columns = (int2vector *) DatumGetPointer(values[4]);
	for (int i = 0; i < columns->dim1; i++)
		inner.key = lappend_int(inner.key, columns->values[i]);
	return inner;
}

Datum
key_datum(List *key)
{
	int16 *columns = (int16 *) palloc(sizeof(int16) * Max(list_length(key), 1));
	int n = 0;
	ListCell *lc;

	foreach (lc, key)
		columns[n++] = lfirst_int(lc);
	return PointerGetDatum(buildint2vector(columns, n));
}

int
compare_numbers(const ListCell *a, const ListCell *b)
{
	return ((InnerRelation *) lfirst(a))->number - ((InnerRelation *) lfirst(b))->number;
}

} // namespace

bool
find_inner_relation(Oid relation, InnerRelation *out)
{
	Oid table = OidIsValid(relation) && get_rel_relkind(relation) == RELKIND_RELATION
					? internal_relation("inner_relation")
					: InvalidOid;

	if (!OidIsValid(table) || get_rel_namespace(relation) != get_rel_namespace(table))
		return false;

	Relation rel = table_open(table, AccessShareLock);
	ScanKeyData key;
	bool found = false;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
	SysScanDesc scan = systable_beginscan(rel, internal_relation("inner_relation_pkey"), true,
										  nullptr, 1, &key);
	HeapTuple tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
	{
		*out = from_tuple(tup, RelationGetDescr(rel));
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

Oid
view_of(Oid relation)
{
	InnerRelation inner;

	return find_inner_relation(relation, &inner) ? inner.view : relation;
}

List *
inner_relations(Oid view)
{
	Oid table = internal_relation("inner_relation");
	List *inners = NIL;
	List *relations = NIL;
	ListCell *lc;

	if (!OidIsValid(table))
		return NIL;

	Relation rel = table_open(table, AccessShareLock);
	ScanKeyData key;
	HeapTuple tup;

	ScanKeyInit(&key, 2, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(view));
	SysScanDesc scan = systable_beginscan(rel, internal_relation("inner_relation_view"), true,
										  nullptr, 1, &key);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		InnerRelation *inner = (InnerRelation *) palloc(sizeof(InnerRelation));

		*inner = from_tuple(tup, RelationGetDescr(rel));
		inners = lappend(inners, inner);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(inners, compare_numbers);
	foreach (lc, inners)
		relations = lappend_oid(relations, ((InnerRelation *) lfirst(lc))->relation);
	return relations;
}

bool
is_maintained(Oid relation)
{
	InnerRelation inner;

	return get_rel_relkind(relation) == RELKIND_MATVIEW || find_inner_relation(relation, &inner);
}

Oid
create_inner_relation(Oid view, int number, TupleDesc desc)
{
	Oid relation = create_internal_table(psprintf("inner_%u_%d", view, number), desc);
	Relation rel = table_open(internal_relation("inner_relation"), RowExclusiveLock);
	Datum values[kColumns] = {ObjectIdGetDatum(relation), ObjectIdGetDatum(view),
							  Int32GetDatum(number), ObjectIdGetDatum(InvalidOid), key_datum(NIL)};
	bool nulls[kColumns] = {};
	HeapTuple tup = heap_form_tuple(RelationGetDescr(rel), values, nulls);

	CatalogTupleInsert(rel, tup);
	heap_freetuple(tup);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return relation;
}

namespace
{

/* Replaces the row of the relation, or removes it where there are no values. */
void
change_row(Oid relation, const InnerRelation *now)
{
	Relation rel = table_open(internal_relation("inner_relation"), RowExclusiveLock);
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
	SysScanDesc scan = systable_beginscan(rel, internal_relation("inner_relation_pkey"), true,
										  nullptr, 1, &key);
	HeapTuple tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup) && now)
	{
		Datum values[kColumns] = {ObjectIdGetDatum(relation), ObjectIdGetDatum(now->view),
								  Int32GetDatum(now->number), ObjectIdGetDatum(now->key_index),
								  key_datum(now->key)};
		bool nulls[kColumns] = {};

		CatalogTupleUpdate(rel, &tup->t_self,
						   heap_form_tuple(RelationGetDescr(rel), values, nulls));
	}
	else if (HeapTupleIsValid(tup))
		CatalogTupleDelete(rel, &tup->t_self);
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

} // namespace

void
set_inner_key(Oid relation, Oid key_index, List *key)
{
	InnerRelation inner;

	if (!find_inner_relation(relation, &inner))
		elog(ERROR, "relation %u is not an inner relation", relation);
	inner.key_index = key_index;
	inner.key = key;
	change_row(relation, &inner);
}

void
drop_inner_relation(Oid relation)
{
	change_row(relation, nullptr);
	drop_internal_table(relation);
	CommandCounterIncrement();
}

} // namespace tw::catalog
