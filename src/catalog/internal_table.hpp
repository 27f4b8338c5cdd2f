/*
 * internal_table.hpp - tables of one live view in schema tailwater_internal.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::catalog
{

/* Owner of the extension, who also owns its tables. */
Oid extension_owner();

/*
 * Creates a table in tailwater_internal that belongs to the extension and has
 * a toast table where its columns ask for one. No permission is checked.
 */
Oid create_internal_table(const char *name, TupleDesc desc);

/* Drops it, although it is a member of the extension. */
void drop_internal_table(Oid table);

/*
 * Creates an index by which rows are found by the columns: on the columns
 * themselves where their values are surely small enough for a B-tree entry
 * (then unique if asked), else on a hash of them: the server's hash_record()
 * where every type can be hashed, so that a dump of the table needs no extension,
 * else tailwater's row_hash(). No columns: on the hash of all. Of very many
 * columns the hash is over hashed_columns().
 */
enum class Uniqueness
{
	kUnique,
	kNotUnique
};
Oid create_lookup_index(Oid table, const char *name, List *columns, Uniqueness uniqueness);
List *hashed_columns(TupleDesc desc, List *columns);

/*
 * Opens an index of a relation that is locked for writing. That keeps away whoever
 * would drop or rebuild the index, so it needs no lock of its own.
 */
Relation open_index_of_locked(Oid index);

/*
 * Indexes that were made here for a view go with its being live: they depend on
 * the extension, so that DROP EXTENSION drops them. A dump does not know that,
 * so that it can be restored where the extension is not.
 */
void own_index(Oid index);
bool is_own_index(Oid index);

/* Another index of the table, valid, that finds the same rows by the same columns; InvalidOid: there is none. */
Oid index_like(Relation table, Oid index);

/* The index, or the one that REINDEX CONCURRENTLY has put in its place before it drops it; InvalidOid: it has been dropped. */
Oid usable_index(Relation table, Oid index);

/* Drops these indexes of the table, of a view that is live no more. */
void drop_own_indexes(Oid table);

/*
 * Makes sure that the planner has an index to look rows up by any of the
 * columns; creates one of that name where there is none.
 */
void ensure_planner_index(Oid table, const char *name, List *columns);

/*
 * Creates an index on the columns, sorted by the operators, as far as these are
 * of the types' default order. Where values may be too long for a B-tree entry
 * it holds only the rows whose values are not, and there is a second index, on the
 * other rows: usually it is empty.
 */
void create_order_index(Oid table, const char *name, List *columns, List *operators,
						List *nulls_first);

/* A column that rows are sorted by. */
struct OrderColumn
{
	AttrNumber column;
	Oid op; /* of ascending or descending order */
	Oid collation;
	bool nulls_first;
};

/* An index of a table of ours in the order of these columns, and maybe others after them. */
struct OrderIndex
{
	Oid index; /* invalid: there is none */
	Oid rest;  /* of the rows that are too long for it; invalid: none can be */
};
OrderIndex find_order_index(Oid table, const OrderColumn *columns, int n);

/* True if all there is in the index was put there by us: its expressions call nothing of the user's. */
bool is_index_of_ours(Relation index);

/* OID of schema tailwater_internal. */
Oid internal_namespace();

} // namespace tw::catalog
