/*
 * packed.cpp - see packed.hpp.
 *
 * A row must fit into a page, and only values that are longer than a pointer to
 * where they are kept instead can be moved out of it. Hundreds of sums are
 * hundreds of short values. From the number on where they might not fit the columns of
 * the aggregates are stored in one, which the server compresses and, if it is still too
 * long, moves out. Which form a table has follows from the number of its columns.
 *
 * Where they are columns of the table, null stands for the value that a column mostly has.
 */
#include "state/packed.hpp"

namespace tw::state
{

namespace
{

/* As many values that cannot be moved out of a row fit into a page, with room for the keys. */
constexpr int kMostColumns = 200;

Datum
copy_value(Form_pg_attribute att, Datum value)
{
	return att->attlen == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value))
							 : datumCopy(value, att->attbyval, att->attlen);
}

/* False where the column has no usual value. */
bool
usual_value(const StateLayout &layout, int column, const Datum *values, Datum *value)
{
	switch (layout.usual[column])
	{
		case Usual::kNothing:
			return false;
		case Usual::kZero:
			*value = Int64GetDatum(0);
			return true;
		case Usual::kOne:
			*value = Int64GetDatum(1);
			return true;
		case Usual::kCount:
			*value = values[layout.nplain - 1];
			return true;
	}
	pg_unreachable();
}

/* What the table stores of columns that are its own: null for the usual values. */
void
leave_out_usual(const StateLayout &layout, const Datum *values, bool *stored_nulls)
{
	Datum usual;

	for (int i = layout.nplain; i < layout.columns->natts; i++)
		if (!stored_nulls[i] && usual_value(layout, i, values, &usual) &&
			DatumGetInt64(values[i]) == DatumGetInt64(usual))
			stored_nulls[i] = true;
}

void
fill_in_usual(const StateLayout &layout, Datum *values, bool *nulls)
{
	for (int i = layout.nplain; i < layout.columns->natts; i++)
		if (nulls[i] && usual_value(layout, i, values, &values[i]))
			nulls[i] = false;
}

Size
packed_size(const StateLayout &layout, const Datum *values, const bool *nulls)
{
	Size size = VARHDRSZ;

	for (int i = layout.nplain; i < layout.columns->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(layout.columns, i);

		size += datumEstimateSpace(values[i], nulls[i], att->attbyval, att->attlen);
	}
	return size;
}

} // namespace

StateLayout
state_layout(TupleDesc columns, int nplain)
{
	return {columns, nplain, columns->natts > kMostColumns && columns->natts > nplain + 1, nullptr};
}

TupleDesc
stored_descriptor(const StateLayout &layout)
{
	if (!layout.packed)
		return layout.columns;

	TupleDesc desc = CreateTemplateTupleDesc(layout.nplain + 1);
	for (int i = 1; i <= layout.nplain; i++)
		TupleDescCopyEntry(desc, i, layout.columns, i);
	TupleDescInitEntry(desc, layout.nplain + 1, "aggregates", BYTEAOID, -1, 0);
	/* In the row as long as it fits. */
	TupleDescAttr(desc, layout.nplain)->attstorage = TYPSTORAGE_MAIN;
	return desc;
}

void
pack(const StateLayout &layout, const Datum *values, const bool *nulls, Datum *stored,
	 bool *stored_nulls)
{
	int nplain = layout.packed ? layout.nplain : layout.columns->natts;

	memcpy(stored, values, sizeof(Datum) * nplain);
	memcpy(stored_nulls, nulls, sizeof(bool) * nplain);
	if (!layout.packed && layout.usual)
		leave_out_usual(layout, values, stored_nulls);
	if (!layout.packed)
		return;

	/* What is stored elsewhere would go with the row it belongs to. */
	Datum *plain = (Datum *) palloc(sizeof(Datum) * layout.columns->natts);
	for (int i = nplain; i < layout.columns->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(layout.columns, i);

		plain[i] = !nulls[i] && att->attlen == -1 ? PointerGetDatum(PG_DETOAST_DATUM(values[i]))
												  : values[i];
	}

	Size size = packed_size(layout, plain, nulls);
	char *bytes = (char *) palloc(size);
	char *end = bytes + VARHDRSZ;

	SET_VARSIZE(bytes, size);
	for (int i = nplain; i < layout.columns->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(layout.columns, i);

		datumSerialize(plain[i], nulls[i], att->attbyval, att->attlen, &end);
	}
	pfree(plain);
	stored[nplain] = PointerGetDatum(bytes);
	stored_nulls[nplain] = false;
}

void
unpack(const StateLayout &layout, const Datum *stored, const bool *stored_nulls, Datum *values,
	   bool *nulls)
{
	int nplain = layout.packed ? layout.nplain : layout.columns->natts;

	for (int i = 0; i < nplain; i++)
	{
		nulls[i] = stored_nulls[i];
		if (!nulls[i])
			values[i] = copy_value(TupleDescAttr(layout.columns, i), stored[i]);
	}
	if (!layout.packed && layout.usual)
		fill_in_usual(layout, values, nulls);
	if (!layout.packed)
		return;

	char *bytes = (char *) PG_DETOAST_DATUM(stored[nplain]);
	char *next = bytes + VARHDRSZ;
	for (int i = nplain; i < layout.columns->natts; i++)
		values[i] = datumRestore(&next, &nulls[i]);
	if (PointerGetDatum(bytes) != stored[nplain])
		pfree(bytes);
}

} // namespace tw::state
