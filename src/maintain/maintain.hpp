/*
 * maintain.hpp - what can be done to a live view as a whole.
 *
 * Called by ddl (from utility commands) and by the SQL functions of the same
 * names. All of them run in the caller's transaction; the caller has checked
 * ownership.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/names.hpp"
#include "catalog/live_view.hpp"

namespace tw::maintain
{

/*
 * Starts to keep a materialized view up to date: analyzes its query (an error
 * 0A000 names what cannot be maintained), locks its base tables against
 * writers, computes the view's content anew, creates state, log, key index and
 * triggers, and records the attachment. The view must not be attached. Returns
 * the number of rows of a view that had no content before.
 */
int64 attach(Oid view, catalog::Mode mode, bool feed);

/* Stops it: removes state, log and triggers. The view keeps its content and becomes plain. */
void detach(Oid view);

/*
 * Removes what dropped views left behind (rows, state and log tables, and
 * triggers on tables that no live view reads any more). Called after a utility
 * command during which a live view was dropped.
 */
void sweep();

/* REFRESH of an attached view: recomputes it and publishes the net difference. Returns changed rows. */
int64 refresh(Oid view);

/*
 * Something was done to a relation that live views read, or to a partition or
 * child of it, that may change its rows or its tree: a partition attached,
 * detached, created or dropped, a trigger switched off or dropped, row security
 * changed, a column altered. Brings triggers and tailwater_internal.base in
 * line with the tree, publishes the net difference where rows came or went, and
 * drops what is cached about the views. Cheap where nothing of that happened.
 * The caller's transaction holds the lock the command took.
 */
void base_altered(Oid base);

/*
 * The view's query means something else now: an ordinary view or a function it
 * uses was replaced or altered. Analyzes it again (0A000 if it can no longer be
 * maintained), builds triggers and state anew and publishes the net difference.
 */
void query_altered(Oid view);

/*
 * A table is going to be altered, which base_altered() will follow. Locks the other
 * tables of its views first: later on, when nobody can read the table any more, their
 * writers would wait for us while we wait for them.
 */
void lock_with_base(Oid base);

/* The same for a live view that is going to be locked, to be released or dropped: locks its tables first. */
void lock_with_view(Oid view);

/* The index by which rows of the view were found is gone: chooses or creates another one. */
void key_index_lost(Oid view);

/* An object was renamed of which the query of the view may show the name. */
void name_altered(Oid view, Oid object);

/*
 * The settings of the database may be others than those under which views are
 * evaluated: if so they are these from now on, and views that may show it are
 * brought in line.
 */
void settings_altered();

/* Live views (OIDs) whose result may be another one when the labels of the enum type are altered. */
List *views_with_labels(Oid type, analyze::Labels change);

/* Roles have other attributes or members: which policies of base tables hold for a view's owner may have changed. */
void roles_altered();

/* True if a table that the view reads is unlogged. */
bool reads_unlogged(Oid view);

/* Number of rows by which the view differs from its query in one snapshot, by image; 0 is correct. */
int64 verify(Oid view);

} // namespace tw::maintain
