/*
 * view_list.cpp - reads and writes tailwater_internal.view.
 *
 * Owners of views need no privilege on the extension's tables: rows are written
 * by the catalog routines, which check none, and callers have checked that the
 * view is theirs. Every writer ends with CommandCounterIncrement(), so that
 * the stages called next see the row.
 *
 * A schema of the same name without the extension is somebody else's, whose
 * tables may look different: callers ask extension_present() first.
 */
#include "catalog/view_list.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/label.hpp"

namespace tw::catalog
{

namespace
{

constexpr int kListColumns = 3;
constexpr int kErrorColumns = 3;
/* Attribute numbers of attachment. */
constexpr AttrNumber kAttachmentKeyIndex = 5;
constexpr AttrNumber kAttachmentKeyColumns = 8;
constexpr AttrNumber kAttachmentStrategy = 9;

/*
 * Opens an internal table and starts a scan for rows whose first column is the
 * OID; the extension must be present.
 */
SysScanDesc
begin_scan(Relation rel, const char *index, ScanKeyData *key, Oid oid)
{
	ScanKeyInit(key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	return systable_beginscan(rel, internal_relation(index), true, nullptr, 1, key);
}

Mode
parse_mode(Datum value)
{
	char *name = TextDatumGetCString(value);

	return strcmp(name, "deferred") == 0 ? Mode::kDeferred : Mode::kImmediate;
}

/* Inserts or replaces the row of a view; no value is null. */
void
put_row(const char *table, const char *index, Oid view, Datum *values)
{
	Relation rel = table_open(internal_relation(table), RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan = begin_scan(rel, index, &key, view);
	HeapTuple old = systable_getnext(scan);
	bool *nulls = static_cast<bool *>(palloc0(RelationGetDescr(rel)->natts * sizeof(bool)));
	HeapTuple tup = heap_form_tuple(RelationGetDescr(rel), values, nulls);

	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(rel, &old->t_self, tup);
	else
		CatalogTupleInsert(rel, tup);
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

void
remove_row(const char *table, const char *index, Oid view)
{
	Relation rel = table_open(internal_relation(table), RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan = begin_scan(rel, index, &key, view);
	HeapTuple tup = systable_getnext(scan);

	if (HeapTupleIsValid(tup))
		CatalogTupleDelete(rel, &tup->t_self);
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

} // namespace

List *
first_column(const char *table)
{
	List *oids = NIL;

	if (!extension_present())
		return NIL;

	Relation rel = table_open(internal_relation(table), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool isnull;

		oids = lappend_oid(oids,
						   DatumGetObjectId(heap_getattr(tup, 1, RelationGetDescr(rel), &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return oids;
}

bool
extension_present()
{
	return OidIsValid(get_extension_oid("tailwater", true)) &&
		   OidIsValid(internal_relation("view"));
}

const char *
mode_name(Mode mode)
{
	return mode == Mode::kDeferred ? "deferred" : "immediate";
}

bool
find_listing(Oid view, Listing *out)
{
	if (!extension_present())
		return false;

	Relation rel = table_open(internal_relation("view"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan = begin_scan(rel, "view_pkey", &key, view);
	HeapTuple tup = systable_getnext(scan);
	bool found = HeapTupleIsValid(tup);

	if (found)
	{
		Datum values[kListColumns];
		bool nulls[kListColumns];

		heap_deform_tuple(tup, RelationGetDescr(rel), values, nulls);
		out->mode = parse_mode(values[1]);
		out->feed = DatumGetBool(values[2]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
put_listing(Oid view, Listing wanted)
{
	Datum values[kListColumns] = {ObjectIdGetDatum(view),
								  CStringGetTextDatum(mode_name(wanted.mode)),
								  BoolGetDatum(wanted.feed)};

	put_row("view", "view_pkey", view, values);
	put_label(view, &wanted);
}

void
remove_listing(Oid view)
{
	remove_row("view", "view_pkey", view);
	put_label(view, nullptr);
}

void
put_error(Oid view, const char *message)
{
	Datum values[kErrorColumns] = {ObjectIdGetDatum(view), CStringGetTextDatum(message),
								   TimestampTzGetDatum(GetCurrentTimestamp())};

	put_row("last_error", "last_error_pkey", view, values);
}

void
clear_error(Oid view)
{
	remove_row("last_error", "last_error_pkey", view);
}

List *
listed_views()
{
	return first_column("view");
}

List *
attached_views()
{
	return first_column("attachment");
}

bool
unlogged_survived()
{
	Relation rel = table_open(internal_relation("unlogged"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 0, nullptr);
	bool survived = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return survived;
}

void
store_unlogged()
{
	Relation rel = table_open(internal_relation("unlogged"), RowExclusiveLock);
	Datum value = BoolGetDatum(true);
	bool null = false;

	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), &value, &null));
	table_close(rel, RowExclusiveLock);
}

bool
in_own_cluster()
{
	Relation rel = table_open(internal_relation("cluster"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tup = systable_getnext(scan);
	bool isnull;
	bool own = HeapTupleIsValid(tup) &&
			   DatumGetInt64(heap_getattr(tup, 1, RelationGetDescr(rel), &isnull)) ==
				   static_cast<int64>(GetSystemIdentifier());

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return own;
}

void
store_cluster()
{
	Relation rel = table_open(internal_relation("cluster"), RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple old = systable_getnext(scan);
	Datum value = Int64GetDatum(static_cast<int64>(GetSystemIdentifier()));
	bool isnull = false;
	HeapTuple tup = heap_form_tuple(RelationGetDescr(rel), &value, &isnull);

	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(rel, &old->t_self, tup);
	else
		CatalogTupleInsert(rel, tup);
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

namespace
{

/* True if the first column of the index finds a row of the table. */
bool
has_row(const char *table, const char *index, Oid oid)
{
	/* pg_upgrade creates the tables one after the other. */
	if (!OidIsValid(internal_relation(index)))
		return false;

	Relation rel = table_open(internal_relation(table), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan = begin_scan(rel, index, &key, oid);
	bool found = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

} // namespace

bool
is_base(Oid relation)
{
	if (!extension_present())
		return false;

	return has_row("base", "base_pkey", relation) ||
		   has_row("recording", "recording_pkey", relation);
}

bool
has_build(Oid view)
{
	return extension_present() && has_row("build", "build_pkey", view);
}

bool
any_build()
{
	return OidIsValid(internal_relation("build")) && first_column("build") != NIL;
}

namespace
{

/* Sets columns of the view's attachment, numbered from 1. */
void
change_attachment(Oid view, int ncolumns, const AttrNumber *columns, const Datum *now)
{
	Relation rel = table_open(internal_relation("attachment"), RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan = begin_scan(rel, "attachment_pkey", &key, view);
	HeapTuple old = systable_getnext(scan);

	if (HeapTupleIsValid(old))
	{
		TupleDesc desc = RelationGetDescr(rel);
		Datum *values = static_cast<Datum *>(palloc0(desc->natts * sizeof(Datum)));
		bool *nulls = static_cast<bool *>(palloc0(desc->natts * sizeof(bool)));
		bool *replace = static_cast<bool *>(palloc0(desc->natts * sizeof(bool)));

		for (int i = 0; i < ncolumns; i++)
		{
			values[columns[i] - 1] = now[i];
			replace[columns[i] - 1] = true;
		}
		CatalogTupleUpdate(rel, &old->t_self, heap_modify_tuple(old, desc, values, nulls, replace));
	}
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

/* Changes the key index of an attachment, and its key columns unless they are null. */
void
change_key(Oid view, Oid index, int2vector *key)
{
	const AttrNumber columns[] = {kAttachmentKeyIndex, kAttachmentKeyColumns};
	const Datum now[] = {ObjectIdGetDatum(index), PointerGetDatum(key)};
	InnerRelation inner;

	if (find_inner_relation(view, &inner))
		set_inner_key(view, index, inner.key);
	else
		change_attachment(view, key ? 2 : 1, columns, now);
}

} // namespace

void
set_strategy(Oid view, const char *strategy)
{
	const AttrNumber column = kAttachmentStrategy;
	const Datum now = CStringGetTextDatum(strategy);

	change_attachment(view, 1, &column, &now);
}

void
set_key_index(Oid view, Oid index)
{
	change_key(view, index, nullptr);
}

void
set_key(Oid view, Oid index, List *columns)
{
	int16 *numbers = static_cast<int16 *>(palloc(sizeof(int16) * Max(list_length(columns), 1)));
	int n = 0;
	ListCell *lc;

	foreach (lc, columns)
		numbers[n++] = static_cast<int16>(lfirst_int(lc));
	change_key(view, index, buildint2vector(numbers, n));
}

} // namespace tw::catalog
