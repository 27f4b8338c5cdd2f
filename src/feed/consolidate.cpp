/*
 * consolidate.cpp - a multiset of rows by image, with summed diffs.
 */
#include "feed/consolidate.hpp"

namespace tw::feed
{

namespace
{
constexpr uint32 kInitialCapacity = 64;
} // namespace

void
RowBag::init(MemoryContext parent, TupleTableSlot *slot)
{
	context_ = AllocSetContextCreate(parent, "tailwater rows", ALLOCSET_DEFAULT_SIZES);
	stored_ = MakeSingleTupleTableSlot(slot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
	reset();
}

void
RowBag::reset()
{
	ExecClearTuple(stored_);
	MemoryContextReset(context_);
	size = 0;
	capacity_ = 0;
	entries_ = nullptr;
	buckets_ = nullptr;
}

void
RowBag::close()
{
	ExecDropSingleTupleTableSlot(stored_);
	MemoryContextDelete(context_);
}

uint32
RowBag::hash(TupleTableSlot *row)
{
	TupleDesc desc = row->tts_tupleDescriptor;
	uint32 result = 0;

	slot_getallattrs(row);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!row->tts_isnull[i])
			result = hash_combine(result,
								  datum_image_hash(row->tts_values[i], att->attbyval, att->attlen));
		else
			result = hash_combine(result, 0);
	}
	return result;
}

bool
RowBag::equal(const Entry *entry, TupleTableSlot *row)
{
	TupleDesc desc = row->tts_tupleDescriptor;

	ExecStoreMinimalTuple(entry->row, stored_, false);
	slot_getallattrs(stored_);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (row->tts_isnull[i] != stored_->tts_isnull[i])
			return false;
		if (!row->tts_isnull[i] &&
			!datum_image_eq(row->tts_values[i], stored_->tts_values[i], att->attbyval, att->attlen))
			return false;
	}
	return true;
}

RowBag::Entry *
RowBag::search(TupleTableSlot *row, uint32 hash)
{
	if (size == 0)
		return nullptr;
	for (int32 i = buckets_[hash & (capacity_ - 1)]; i >= 0; i = entries_[i].next)
		if (entries_[i].hash == hash && equal(&entries_[i], row))
			return &entries_[i];
	return nullptr;
}

void
RowBag::grow()
{
	uint32 capacity = capacity_ ? capacity_ * 2 : kInitialCapacity;

	if (capacity > (uint32) PG_INT32_MAX / 2)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many changes in one version"));
	Entry *entries = static_cast<Entry *>(
		MemoryContextAllocHuge(context_, sizeof(Entry) * (Size) capacity));
	if (entries_)
	{
		memcpy(entries, entries_, sizeof(Entry) * (Size) size);
		pfree(entries_);
		pfree(buckets_);
	}
	entries_ = entries;
	capacity_ = capacity;
	buckets_ = static_cast<int32 *>(
		MemoryContextAllocHuge(context_, sizeof(int32) * (Size) capacity));
	memset(buckets_, 0xff, sizeof(int32) * (Size) capacity);
	for (uint32 i = 0; i < size; i++)
	{
		int32 *bucket = &buckets_[entries_[i].hash & (capacity - 1)];

		entries_[i].next = *bucket;
		*bucket = i;
	}
}

void
RowBag::add(TupleTableSlot *row, int64 diff)
{
	uint32 code = hash(row);
	Entry *entry = search(row, code);

	if (entry)
	{
		entry->diff += diff;
		return;
	}
	if (size == capacity_)
		grow();

	MemoryContext old = MemoryContextSwitchTo(context_);
	MinimalTuple copy = ExecCopySlotMinimalTuple(row);
	MemoryContextSwitchTo(old);

	int32 *bucket = &buckets_[code & (capacity_ - 1)];
	entries_[size] = {code, *bucket, diff, copy};
	*bucket = size++;
}

int64 *
RowBag::find(TupleTableSlot *row)
{
	if (size == 0)
		return nullptr;
	Entry *entry = search(row, hash(row));
	return entry ? &entry->diff : nullptr;
}

int64
RowBag::get(uint32 i, TupleTableSlot *out)
{
	if (entries_[i].diff != 0)
		ExecStoreMinimalTuple(entries_[i].row, out, false);
	return entries_[i].diff;
}

void
fetch_external_values(TupleTableSlot *row)
{
	TupleDesc desc = row->tts_tupleDescriptor;

	for (int i = 0; i < desc->natts; i++)
	{
		if (row->tts_isnull[i] || TupleDescAttr(desc, i)->attlen != -1)
			continue;
		struct varlena *value = (struct varlena *) DatumGetPointer(row->tts_values[i]);
		if (VARATT_IS_EXTERNAL(value))
			row->tts_values[i] = PointerGetDatum(detoast_external_attr(value));
	}
}

} // namespace tw::feed
