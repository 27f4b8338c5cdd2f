/*
 * conduct.hpp - calls the stages of maintenance from utility commands.
 *
 * Stages do DDL of their own (tables, triggers, indexes). While one runs, its
 * own DDL is not watched, it has a fresh snapshot, and what it creates does not
 * become a member of an extension whose script may be running.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/names.hpp"
#include "ddl/options.hpp"
#include "maintain/build.hpp"

namespace tw::ddl
{

/* True while a stage runs: hooks pass everything through. */
bool conducting();

/* For processes that do nothing else: until the end, all DDL is that of stages. Not within a stage. */
void begin_conducting();
void end_conducting();

/*
 * Carries out what a command says about a materialized view the caller owns and
 * has locked, but for attaching it: true if that is to be done.
 */
bool prepare_options(Oid view, const ViewOptions &options);

/* Carries out what a command says about a materialized view the caller owns and has locked. */
void apply_options(Oid view, const ViewOptions &options);

/* True unless the view was created or refreshed WITH NO DATA. */
bool is_populated(Oid view);

/* Takes the view off the list and makes it plain; false if it was not live. */
bool release_view(Oid view);

/* Takes a view that is gone, or plain, off the list. */
void unlist(Oid view);

/* Attaches a listed view as it was asked for. Returns the number of rows of one that had no content. */
int64 attach_listed(Oid view);

/* maintain::way_to_attach() */
maintain::Way way_to_attach(Oid view);
void announce_built(Oid view);
void prepare_truncate(const TruncateStmt *statement);

/* Makes an attached view plain but leaves it on the list. */
void detach_listed(Oid view);

/* The stages of maintain.hpp of the same names. */
int64 refresh_view(Oid view);
void base_altered(Oid base);
void query_altered(Oid view);
void name_altered(Oid view, Oid object);
List *views_with_labels(Oid type, analyze::Labels change);
void roles_altered();
void settings_altered();
void lock_with_base(Oid base);
void lock_with_view(Oid view);
void key_index_lost(Oid view);
void sweep();

} // namespace tw::ddl
