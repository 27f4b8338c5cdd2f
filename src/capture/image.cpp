/*
 * image.cpp - one form of bytes for each value.
 *
 * A varlena value may come compressed, out of line, with a short or a long
 * header. A composite value built from the columns of a row carries its fields
 * as they were in that row: compressed if the row was read from the table, and
 * plain if it has just been inserted. Rows of views are compared by bytes, so
 * all of that is undone, also in fields of fields and in elements of arrays.
 * Attributes that the type has lost or gained since are null.
 */
#include "capture/image.hpp"

namespace tw::capture
{

namespace
{

Datum canonical_of_type(Oid type, Datum value);

Datum
canonical_field(Form_pg_attribute att, Datum value)
{
	struct varlena *bytes = (struct varlena *) DatumGetPointer(value);

	if (VARATT_IS_EXTERNAL(bytes) || VARATT_IS_COMPRESSED(bytes) ||
		(VARATT_IS_SHORT(bytes) && att->attstorage == TYPSTORAGE_PLAIN))
		value = PointerGetDatum(detoast_attr(bytes));
	return canonical_of_type(att->atttypid, value);
}

Datum
canonical_composite(Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											HeapTupleHeaderGetTypMod(header));
	Datum *values = (Datum *) palloc(sizeof(Datum) * Max(desc->natts, 1));
	bool *nulls = (bool *) palloc(sizeof(bool) * Max(desc->natts, 1));
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		nulls[i] |= TupleDescAttr(desc, i)->attisdropped;
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			values[i] = canonical_field(TupleDescAttr(desc, i), values[i]);
	}

	HeapTuple formed = heap_form_tuple(desc, values, nulls);
	Datum result = heap_copy_tuple_as_datum(formed, desc);
	heap_freetuple(formed);
	ReleaseTupleDesc(desc);
	return result;
}

Datum
canonical_array(Oid element, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	int16 length;
	bool by_value;
	char align;
	Datum *elements;
	bool *nulls;
	int n;

	get_typlenbyvalalign(element, &length, &by_value, &align);
	deconstruct_array(array, element, length, by_value, align, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			elements[i] = canonical_of_type(element, elements[i]);
	return PointerGetDatum(construct_md_array(elements, nulls, ARR_NDIM(array), ARR_DIMS(array),
											  ARR_LBOUND(array), element, length, by_value, align));
}

/* Types of the server other than RECORD hold no composite values. */
bool
may_hold_composite(Oid type)
{
	return type >= FirstNormalObjectId || type == RECORDOID || type == RECORDARRAYOID;
}

bool
is_composite(Oid type)
{
	return type == RECORDOID || get_typtype(type) == TYPTYPE_COMPOSITE;
}

Datum
canonical_of_type(Oid type, Datum value)
{
	if (!may_hold_composite(type))
		return value;

	Oid base = getBaseType(type);
	if (is_composite(base))
		return canonical_composite(value);

	if (holds_composite(base))
		return canonical_array(get_element_type(base), value);
	return value;
}

} // namespace

Datum
canonical_value(Form_pg_attribute att, Datum value)
{
	return att->attlen == -1 ? canonical_field(att, value) : value;
}

bool
holds_composite(Oid type)
{
	if (!may_hold_composite(type))
		return false;

	Oid base = getBaseType(type);
	Oid element = get_element_type(base);

	return is_composite(base) || (OidIsValid(element) && may_hold_composite(element) &&
								  is_composite(getBaseType(element)));
}

} // namespace tw::capture
