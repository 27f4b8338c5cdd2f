/*
 * spill.cpp - weighted rows beyond memory, in an order that all sessions share.
 *
 * A tuplesort on (rank, image) that can be read again and again. Sorting rather
 * than hashing to partitions: nothing has to be split again where it is uneven,
 * and writers who go through the rows lock what they stand for in one order,
 * whether they had to spill or not.
 */
#include "capture/spill.hpp"
#include "capture/zset.hpp"

namespace tw::capture
{

struct Spill
{
	MemoryContext context;
	ResourceOwner owner;
	Tuplesortstate *sort;
	TupleTableSlot *in;
	TupleTableSlot *out;
	bool sorted;
	char *buffers[2]; /* for image and row as bytea */
	Size sizes[2];
};

namespace
{

enum Column
{
	kRank,
	kImage,
	kWeight,
	kRow,
	kColumns
};

TupleDesc
spill_descriptor()
{
	TupleDesc desc = CreateTemplateTupleDesc(kColumns);

	TupleDescInitEntry(desc, kRank + 1, "rank", INT8OID, -1, 0);
	TupleDescInitEntry(desc, kImage + 1, "image", BYTEAOID, -1, 0);
	TupleDescInitEntry(desc, kWeight + 1, "weight", INT8OID, -1, 0);
	TupleDescInitEntry(desc, kRow + 1, "row", BYTEAOID, -1, 0);
	return desc;
}

/* The tuple's image as a bytea in one of the buffers. */
Datum
as_bytea(Spill *spill, int buffer, MinimalTuple tuple)
{
	int length;
	const unsigned char *bytes = image_bytes(tuple, &length);
	Size size = VARHDRSZ + (Size) length;

	if (spill->sizes[buffer] < size)
	{
		Size enough = Max(size + size / 2, (Size) 1024);

		if (spill->buffers[buffer])
			pfree(spill->buffers[buffer]);
		spill->buffers[buffer] = (char *) MemoryContextAllocHuge(spill->context, enough);
		spill->sizes[buffer] = enough;
	}

	char *value = spill->buffers[buffer];
	SET_VARSIZE(value, size);
	memcpy(VARDATA(value), bytes, length);
	return PointerGetDatum(value);
}

} // namespace

Spill *
make_spill(MemoryContext context, ResourceOwner owner)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	ResourceOwner old_owner = CurrentResourceOwner;
	Spill *spill = (Spill *) palloc0(sizeof(Spill));
	TupleDesc desc = spill_descriptor();
	AttrNumber columns[2] = {kRank + 1, kImage + 1};
	Oid operators[2] = {lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr,
						lookup_type_cache(BYTEAOID, TYPECACHE_LT_OPR)->lt_opr};
	Oid collations[2] = {InvalidOid, InvalidOid};
	bool nulls_first[2] = {false, false};

	CurrentResourceOwner = owner;
	spill->context = context;
	spill->owner = owner;
	spill->sort = tuplesort_begin_heap(desc, 2, columns, operators, collations, nulls_first,
									   work_mem, nullptr, TUPLESORT_RANDOMACCESS);
	spill->in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	spill->out = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	CurrentResourceOwner = old_owner;
	MemoryContextSwitchTo(old);
	return spill;
}

void
spill_put(Spill *spill, int64 rank, MinimalTuple image, int64 weight, MinimalTuple row)
{
	ResourceOwner old = CurrentResourceOwner;
	TupleTableSlot *slot = spill->in;

	ExecClearTuple(slot);
	slot->tts_values[kRank] = Int64GetDatum(rank);
	slot->tts_values[kImage] = as_bytea(spill, 0, image);
	slot->tts_values[kWeight] = Int64GetDatum(weight);
	slot->tts_values[kRow] = row ? as_bytea(spill, 1, row) : (Datum) 0;
	memset(slot->tts_isnull, false, sizeof(bool) * kColumns);
	slot->tts_isnull[kRow] = row == nullptr;
	ExecStoreVirtualTuple(slot);
	CurrentResourceOwner = spill->owner;
	tuplesort_puttupleslot(spill->sort, slot);
	CurrentResourceOwner = old;
}

void
spill_rewind(Spill *spill)
{
	ResourceOwner old = CurrentResourceOwner;

	CurrentResourceOwner = spill->owner;
	if (spill->sorted)
		tuplesort_rescan(spill->sort);
	else
		tuplesort_performsort(spill->sort);
	spill->sorted = true;
	CurrentResourceOwner = old;
}

bool
spill_next(Spill *spill, Spilled *out)
{
	TupleTableSlot *slot = spill->out;

	if (!tuplesort_gettupleslot(spill->sort, true, false, slot, nullptr))
		return false;
	slot_getallattrs(slot);
	out->rank = DatumGetInt64(slot->tts_values[kRank]);
	out->weight = DatumGetInt64(slot->tts_values[kWeight]);
	out->image = tuple_of_image(DatumGetPointer(slot->tts_values[kImage]));
	out->row = slot->tts_isnull[kRow] ? nullptr
									  : tuple_of_image(DatumGetPointer(slot->tts_values[kRow]));
	return true;
}

void
end_spill(Spill *spill)
{
	ExecDropSingleTupleTableSlot(spill->in);
	ExecDropSingleTupleTableSlot(spill->out);
	tuplesort_end(spill->sort);
	for (int i = 0; i < 2; i++)
		if (spill->buffers[i])
			pfree(spill->buffers[i]);
	pfree(spill);
}

Size
hash_memory()
{
	double bytes = (double) work_mem * 1024.0 * hash_mem_multiplier;

	return bytes < (double) (SIZE_MAX / 2) ? (Size) bytes : SIZE_MAX / 2;
}

} // namespace tw::capture
