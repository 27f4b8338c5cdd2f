/*
 * view_list.cpp - reads and writes tailwater_internal.view.
 *
 * Callers have checked that the view is theirs. Every writer ends with
 * CommandCounterIncrement(), so that the stages called next see the row.
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

Mode
parse_mode(Datum value)
{
	char *name = TextDatumGetCString(value);

	return strcmp(name, "deferred") == 0 ? Mode::kDeferred : Mode::kImmediate;
}

} // namespace

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

	InternalRows rows;

	rows.find("view", 1, view, AccessShareLock);
	bool found = rows.next() != nullptr;
	if (found)
		*out = {parse_mode(rows.value(2)), DatumGetBool(rows.value(3))};
	rows.close();
	return found;
}

void
put_listing(Oid view, Listing wanted)
{
	Datum values[kListColumns] = {ObjectIdGetDatum(view),
								  CStringGetTextDatum(mode_name(wanted.mode)),
								  BoolGetDatum(wanted.feed)};

	put_internal("view", view, values);
	put_label(view, &wanted);
}

void
remove_listing(Oid view)
{
	delete_internal("view", 1, view);
	CommandCounterIncrement();
	put_label(view, nullptr);
}

void
put_error(Oid view, const char *message)
{
	Datum values[kErrorColumns] = {ObjectIdGetDatum(view), CStringGetTextDatum(message),
								   TimestampTzGetDatum(GetCurrentTimestamp())};

	put_internal("last_error", view, values);
}

Oid
oldest_error(char **message)
{
	InternalRows rows;
	Oid view = InvalidOid;
	TimestampTz oldest = DT_NOEND;

	rows.open("last_error", AccessShareLock);
	while (rows.next())
	{
		TimestampTz at = DatumGetTimestampTz(rows.value(3));

		if (OidIsValid(view) && at >= oldest)
			continue;
		view = rows.oid(1);
		oldest = at;
		*message = TextDatumGetCString(rows.value(2));
	}
	rows.close();
	return view;
}

void
clear_error(Oid view)
{
	delete_internal("last_error", 1, view);
	CommandCounterIncrement();
}

List *
listed_views()
{
	return extension_present() ? read_internal("view", 1, InvalidOid, 1) : NIL;
}

List *
attached_views()
{
	return extension_present() ? read_internal("attachment", 1, InvalidOid, 1) : NIL;
}

bool
unlogged_survived()
{
	InternalRows rows;

	rows.open("unlogged", AccessShareLock);
	bool survived = rows.next() != nullptr;
	rows.close();
	return survived;
}

void
store_unlogged()
{
	Datum survived = BoolGetDatum(true);

	put_internal("unlogged", InvalidOid, &survived);
}

bool
in_own_cluster()
{
	InternalRows rows;

	rows.open("cluster", AccessShareLock);
	bool own = rows.next() &&
			   DatumGetInt64(rows.value(1)) == static_cast<int64>(GetSystemIdentifier());
	rows.close();
	return own;
}

void
store_cluster()
{
	Datum identifier = Int64GetDatum(static_cast<int64>(GetSystemIdentifier()));

	put_internal("cluster", InvalidOid, &identifier);
}

bool
is_base(Oid relation)
{
	return extension_present() &&
		   (has_internal("base", 1, relation) || has_internal("recording", 1, relation));
}

bool
has_build(Oid view)
{
	return extension_present() && has_internal("build", 1, view);
}

bool
any_build()
{
	return extension_present() && read_internal("build", 1, InvalidOid, 1) != NIL;
}

namespace
{

/* Sets columns of the view's attachment, numbered from 1. */
void
change_attachment(Oid view, int ncolumns, const AttrNumber *columns, const Datum *now)
{
	InternalRows rows;

	rows.find("attachment", 1, view, RowExclusiveLock);
	if (rows.next())
	{
		int natts = rows.desc()->natts;
		Datum *values = static_cast<Datum *>(palloc0(natts * sizeof(Datum)));
		bool *nulls = static_cast<bool *>(palloc0(natts * sizeof(bool)));
		bool *replace = static_cast<bool *>(palloc0(natts * sizeof(bool)));

		for (int i = 0; i < ncolumns; i++)
		{
			values[columns[i] - 1] = now[i];
			replace[columns[i] - 1] = true;
		}
		CatalogTupleUpdate(rows.table, &rows.row->t_self,
						   heap_modify_tuple(rows.row, rows.desc(), values, nulls, replace));
	}
	rows.close();
	CommandCounterIncrement();
}

/* Changes the key index of an attachment, and its key columns unless there is no vector of them. */
void
change_key(Oid view, Oid index, Datum key)
{
	const AttrNumber columns[] = {kAttachmentKeyIndex, kAttachmentKeyColumns};
	const Datum now[] = {ObjectIdGetDatum(index), key};
	InnerRelation inner;

	if (find_inner_relation(view, &inner))
		set_inner_key(view, index, inner.key);
	else
		change_attachment(view, DatumGetPointer(key) ? 2 : 1, columns, now);
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
	change_key(view, index, PointerGetDatum(nullptr));
}

void
set_key(Oid view, Oid index, List *columns)
{
	change_key(view, index, vector_of(columns));
}

List *
key_columns(Oid view)
{
	InnerRelation inner;
	InternalRows rows;
	List *key = NIL;

	if (find_inner_relation(view, &inner))
		return inner.key;
	rows.find("attachment", 1, view, AccessShareLock);
	if (rows.next())
		key = numbers_of(rows.value(kAttachmentKeyColumns));
	rows.close();
	return key;
}

} // namespace tw::catalog
