/*
 * label.cpp - how a view is kept up to date, as a security label of it.
 *
 * tailwater_internal.view says which views are to be kept up to date; its rows
 * are data, which a dump of the schema alone, or of one view, leaves out. So the
 * same is said by a label of the provider "tailwater", which belongs to the view
 * as a comment does: dumps have it as SECURITY LABEL, right after the view. When
 * that is executed the view is listed, and its first REFRESH attaches it.
 */
#include "catalog/label.hpp"
#include "catalog/view_dependencies.hpp"

namespace tw::catalog
{

namespace
{

constexpr const char *kFeedOff = ", feed off";

char *
write_label(const Listing *listing)
{
	return psprintf("%s%s", mode_name(listing->mode), listing->feed ? "" : kFeedOff);
}

bool
parse_label(const char *label, Listing *out)
{
	constexpr Mode kModes[] = {Mode::kImmediate, Mode::kDeferred};
	constexpr bool kFeeds[] = {true, false};

	for (Mode mode : kModes)
		for (bool feed : kFeeds)
		{
			*out = {mode, feed};
			if (strcmp(label, write_label(out)) == 0)
				return true;
		}
	return false;
}

/* Called by the server before it stores a label that a user gave. */
void
check_label(const ObjectAddress *object, const char *label)
{
	if (object->classId != RelationRelationId || object->objectSubId != 0 ||
		get_rel_relkind(object->objectId) != RELKIND_MATVIEW)
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("security labels of provider \"%s\" are for materialized views only",
					   kLabelProvider));
	if (label)
		(void) read_label(label);
}

} // namespace

Listing
read_label(const char *label)
{
	Listing listing;

	if (!parse_label(label, &listing))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid security label \"%s\" for provider \"%s\"", label, kLabelProvider),
				errhint("It is \"immediate\" or \"deferred\", with \"%s\" where there is no feed.",
						kFeedOff));
	return listing;
}

void
put_label(Oid view, const Listing *listing)
{
	ObjectAddress object;

	ObjectAddressSet(object, RelationRelationId, view);

	const char *before = GetSecurityLabel(&object, kLabelProvider);
	const char *after = listing ? write_label(listing) : nullptr;
	if (before == after || (before && after && strcmp(before, after) == 0))
		return;
	SetSecurityLabel(&object, kLabelProvider, after);
	CommandCounterIncrement();
}

void
remove_labels()
{
	Relation rel = table_open(SecLabelRelationId, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, nullptr, 0, nullptr);
	HeapTuple tup;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool isnull;
		Datum provider = heap_getattr(tup, Anum_pg_seclabel_provider, RelationGetDescr(rel),
									  &isnull);

		if (strcmp(TextDatumGetCString(provider), kLabelProvider) != 0)
			continue;
		remove_view_dependencies(((FormData_pg_seclabel *) GETSTRUCT(tup))->objoid);
		CatalogTupleDelete(rel, &tup->t_self);
	}
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
}

void
init_labels()
{
	register_label_provider(kLabelProvider, check_label);
}

} // namespace tw::catalog
