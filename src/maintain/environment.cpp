/*
 * environment.cpp - a view is evaluated as its owner, under pinned settings.
 *
 * A row must not depend on who wrote it, so the settings are pinned to values
 * that all sessions share: what ALTER DATABASE SET says, else what the server
 * was started with. A session's own reset value will not do: clients send time
 * zone and date style when they connect. Setting them costs microseconds; views
 * whose expressions are immutable built-in functions only do without.
 *
 * Both may change, and a view must not be half of the one and half of the other:
 * so the values in force are those in tailwater_internal.pinned, and they change
 * in the transaction that computes again the views that could show a difference.
 */
#include "maintain/environment.hpp"

#include "catalog/internal_rows.hpp"
#include "catalog/live_view.hpp"

namespace tw::maintain
{

namespace
{

/* Settings that a stable function may look at, with the value they are pinned to; null: the shared one. */
struct Pinned
{
	const char *name;
	const char *value;
};

const Pinned kPinnedSettings[] = {{"search_path", "pg_catalog, pg_temp"},
								  {"row_security", "on"},
								  {"array_nulls", "on"},
								  {"TimeZone", nullptr},
								  {"DateStyle", nullptr},
								  {"IntervalStyle", nullptr},
								  {"bytea_output", nullptr},
								  {"extra_float_digits", nullptr},
								  {"lc_monetary", nullptr},
								  {"lc_numeric", nullptr},
								  {"lc_time", nullptr},
								  {"xmlbinary", nullptr},
								  {"xmloption", nullptr},
								  {"default_text_search_config", nullptr}};
constexpr int kPinnedCount = lengthof(kPinnedSettings);

/* Values at the start of the server; each process inherits them. */
const char *server_values[kPinnedCount];

/* Values in this session's database, in a context of their own, and the table they are from. */
const char *shared_values[kPinnedCount];
MemoryContext shared_context = nullptr;
Oid shared_table = InvalidOid;
bool shared_values_known = false;
bool watching = false;

void
table_changed(Datum unused, Oid relid)
{
	if (!OidIsValid(relid) || relid == shared_table)
		shared_values_known = false;
}

/* Takes over what the elements "name=value" of an array say. */
void
read_settings(Datum settings, const char **values)
{
	Datum *elements;
	int n;

	deconstruct_array(DatumGetArrayTypeP(settings), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  nullptr, &n);
	for (int i = 0; i < n; i++)
	{
		char *setting = TextDatumGetCString(elements[i]);
		char *separator = strchr(setting, '=');

		for (int j = 0; separator && j < kPinnedCount; j++)
			if (kPinnedSettings[j].value == nullptr &&
				(Size) (separator - setting) == strlen(kPinnedSettings[j].name) &&
				pg_strncasecmp(setting, kPinnedSettings[j].name, separator - setting) == 0)
				values[j] = separator + 1;
	}
}

/* What the database's settings are now, whatever is pinned. */
void
find_current_values(const char **values)
{
	Relation rel = table_open(DbRoleSettingRelationId, AccessShareLock);
	ScanKeyData keys[2];

	memcpy(values, server_values, sizeof(server_values));
	ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(MyDatabaseId));
	ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(InvalidOid));
	SysScanDesc scan = systable_beginscan(rel, DbRoleSettingDatidRolidIndexId, true, nullptr, 2,
										  keys);
	HeapTuple tup = systable_getnext(scan);
	bool isnull = true;
	Datum settings = HeapTupleIsValid(tup) ? heap_getattr(tup, Anum_pg_db_role_setting_setconfig,
														  RelationGetDescr(rel), &isnull)
										   : (Datum) 0;

	if (!isnull)
		read_settings(settings, values);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Takes over the values that are pinned; false if none are. */
bool
read_pinned_values(const char **values)
{
	catalog::InternalRows rows;

	rows.open("pinned", AccessShareLock);
	bool pinned = rows.next() != nullptr;
	if (pinned)
		read_settings(rows.value(1), values);
	rows.close();
	return pinned;
}

void
find_shared_values()
{
	if (!watching)
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	watching = true;
	if (!shared_context)
		shared_context = AllocSetContextCreate(TopMemoryContext, "tailwater pinned settings",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(shared_context);

	MemoryContext old = MemoryContextSwitchTo(shared_context);
	shared_table = catalog::internal_relation("pinned");
	/* News of the table that come from here on make it be read again. */
	shared_values_known = true;
	find_current_values(shared_values);
	(void) read_pinned_values(shared_values);
	MemoryContextSwitchTo(old);
}

Datum
settings_array(const char **values)
{
	Datum elements[kPinnedCount];
	int n = 0;

	for (int i = 0; i < kPinnedCount; i++)
		if (kPinnedSettings[i].value == nullptr)
			elements[n++] = CStringGetTextDatum(
				psprintf("%s=%s", kPinnedSettings[i].name, values[i]));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

} // namespace

void
init_environment()
{
	for (int i = 0; i < kPinnedCount; i++)
		if (kPinnedSettings[i].value == nullptr)
			server_values[i] = MemoryContextStrdup(TopMemoryContext,
												   GetConfigOption(kPinnedSettings[i].name, false,
																   false));
}

bool
is_pinned_setting(const char *name)
{
	for (int i = 0; i < kPinnedCount; i++)
		if (kPinnedSettings[i].value == nullptr &&
			pg_strcasecmp(kPinnedSettings[i].name, name) == 0)
			return true;
	return false;
}

bool
pin_current_settings()
{
	const char *current[kPinnedCount];
	const char *pinned[kPinnedCount];
	bool differ = false;

	find_current_values(current);
	memcpy(pinned, current, sizeof(pinned));
	bool known = read_pinned_values(pinned);
	for (int i = 0; i < kPinnedCount; i++)
		differ = differ ||
				 (kPinnedSettings[i].value == nullptr && strcmp(current[i], pinned[i]) != 0);
	if (known && !differ)
		return false;

	Datum settings = settings_array(current);
	catalog::put_internal("pinned", InvalidOid, &settings);
	CacheInvalidateRelcacheByRelid(catalog::internal_relation("pinned"));
	CommandCounterIncrement();
	return differ;
}

Environment
enter_environment(Oid owner, Settings settings)
{
	Environment environment = {InvalidOid, 0, 0};

	GetUserIdAndSecContext(&environment.user, &environment.security_context);
	SetUserIdAndSecContext(owner, environment.security_context | SECURITY_RESTRICTED_OPERATION);
	if (settings == Settings::kAsTheyAre)
		return environment;

	if (!shared_values_known)
		find_shared_values();
	environment.guc_level = NewGUCNestLevel();
	for (int i = 0; i < kPinnedCount; i++)
	{
		const Pinned &pinned = kPinnedSettings[i];
		const char *value = pinned.value ? pinned.value : shared_values[i];

		(void) set_config_option(pinned.name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	}
	return environment;
}

void
leave_environment(const Environment *environment)
{
	if (environment->guc_level > 0)
		AtEOXact_GUC(false, environment->guc_level);
	SetUserIdAndSecContext(environment->user, environment->security_context);
}

} // namespace tw::maintain
