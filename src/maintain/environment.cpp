/*
 * environment.cpp - a view is evaluated as its owner, under pinned settings.
 *
 * The settings are pinned to the values of the configuration, which all
 * sessions share, so that a row does not depend on who wrote it. Setting them
 * costs microseconds; views whose expressions are immutable built-in functions
 * only do without.
 */
#include "maintain/environment.hpp"

namespace tw::maintain
{

namespace
{

/* Settings that a stable function may look at, with the value they are pinned to; null: the configured one. */
struct Pinned
{
	const char *name;
	const char *value;
};

const Pinned kPinnedSettings[] = {{"search_path", "pg_catalog, pg_temp"},
								  {"TimeZone", nullptr},
								  {"DateStyle", nullptr},
								  {"IntervalStyle", nullptr},
								  {"bytea_output", nullptr},
								  {"extra_float_digits", nullptr},
								  {"default_text_search_config", nullptr}};

} // namespace

Environment
enter_environment(Oid owner, Settings settings)
{
	Environment environment = {InvalidOid, 0, 0};

	GetUserIdAndSecContext(&environment.user, &environment.security_context);
	SetUserIdAndSecContext(owner,
						   environment.security_context | SECURITY_RESTRICTED_OPERATION);
	if (settings == Settings::kAsTheyAre)
		return environment;

	environment.guc_level = NewGUCNestLevel();
	for (const Pinned &pinned : kPinnedSettings)
	{
		const char *value =
			pinned.value ? pinned.value : GetConfigOptionResetString(pinned.name);

		(void)set_config_option(pinned.name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
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
