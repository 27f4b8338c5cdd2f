/*
 * conduct.cpp - see conduct.hpp.
 */
#include "ddl/conduct.hpp"

#include "ddl/aside.hpp"
#include "maintain/maintain.hpp"
#include "maintain/truncate.hpp"
#include "catalog/internal_table.hpp"

namespace tw::ddl
{

namespace
{

int depth = 0;

/* Runs a stage; Fn must not own anything that needs a destructor. */
template <typename Fn>
void
run_stage(Fn &&stage)
{
	bool creating = creating_extension;

	depth++;
	creating_extension = false;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	PG_TRY();
	{
		stage();
	}
	PG_FINALLY();
	{
		depth--;
		creating_extension = creating;
	}
	PG_END_TRY();
	PopActiveSnapshot();
	CommandCounterIncrement();
}

bool
is_attached(Oid view)
{
	catalog::LiveView live;

	return catalog::find_live_view(view, &live);
}

[[noreturn]] void
raise_not_live(Oid view)
{
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("materialized view \"%s\" is not kept up to date", get_rel_name(view)),
			errhint("Set tailwater.maintain to \"immediate\" or \"deferred\"."));
	pg_unreachable();
}

} // namespace

bool
conducting()
{
	return depth > 0;
}

void
begin_conducting()
{
	depth = 1;
}

void
end_conducting()
{
	depth = 0;
}

maintain::Way
way_to_attach(Oid view)
{
	maintain::Way way = maintain::Way::kAtOnce;

	run_stage([&] { way = maintain::way_to_attach(view); });
	return way;
}

void
prepare_truncate(const TruncateStmt *statement)
{
	if (catalog::extension_present())
		run_stage([&] { maintain::prepare_truncate(statement); });
}

void
announce_built(Oid view)
{
	run_stage([&] { maintain::announce_built(view); });
}

bool
is_populated(Oid view)
{
	HeapTuple tup = SearchSysCache1(RELOID, ObjectIdGetDatum(view));

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for relation %u", view);

	bool populated = reinterpret_cast<Form_pg_class>(GETSTRUCT(tup))->relispopulated;
	ReleaseSysCache(tup);
	return populated;
}

int64
attach_listed(Oid view)
{
	int64 rows = 0;

	catalog::Listing wanted;

	if (!catalog::find_listing(view, &wanted))
		elog(ERROR, "materialized view %u is not listed", view);
	run_stage([&] { rows = maintain::attach(view, wanted.mode, wanted.feed); });
	catalog::clear_error(view);
	return rows;
}

void
detach_listed(Oid view)
{
	run_stage([&] { maintain::detach(view); });
}

void
unlist(Oid view)
{
	catalog::remove_listing(view);
	catalog::clear_error(view);
}

bool
release_view(Oid view)
{
	catalog::Listing listing;
	bool listed = catalog::find_listing(view, &listing);
	bool attached = listed && is_attached(view);

	if (attached)
		detach_listed(view);
	if (listed)
	{
		unlist(view);
		catalog::drop_own_indexes(view);
	}
	return listed;
}

void
apply_options(Oid view, const ViewOptions &options)
{
	if (prepare_options(view, options))
		attach_listed(view);
}

bool
prepare_options(Oid view, const ViewOptions &options)
{
	check_not_being_built(view);

	catalog::Listing current = {catalog::Mode::kImmediate, true};
	bool listed = catalog::find_listing(view, &current);

	if (options.maintain == Change::kReset)
	{
		if (options.feed == Change::kSet)
			raise_not_live(view);
		release_view(view);
		return false;
	}
	if (!listed && options.maintain == Change::kNone)
	{
		if (options.feed == Change::kSet)
			raise_not_live(view);
		return false;
	}

	catalog::Listing wanted = current;
	bool attached = listed && is_attached(view);

	if (options.maintain == Change::kSet)
		wanted.mode = options.mode;
	if (options.feed != Change::kNone)
		wanted.feed = options.feed_on;
	if (attached && wanted.mode == current.mode && wanted.feed == current.feed)
		return false;

	if (attached)
		detach_listed(view);
	catalog::put_listing(view, wanted);
	return is_populated(view);
}

int64
refresh_view(Oid view)
{
	int64 changed = 0;

	run_stage([&] { changed = maintain::refresh(view); });
	return changed;
}

void
base_altered(Oid base)
{
	run_stage([&] { maintain::base_altered(base); });
}

void
name_altered(Oid view, Oid object)
{
	run_stage([&] { maintain::name_altered(view, object); });
}

List *
views_with_labels(Oid type, analyze::Labels change)
{
	List *views = NIL;

	if (catalog::extension_present())
		run_stage([&] { views = maintain::views_with_labels(type, change); });
	return views;
}

void
roles_altered()
{
	if (catalog::extension_present())
		run_stage([&] { maintain::roles_altered(); });
}

void
settings_altered()
{
	if (catalog::extension_present())
		run_stage([&] { maintain::settings_altered(); });
}

void
query_altered(Oid view)
{
	run_stage([&] { maintain::query_altered(view); });
}

void
key_index_lost(Oid view)
{
	run_stage([&] { maintain::key_index_lost(view); });
}

void
lock_with_base(Oid base)
{
	if (catalog::extension_present() && catalog::is_base(base))
		run_stage([&] { maintain::lock_with_base(base); });
}

void
lock_with_view(Oid view)
{
	if (catalog::extension_present() && is_attached(view) && pg::owns_relation(view, GetUserId()))
		run_stage([&] { maintain::lock_with_view(view); });
}

void
sweep()
{
	run_stage([&] { maintain::sweep(); });
}

} // namespace tw::ddl
