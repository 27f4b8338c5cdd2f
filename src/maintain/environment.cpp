/*
 * environment.cpp - a view is evaluated as its owner, under pinned settings.
 *
 * A row must not depend on who wrote it, so the settings are pinned to values
 * that all sessions share: what ALTER DATABASE SET says, else what the server
 * was started with. A session's own reset value will not do: clients send time
 * zone and date style when they connect. Setting them costs microseconds; views
 * whose expressions are immutable built-in functions only do without.
 */
#include "maintain/environment.hpp"

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

/* Values in this session's database, looked up once. */
const char *shared_values[kPinnedCount];
bool shared_values_known = false;

/* Takes over what the elements "name=value" of pg_db_role_setting.setconfig say. */
void
read_settings(ArrayType *settings)
{
	Datum *elements;
	int n;

	deconstruct_array(settings, TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &n);
	for (int i = 0; i < n; i++)
	{
		char *setting = TextDatumGetCString(elements[i]);
		char *separator = strchr(setting, '=');

		for (int j = 0; separator && j < kPinnedCount; j++)
			if (kPinnedSettings[j].value == nullptr &&
				(Size) (separator - setting) == strlen(kPinnedSettings[j].name) &&
				pg_strncasecmp(setting, kPinnedSettings[j].name, separator - setting) == 0)
				shared_values[j] = MemoryContextStrdup(TopMemoryContext, separator + 1);
	}
}

void
find_shared_values()
{
	Relation rel = table_open(DbRoleSettingRelationId, AccessShareLock);
	ScanKeyData keys[2];

	memcpy(shared_values, server_values, sizeof(shared_values));
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
		read_settings(DatumGetArrayTypeP(settings));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	shared_values_known = true;
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
