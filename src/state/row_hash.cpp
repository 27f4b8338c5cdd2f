/*
 * row_hash.cpp - a hash over several columns that respects their equality.
 *
 * tailwater_internal.row_hash(VARIADIC "any") is the expression of indexes by
 * which rows are found that have no small key: keys too long for a B-tree
 * entry, types without an ordering, and rows without a key at all. A type's
 * own hash function is used, so that equal values meet in one bucket however
 * they look; a type without one is hashed by its image.
 */
#include "state/row_hash.hpp"

namespace tw::state
{

namespace
{

uint32
hash_value(Datum value, TypeCacheEntry *type, Oid collation)
{
	if (!OidIsValid(type->hash_proc))
		return datum_image_hash(value, type->typbyval, type->typlen);
	return DatumGetUInt32(
		FunctionCall1Coll(&type->hash_proc_finfo,
						  OidIsValid(collation) ? collation : DEFAULT_COLLATION_OID, value));
}

TypeCacheEntry *
type_entry(Oid type)
{
	return lookup_type_cache(type, TYPECACHE_HASH_PROC | TYPECACHE_HASH_PROC_FINFO);
}

constexpr uint32 kNullHash = 0x9e3779b9;

} // namespace

int32
row_hash(TupleDesc desc, const AttrNumber *columns, int ncolumns, const Datum *values,
		 const bool *nulls)
{
	uint32 hash = 0;

	for (int i = 0; i < ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, columns[i] - 1);
		uint32 h = nulls[columns[i] - 1] ? kNullHash
										 : hash_value(values[columns[i] - 1],
													  type_entry(att->atttypid), att->attcollation);

		hash = hash_combine(hash, h);
	}
	return (int32) hash;
}

int32
record_hash(TupleDesc desc, const AttrNumber *columns, int ncolumns, const Datum *values,
			const bool *nulls)
{
	TupleDesc row = CreateTemplateTupleDesc(ncolumns);
	Datum *fields = (Datum *) palloc(sizeof(Datum) * Max(ncolumns, 1));
	bool *field_nulls = (bool *) palloc(sizeof(bool) * Max(ncolumns, 1));
	FmgrInfo function;

	for (int i = 0; i < ncolumns; i++)
	{
		TupleDescCopyEntry(row, i + 1, desc, columns[i]);
		fields[i] = values[columns[i] - 1];
		field_nulls[i] = nulls[columns[i] - 1];
	}
	row = BlessTupleDesc(row);
	fmgr_info(F_HASH_RECORD, &function);
	return DatumGetInt32(
		FunctionCall1(&function, HeapTupleGetDatum(heap_form_tuple(row, fields, field_nulls))));
}

} // namespace tw::state

extern "C"
{
	PGDLLEXPORT Datum tailwater_row_hash(PG_FUNCTION_ARGS);

	PG_FUNCTION_INFO_V1(tailwater_row_hash);
}

Datum
tailwater_row_hash(PG_FUNCTION_ARGS)
{
	uint32 hash = 0;
	Node *call = fcinfo->flinfo->fn_expr;

	for (int i = 0; i < PG_NARGS(); i++)
	{
		Oid type = get_fn_expr_argtype(fcinfo->flinfo, i);
		Oid collation = InvalidOid;
		uint32 h = tw::state::kNullHash;

		if (call && IsA(call, FuncExpr))
			collation = exprCollation((Node *) list_nth(((FuncExpr *) call)->args, i));
		if (!PG_ARGISNULL(i))
			h = tw::state::hash_value(PG_GETARG_DATUM(i), tw::state::type_entry(type), collation);
		hash = hash_combine(hash, h);
	}
	PG_RETURN_INT32((int32) hash);
}
