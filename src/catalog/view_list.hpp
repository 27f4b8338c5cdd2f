/*
 * view_list.hpp - the list of views that users asked to keep up to date.
 *
 * A row of tailwater_internal.view is the wish ("listed"); a row of
 * tailwater_internal.attachment is its fulfilment ("attached"). A view is
 * listed but not attached between CREATE ... WITH NO DATA, or a restored dump,
 * and its first REFRESH.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/live_view.hpp"

namespace tw::catalog
{

/* What was asked for: one row of tailwater_internal.view. */
struct Listing
{
	Mode mode;
	bool feed;
};

/* True where the extension is created in this database. */
bool extension_present();

/* Name of a mode as users write it. */
const char *mode_name(Mode mode);

/* Fills *out and returns true if the view is listed. */
bool find_listing(Oid view, Listing *out);

/* Lists the view, or changes what is asked for it. The caller holds a lock on the view. */
void put_listing(Oid view, Listing wanted);

/* Takes the view off the list; nothing happens if it is not on it. */
void remove_listing(Oid view);

/* OIDs of all listed and of all attached views. */
List *listed_views();
List *attached_views();

/* True if the view's first content is being computed, or was when the server crashed. */
bool has_build(Oid view);
bool any_build();

/*
 * Whether the attachments were made in this cluster, and not in one that
 * pg_upgrade copied; and a note that from now on they are.
 */
bool in_own_cluster();
void store_cluster();

/* Whether unlogged tables have their content, which a crash takes from them; and a note that it was seen to. */
bool unlogged_survived();
void store_unlogged();

/* Remembers why a worker could not keep a view up to date, for tailwater.views; and forgets it. */
void put_error(Oid view, const char *message);

/* The view whose error is the oldest, and what it says; InvalidOid: there is none. */
Oid oldest_error(char **message);
void clear_error(Oid view);

/* True if a view that is live, or is being built, reads the relation (directly, or as a partition or child of what it reads).
 */
bool is_base(Oid relation);

/* The class of the attached view's costliest operator, by name. */
void set_strategy(Oid view, const char *strategy);

/* The attached view from now on finds its rows by another index with the same definition. */
void set_key_index(Oid view, Oid index);

/* The same by an index on other columns (attribute numbers); NIL: rows are told apart by their image. */
void set_key(Oid view, Oid index, List *columns);

/* These columns of a live view or an inner relation; NIL where rows are told apart by their image. */
List *key_columns(Oid view);

} // namespace tw::catalog
