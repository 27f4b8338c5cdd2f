/*
 * options.cpp - recognizes, checks and removes the options tailwater.*.
 *
 * The server knows no namespace of options but "toast" and refuses others, so
 * ours must be gone before it looks. Lists are rebuilt, never changed in place.
 */
#include "ddl/options.hpp"

namespace tw::ddl
{

namespace
{

constexpr char kNamespace[] = "tailwater";

bool
is_ours(const DefElem *def)
{
	return def->defnamespace != nullptr && strcmp(def->defnamespace, kNamespace) == 0;
}

void
check_once(ParseState *pstate, const DefElem *def, bool *seen)
{
	if (*seen)
		ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("option \"tailwater.%s\" specified more than once", def->defname),
				parser_errposition(pstate, def->location));
	*seen = true;
}

bool
parse_switch(ParseState *pstate, DefElem *def)
{
	bool value = true;

	if (def->arg == nullptr)
		return true;

	const char *text = defGetString(def);
	if (!parse_bool(text, &value))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid value for option \"tailwater.%s\": \"%s\"", def->defname, text),
				errhint("Valid values are \"on\" and \"off\"."),
				parser_errposition(pstate, def->location));
	return value;
}

void
take_option(ParseState *pstate, DefElem *def, Change change, ViewOptions *out)
{
	if (change == Change::kReset && def->arg != nullptr)
		ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("RESET must not include values for parameters"),
				parser_errposition(pstate, def->location));

	if (strcmp(def->defname, "maintain") == 0)
	{
		out->maintain = change;
		if (change == Change::kSet)
			out->mode = parse_mode(pstate, def->arg ? defGetString(def) : "", def->location);
	}
	else
	{
		out->feed = change;
		out->feed_on = change == Change::kSet ? parse_switch(pstate, def) : true;
	}
}

} // namespace

bool
has_options(List *defs)
{
	ListCell *lc;

	foreach (lc, defs)
	{
		if (is_ours(lfirst_node(DefElem, lc)))
			return true;
	}
	return false;
}

void
refuse_options(ParseState *pstate, List *defs, const char *what)
{
	ListCell *lc;

	foreach (lc, defs)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (is_ours(def))
			ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("option \"tailwater.%s\" is not valid for %s", def->defname, what),
					errhint("Only materialized views can be kept up to date."),
					parser_errposition(pstate, def->location));
	}
}

List *
extract_options(ParseState *pstate, List *defs, Change change, ViewOptions *out)
{
	List *rest = NIL;
	bool maintain_seen = false;
	bool feed_seen = false;
	ListCell *lc;

	foreach (lc, defs)
	{
		DefElem *def = lfirst_node(DefElem, lc);

		if (!is_ours(def))
		{
			rest = lappend(rest, def);
			continue;
		}
		require_extension();
		if (strcmp(def->defname, "maintain") == 0)
			check_once(pstate, def, &maintain_seen);
		else if (strcmp(def->defname, "feed") == 0)
			check_once(pstate, def, &feed_seen);
		else
			ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unrecognized option \"tailwater.%s\"", def->defname),
					errhint("Valid options are \"tailwater.maintain\" and \"tailwater.feed\"."),
					parser_errposition(pstate, def->location));
		take_option(pstate, def, change, out);
	}
	return rest;
}

catalog::Mode
parse_mode(ParseState *pstate, const char *name, int location)
{
	if (pg_strcasecmp(name, "immediate") == 0)
		return catalog::Mode::kImmediate;
	if (pg_strcasecmp(name, "deferred") == 0)
		return catalog::Mode::kDeferred;
	ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("invalid value for option \"tailwater.maintain\": \"%s\"", name),
			errhint("Valid values are \"immediate\" and \"deferred\"."),
			pstate ? parser_errposition(pstate, location) : 0);
}

void
require_extension()
{
	if (!catalog::extension_present())
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("extension \"tailwater\" is not created in this database"),
				errhint("Run CREATE EXTENSION tailwater."));
}

} // namespace tw::ddl
