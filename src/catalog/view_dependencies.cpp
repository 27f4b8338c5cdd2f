/*
 * view_dependencies.cpp - see view_dependencies.hpp.
 *
 * The server records what a query names, but not what a function names whose
 * body is a string. A view that such functions are part of depends on
 * it all the same. These dependencies are of the view itself; those of its query are
 * of its rule, and of itself the server knows but its schema and access method.
 */
#include "catalog/view_dependencies.hpp"

namespace tw::catalog
{

void
set_view_dependencies(Oid view, List *objects)
{
	remove_view_dependencies(view);
	if (objects == NIL)
		return;

	ObjectAddresses *addresses = new_object_addresses();
	ObjectAddress self;
	ListCell *lc;

	foreach (lc, objects)
		add_exact_object_address((const ObjectAddress *) lfirst(lc), addresses);
	ObjectAddressSet(self, RelationRelationId, view);
	record_object_address_dependencies(&self, addresses, DEPENDENCY_NORMAL);
	free_object_addresses(addresses);
	CommandCounterIncrement();
}

void
remove_view_dependencies(Oid view)
{
	Relation rel = table_open(DependRelationId, RowExclusiveLock);
	ScanKeyData keys[3];
	HeapTuple tup;
	bool any = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(view));
	ScanKeyInit(&keys[2], Anum_pg_depend_objsubid, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(0));
	SysScanDesc scan = systable_beginscan(rel, DependDependerIndexId, true, nullptr, 3, keys);

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_depend dep = (Form_pg_depend) GETSTRUCT(tup);

		if (dep->deptype != DEPENDENCY_NORMAL ||
			(dep->refclassid != RelationRelationId && dep->refclassid != ProcedureRelationId))
			continue;
		CatalogTupleDelete(rel, &tup->t_self);
		any = true;
	}
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	if (any)
		CommandCounterIncrement();
}

} // namespace tw::catalog
