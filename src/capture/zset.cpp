/*
 * zset.cpp - a multiset of rows with integer weights, consolidated by image.
 *
 * A chained hash table over an array of entries. Nothing is freed before the
 * memory context goes; a set lives as long as one batch.
 */
#include "capture/zset.hpp"
#include "capture/image.hpp"

namespace tw::capture
{

namespace
{

constexpr int kFirstCapacity = 4;

/* Bytes of the tuple that make up its image. */
const unsigned char *
image_bytes(MinimalTuple tuple, int *length)
{
	*length = tuple->t_len - offsetof(MinimalTupleData, t_infomask2);
	return (const unsigned char *) tuple + offsetof(MinimalTupleData, t_infomask2);
}

void
grow(ZSet *set)
{
	set->capacity *= 2;
	set->entries = (ZEntry *) repalloc_huge(set->entries, sizeof(ZEntry) * set->capacity);
	set->mask = set->capacity * 2 - 1;
	set->buckets = (int32 *) repalloc_huge(set->buckets, sizeof(int32) * ((Size) set->mask + 1));
	memset(set->buckets, -1, sizeof(int32) * ((Size) set->mask + 1));
	for (int i = 0; i < set->nentries; i++)
	{
		uint32 bucket = set->entries[i].hash & set->mask;

		set->entries[i].next = set->buckets[bucket];
		set->buckets[bucket] = i;
	}
}

ZEntry *
find_tuple(ZSet *set, MinimalTuple tuple, uint32 hash)
{
	for (int32 i = set->buckets[hash & set->mask]; i >= 0; i = set->entries[i].next)
	{
		ZEntry *entry = &set->entries[i];

		if (entry->hash == hash && same_image(entry->row, tuple))
			return entry;
	}
	return nullptr;
}

uint32
hash_tuple(MinimalTuple tuple)
{
	int length;
	const unsigned char *bytes = image_bytes(tuple, &length);

	return hash_bytes(bytes, length);
}

/* Takes over the tuple, which is in the set's context. */
int
add_tuple(ZSet *set, MinimalTuple tuple, int64 weight)
{
	uint32 hash = hash_tuple(tuple);
	ZEntry *entry = find_tuple(set, tuple, hash);

	if (entry)
	{
		entry->weight += weight;
		pfree(tuple);
		return entry - set->entries;
	}
	if (set->nentries == set->capacity)
		grow(set);

	uint32 bucket = hash & set->mask;
	entry = &set->entries[set->nentries];
	entry->row = tuple;
	entry->weight = weight;
	entry->hash = hash;
	entry->next = set->buckets[bucket];
	set->buckets[bucket] = set->nentries;
	return set->nentries++;
}

} // namespace

MinimalTuple
form_image(TupleDesc desc, const Datum *values, const bool *nulls)
{
	Datum plain_space[32];
	Datum *plain = desc->natts <= 32 ? plain_space : (Datum *) palloc(sizeof(Datum) * desc->natts);

	for (int i = 0; i < desc->natts; i++)
	{
		plain[i] = nulls[i] ? values[i] : canonical_value(TupleDescAttr(desc, i), values[i]);
	}

	MinimalTuple tuple = heap_form_minimal_tuple(desc, plain, const_cast<bool *>(nulls));
	for (int i = 0; i < desc->natts; i++)
		if (!nulls[i] && plain[i] != values[i])
			pfree(DatumGetPointer(plain[i]));
	if (plain != plain_space)
		pfree(plain);
	return tuple;
}

int
compare_images(MinimalTuple a, MinimalTuple b)
{
	int length;
	int other_length;
	const unsigned char *bytes = image_bytes(a, &length);
	const unsigned char *other = image_bytes(b, &other_length);
	int cmp = memcmp(bytes, other, Min(length, other_length));

	return cmp != 0 ? cmp : length - other_length;
}

bool
same_image(MinimalTuple a, MinimalTuple b)
{
	int length;
	int other_length;
	const unsigned char *bytes = image_bytes(a, &length);
	const unsigned char *other = image_bytes(b, &other_length);

	return length == other_length && memcmp(bytes, other, length) == 0;
}

ZSet *
make_zset(TupleDesc desc, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	ZSet *set = (ZSet *) palloc(sizeof(ZSet));

	set->context = context;
	set->desc = desc;
	set->nentries = 0;
	set->capacity = kFirstCapacity;
	set->entries = (ZEntry *) palloc(sizeof(ZEntry) * kFirstCapacity);
	set->mask = kFirstCapacity * 2 - 1;
	set->buckets = (int32 *) palloc(sizeof(int32) * (set->mask + 1));
	memset(set->buckets, -1, sizeof(int32) * (set->mask + 1));
	MemoryContextSwitchTo(old);
	return set;
}

int
zset_add_values(ZSet *set, Datum *values, bool *nulls, int64 weight)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);

	int entry = add_tuple(set, form_image(set->desc, values, nulls), weight);
	MemoryContextSwitchTo(old);
	return entry;
}

int
zset_add(ZSet *set, TupleTableSlot *slot, int64 weight)
{
	slot_getallattrs(slot);
	return zset_add_values(set, slot->tts_values, slot->tts_isnull, weight);
}

ZEntry *
zset_find(ZSet *set, Datum *values, bool *nulls)
{
	MinimalTuple tuple = form_image(set->desc, values, nulls);
	ZEntry *entry = find_tuple(set, tuple, hash_tuple(tuple));

	pfree(tuple);
	return entry;
}

namespace
{

int
compare_entries(const void *a, const void *b, void *arg)
{
	const ZEntry *entries = static_cast<const ZEntry *>(arg);
	int i = *static_cast<const int *>(a);
	int j = *static_cast<const int *>(b);

	if (entries[i].hash != entries[j].hash)
		return entries[i].hash < entries[j].hash ? -1 : 1;
	return i < j ? -1 : 1;
}

} // namespace

int *
zset_order(const ZSet *set)
{
	int *order = (int *) MemoryContextAllocHuge(CurrentMemoryContext,
												sizeof(int) * Max(set->nentries, 1));

	for (int i = 0; i < set->nentries; i++)
		order[i] = i;
	if (set->nentries > 1)
		qsort_arg(order, set->nentries, sizeof(int), compare_entries, set->entries);
	return order;
}

bool
zset_is_empty(const ZSet *set)
{
	for (int i = 0; i < set->nentries; i++)
		if (set->entries[i].weight != 0)
			return false;
	return true;
}

} // namespace tw::capture
