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

/* Beyond this, the expression might not fit into a row of pg_index. A call takes no more than FUNC_MAX_ARGS. */
constexpr int kMostHashed = 300;

bool
is_hashable(TupleDesc desc, int column)
{
	Form_pg_attribute att = TupleDescAttr(desc, column - 1);

	return OidIsValid(lookup_type_cache(att->atttypid, TYPECACHE_HASH_PROC)->hash_proc);
}

List *
column_vars(TupleDesc desc, List *columns)
{
	List *vars = NIL;
	ListCell *lc;

	foreach (lc, columns)
	{
		Form_pg_attribute att = TupleDescAttr(desc, lfirst_int(lc) - 1);

		vars = lappend(vars, makeVar(1, att->attnum, att->atttypid, att->atttypmod,
									 att->attcollation, 0));
	}
	return vars;
}

/* A call of a function of ours that takes any arguments. */
Node *
call_of(const char *name, Oid result, List *args)
{
	Oid argtype = ANYOID;
	Oid function = LookupFuncName(list_make2(makeString(pstrdup("tailwater_internal")),
											 makeString(pstrdup(name))),
								  1, &argtype, false);

	return (Node *) makeFuncExpr(function, result, args, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

Node *
hash_call(TupleDesc desc, List *columns)
{
	List *args = column_vars(desc, columns);
	List *names = NIL;
	bool hashable = true;
	ListCell *lc;

	foreach (lc, columns)
	{
		names = lappend(names, makeString(psprintf("f%d", list_length(names) + 1)));
		hashable = hashable && is_hashable(desc, lfirst_int(lc));
	}
	if (hashable)
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
	return call_of("row_hash", INT4OID, args);
}

/* An index that is put together column by column. */
struct IndexDraft
{
	IndexInfo *info;
	List *names;
	Oid collations[INDEX_MAX_KEYS];
	Oid opclasses[INDEX_MAX_KEYS];
	int16 options[INDEX_MAX_KEYS];
};

/* No column of it: an expression, which the caller puts into `info`. */
void
add_column(IndexDraft *draft, AttrNumber column, const char *name, Oid collation, Oid opclass,
		   int16 options)
{
	int n = draft->info->ii_NumIndexAttrs++;

	draft->info->ii_NumIndexKeyAttrs++;
	draft->info->ii_IndexAttrNumbers[n] = column;
	draft->names = lappend(draft->names, pstrdup(name));
	draft->collations[n] = collation;
	draft->opclasses[n] = opclass;
	draft->options[n] = options;
}

IndexDraft
begin_index(Oid method)
{
	IndexDraft draft = {};

	draft.info = makeNode(IndexInfo);
	draft.info->ii_ReadyForInserts = true;
	draft.info->ii_Am = method;
	draft.info->ii_Context = CurrentMemoryContext;
	return draft;
}

void
add_column(IndexDraft *draft, Form_pg_attribute att, Oid opclass, int16 options)
{
	add_column(draft, att->attnum, NameStr(att->attname), att->attcollation, opclass, options);
}

Oid
create_index(Relation rel, const char *name, IndexDraft *draft)
{
	Oid index = pg::create_index(rel, name, draft->info, draft->names, draft->info->ii_Am,
								 draft->collations, draft->opclasses, draft->options);
	own_index(index);
	return index;
}

} // namespace

void
own_index(Oid index)
{
	ObjectAddress object, extension;

	ObjectAddressSet(object, RelationRelationId, index);
	ObjectAddressSet(extension, ExtensionRelationId, get_extension_oid("tailwater", false));
	recordDependencyOn(&object, &extension, DEPENDENCY_AUTO);
}

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

List *
hashed_columns(TupleDesc desc, List *columns)
{
	List *hashable = NIL;
	ListCell *lc;

	if (columns == NIL)
		for (int i = 1; i <= desc->natts; i++)
			if (!TupleDescAttr(desc, i - 1)->attisdropped)
				columns = lappend_int(columns, i);
	foreach (lc, columns)
		if (is_hashable(desc, lfirst_int(lc)))
			hashable = lappend_int(hashable, lfirst_int(lc));
	if (hashable != NIL && list_length(columns) > FUNC_MAX_ARGS)
		return list_truncate(hashable, kMostHashed);
	return list_truncate(list_copy(columns), FUNC_MAX_ARGS);
}

Oid
create_lookup_index(Oid table, const char *name, List *columns, Uniqueness uniqueness)
{
	Relation rel = table_open(table, ShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	IndexDraft draft = begin_index(BTREE_AM_OID);
	ListCell *lc;

	if (is_small_key(desc, columns))
	{
		foreach (lc, columns)
		{
			Form_pg_attribute att = TupleDescAttr(desc, lfirst_int(lc) - 1);

			add_column(&draft, att, GetDefaultOpClass(att->atttypid, BTREE_AM_OID), 0);
		}
		draft.info->ii_Unique = uniqueness == Uniqueness::kUnique;
	}
	else
	{
		draft.info->ii_Expressions = list_make1(hash_call(desc, hashed_columns(desc, columns)));
		add_column(&draft, 0, "row_hash", InvalidOid, GetDefaultOpClass(INT4OID, BTREE_AM_OID), 0);
	}

	Oid index = create_index(rel, name, &draft);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return index;
}

Relation
open_index_of_locked(Oid index)
{
	Relation rel = RelationIdGetRelation(index);

	if (!rel)
		elog(ERROR, "could not open index %u", index);
	return rel;
}

namespace
{

/* True if the column of pg_index says the same in both rows. */
bool
agree(HeapTuple a, HeapTuple b, AttrNumber column)
{
	bool null_a;
	bool null_b;
	Datum da = SysCacheGetAttr(INDEXRELID, a, column, &null_a);
	Datum db = SysCacheGetAttr(INDEXRELID, b, column, &null_b);

	return null_a == null_b && (null_a || datum_image_eq(da, db, false, -1));
}

/* True if the index, which may be dropped at any time, is valid and finds the same rows by the same columns. */
bool
is_successor(HeapTuple old, Oid index)
{
	HeapTuple tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));

	if (!HeapTupleIsValid(tup))
		return false;

	Form_pg_index a = (Form_pg_index) GETSTRUCT(old);
	Form_pg_index b = (Form_pg_index) GETSTRUCT(tup);
	bool same = b->indisvalid && b->indisready && b->indislive && a->indisunique == b->indisunique;
	const AttrNumber columns[] = {Anum_pg_index_indkey,       Anum_pg_index_indclass,
								  Anum_pg_index_indcollation, Anum_pg_index_indoption,
								  Anum_pg_index_indexprs,     Anum_pg_index_indpred};
	for (AttrNumber column : columns)
		same = same && agree(old, tup, column);
	ReleaseSysCache(tup);
	return same;
}

Oid
find_successor(Relation table, HeapTuple old)
{
	Oid index = ((Form_pg_index) GETSTRUCT(old))->indexrelid;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(table))
		if (lfirst_oid(lc) != index && is_successor(old, lfirst_oid(lc)))
			return lfirst_oid(lc);
	return InvalidOid;
}

} // namespace

Oid
index_like(Relation table, Oid index)
{
	HeapTuple tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));

	if (!HeapTupleIsValid(tup))
		return InvalidOid;

	Oid other = find_successor(table, tup);
	ReleaseSysCache(tup);
	return other;
}

Oid
usable_index(Relation table, Oid index)
{
	HeapTuple tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));

	if (!HeapTupleIsValid(tup))
		return InvalidOid;

	bool valid = ((Form_pg_index) GETSTRUCT(tup))->indisvalid;
	Oid other = valid ? InvalidOid : find_successor(table, tup);
	ReleaseSysCache(tup);
	return OidIsValid(other) ? other : index;
}

bool
is_own_index(Oid index)
{
	Relation rel = table_open(DependRelationId, AccessShareLock);
	Oid extension = get_extension_oid("tailwater", false);
	ScanKeyData keys[2];
	HeapTuple tup;
	bool found = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(index));
	SysScanDesc scan = systable_beginscan(rel, DependDependerIndexId, true, nullptr, 2, keys);
	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tup);

		found |= depend->refclassid == ExtensionRelationId && depend->refobjid == extension &&
				 depend->deptype == DEPENDENCY_AUTO;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
drop_own_indexes(Oid table)
{
	Relation rel = table_open(table, AccessExclusiveLock);
	ObjectAddresses *own = new_object_addresses();
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		ObjectAddress index;

		ObjectAddressSet(index, RelationRelationId, lfirst_oid(lc));
		if (is_own_index(lfirst_oid(lc)))
			add_exact_object_address(&index, own);
	}
	table_close(rel, NoLock);
	performMultipleDeletions(own, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	free_object_addresses(own);
	CommandCounterIncrement();
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

	if (OidIsValid(opclass))
	{
		IndexDraft draft = begin_index(HASH_AM_OID);

		add_column(&draft, att, opclass, 0);
		(void) create_index(rel, name, &draft);
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

Oid
internal_namespace()
{
	return get_namespace_oid("tailwater_internal", false);
}

namespace
{

/* Adds the columns as far as the operators are those of their types' default order; these are returned. */
List *
add_sorted_columns(IndexDraft *draft, TupleDesc desc, List *columns, List *operators,
				   List *nulls_first)
{
	List *taken = NIL;
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

		Oid opclass = GetDefaultOpClass(att->atttypid, BTREE_AM_OID);
		if (list_length(taken) == INDEX_MAX_KEYS || !OidIsValid(opclass) ||
			!get_ordering_op_properties(lfirst_oid(lo), &opfamily, &opcintype, &strategy) ||
			get_opclass_family(opclass) != opfamily)
			break;
		taken = lappend_int(taken, lfirst_int(lc));
		add_column(draft, att, opclass,
				   (strategy == BTGreaterStrategyNumber ? INDOPTION_DESC : 0) |
					   (lfirst_int(ln) ? INDOPTION_NULLS_FIRST : 0));
	}
	return taken;
}

} // namespace

void
create_order_index(Oid table, const char *name, List *columns, List *operators, List *nulls_first)
{
	Relation rel = table_open(table, ShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	IndexDraft draft = begin_index(BTREE_AM_OID);
	List *taken = add_sorted_columns(&draft, desc, columns, operators, nulls_first);

	if (taken != NIL && !is_small_key(desc, taken))
	{
		IndexDraft rest = begin_index(BTREE_AM_OID);
		Node *fits = call_of("fits_index", BOOLOID, column_vars(desc, taken));

		draft.info->ii_Predicate = list_make1(fits);
		rest.info->ii_Expressions = list_make1(copyObject(fits));
		rest.info->ii_Predicate = list_make1(
			makeBoolExpr(NOT_EXPR, list_make1(copyObject(fits)), -1));
		add_column(&rest, 0, "fits", InvalidOid, GetDefaultOpClass(BOOLOID, BTREE_AM_OID), 0);
		(void) create_index(rel, psprintf("%s_rest", name), &rest);
	}
	if (taken != NIL)
		(void) create_index(rel, name, &draft);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

} // namespace tw::catalog

extern "C"
{
	PGDLLEXPORT Datum tailwater_fits_index(PG_FUNCTION_ARGS);

	PG_FUNCTION_INFO_V1(tailwater_fits_index);
}

Datum
tailwater_fits_index(PG_FUNCTION_ARGS)
{
	Size length = 0;

	for (int i = 0; i < PG_NARGS(); i++)
	{
		int16 typlen = get_typlen(get_fn_expr_argtype(fcinfo->flinfo, i));

		if (PG_ARGISNULL(i))
			continue;
		length += typlen > 0     ? typlen
				  : typlen == -1 ? toast_raw_datum_size(PG_GETARG_DATUM(i))
								 : strlen(PG_GETARG_CSTRING(i)) + 1;
	}
	PG_RETURN_BOOL(length <= tw::catalog::kSmallKey);
}
