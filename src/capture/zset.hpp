/*
 * zset.hpp - a multiset of rows with integer weights, consolidated by image.
 *
 * Rows are minimal tuples whose values are detoasted and decompressed, so that
 * two rows have the same image exactly if their bytes are the same. Weights of
 * equal rows add up; a row whose weight becomes 0 stays as an entry of weight
 * 0 and is skipped when reading. Entries keep the order of their first
 * occurrence.
 *
 * A set made by make_zset() is in memory, and its entries can be numbered. One
 * made by make_large_zset() may outgrow the memory of a hash table; it is then
 * sorted in temporary files, and read in parts that are sets in memory:
 *
 *     ZParts parts = read_parts(set);
 *     while (const ZSet *part = next_part(&parts))
 *         ...
 *
 * As long as it is small the set itself is its only part.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::capture
{

struct ZEntry
{
	MinimalTuple row;
	int64 weight;
	uint32 hash;
	int32 next; /* in the bucket, -1: last */
};

struct ZSet
{
	MemoryContext context;
	TupleDesc desc;
	ZEntry *entries;
	int nentries;
	int capacity;
	int32 *buckets;
	uint32 mask;
	Size used;  /* bytes of rows and entries */
	Size limit; /* of `used`, beyond which entries are spilled */

	/* a large set */
	ResourceOwner owner;       /* of temporary files */
	struct Spill *spill;       /* null: all is in memory */
	int ncluster;              /* rows that agree in these columns are in one part; */
	const AttrNumber *cluster; /* none: rows that agree in all */

	/* who takes rows away while the set grows, see zset_offer(); null: nobody */
	void (*take)(void *arg, ZSet *set);
	void *take_arg;
};

/* Reads a set part by part; nothing may be added to the set any more. */
struct ZParts
{
	ZSet *set;
	ZSet *part;            /* the last one */
	struct Spilled *ahead; /* a row that belongs to the next part, or null */
	bool done;
};

/* Receives a row and its weight; the row is valid during the call only. */
using RowCallback = void (*)(void *arg, TupleTableSlot *row, int64 weight);

/* A new, empty set of rows of the descriptor; all it allocates is in context. */
ZSet *make_zset(TupleDesc desc, MemoryContext context);

/* The same for a set that may be large; parts keep rows together that agree in the columns (attribute numbers, which must live as long). */
ZSet *make_large_zset(TupleDesc desc, MemoryContext context, int ncluster = 0,
					  const AttrNumber *cluster = nullptr);

/* Removes the set's temporary files; its memory goes with its context. Not needed after an error. */
void end_zset(ZSet *set);

/* Removes all rows. */
void clear_zset(ZSet *set);

/* Parts come in an order that all sessions share. One reader at a time. */
ZParts read_parts(ZSet *set);

/* The next part, valid until the one after it; null after the last. */
ZSet *next_part(ZParts *parts);

/* Adds the rows of a set to another, their weights times `factor`. */
void zset_add_all(ZSet *set, ZSet *from, int64 factor);

/*
 * Called by who fills the set where all rows of a key that are in the set so
 * far will stay the only ones. If they are many, who wants them early takes
 * them, and empties the set.
 */
void zset_offer(ZSet *set);

/* The sum of the weights without their signs. */
int64 zset_size(ZSet *set);

/* Adds `weight` copies of the row in the slot, whose columns are those of the set. Returns its entry's number, which means something in a set in memory only. */
int zset_add(ZSet *set, TupleTableSlot *slot, int64 weight);

/* The same for values and nulls. */
int zset_add_values(ZSet *set, Datum *values, bool *nulls, int64 weight);

/* The entry of a row, or null. */
ZEntry *zset_find(ZSet *set, Datum *values, bool *nulls);

/* The same for a row's image. */
ZEntry *zset_find_image(ZSet *set, MinimalTuple image);

/*
 * Numbers of the entries in an order that does not depend on how they came:
 * sessions that lock what entries stand for in this order do not deadlock.
 */
int *zset_order(const ZSet *set);

/* True if every weight is 0. */
bool zset_is_empty(ZSet *set);

/* A minimal tuple in the current memory context whose bytes are the row's image. */
MinimalTuple form_image(TupleDesc desc, const Datum *values, const bool *nulls);

/* The bytes of a minimal tuple that make up its image, and a tuple made of them, which are in a varlena. */
const unsigned char *image_bytes(MinimalTuple tuple, int *length);
MinimalTuple tuple_of_image(void *varlena);

/* An order of images without meaning, the same in all sessions: < 0, 0, > 0. */
int compare_images(MinimalTuple a, MinimalTuple b);

/* True if two tuples formed by form_image() have the same image. */
bool same_image(MinimalTuple a, MinimalTuple b);

} // namespace tw::capture
