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
 * First all attachments are undone in one transaction, which also stores the
 * new identifier; then each listed view that has content is attached in a
 * transaction of its own. Both steps can be interrupted and done again. In the
 * order of OIDs, a view comes after the views it reads.
 */
#include "ddl/revive.hpp"

#include "catalog/view_list.hpp"
#include "ddl/aside.hpp"
#include "ddl/conduct.hpp"

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

/* Attaches one view in a subtransaction; an error is reported, and the view stays as it is. */
void
try_attach(Oid view)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(nullptr);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		LockRelationOid(view, AccessExclusiveLock);
		if (waits_for_attachment(view))
			attach_listed(view);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		ereport(WARNING, errcode(error->sqlerrcode),
				errmsg("materialized view \"%s\" is not kept up to date: %s", get_rel_name(view),
					   error->message),
				errhint("REFRESH MATERIALIZED VIEW tries again."));
		if (get_rel_relkind(view) == RELKIND_MATVIEW)
			catalog::put_error(view, error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
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
		try_attach(lfirst_oid(lc));
		commit();
	}
	MemoryContextDelete(list_context);
}

} // namespace tw::ddl
