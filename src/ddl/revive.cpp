/*
 * revive.cpp - see revive.hpp.
 *
 * pg_upgrade copies the extension's tables as they are, attachments included,
 * but not internal triggers: a view would claim to be live and follow nothing.
 * The new cluster is told from the old one by its system identifier, of which
 * tailwater_internal.cluster keeps the one under which the attachments were
 * made. Copies of a database within the cluster, base backups and standbys
 * have the same identifier, and everything that belongs to a live view.
 *
 * After a crash, builds that were under way are removed, and views over unlogged
 * tables, which are empty then, are computed again.
 *
 * First all attachments are undone in one transaction, which also stores the
 * new identifier; then each listed view that has content is attached in a
 * transaction of its own. Both steps can be interrupted and done again. In the
 * order of OIDs, a view comes after the views it reads.
 */
#include "ddl/revive.hpp"

#include "catalog/view_list.hpp"
#include "ddl/aside.hpp"
#include "ddl/conduct.hpp"
#include "maintain/maintain.hpp"

namespace tw::ddl
{

namespace
{

void
begin()
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
commit()
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Undoes attachments made in another cluster. */
void
detach_foreign()
{
	ListCell *lc;

	begin();
	if (catalog::extension_present() && !catalog::in_own_cluster())
	{
		foreach (lc, catalog::attached_views())
		{
			LockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
			detach_listed(lfirst_oid(lc));
		}
		catalog::store_cluster();
		ereport(LOG,
				errmsg("the database comes from another cluster: its live views are made anew"));
	}
	commit();
}

bool
waits_for_attachment(Oid view)
{
	catalog::Listing listing;
	catalog::LiveView live;

	return get_rel_relkind(view) == RELKIND_MATVIEW && catalog::find_listing(view, &listing) &&
		   !catalog::find_live_view(view, &live) && is_populated(view);
}

void
attach_again(Oid view)
{
	LockRelationOid(view, AccessExclusiveLock);
	if (waits_for_attachment(view))
		attach_listed(view);
}

void
refresh_again(Oid view)
{
	LockRelationOid(view, ExclusiveLock);
	if (get_rel_relkind(view) == RELKIND_MATVIEW)
		(void) refresh_view(view);
}

/* Does something in a subtransaction; returns the error if that failed, else null. */
ErrorData *
try_stage(void (*stage)(Oid view), Oid view)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = nullptr;

	BeginInternalSubTransaction(nullptr);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		stage(view);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Does something to one view; an error is reported, and the view stays as it is. */
void
try_with(Oid view, void (*stage)(Oid view))
{
	ErrorData *error = try_stage(stage, view);

	if (!error)
		return;
	ereport(WARNING, errcode(error->sqlerrcode),
			errmsg("materialized view \"%s\" is not kept up to date: %s", get_rel_name(view),
				   error->message),
			errhint("REFRESH MATERIALIZED VIEW tries again."));
	if (get_rel_relkind(view) == RELKIND_MATVIEW)
		catalog::put_error(view, error->message);
	FreeErrorData(error);
}

/* After a crash unlogged tables are empty: views that read such tables are computed again. */
void
refresh_over_unlogged()
{
	ListCell *lc;

	begin();
	if (catalog::extension_present() && !catalog::unlogged_survived())
	{
		foreach (lc, catalog::attached_views())
			if (maintain::reads_unlogged(lfirst_oid(lc)))
				try_with(lfirst_oid(lc), refresh_again);
		catalog::store_unlogged();
	}
	commit();
}

/*
 * After a restart, or in a copy of a database, settings may be others. Views keep to
 * those that are pinned until all are brought in line, or for good if one cannot be.
 */
void
follow_settings()
{
	begin();
	ErrorData *error = catalog::extension_present()
						   ? try_stage([](Oid none) { settings_altered(); }, InvalidOid)
						   : nullptr;
	if (error)
		ereport(WARNING, errcode(error->sqlerrcode),
				errmsg("live views are kept up to date under the settings of before: %s",
					   error->message),
				errhint("ALTER DATABASE ... SET tries again."));
	commit();
}

} // namespace

void
revive_views()
{
	/* Survives the transactions in between. */
	MemoryContext list_context = AllocSetContextCreate(TopMemoryContext, "tailwater listed views",
													   ALLOCSET_SMALL_SIZES);
	List *views = NIL;
	ListCell *lc;

	detach_foreign();
	clean_up_builds();
	follow_settings();
	refresh_over_unlogged();

	begin();
	foreach (lc, catalog::listed_views())
	{
		if (!waits_for_attachment(lfirst_oid(lc)))
			continue;

		MemoryContext old = MemoryContextSwitchTo(list_context);
		views = lappend_oid(views, lfirst_oid(lc));
		MemoryContextSwitchTo(old);
	}
	commit();

	list_sort(views, list_oid_cmp);
	foreach (lc, views)
	{
		begin();
		try_with(lfirst_oid(lc), attach_again);
		commit();
	}
	MemoryContextDelete(list_context);
}

} // namespace tw::ddl
