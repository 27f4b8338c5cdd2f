/*
 * environment.hpp - a view is evaluated as its owner, under pinned settings.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::maintain
{

enum class Settings
{
	kAsTheyAre, /* nothing that is evaluated looks at settings */
	kPinned
};

struct Environment
{
	Oid user;
	int security_context;
	int guc_level; /* 0: settings untouched */
};

/* Remembers the settings of the server as it starts. */
void init_environment();

/* True for the settings whose values are the database's. */
bool is_pinned_setting(const char *name);

/*
 * Pins the settings that the database has now, if others are; true if they were
 * others, so that views which look at settings must be computed again.
 */
bool pin_current_settings();

/*
 * Until leave_environment(), or the end of the (sub)transaction by an error,
 * this session is the owner in a security-restricted operation, with pinned
 * search_path, TimeZone, DateStyle, IntervalStyle, bytea_output and
 * extra_float_digits.
 */
Environment enter_environment(Oid owner, Settings settings);
void leave_environment(const Environment *environment);

} // namespace tw::maintain
