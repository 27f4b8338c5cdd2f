/*
 * options.hpp - the options tailwater.* in WITH, SET and RESET lists.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/view_list.hpp"

namespace tw::ddl
{

enum class Change
{
	kNone, /* not mentioned */
	kSet,
	kReset
};

/* What a command says about the two options. */
struct ViewOptions
{
	Change maintain = Change::kNone;
	catalog::Mode mode = catalog::Mode::kImmediate;
	Change feed = Change::kNone;
	bool feed_on = true;

	bool any() const { return maintain != Change::kNone || feed != Change::kNone; }
};

/* True if a list of DefElem has one of namespace "tailwater". */
bool has_options(List *defs);

/* Raises 42809 if the list has a tailwater option: `what` cannot be kept up to date. */
void refuse_options(ParseState *pstate, List *defs, const char *what);

/*
 * Moves the tailwater options of a list of DefElem into *out, later ones
 * overriding earlier ones of other lists, and returns the list without them.
 * `change` is kSet or kReset. Raises 22023 for unknown names and values,
 * 42601 for a name given twice, and 55000 where the extension is not created
 * in this database.
 */
List *extract_options(ParseState *pstate, List *defs, Change change, ViewOptions *out);

/* Mode of that name; 22023 if there is none. */
catalog::Mode parse_mode(ParseState *pstate, const char *name, int location);

/* Raises 55000 with a hint unless the extension is created in this database. */
void require_extension();

} // namespace tw::ddl
