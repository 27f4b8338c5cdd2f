/*
 * describe.hpp - what the catalogs say about a view, and who may read it.
 *
 * Backend regime. Everything is allocated in the current memory context.
 */
#pragma once

#include "pg/postgres.hpp"
#include "gateway/core/row.hpp"

namespace tw::gateway
{

struct ViewDefinition
{
	Oid view;
	Oid log;
	int64 epoch;
	char *fingerprint; /* of the rows of the catalogs that decide who may read it */
	char *name;        /* schema.name, quoted, in UTF-8 */
	int columns;
	char **names;      /* in UTF-8 */
	char **json_names; /* in UTF-8, as JSON */
	char **types;      /* SQL names, in UTF-8 */
	Oid *type_oids;
	int32 *typmods;
	AttrNumber *attnums;
	int key_columns;
	int *key; /* indexes into the columns; none: the view has no key */
};

/* OID of the relation with this name (schema public where it names none); InvalidOid: there is none. */
Oid find_relation(const char *name);

/* Reads the definition of an attached view. key_index: the index by which its rows are found. */
ViewDefinition *describe_view(Oid view, Oid log, int64 epoch, Oid key_index);

/* The same for the pure part. Throws std::bad_alloc only. */
ViewInfo to_view_info(const ViewDefinition *definition);

enum class Right
{
	kNone,   /* the role does not even see the schema */
	kDenied, /* it may not read the view, or not these columns */
	kGranted
};

/* Whether the role may SELECT these columns. attnums may be null: all. */
Right right_to_read(Oid role, Oid view, const AttrNumber *attnums, int count);

} // namespace tw::gateway
