/*
 * replica_identity.cpp - what tables write to the log of rows that are updated or deleted.
 *
 * Deferred views need the whole row. tailwater_internal.replica_identity keeps
 * what a table's replica identity was when it was set to FULL for them; a table
 * that is not listed there was FULL before, or is meant to be.
 *
 * Who relies on FULL and who takes it back exclude each other by a lock of its
 * own for each table, held to the end of the transaction: of a view that is
 * being attached by somebody else nothing else is seen yet.
 */
#include "maintain/replica_identity.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/live_view.hpp"
#include "maintain/attach_steps.hpp"

namespace tw::maintain
{

namespace
{

struct Identity
{
	char kind; /* REPLICA_IDENTITY_... */
	Oid index; /* of REPLICA_IDENTITY_INDEX */
};

/* The object whose lock it is: the table's class and OID, with a number that no column has. */
constexpr uint16 kIdentityLock = PG_UINT16_MAX;

constexpr Identity kFull = {REPLICA_IDENTITY_FULL, InvalidOid};

Identity
identity_of(Oid table)
{
	Relation rel = relation_open(table, NoLock);
	Identity identity = {rel->rd_rel->relreplident, InvalidOid};

	if (identity.kind == REPLICA_IDENTITY_INDEX)
		identity.index = RelationGetReplicaIndex(rel);
	relation_close(rel, NoLock);
	return identity;
}

/* As ALTER TABLE ... REPLICA IDENTITY, under the caller's lock, which excludes writers. */
void
set_identity(Oid table, Identity identity)
{
	Relation classes = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple tup = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(table));

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for relation %u", table);
	((Form_pg_class) GETSTRUCT(tup))->relreplident = identity.kind;
	CatalogTupleUpdate(classes, &tup->t_self, tup);
	heap_freetuple(tup);
	table_close(classes, RowExclusiveLock);

	Relation indexes = table_open(IndexRelationId, RowExclusiveLock);
	Relation rel = table_open(table, NoLock);
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		HeapTuple index = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		bool wanted = lfirst_oid(lc) == identity.index;

		if (!HeapTupleIsValid(index) ||
			((Form_pg_index) GETSTRUCT(index))->indisreplident == wanted)
			continue;
		((Form_pg_index) GETSTRUCT(index))->indisreplident = wanted;
		CatalogTupleUpdate(indexes, &index->t_self, index);
	}
	CacheInvalidateRelcache(rel);
	table_close(rel, NoLock);
	table_close(indexes, RowExclusiveLock);
	CommandCounterIncrement();
}

/* Whether the index can be the table's replica identity still. */
bool
can_identify(Oid index, Oid table)
{
	HeapTuple tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool usable = false;

	if (HeapTupleIsValid(tup))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tup);

		usable = form->indrelid == table && form->indisvalid && form->indisunique &&
				 form->indimmediate;
		ReleaseSysCache(tup);
	}
	return usable;
}

void
remember(Oid table, Identity identity)
{
	Datum values[3] = {ObjectIdGetDatum(table), CharGetDatum(identity.kind),
					   ObjectIdGetDatum(identity.index)};

	catalog::put_internal("replica_identity", table, values);
}

/* Fills *out with what was remembered, and forgets it; false where there is nothing. */
bool
recall(Oid table, Identity *out)
{
	catalog::InternalRows rows;
	bool found = false;

	rows.find("replica_identity", 1, table, RowExclusiveLock);
	while (rows.next())
	{
		out->kind = DatumGetChar(rows.value(2));
		out->index = rows.oid(3);
		found = true;
		CatalogTupleDelete(rows.table, &rows.row->t_self);
	}
	rows.close();
	return found;
}

bool
is_read_from_log(Oid table)
{
	ListCell *lc;

	foreach (lc, read_internal("base", 1, table, 2))
	{
		catalog::LiveView live;

		if (catalog::find_live_view(lfirst_oid(lc), &live) && live.mode == catalog::Mode::kDeferred)
			return true;
	}
	return false;
}

} // namespace

void
log_whole_rows(List *tables)
{
	ListCell *lc;

	foreach (lc, tables)
	{
		Oid table = lfirst_oid(lc);
		char relkind = get_rel_relkind(table);

		if (get_rel_persistence(table) == RELPERSISTENCE_UNLOGGED)
			ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot keep a query with unlogged table \"%s\" up to date in deferred "
						   "mode",
						   get_rel_name(table)),
					errdetail("Changes of an unlogged table are not in the write-ahead log."),
					errhint("Use tailwater.maintain = immediate."));
		if ((relkind != RELKIND_RELATION && relkind != RELKIND_MATVIEW &&
			 relkind != RELKIND_PARTITIONED_TABLE) ||
			catalog::view_of(table) != table)
			continue;
		LockDatabaseObject(RelationRelationId, table, kIdentityLock, ShareLock);
		if (identity_of(table).kind == REPLICA_IDENTITY_FULL)
			continue;
		LockRelationOid(table, ShareRowExclusiveLock);
		/* Somebody else may have been first. */
		Identity before = identity_of(table);
		if (before.kind == REPLICA_IDENTITY_FULL)
			continue;
		remember(table, before);
		set_identity(table, kFull);
		ereport(NOTICE,
				errmsg("replica identity of %s \"%s\" is set to FULL",
					   relkind == RELKIND_MATVIEW ? "materialized view" : "table",
					   get_rel_name(table)),
				errdetail("Deferred maintenance reads old rows from the write-ahead log."));
	}
}

namespace
{

/* Unless somebody has changed it since. */
void
take_back(Oid table, Identity before)
{
	LockRelationOid(table, ShareRowExclusiveLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)) ||
		identity_of(table).kind != REPLICA_IDENTITY_FULL)
		return;
	if (before.kind == REPLICA_IDENTITY_INDEX && !can_identify(before.index, table))
		before = {REPLICA_IDENTITY_DEFAULT, InvalidOid};
	set_identity(table, before);
}

struct Replaced
{
	Oid table;
	Identity before;
};

} // namespace

List *
replaced_identities()
{
	catalog::InternalRows rows;
	List *replaced = NIL;

	rows.open("replica_identity", AccessShareLock);
	while (rows.next())
	{
		Replaced *one = (Replaced *) palloc(sizeof(Replaced));

		*one = {rows.oid(1), {DatumGetChar(rows.value(2)), rows.oid(3)}};
		replaced = lappend(replaced, one);
	}
	rows.close();
	return replaced;
}

void
take_back_identities(List *replaced)
{
	ListCell *lc;

	foreach (lc, replaced)
		take_back(((Replaced *) lfirst(lc))->table, ((Replaced *) lfirst(lc))->before);
}

void
log_rows_as_before(Oid table)
{
	bool exists = SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table));
	Identity before;

	if (!catalog::has_internal("replica_identity", 1, table))
		return;
	if (exists)
		LockDatabaseObject(RelationRelationId, table, kIdentityLock, ExclusiveLock);
	if (exists && is_read_from_log(table))
		return;
	if (!recall(table, &before))
		return;
	CommandCounterIncrement();
	if (exists)
		take_back(table, before);
}

void
keep_whole_rows(Oid table)
{
	Identity before;

	if (recall(table, &before))
		CommandCounterIncrement();
}

} // namespace tw::maintain
