/*
 * packed.cpp - many rows of a change log in one.
 */
#include "feed/packed.hpp"

namespace tw::feed
{

namespace
{

/* The first tuple is aligned as palloc'd memory is. */
constexpr Size kStart = MAXALIGN(VARHDRSZ);

Size
minimal_size(HeapTuple tuple)
{
	return tuple->t_len - MINIMAL_TUPLE_OFFSET;
}

} // namespace

AttrNumber
packed_column(TupleDesc log)
{
	const char *last = NameStr(TupleDescAttr(log, log->natts - 1)->attname);

	return strcmp(last, kPackedName) == 0 ? log->natts : 0;
}

Datum
pack_rows(const HeapTuple *tuples, int n)
{
	Size size = kStart;

	for (int i = 0; i < n; i++)
		size += MAXALIGN(minimal_size(tuples[i]));

	char *packed = (char *) palloc0(size);
	char *to = packed + kStart;

	SET_VARSIZE(packed, size);
	for (int i = 0; i < n; i++)
	{
		MinimalTuple tuple = (MinimalTuple) to;

		/* As minimal_tuple_from_heap_tuple(), but the padding must not look like part of a header. */
		memcpy(to, (char *) tuples[i]->t_data + MINIMAL_TUPLE_OFFSET, minimal_size(tuples[i]));
		memset(to, 0, offsetof(MinimalTupleData, t_infomask2));
		tuple->t_len = minimal_size(tuples[i]);
		to += MAXALIGN(minimal_size(tuples[i]));
	}
	return PointerGetDatum(packed);
}

bool
log_row_packed(HeapTuple row, TupleDesc log, Datum *rows)
{
	AttrNumber column = packed_column(log);
	bool isnull = true;

	if (column)
		*rows = heap_getattr(row, column, log, &isnull);
	return !isnull;
}

void
PackedRows::open(Datum rows)
{
	copy_ = (char *) PG_DETOAST_DATUM_COPY(rows);
	at_ = copy_ + kStart;
	end_ = copy_ + VARSIZE(copy_);
}

HeapTuple
PackedRows::next()
{
	if (at_ >= end_)
		return nullptr;

	Size size = ((MinimalTuple) at_)->t_len;

	tuple_.t_len = size + MINIMAL_TUPLE_OFFSET;
	tuple_.t_data = (HeapTupleHeader) (at_ - MINIMAL_TUPLE_OFFSET);
	at_ += MAXALIGN(size);
	return &tuple_;
}

void
PackedRows::close()
{
	pfree(copy_);
}

} // namespace tw::feed
