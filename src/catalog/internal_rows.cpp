/*
 * internal_rows.cpp - see internal_rows.hpp.
 */
#include "catalog/internal_rows.hpp"

namespace tw::catalog
{

Oid
internal_relation(const char *name)
{
	Oid nsp = get_namespace_oid("tailwater_internal", true);

	return OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;
}

/* While pg_upgrade creates the tables one after the other, an index may be missing, too. */
void
InternalRows::begin(const char *name, const char *index, int nkeys, ScanKeyData *key, LOCKMODE lock,
					Snapshot snapshot)
{
	Oid relid = internal_relation(name);
	Oid indexid = index ? internal_relation(index) : InvalidOid;

	lock_ = lock;
	row = nullptr;
	table = nullptr;
	if (!OidIsValid(relid))
		return;
	table = table_open(relid, lock);
	scan_ = systable_beginscan(table, indexid, OidIsValid(indexid), snapshot, nkeys, key);
}

void
InternalRows::open(const char *name, LOCKMODE lock, Snapshot snapshot)
{
	begin(name, nullptr, 0, nullptr, lock, snapshot);
}

void
InternalRows::find(const char *name, AttrNumber column, Oid oid, LOCKMODE lock, Snapshot snapshot)
{
	char index[NAMEDATALEN];
	ScanKeyData key;

	snprintf(index, sizeof(index), "%s_%s", name, column == 1 ? "pkey" : "view");
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	begin(name, index, 1, &key, lock, snapshot);
}

HeapTuple
InternalRows::next()
{
	row = table ? systable_getnext(scan_) : nullptr;
	return row;
}

Datum
InternalRows::value(AttrNumber column) const
{
	bool isnull;

	return heap_getattr(row, column, RelationGetDescr(table), &isnull);
}

Oid
InternalRows::oid(AttrNumber column) const
{
	return DatumGetObjectId(value(column));
}

TupleDesc
InternalRows::desc() const
{
	return RelationGetDescr(table);
}

void
InternalRows::close()
{
	if (!table)
		return;
	systable_endscan(scan_);
	table_close(table, lock_ == AccessShareLock ? AccessShareLock : NoLock);
}

List *
read_internal(const char *table, AttrNumber where, Oid oid, AttrNumber column)
{
	InternalRows rows;
	List *found = NIL;

	if (OidIsValid(oid))
		rows.find(table, where, oid, AccessShareLock);
	else
		rows.open(table, AccessShareLock);
	while (rows.next())
		found = list_append_unique_oid(found, rows.oid(column));
	rows.close();
	return found;
}

bool
has_internal(const char *table, AttrNumber where, Oid oid)
{
	InternalRows rows;

	rows.find(table, where, oid, AccessShareLock);
	bool found = rows.next() != nullptr;
	rows.close();
	return found;
}

namespace
{

HeapTuple
form_row(Relation rel, Datum *values)
{
	TupleDesc desc = RelationGetDescr(rel);
	bool *nulls = (bool *) palloc0(sizeof(bool) * desc->natts);

	return heap_form_tuple(desc, values, nulls);
}

} // namespace

void
insert_internal(const char *table, Datum *values)
{
	Relation rel = table_open(internal_relation(table), RowExclusiveLock);

	CatalogTupleInsert(rel, form_row(rel, values));
	table_close(rel, NoLock);
}

void
delete_internal(const char *table, AttrNumber column, Oid oid)
{
	InternalRows rows;

	rows.find(table, column, oid, RowExclusiveLock);
	while (rows.next())
		CatalogTupleDelete(rows.table, &rows.row->t_self);
	rows.close();
}

void
put_internal(const char *table, Oid oid, Datum *values)
{
	InternalRows rows;

	if (OidIsValid(oid))
		rows.find(table, 1, oid, RowExclusiveLock);
	else
		rows.open(table, RowExclusiveLock);
	if (!rows.table)
		elog(ERROR, "table tailwater_internal.%s is missing", table);

	if (rows.next())
		CatalogTupleUpdate(rows.table, &rows.row->t_self, form_row(rows.table, values));
	else
		CatalogTupleInsert(rows.table, form_row(rows.table, values));
	rows.close();
	CommandCounterIncrement();
}

List *
numbers_of(Datum vector)
{
	int2vector *numbers = (int2vector *) DatumGetPointer(vector);
	List *list = NIL;

	for (int i = 0; i < numbers->dim1; i++)
		list = lappend_int(list, numbers->values[i]);
	return list;
}

Datum
vector_of(List *list)
{
	int16 *numbers = (int16 *) palloc(sizeof(int16) * Max(list_length(list), 1));
	int n = 0;
	ListCell *lc;

	foreach (lc, list)
		numbers[n++] = lfirst_int(lc);
	return PointerGetDatum(buildint2vector(numbers, n));
}

} // namespace tw::catalog
