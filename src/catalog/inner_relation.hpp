/*
 * inner_relation.hpp - the hidden relations of live views.
 *
 * A view whose query is a chain of queries (analyze/decompose.hpp) keeps the
 * result of each of them in a table of schema tailwater_internal, named after
 * the view and the number of the part. It is kept up to date as the view itself
 * is, but has no log and is not listed. One row of
 * tailwater_internal.inner_relation each.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::catalog
{

struct InnerRelation
{
	Oid relation;
	Oid view;
	int number;    /* of the part of the view's query */
	Oid key_index; /* index by which rows are found; InvalidOid: not filled yet, or has one row */
	List *
		places; /* where the view's query was cut (analyze/decompose.hpp), the same in all its relations */
	List *key; /* columns that identify a row, NIL: its image does */
};

/* Fills *out and returns true if the relation is the inner relation of a view. */
bool find_inner_relation(Oid relation, InnerRelation *out);

/* The view that an inner relation is part of; any other relation itself. */
Oid view_of(Oid relation);

/* The view's inner relations (List of OIDs), in order. */
List *inner_relations(Oid view);

/* True if the relation is kept up to date as a view is, so that its delta comes from there: a live view or an inner relation. */
bool is_maintained(Oid relation);

/* Creates the table for a part of the view's query, whose columns are those of the descriptor. */
Oid create_inner_relation(Oid view, int number, TupleDesc desc);

/* Where the query of a view that has inner relations was cut. */
List *cut_places(Oid view);
void set_cut_places(Oid view, List *places);

/* Remembers how rows of the relation are found. */
void set_inner_key(Oid relation, Oid key_index, List *key);

/* Drops the table and all that is known of it. */
void drop_inner_relation(Oid relation);

} // namespace tw::catalog
