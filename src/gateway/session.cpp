/*
 * session.cpp - the gateway's side of the database.
 *
 * Locals in this file are trivially destructible; containers live in the hub
 * or in `work`, which is allocated once. Calls of the hub that may throw go
 * through pg::call_pure().
 */
#include "gateway/session.hpp"
#include "gateway/describe.hpp"
#include "gateway/encode.hpp"
#include "gateway/reader.hpp"
#include "pg/guard.hpp"

namespace tw::gateway
{

/* More versions than this are read in several rounds. */
static constexpr int kVersionsPerRound = 64;
/* A round that fails without a culprit is tried again at once so often. */
static constexpr int kRetries = 3;

static const char *const kVersionsSql =
	"SELECT version, committed_at FROM tailwater_internal.version WHERE version > $1 "
	"ORDER BY version LIMIT 64";
static const char *const kNewestSql =
	"SELECT version, committed_at FROM tailwater_internal.version ORDER BY version DESC LIMIT 1";
static const char *const kAttachmentSql =
	"SELECT epoch, log, key_index, coalesce((SELECT "
	"pg_catalog.pg_visible_in_snapshot(attached_xid, v.snapshot) "
	"FROM tailwater_internal.version v ORDER BY v.version DESC LIMIT 1), false), "
	"(SELECT pg_catalog.format('%s/%s/%s', c.xmin, n.xmin, (SELECT "
	"pg_catalog.string_agg(a.xmin::pg_catalog.text, ',' ORDER BY a.attnum) "
	"FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)) "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.oid = view) "
	"FROM tailwater_internal.attachment WHERE view = $1";
static const char *const kSyncSql = "SELECT tailwater.sync('1s')";
static const char
	*const kEndpointSql = "SELECT view::pg_catalog.oid, filter::pg_catalog.text, columns "
						  "FROM tailwater_internal.endpoint WHERE path = $1";
static const char *const kListSql =
	"SELECT pg_catalog.json_build_object("
	"'views', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object("
	"  'view', pg_catalog.format('%I.%I', n.nspname, c.relname), 'mode', a.mode) "
	"  ORDER BY n.nspname, c.relname)"
	"  FROM tailwater_internal.attachment a JOIN pg_catalog.pg_class c ON c.oid = a.view"
	"  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	"  WHERE a.log <> 0 AND pg_catalog.has_schema_privilege($1, n.oid, 'USAGE')"
	"  AND pg_catalog.has_table_privilege($1, c.oid, 'SELECT')), '[]'),"
	"'endpoints', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object("
	"  'path', e.path, 'view', e.view::pg_catalog.text, 'filter', e.filter) ORDER BY e.path)"
	"  FROM tailwater_internal.endpoint e JOIN pg_catalog.pg_class c ON c.oid = e.view"
	"  WHERE pg_catalog.has_schema_privilege($1, c.relnamespace, 'USAGE')"
	"  AND pg_catalog.has_table_privilege($1, c.oid, 'SELECT')), '[]'))::pg_catalog.text";

struct Plans
{
	SPIPlanPtr versions, newest, attachment, endpoint, list;
};

/* What a round has at hand; outlives an error in it. */
struct Work
{
	std::vector<uint32_t> views;
	std::vector<ReadJob> jobs;
	std::vector<Channel *> channels;
	std::vector<std::string> columns;
	/* who is to blame for an error */
	Oid view = InvalidOid;
	Reader *request = nullptr;
	ReadJob *job = nullptr;
	bool needs_version = false;   /* a view was attached a moment ago: wait for its first version */
	Oid failed_view = InvalidOid; /* to be logged */
	std::string code;             /* of a refusal by the hub */
	int failures = 0;
};

static Hub *hub = nullptr;
static Work *work = nullptr;
static MemoryContext session_context = nullptr;
static Plans plans = {};
static Oid anonymous_role = InvalidOid;
static volatile bool roles_stale = true;
static bool types_stale = false;

using pg::call_pure;

/* ---- invalidation ---- */

static void
on_relation_changed(Datum, Oid relid)
{
	hub->mark_stale(relid);
}

static void
on_role_changed(Datum, int, uint32)
{
	roles_stale = true;
	hub->mark_stale(0);
}

static void
on_type_changed(Datum, int, uint32)
{
	types_stale = true;
}

void
init_session(Hub *the_hub)
{
	hub = the_hub;
	work = new Work();
	session_context = AllocSetContextCreate(TopMemoryContext, "tailwater session",
											ALLOCSET_DEFAULT_SIZES);
	CacheRegisterRelcacheCallback(on_relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, on_role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, on_type_changed, (Datum) 0);
}

bool
anonymous_allowed()
{
	return OidIsValid(anonymous_role);
}

void
settings_changed()
{
	roles_stale = true;
}

static void
find_role()
{
	const char *name = GetConfigOption("tailwater.anon_role", true, false);
	Oid role = InvalidOid;

	if (!roles_stale)
		return;
	roles_stale = false;
	if (name != nullptr && name[0] != '\0')
	{
		role = get_role_oid(name, true);
		if (!OidIsValid(role))
			ereport(WARNING, errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("role \"%s\" of tailwater.anon_role does not exist", name),
					errhint("WebSocket clients without a token are refused until it does."));
	}
	if (role == anonymous_role)
		return;
	bool lost = OidIsValid(anonymous_role) && !OidIsValid(role);
	anonymous_role = role;
	call_pure(
		[&]
		{
			hub->mark_stale(0);
			if (lost)
				hub->close_anonymous();
		});
}

/* ---- plans ---- */

static SPIPlanPtr
plan_for(SPIPlanPtr *plan, const char *sql, int nargs, Oid type)
{
	if (*plan != nullptr)
		return *plan;

	SPIPlanPtr made = SPI_prepare(sql, nargs, &type);
	if (made == nullptr || SPI_keepplan(made) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	*plan = made;
	return made;
}

static uint64
execute(SPIPlanPtr plan, Datum arg)
{
	int result = SPI_execute_plan(plan, &arg, nullptr, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not execute a plan of the gateway: %s", SPI_result_code_string(result));
	return SPI_processed;
}

static Datum
column(int row, int number, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, is_null);
}

/* ---- rows from the feed to the hub ---- */

static bool
take_change(void *, int64 version, int64 diff, const char *values, const uint32 *ends, int columns)
{
	bool more = true;

	call_pure([&] { more = hub->add_change(version, diff, Row(values, ends, columns)); });
	return more;
}

static bool
take_row(void *, int64 version, int64 diff, const char *values, const uint32 *ends, int columns)
{
	bool more = true;

	if (diff > 0 && work->job->from == Reader::kFromSnapshot && version != hub->version())
		ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("a newer version came while a view was read"));
	call_pure([&] { more = hub->add_row(version, diff, Row(values, ends, columns)); });
	return more;
}

static bool *
needed_columns(ViewFeed *view, int columns)
{
	bool *needed = static_cast<bool *>(palloc0(columns + 1));

	call_pure(
		[&]
		{
			std::vector<bool> wanted = view->needed_columns();
			for (int i = 0; i < columns && i < static_cast<int>(wanted.size()); i++)
				needed[i] = wanted[i];
		});
	return needed;
}

/* ---- 1. versions ---- */

/*
 * What the attachment table says about a view, and a fingerprint of its rights
 * as the round's snapshot sees them; null: it is not a live view with a feed.
 */
static ViewDefinition *
look_up_view(Oid view, bool describe)
{
	SPIPlanPtr plan = plan_for(&plans.attachment, kAttachmentSql, 1, OIDOID);
	bool is_null;

	if (execute(plan, ObjectIdGetDatum(view)) == 0)
		return nullptr;
	int64 epoch = DatumGetInt64(column(0, 1, &is_null));
	bool has_version = DatumGetBool(column(0, 4, &is_null));
	Oid log = DatumGetObjectId(column(0, 2, &is_null));
	Datum rights = column(0, 5, &is_null);
	char *fingerprint = is_null ? pstrdup("") : TextDatumGetCString(rights);
	Oid key_index = DatumGetObjectId(column(0, 3, &is_null));
	if (!OidIsValid(log))
		return nullptr;
	if (describe && !has_version)
	{
		work->needs_version = true;
		ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("the view has no version yet"));
	}
	if (describe)
	{
		ViewDefinition *definition = describe_view(view, log, epoch, key_index);
		definition->fingerprint = fingerprint;
		return definition;
	}
	auto *brief = static_cast<ViewDefinition *>(palloc0(sizeof(ViewDefinition)));
	brief->view = view;
	brief->log = log;
	brief->epoch = epoch;
	brief->fingerprint = fingerprint;
	return brief;
}

/* Ends the subscriptions of channels the anonymous role may no longer read. */
static void
check_rights(ViewFeed *view, const ViewDefinition *definition)
{
	AttrNumber *attnums = static_cast<AttrNumber *>(
		palloc(sizeof(AttrNumber) * (definition->columns + 1)));

	call_pure(
		[&]
		{
			work->channels.clear();
			view->for_each_channel(
				[](Channel *channel)
				{
					if (!channel->subscribers.empty())
						work->channels.push_back(channel);
				});
		});
	for (size_t i = 0; i < work->channels.size(); i++)
	{
		Channel *channel = work->channels[i];
		int count = 0;

		for (int c : channel->spec().columns)
			attnums[count++] = definition->attnums[c];
		for (const FilterTerm &term : channel->spec().filter)
			attnums[count < definition->columns ? count++ : count - 1] = definition
																			 ->attnums[term.column];
		if (!OidIsValid(anonymous_role) ||
			right_to_read(anonymous_role, definition->view, attnums, count) != Right::kGranted)
			call_pure([&] { hub->revoke(channel); });
	}
}

/* Compares what the hub knows of a view with the catalogs. The view may be gone afterwards. */
static void
check_view(Oid oid)
{
	ViewFeed *view = hub->find_view(oid);

	if (view == nullptr)
		return;
	bool stale = view->stale;
	ViewDefinition *definition = look_up_view(oid, stale);
	if (definition == nullptr)
	{
		const char *reason = SearchSysCacheExists1(RELOID, ObjectIdGetDatum(oid)) ? "released"
																				  : "dropped";
		forget_view(oid);
		call_pure([&] { hub->end_subscriptions(view, reason); });
		return;
	}
	if (view->info().epoch != definition->epoch || view->info().log != definition->log)
	{
		call_pure([&] { hub->restart_view(view, "epoch"); });
		return;
	}
	if (!stale && view->info().fingerprint == definition->fingerprint)
		return;
	if (!stale)
	{
		/*
		 * A transaction is seen a moment before its invalidation messages are:
		 * rows must not go out under rights that it took away.
		 */
		InvalidateSystemCaches();
		definition = look_up_view(oid, true);
	}
	bool same = false;
	call_pure(
		[&]
		{
			ViewInfo info = to_view_info(definition);
			same = view->info().same_shape(info);
			if (same)
				view->update(std::move(info));
			else
				hub->restart_view(view, "definition");
		});
	if (!same)
		return;
	prepare_view(definition);
	view->stale = false;
	check_rights(view, definition);
}

static void
check_views()
{
	call_pure(
		[&]
		{
			work->views.clear();
			hub->for_each_view([](ViewFeed *view) { work->views.push_back(view->info().oid); });
		});
	hub->clear_stale();
	for (size_t i = 0; i < work->views.size(); i++)
	{
		work->view = work->views[i];
		check_view(work->views[i]);
	}
	work->view = InvalidOid;
}

/* Reads the list of versions the hub does not have. Returns how many there are, at most a round's worth. */
static int
list_versions(double *lag)
{
	SPIPlanPtr plan;
	bool is_null;

	*lag = 0;
	if (hub->version() < 0 || hub->view_count() == 0)
	{
		/* Nobody has seen anything: begin with the newest. */
		plan = plan_for(&plans.newest, kNewestSql, 0, InvalidOid);
		uint64 found = execute(plan, (Datum) 0);
		int64 version = found ? DatumGetInt64(column(0, 1, &is_null)) : 0;
		Datum stamp = found ? column(0, 2, &is_null) : (Datum) 0;
		StringInfoData newest;
		initStringInfo(&newest);
		append_value(&newest, type_encoder(TIMESTAMPTZOID), stamp, found == 0);
		call_pure([&] { hub->start_at(version, std::string(newest.data + 1, newest.len - 2)); });
		return 0;
	}
	plan = plan_for(&plans.versions, kVersionsSql, 1, INT8OID);
	uint64 count = execute(plan, Int64GetDatum(hub->version()));
	TimestampTz committed = 0;
	StringInfoData text;

	initStringInfo(&text);
	for (uint64 i = 0; i < count; i++)
	{
		int64 version = DatumGetInt64(column(i, 1, &is_null));
		Datum stamp = column(i, 2, &is_null);

		resetStringInfo(&text);
		append_value(&text, type_encoder(TIMESTAMPTZOID), stamp, is_null);
		committed = DatumGetTimestampTz(stamp);
		call_pure([&] { hub->add_version(version, std::string(text.data + 1, text.len - 2)); });
	}
	if (count > 0)
		*lag = (GetCurrentTimestamp() - committed) / 1e6;
	return static_cast<int>(count);
}

static void
read_versions()
{
	call_pure(
		[&]
		{
			work->views.clear();
			for (ViewFeed *view : hub->views_in_use())
				work->views.push_back(view->info().oid);
		});
	for (size_t i = 0; i < work->views.size(); i++)
	{
		ViewFeed *view = hub->find_view(work->views[i]);
		const ViewDefinition *definition = prepared_definition(work->views[i]);

		if (view == nullptr || definition == nullptr)
			continue;
		work->view = work->views[i];
		bool *needed = needed_columns(view, definition->columns);
		call_pure([&] { hub->begin_view(view); });
		read_changes(definition->view, hub->version(), hub->newest_listed(), needed, take_change,
					 nullptr);
		call_pure([&] { hub->end_view(); });
	}
	work->view = InvalidOid;
}

/* ---- 2. requests ---- */

[[noreturn]] static void
refuse(int sqlstate, const char *message)
{
	ereport(ERROR, errcode(sqlstate), errmsg_internal("%s", message));
	pg_unreachable();
}

/* Our own SQLSTATEs for refusals; the class says to error_of() what the client is told. */
static const int kNotFoundState = MAKE_SQLSTATE('4', '2', 'P', '0', '1');
static const int kNotLiveState = MAKE_SQLSTATE('4', '2', '8', '0', '9');
static const int kFeedOffState = MAKE_SQLSTATE('5', '5', '0', '0', '0');
static const int kForbiddenState = MAKE_SQLSTATE('4', '2', '5', '0', '1');
static const int kBadColumnState = MAKE_SQLSTATE('4', '2', '7', '0', '3');

/* Finds the endpoint of the wish and merges it in. False: there is none. */
static bool
apply_endpoint(Reader *reader)
{
	SPIPlanPtr plan = plan_for(&plans.endpoint, kEndpointSql, 1, TEXTOID);
	const char *path = reader->wish.endpoint.c_str();
	char *local = pg_any_to_server(path, strlen(path), PG_UTF8);
	bool is_null;

	if (execute(plan, CStringGetTextDatum(local)) == 0)
		return false;
	Oid view = DatumGetObjectId(column(0, 1, &is_null));
	Datum filter = column(0, 2, &is_null);
	const char *filter_text = is_null ? "[]" : TextDatumGetCString(filter);
	filter_text = pg_server_to_any(filter_text, strlen(filter_text), PG_UTF8);
	Datum columns = column(0, 3, &is_null);
	Datum *names = nullptr;
	int count = 0;

	if (!is_null)
		deconstruct_array(DatumGetArrayTypeP(columns), TEXTOID, -1, false, TYPALIGN_INT, &names,
						  nullptr, &count);
	call_pure([&] { work->columns.clear(); });
	for (int i = 0; i < count; i++)
	{
		char *name = TextDatumGetCString(names[i]);

		name = pg_server_to_any(name, strlen(name), PG_UTF8);
		call_pure([&] { work->columns.push_back(name); });
	}
	reader->view_oid = view;
	call_pure(
		[&]
		{
			try
			{
				hub->apply_endpoint(reader, filter_text, work->columns);
			}
			catch (const wire::BadRequest &e)
			{
				work->code = e.code();
				throw;
			}
		});
	return true;
}

/* OID of the view the wish is about. */
static Oid
find_wanted_view(Reader *reader)
{
	if (OidIsValid(reader->view_oid))
		return reader->view_oid;
	if (!reader->wish.endpoint.empty())
	{
		if (apply_endpoint(reader))
			return reader->view_oid;
		if (reader->wish.view.empty())
			refuse(kNotFoundState,
				   psprintf("endpoint \"%s\" does not exist", reader->wish.endpoint.c_str()));
	}
	const char *name = reader->wish.view.c_str();
	Oid view = find_relation(pg_any_to_server(name, strlen(name), PG_UTF8));
	if (!OidIsValid(view))
		refuse(kNotFoundState, psprintf("view \"%s\" does not exist", name));
	/* GET /v1/view/<view>?column=value */
	if (reader->is_http)
		call_pure(
			[&]
			{
				for (wire::Argument &argument : reader->wish.params)
					reader->wish.filter.push_back({argument.name, "eq", argument.value});
				reader->wish.params.clear();
			});
	return view;
}

static int
require_column(const ViewDefinition *definition, const char *name)
{
	for (int i = 0; i < definition->columns; i++)
		if (strcmp(definition->names[i], name) == 0)
			return i;
	refuse(kBadColumnState, psprintf("view %s has no column \"%s\"", definition->name, name));
}

static void
check_request_rights(const ViewDefinition *definition, const int *columns, int count)
{
	AttrNumber *attnums = static_cast<AttrNumber *>(palloc(sizeof(AttrNumber) * (count + 1)));
	Right right;

	for (int i = 0; i < count; i++)
		attnums[i] = definition->attnums[columns[i]];
	right = right_to_read(anonymous_role, definition->view, attnums, count);
	if (right == Right::kNone)
		refuse(kNotFoundState, psprintf("view \"%s\" does not exist", definition->name));
	if (right == Right::kDenied)
		refuse(kForbiddenState, psprintf("permission denied for view %s", definition->name));
}

/* The values of the wish's filter as rows have them. */
static char **
encode_filter(const ViewDefinition *definition, const wire::Subscribe &wish, const int *columns)
{
	int count = static_cast<int>(wish.filter.size());
	char **values = static_cast<char **>(palloc(sizeof(char *) * (count + 1)));

	for (int i = 0; i < count; i++)
	{
		const wire::Value &value = wish.filter[i].value;
		StringInfoData out;

		initStringInfo(&out);
		if (value.is_null)
			appendStringInfoString(&out, "null");
		else
			append_filter_value(&out, definition->type_oids[columns[i]],
								definition->typmods[columns[i]], value.text.c_str(),
								value.json.c_str());
		values[i] = out.data;
	}
	return values;
}

static void
prepare_request(Reader *reader)
{
	AcceptInvalidationMessages();
	Oid view = find_wanted_view(reader);
	ViewDefinition *definition;
	const wire::Subscribe &wish = reader->wish;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(view)))
		refuse(kNotFoundState, "the view does not exist any more");
	if (!pg::may_use_schema(get_rel_namespace(view), anonymous_role))
		refuse(kNotFoundState, psprintf("view \"%s\" does not exist", wish.view.c_str()));
	definition = look_up_view(view, true);
	if (definition == nullptr && right_to_read(anonymous_role, view, nullptr, 0) != Right::kGranted)
		refuse(kForbiddenState, psprintf("permission denied for \"%s\"", get_rel_name(view)));
	if (definition == nullptr)
	{
		SPIPlanPtr plan = plan_for(&plans.attachment, kAttachmentSql, 1, OIDOID);
		bool live = execute(plan, ObjectIdGetDatum(view)) > 0;

		refuse(live ? kFeedOffState : kNotLiveState,
			   psprintf(live ? "the feed of \"%s\" is switched off" : "\"%s\" is not a live view",
						get_rel_name(view)));
	}

	int columns = static_cast<int>(wish.columns.size());
	int filters = static_cast<int>(wish.filter.size());
	int *used = static_cast<int *>(palloc(
		sizeof(int) * (columns + filters + definition->columns + definition->key_columns + 1)));
	int count = 0;
	for (int i = 0; i < columns; i++)
		used[count++] = require_column(definition, wish.columns[i].c_str());
	if (columns == 0)
		while (count < definition->columns)
		{
			used[count] = count;
			count++;
		}
	columns = count;
	int *filter_columns = used + count;
	for (int i = 0; i < filters; i++)
		used[count++] = require_column(definition, wish.filter[i].column.c_str());
	for (int i = 0; i < definition->key_columns; i++)
		used[count++] = definition->key[i];
	check_request_rights(definition, used, count);
	char **values = encode_filter(definition, wish, filter_columns);

	prepare_view(definition);
	call_pure(
		[&]
		{
			std::vector<FilterTerm> terms;
			for (int i = 0; i < filters; i++)
				terms.push_back({filter_columns[i], values[i]});
			hub->prepare(reader, to_view_info(definition), std::vector<int>(used, used + columns),
						 std::move(terms));
		});
}

static void
list_views(HttpRead *read)
{
	SPIPlanPtr plan = plan_for(&plans.list, kListSql, 1, OIDOID);
	bool is_null;

	execute(plan, ObjectIdGetDatum(anonymous_role));
	char *list = TextDatumGetCString(column(0, 1, &is_null));
	list = pg_server_to_any(list, strlen(list), PG_UTF8);
	call_pure([&] { hub->answer(read, std::string(list) + "\n"); });
}

static void
serve_requests()
{
	while (Reader *reader = hub->next_request())
	{
		work->request = reader;
		if (!OidIsValid(anonymous_role))
			refuse(kForbiddenState, "anonymous access is switched off");
		if (reader->is_http && static_cast<HttpRead *>(reader)->list_views)
			list_views(static_cast<HttpRead *>(reader));
		else
			prepare_request(reader);
		work->request = nullptr;
	}
}

/* ---- 3. first reads and catch-ups ---- */

static void
serve_reads()
{
	for (;;)
	{
		call_pure([&] { work->jobs = hub->plan_reads(); });
		if (work->jobs.empty())
			break;
		for (size_t i = 0; i < work->jobs.size(); i++)
		{
			ReadJob *job = &work->jobs[i];
			Oid view = job->view->info().oid;
			const ViewDefinition *definition = prepared_definition(view);

			work->view = view;
			work->job = job;
			if (definition == nullptr)
				elog(ERROR, "view %u is not prepared", view);
			bool *needed = needed_columns(job->view, definition->columns);
			call_pure([&] { hub->begin_read(job); });
			if (job->from == Reader::kFromSnapshot)
				read_snapshot(view, needed, take_row, nullptr);
			else
				read_changes(view, job->from, hub->version(), needed, take_row, nullptr);
			call_pure([&] { hub->end_read(); });
			work->job = nullptr;
			work->view = InvalidOid;
		}
	}
	call_pure([&] { hub->activate(); });
}

/* ---- a round ---- */

/* True: everything there was is done. False: there are more versions. */
static bool
round_body()
{
	double lag;

	find_role();
	if (types_stale)
		reset_encoders();
	types_stale = false;
	call_pure([&] { hub->begin_versions(); });
	check_views();
	int count = list_versions(&lag);
	if (count > 0)
	{
		read_versions();
		call_pure([&] { hub->publish(lag); });
	}
	if (count >= kVersionsPerRound)
		return false;
	serve_requests();
	serve_reads();
	return hub->next_request() == nullptr;
}

static void
error_of(const ErrorData *error, wire::ErrorInfo *out)
{
	const char *state = unpack_sql_state(error->sqlerrcode);

	out->message = error->message ? error->message : "unknown error";
	out->sqlstate = state;
	if (error->hint != nullptr)
		out->hint = error->hint;
	if (error->sqlerrcode == kNotFoundState || strncmp(state, "42602", 5) == 0 ||
		strncmp(state, "3F000", 5) == 0)
		out->code = "not_found";
	else if (error->sqlerrcode == kNotLiveState)
		out->code = "not_live";
	else if (error->sqlerrcode == kFeedOffState)
		out->code = "feed_off";
	else if (error->sqlerrcode == kForbiddenState)
		out->code = "forbidden";
	else if (error->sqlerrcode == kBadColumnState)
		out->code = "bad_columns";
	else if (strncmp(state, "22", 2) == 0)
		out->code = "bad_filter";
	else
	{
		bool transient = strncmp(state, "40", 2) == 0 || strncmp(state, "53", 2) == 0 ||
						 strncmp(state, "57", 2) == 0 || strncmp(state, "55P03", 5) == 0;
		out->code = transient ? "unavailable" : "internal";
		out->retryable = true;
		out->retry_after_ms = 1000;
	}
}

/* A bad column or value in the filter, not in `columns`, and errors of the hub itself. */
static void
refine_request_error(const Reader *reader, const ErrorData *error, wire::ErrorInfo *info)
{
	if (error->sqlerrcode != kBadColumnState)
		return;
	info->code = "bad_filter";
	for (const std::string &name : reader->wish.columns)
		if (info->message.find("\"" + name + "\"") != std::string::npos)
			info->code = "bad_columns";
}

/*
 * Tells who caused the error. Returns false where nobody did: the round is
 * not worth repeating at once.
 */
static bool
blame(const ErrorData *error)
{
	wire::ErrorInfo info;
	Reader *request = std::exchange(work->request, nullptr);
	ReadJob *job = std::exchange(work->job, nullptr);
	Oid oid = std::exchange(work->view, InvalidOid);

	error_of(error, &info);
	if (work->needs_version && work->failures < kRetries)
		return true;
	if (request != nullptr)
	{
		refine_request_error(request, error, &info);
		if (!work->code.empty())
			info.code = std::exchange(work->code, {});
		hub->fail(request, info);
		return true;
	}
	if (job != nullptr && error->sqlerrcode == MAKE_SQLSTATE('7', '2', '0', '0', '0'))
	{
		hub->read_expired(job, "retention");
		return true;
	}
	ViewFeed *view = hub->find_view(oid);
	if (view == nullptr)
		return false;
	if (error->sqlerrcode == MAKE_SQLSTATE('7', '2', '0', '0', '0'))
		hub->restart_view(view, "retention");
	else if (info.code == "unavailable" && work->failures < kRetries)
		return true;
	else
	{
		work->failed_view = oid;
		info.code = info.code == "unavailable" ? "unavailable" : "internal";
		info.retryable = true;
		info.retry_after_ms = 1000;
		hub->fail_view(view, info);
	}
	return true;
}

/* Has the sequencer cover everything that is committed now. A failure shows at the next round. */
static void
await_version()
{
	work->needs_version = false;
	PG_TRY();
	{
		StartTransactionCommand();
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		SPI_execute(kSyncSql, false, 0);
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
}

enum class Outcome
{
	kDone,
	kAgain,
	kFailed
};

static Outcome
try_round()
{
	volatile Outcome outcome = Outcome::kFailed;
	MemoryContext context = CurrentMemoryContext;

	work->request = nullptr;
	work->job = nullptr;
	work->view = InvalidOid;
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, "serving subscriptions");
		outcome = round_body() ? Outcome::kDone : Outcome::kAgain;
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		work->failures = 0;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(session_context);
		ErrorData *error = CopyErrorData();

		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(session_context);
		work->failures++;
		bool blamed = false;
		call_pure([&blamed, error] { blamed = blame(error); });
		if (blamed)
			outcome = Outcome::kAgain;
		else if (work->failures <= 1 || work->failures % 60 == 0)
			ereport(LOG, errcode(error->sqlerrcode),
					errmsg("gateway could not read the database: %s", error->message));
		if (OidIsValid(work->failed_view))
			ereport(LOG, errcode(error->sqlerrcode),
					errmsg("gateway could not read view %u: %s", work->failed_view,
						   error->message));
		work->failed_view = InvalidOid;
		MemoryContextReset(session_context);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, nullptr);
	return outcome;
}

bool
run_round()
{
	for (;;)
	{
		Outcome outcome = try_round();

		CHECK_FOR_INTERRUPTS();
		if (work->needs_version)
			await_version();
		if (outcome != Outcome::kAgain)
			return outcome == Outcome::kDone;
	}
}

} // namespace tw::gateway
