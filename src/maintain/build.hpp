/*
 * build.hpp - attaches a view while its base tables are written.
 */
#pragma once

#include "pg/postgres.hpp"
#include "maintain/progress.hpp"

namespace tw::maintain
{

/* Notes in the caller's transaction that the view is to be built: what clean_up_build() needs to know. */
void announce_build(Oid view, const Build *build);

enum class Way
{
	kAtOnce, /* small, and nobody writes its base tables, which are now locked: attach() takes a moment */
	kBeside /* run_build() */
};

/* How to attach the view, which is locked, beside its writers. */
Way way_to_attach(Oid view);

/* Tells of a view that was built, and is recomputed at each change. */
void announce_built(Oid view);

/*
 * Builds the view in transactions of its own; called outside one, in a worker.
 * Errors are raised, and clean_up_build() is due.
 */
void run_build(Build *build);

/* Removes what an unfinished build of the view has left, in transactions of its own. */
void clean_up_build(Oid view);

/* Views of which there is an unfinished build, in whatever state. */
List *unfinished_builds();

/* A base table, or the query, was altered by this transaction: builds that read it begin anew. */
void break_builds_of_base(Oid base);
void break_build(Oid view);

} // namespace tw::maintain
