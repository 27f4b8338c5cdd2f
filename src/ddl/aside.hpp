/*
 * aside.hpp - has a view attached without keeping writers from its base tables.
 */
#pragma once

#include "pg/postgres.hpp"
#include "maintain/progress.hpp"

namespace tw::ddl
{

enum class Caller
{
	kUtility, /* its transaction may be committed, and another one begun */
	kFunction /* has changed nothing, and holds no lock on the view */
};

/*
 * Has a background worker attach the view, and waits. For a utility command,
 * which has listed it, it is done here where it takes only a moment, or where no
 * worker is to be had; for a function -1 is returned then. Else returns the
 * number of rows of a view that had no content.
 */
int64 attach_aside(const maintain::Build &wanted, Caller caller);

/* Commits what a utility command has done, which may be on its own, and begins a transaction for the rest of it. */
void commit_and_begin();

/* Raises 55006 if the content of the view is being computed. */
void check_not_being_built(Oid view);

/* Removes what builds have left that were cut short; called by a background worker outside a transaction. */
void clean_up_builds();

} // namespace tw::ddl
