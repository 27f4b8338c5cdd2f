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

constexpr int kColumns = 6;

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
	inner.key = numbers_of(values[4]);
	inner.places = numbers_of(values[5]);
	return inner;
}

/* Inserts or replaces the row of the relation. */
void
store(InnerRelation now)
{
	Datum values[kColumns] = {ObjectIdGetDatum(now.relation),
							  ObjectIdGetDatum(now.view),
							  Int32GetDatum(now.number),
							  ObjectIdGetDatum(now.key_index),
							  vector_of(now.key),
							  vector_of(now.places)};

	put_internal("inner_relation", now.relation, values);
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

	InternalRows rows;

	rows.find("inner_relation", 1, relation, AccessShareLock);
	bool found = rows.next() != nullptr;
	if (found)
		*out = from_tuple(rows.row, rows.desc());
	rows.close();
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
	InternalRows rows;
	List *inners = NIL;
	List *relations = NIL;
	ListCell *lc;

	rows.find("inner_relation", 2, view, AccessShareLock);
	while (rows.next())
	{
		InnerRelation *inner = (InnerRelation *) palloc(sizeof(InnerRelation));

		*inner = from_tuple(rows.row, rows.desc());
		inners = lappend(inners, inner);
	}
	rows.close();
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
	store({relation, view, number, InvalidOid, NIL, NIL});
	return relation;
}

List *
cut_places(Oid view)
{
	List *inners = inner_relations(view);
	InnerRelation inner;

	return inners != NIL && find_inner_relation(linitial_oid(inners), &inner) ? inner.places : NIL;
}

void
set_cut_places(Oid view, List *places)
{
	ListCell *lc;

	foreach (lc, inner_relations(view))
	{
		InnerRelation inner;

		if (!find_inner_relation(lfirst_oid(lc), &inner))
			continue;
		inner.places = places;
		store(inner);
	}
}

void
set_inner_key(Oid relation, Oid key_index, List *key)
{
	InnerRelation inner;

	if (!find_inner_relation(relation, &inner))
		elog(ERROR, "relation %u is not an inner relation", relation);
	inner.key_index = key_index;
	inner.key = key;
	store(inner);
}

void
drop_inner_relation(Oid relation)
{
	delete_internal("inner_relation", 1, relation);
	CommandCounterIncrement();
	drop_internal_table(relation);
	CommandCounterIncrement();
}

} // namespace tw::catalog
