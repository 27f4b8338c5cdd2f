/*
 * internal_table.cpp - tables of one live view in schema tailwater_internal.
 *
 * Made with the backend's C functions and no SQL text; names never depend on
 * the user's. They are members of the extension, so that a dump leaves them
 * out and only the extension drops them.
 */
#include "catalog/internal_table.hpp"
#include "catalog/live_view.hpp"

namespace tw::catalog
{

namespace
{

/* Well below a third of a page, the limit of a B-tree entry. */
constexpr int kSmallKey = 2000;

/* Largest length of a value in bytes, -1: no useful limit. */
int
largest_length(Form_pg_attribute att)
{
	if (att->attlen > 0)
		return att->attlen;
	if (att->atttypmod < (int32) VARHDRSZ)
		return -1;
	return type_maximum_size(att->atttypid, att->atttypmod);
}

bool
is_small_key(TupleDesc desc, List *columns)
{
	int length = 0;
	ListCell *lc;

	if (columns == NIL || list_length(columns) > INDEX_MAX_KEYS)
		return false;
	foreach (lc, columns)
	{
		Form_pg_attribute att = TupleDescAttr(desc, lfirst_int(lc) - 1);
		int column = largest_length(att);

		if (column < 0 || !OidIsValid(GetDefaultOpClass(att->atttypid, BTREE_AM_OID)))
			return false;
		length += column;
	}
	return length <= kSmallKey;
}

/* True if the server can hash values of all the columns. */
bool
is_hashable(TupleDesc desc, List *columns)
{
	ListCell *lc;

	foreach (lc, columns)
	{
		Form_pg_attribute att = TupleDescAttr(desc, lfirst_int(lc) - 1);

		if (!OidIsValid(lookup_type_cache(att->atttypid, TYPECACHE_HASH_PROC)->hash_proc))
			return false;
	}
	return true;
}

Node *
hash_call(TupleDesc desc, List *columns)
{
	List *args = NIL;
	List *names = NIL;
	ListCell *lc;

	foreach (lc, columns)
	{
		Form_pg_attribute att = TupleDescAttr(desc, lfirst_int(lc) - 1);

		args = lappend(args, makeVar(1, att->attnum, att->atttypid, att->atttypmod,
									 att->attcollation, 0));
		names = lappend(names, makeString(pstrdup(NameStr(att->attname))));
	}
	if (is_hashable(desc, columns))
	{
		RowExpr *row = makeNode(RowExpr);

		row->args = args;
		row->row_typeid = RECORDOID;
		row->row_format = COERCE_EXPLICIT_CALL;
		row->colnames = names;
		row->location = -1;
		return (Node *) makeFuncExpr(F_HASH_RECORD, INT4OID, list_make1(row), InvalidOid,
									 InvalidOid, COERCE_EXPLICIT_CALL);
	}

	Oid argtype = ANYOID;
	Oid function = LookupFuncName(list_make2(makeString(pstrdup("tailwater_internal")),
											 makeString(pstrdup("row_hash"))),
								  1, &argtype, false);
	return (Node *) makeFuncExpr(function, INT4OID, args, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

} // namespace

Oid
extension_owner()
{
	Relation rel = table_open(ExtensionRelationId, AccessShareLock);
	Oid owner = InvalidOid;
	ScanKeyData key;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("tailwater"));
	SysScanDesc scan = systable_beginscan(rel, ExtensionNameIndexId, true, nullptr, 1, &key);
	HeapTuple tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
		owner = ((Form_pg_extension) GETSTRUCT(tup))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

Oid
create_internal_table(const char *name, TupleDesc desc)
{
	Oid extension = get_extension_oid("tailwater", false);
	Oid schema = get_namespace_oid("tailwater_internal", false);

	/* In the script of another extension the new table must not become that one's member. */
	bool creating = creating_extension;
	creating_extension = false;
	Oid table = heap_create_with_catalog(name, schema, InvalidOid, InvalidOid, InvalidOid,
										 InvalidOid, extension_owner(), HEAP_TABLE_AM_OID, desc,
										 NIL, RELKIND_RELATION, RELPERSISTENCE_PERMANENT, false,
										 false, ONCOMMIT_NOOP, (Datum) 0, false, true, true,
										 InvalidOid, nullptr);
	creating_extension = creating;
	CommandCounterIncrement();

	ObjectAddress object, member_of;
	ObjectAddressSet(object, RelationRelationId, table);
	ObjectAddressSet(member_of, ExtensionRelationId, extension);
	recordDependencyOn(&object, &member_of, DEPENDENCY_EXTENSION);

	NewRelationCreateToastTable(table, (Datum) 0);
	CommandCounterIncrement();
	return table;
}

void
drop_internal_table(Oid table)
{
	ObjectAddress object;

	ObjectAddressSet(object, RelationRelationId, table);
	performDeletion(&object, DROP_RESTRICT,
					PERFORM_DELETION_INTERNAL | PERFORM_DELETION_SKIP_EXTENSIONS);
}

Oid
create_lookup_index(Oid table, const char *name, List *columns, Uniqueness uniqueness)
{
	Relation rel = table_open(table, ShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	IndexInfo *info = makeNode(IndexInfo);
	Oid collations[INDEX_MAX_KEYS];
	Oid opclasses[INDEX_MAX_KEYS];
	int16 options[INDEX_MAX_KEYS];
	List *names = NIL;
	ListCell *lc;
	int n = 0;

	info->ii_ReadyForInserts = true;
	info->ii_Am = BTREE_AM_OID;
	info->ii_Context = CurrentMemoryContext;
	if (is_small_key(desc, columns))
	{
		foreach (lc, columns)
		{
			Form_pg_attribute att = TupleDescAttr(desc, lfirst_int(lc) - 1);

			info->ii_IndexAttrNumbers[n] = att->attnum;
			collations[n] = att->attcollation;
			opclasses[n] = GetDefaultOpClass(att->atttypid, BTREE_AM_OID);
			options[n++] = 0;
			names = lappend(names, pstrdup(NameStr(att->attname)));
		}
		info->ii_Unique = uniqueness == Uniqueness::kUnique;
	}
	else
	{
		if (columns == NIL)
			for (int i = 1; i <= desc->natts; i++)
				if (!TupleDescAttr(desc, i - 1)->attisdropped)
					columns = lappend_int(columns, i);
		info->ii_Expressions = list_make1(hash_call(desc, columns));
		info->ii_IndexAttrNumbers[0] = 0;
		collations[0] = InvalidOid;
		opclasses[0] = GetDefaultOpClass(INT4OID, BTREE_AM_OID);
		options[0] = 0;
		names = list_make1(pstrdup("row_hash"));
		n = 1;
	}
	info->ii_NumIndexAttrs = n;
	info->ii_NumIndexKeyAttrs = n;

	Oid index = pg::create_index(rel, name, info, names, BTREE_AM_OID, collations, opclasses,
								 options);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return index;
}

namespace
{

bool
has_planner_index(Relation rel, List *columns)
{
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		bool usable = index->rd_index->indisvalid && RelationGetIndexPredicate(index) == NIL &&
					  list_member_int(columns, index->rd_index->indkey.values[0]);

		index_close(index, NoLock);
		if (usable)
			return true;
	}
	return false;
}

} // namespace

void
ensure_planner_index(Oid table, const char *name, List *columns)
{
	Relation rel = table_open(table, ShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	List *small = NIL;
	ListCell *lc;

	foreach (lc, columns)
		if (is_small_key(desc, lappend_int(list_copy(small), lfirst_int(lc))))
			small = lappend_int(small, lfirst_int(lc));
	if (has_planner_index(rel, columns))
	{
		table_close(rel, NoLock);
		return;
	}
	if (small != NIL)
	{
		table_close(rel, NoLock);
		(void) create_lookup_index(table, name, small, Uniqueness::kNotUnique);
		return;
	}

	/* Long values: a hash index, which has no limit. */
	Form_pg_attribute att = TupleDescAttr(desc, linitial_int(columns) - 1);
	Oid opclass = GetDefaultOpClass(att->atttypid, HASH_AM_OID);
	IndexInfo *info = makeNode(IndexInfo);
	int16 option = 0;

	if (OidIsValid(opclass))
	{
		info->ii_NumIndexAttrs = 1;
		info->ii_NumIndexKeyAttrs = 1;
		info->ii_IndexAttrNumbers[0] = att->attnum;
		info->ii_ReadyForInserts = true;
		info->ii_Am = HASH_AM_OID;
		info->ii_Context = CurrentMemoryContext;
		(void) pg::create_index(rel, name, info, list_make1(pstrdup(NameStr(att->attname))),
								HASH_AM_OID, &att->attcollation, &opclass, &option);
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

Oid
internal_namespace()
{
	return get_namespace_oid("tailwater_internal", false);
}

void
create_order_index(Oid table, const char *name, List *columns, List *operators, List *nulls_first)
{
	Relation rel = table_open(table, ShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	IndexInfo *info = makeNode(IndexInfo);
	Oid collations[INDEX_MAX_KEYS];
	Oid opclasses[INDEX_MAX_KEYS];
	int16 options[INDEX_MAX_KEYS];
	List *taken = NIL;
	List *names = NIL;
	int n = 0;
	ListCell *lc;
	ListCell *lo;
	ListCell *ln;

	forthree (lc, columns, lo, operators, ln, nulls_first)
	{
		Form_pg_attribute att = TupleDescAttr(desc, lfirst_int(lc) - 1);
		Oid opfamily, opcintype;
		int16 strategy;

		/* What is sorted by already adds nothing. */
		if (list_member_int(taken, lfirst_int(lc)))
			continue;
		taken = lappend_int(taken, lfirst_int(lc));
		if (!is_small_key(desc, taken) ||
			!get_ordering_op_properties(lfirst_oid(lo), &opfamily, &opcintype, &strategy))
			break;
		opclasses[n] = GetDefaultOpClass(att->atttypid, BTREE_AM_OID);
		if (get_opclass_family(opclasses[n]) != opfamily)
			break;
		collations[n] = att->attcollation;
		options[n] = (strategy == BTGreaterStrategyNumber ? INDOPTION_DESC : 0) |
					 (lfirst_int(ln) ? INDOPTION_NULLS_FIRST : 0);
		info->ii_IndexAttrNumbers[n++] = att->attnum;
		names = lappend(names, pstrdup(NameStr(att->attname)));
	}
	if (n > 0)
	{
		info->ii_ReadyForInserts = true;
		info->ii_Am = BTREE_AM_OID;
		info->ii_Context = CurrentMemoryContext;
		info->ii_NumIndexAttrs = info->ii_NumIndexKeyAttrs = n;
		(void) pg::create_index(rel, name, info, names, BTREE_AM_OID, collations, opclasses,
								options);
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

} // namespace tw::catalog
