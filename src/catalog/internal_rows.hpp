/*
 * internal_rows.hpp - rows of the extension's own tables in schema tailwater_internal.
 *
 * They are read and written without a look at permissions: owners of views
 * have none on these tables. Unless told otherwise they are read under the
 * catalog snapshot: what a command of this transaction wrote before the last
 * CommandCounterIncrement() is seen, as with the system catalogs. No column
 * that is read here is ever null.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::catalog
{

/* OID of a table or index in schema tailwater_internal; InvalidOid where the extension is absent. */
Oid internal_relation(const char *name);

/*
 * A scan of a table, which has no rows where the extension is absent. The rows
 * returned are valid until the next call.
 */
struct InternalRows
{
	/* All rows. No snapshot: the catalog snapshot. */
	void open(const char *name, LOCKMODE lock, Snapshot snapshot = nullptr);
	/* Rows whose first or second column, an OID, has the value: by the index NAME_pkey or NAME_view. */
	void find(const char *name, AttrNumber column, Oid oid, LOCKMODE lock,
			  Snapshot snapshot = nullptr);
	/* The next row; nullptr at the end. */
	HeapTuple next();
	/* A column of the row that next() returned last. */
	Datum value(AttrNumber column) const;
	Oid oid(AttrNumber column) const;
	TupleDesc desc() const;
	/* Ends the scan. A lock to read is released, one to write stays until the transaction ends. */
	void close();

	Relation table;
	HeapTuple row;

  private:
	SysScanDesc scan_;
	LOCKMODE lock_;
	void begin(const char *name, const char *index, int nkeys, ScanKeyData *key, LOCKMODE lock,
			   Snapshot snapshot);
};

/* OIDs in a column, each once, of the rows whose column `where` holds the OID; of all rows where that is invalid. */
List *read_internal(const char *table, AttrNumber where, Oid oid, AttrNumber column);

/* True if there is a row whose column `where` holds the OID. */
bool has_internal(const char *table, AttrNumber where, Oid oid);

/* A row more, without nulls; those whose column holds the OID go. Seen after CommandCounterIncrement(). */
void insert_internal(const char *table, Datum *values);
void delete_internal(const char *table, AttrNumber column, Oid oid);

/*
 * Inserts a row without nulls in place of the one whose first column is the OID,
 * where there is one; InvalidOid: in place of the only row of the table. Ends with
 * CommandCounterIncrement().
 */
void put_internal(const char *table, Oid oid, Datum *values);

/* An int2vector, in which the tables keep numbers of columns, as an integer list, and the other way round. */
List *numbers_of(Datum vector);
Datum vector_of(List *numbers);

} // namespace tw::catalog
