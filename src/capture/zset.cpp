/*
 * zset.cpp - a multiset of rows with integer weights, consolidated by image.
 *
 * A chained hash table over an array of entries. A set lives as long as one
 * batch. When a large set outgrows its memory, its entries go to a spill, where
 * they are in order of the hash of the columns that cluster them, and the table
 * begins anew: it then adds up what comes close together. What a part holds is
 * put in a table of the same kind, until that is full and the hash changes.
 */
#include "capture/zset.hpp"
#include "capture/image.hpp"
#include "capture/spill.hpp"

namespace tw::capture
{

namespace
{

constexpr int kFirstCapacity = 4;

/* What an entry takes beside its row, of which allocation wastes some. */
constexpr Size kEntryBytes = sizeof(ZEntry) * 3 / 2 + sizeof(int32) * 3;

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

MinimalTuple
copy_tuple(MinimalTuple tuple)
{
	MinimalTuple copy = (MinimalTuple) palloc(tuple->t_len);

	memcpy(copy, tuple, tuple->t_len);
	return copy;
}

void
empty_table(ZSet *set)
{
	for (int i = 0; i < set->nentries; i++)
		pfree(set->entries[i].row);
	set->nentries = 0;
	set->used = 0;
	memset(set->buckets, -1, sizeof(int32) * ((Size) set->mask + 1));
}

/* Grows with the value, strictly for small ones. */
int32
coarse_order(int64 value)
{
	float rounded = (float) value;
	int32 bits;

	memcpy(&bits, &rounded, sizeof(bits));
	return bits >= 0 ? bits : bits ^ PG_INT32_MAX;
}

/*
 * Where the row stands among the parts. Of columns that cluster the set their
 * hash, after the first one where that is passed by value: what is written in
 * this order is written from one end of an index to the other.
 */
int64
rank_of(const ZSet *set, const ZEntry *entry, TupleTableSlot *slot, TupleDesc clustered)
{
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	if (!clustered)
		return entry->hash;
	ExecStoreMinimalTuple(entry->row, slot, false);
	slot_getallattrs(slot);
	for (int i = 0; i < set->ncluster; i++)
	{
		values[i] = slot->tts_values[set->cluster[i] - 1];
		nulls[i] = slot->tts_isnull[set->cluster[i] - 1];
	}

	MinimalTuple key = form_image(clustered, values, nulls);
	int64 rank = (int64) hash_tuple(key);

	pfree(key);
	if (!nulls[0] && TupleDescAttr(clustered, 0)->attbyval)
		rank |= (int64) coarse_order((int64) values[0]) << 32;
	return rank;
}

void
spill_entries(ZSet *set)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(set->desc, &TTSOpsMinimalTuple);
	TupleDesc clustered = nullptr;

	if (!set->spill)
		set->spill = make_spill(set->context, set->owner);
	if (set->ncluster > 0 && set->ncluster <= INDEX_MAX_KEYS)
	{
		clustered = CreateTemplateTupleDesc(set->ncluster);
		for (int i = 0; i < set->ncluster; i++)
			TupleDescCopyEntry(clustered, i + 1, set->desc, set->cluster[i]);
	}
	for (int i = 0; i < set->nentries; i++)
	{
		const ZEntry *entry = &set->entries[i];

		CHECK_FOR_INTERRUPTS();
		if (entry->weight != 0)
			spill_put(set->spill, rank_of(set, entry, slot, clustered), entry->row, entry->weight,
					  nullptr);
	}
	ExecDropSingleTupleTableSlot(slot);
	if (clustered)
		FreeTupleDesc(clustered);
	empty_table(set);
	MemoryContextSwitchTo(old);
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
	if (set->used > set->limit)
		spill_entries(set);
	if (set->nentries == set->capacity)
		grow(set);

	uint32 bucket = hash & set->mask;
	entry = &set->entries[set->nentries];
	entry->row = tuple;
	entry->weight = weight;
	entry->hash = hash;
	entry->next = set->buckets[bucket];
	set->buckets[bucket] = set->nentries;
	set->used += tuple->t_len + tuple->t_len / 2 + kEntryBytes;
	return set->nentries++;
}

} // namespace

const unsigned char *
image_bytes(MinimalTuple tuple, int *length)
{
	*length = tuple->t_len - offsetof(MinimalTupleData, t_infomask2);
	return (const unsigned char *) tuple + offsetof(MinimalTupleData, t_infomask2);
}

MinimalTuple
tuple_of_image(void *varlena)
{
	Size length = VARSIZE_ANY_EXHDR(varlena);
	MinimalTuple tuple = (MinimalTuple) palloc0(offsetof(MinimalTupleData, t_infomask2) + length);

	tuple->t_len = offsetof(MinimalTupleData, t_infomask2) + length;
	memcpy((char *) tuple + offsetof(MinimalTupleData, t_infomask2), VARDATA_ANY(varlena), length);
	return tuple;
}

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
	ZSet *set = (ZSet *) palloc0(sizeof(ZSet));

	set->context = context;
	set->desc = desc;
	set->nentries = 0;
	set->capacity = kFirstCapacity;
	set->entries = (ZEntry *) palloc(sizeof(ZEntry) * kFirstCapacity);
	set->mask = kFirstCapacity * 2 - 1;
	set->limit = SIZE_MAX;
	set->buckets = (int32 *) palloc(sizeof(int32) * (set->mask + 1));
	memset(set->buckets, -1, sizeof(int32) * (set->mask + 1));
	MemoryContextSwitchTo(old);
	return set;
}

ZSet *
make_large_zset(TupleDesc desc, MemoryContext context, int ncluster, const AttrNumber *cluster)
{
	ZSet *set = make_zset(desc, context);

	set->limit = hash_memory();
	set->owner = CurrentResourceOwner;
	set->ncluster = ncluster;
	set->cluster = cluster;
	return set;
}

void
end_zset(ZSet *set)
{
	if (set->spill)
		end_spill(set->spill);
	set->spill = nullptr;
}

void
clear_zset(ZSet *set)
{
	end_zset(set);
	empty_table(set);
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
	ZEntry *entry = zset_find_image(set, tuple);

	pfree(tuple);
	return entry;
}

ZEntry *
zset_find_image(ZSet *set, MinimalTuple image)
{
	return find_tuple(set, image, hash_tuple(image));
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

ZParts
read_parts(ZSet *set)
{
	if (set->spill)
	{
		if (set->nentries > 0)
			spill_entries(set);
		spill_rewind(set->spill);
	}
	return {set, nullptr, nullptr, false};
}

namespace
{

/* Fills the part with what comes next; false if that is nothing. */
bool
fill_part(ZParts *parts)
{
	ZSet *part = parts->part;
	MemoryContext old = MemoryContextSwitchTo(part->context);
	int64 rank = 0;
	Spilled row;

	if (parts->ahead)
	{
		rank = parts->ahead->rank;
		add_tuple(part, parts->ahead->image, parts->ahead->weight);
		parts->ahead = nullptr;
	}
	while (spill_next(parts->set->spill, &row))
	{
		CHECK_FOR_INTERRUPTS();
		if (part->used > parts->set->limit && row.rank != rank)
		{
			parts->ahead = (Spilled *) palloc(sizeof(Spilled));
			*parts->ahead = row;
			break;
		}
		rank = row.rank;
		add_tuple(part, row.image, row.weight);
	}
	MemoryContextSwitchTo(old);
	return part->nentries > 0;
}

} // namespace

ZSet *
next_part(ZParts *parts)
{
	ZSet *set = parts->set;

	if (parts->done)
		return nullptr;
	if (!set->spill)
	{
		parts->done = true;
		return set;
	}

	/* The row ahead is in the last part's memory. */
	MemoryContext used = parts->part ? parts->part->context : nullptr;
	MemoryContext context = AllocSetContextCreate(set->context, "tailwater rows",
												  ALLOCSET_DEFAULT_SIZES);

	parts->part = make_zset(set->desc, context);
	if (parts->ahead)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Spilled *ahead = (Spilled *) palloc(sizeof(Spilled));

		*ahead = *parts->ahead;
		ahead->image = copy_tuple(ahead->image);
		parts->ahead = ahead;
		MemoryContextSwitchTo(old);
	}
	if (used)
		MemoryContextDelete(used);
	if (fill_part(parts))
		return parts->part;
	MemoryContextDelete(context);
	parts->done = true;
	return nullptr;
}

void
zset_add_all(ZSet *set, ZSet *from, int64 factor)
{
	ZParts parts = read_parts(from);
	MemoryContext old = MemoryContextSwitchTo(set->context);

	while (const ZSet *part = next_part(&parts))
		for (int i = 0; i < part->nentries; i++)
			if (part->entries[i].weight != 0)
				(void) add_tuple(set, copy_tuple(part->entries[i].row),
								 part->entries[i].weight * factor);
	MemoryContextSwitchTo(old);
}

void
zset_offer(ZSet *set)
{
	constexpr int kMany = 1024;

	if (set->take && set->nentries >= kMany)
		set->take(set->take_arg, set);
}

int64
zset_size(ZSet *set)
{
	ZParts parts = read_parts(set);
	int64 size = 0;

	while (const ZSet *part = next_part(&parts))
		for (int i = 0; i < part->nentries; i++)
			size += std::abs(part->entries[i].weight);
	return size;
}

bool
zset_is_empty(ZSet *set)
{
	ZParts parts = read_parts(set);
	bool empty = true;

	while (const ZSet *part = empty ? next_part(&parts) : nullptr)
		for (int i = 0; empty && i < part->nentries; i++)
			empty = part->entries[i].weight == 0;
	if (parts.part && !parts.done)
		MemoryContextDelete(parts.part->context);
	return empty;
}

} // namespace tw::capture
