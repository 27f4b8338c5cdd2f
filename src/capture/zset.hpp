/*
 * zset.hpp - a multiset of rows with integer weights, consolidated by image.
 *
 * Rows are minimal tuples whose values are detoasted and decompressed, so that
 * two rows have the same image exactly if their bytes are the same. Weights of
 * equal rows add up; a row whose weight becomes 0 stays as an entry of weight
 * 0 and is skipped when reading. Entries keep the order of their first
 * occurrence.
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
};

/* Receives a row and its weight; the row is valid during the call only. */
using RowCallback = void (*)(void *arg, TupleTableSlot *row, int64 weight);

/* A new, empty set of rows of the descriptor; all it allocates is in context. */
ZSet *make_zset(TupleDesc desc, MemoryContext context);

/* Adds `weight` copies of the row in the slot, whose columns are those of the set. Returns its entry's number. */
int zset_add(ZSet *set, TupleTableSlot *slot, int64 weight);

/* The same for values and nulls. */
int zset_add_values(ZSet *set, Datum *values, bool *nulls, int64 weight);

/* The entry of a row, or null. */
ZEntry *zset_find(ZSet *set, Datum *values, bool *nulls);

/*
 * Numbers of the entries in an order that does not depend on how they came:
 * sessions that lock what entries stand for in this order do not deadlock.
 */
int *zset_order(const ZSet *set);

/* True if every weight is 0. */
bool zset_is_empty(const ZSet *set);

/* A minimal tuple in the current memory context whose bytes are the row's image. */
MinimalTuple form_image(TupleDesc desc, const Datum *values, const bool *nulls);

/* An order of images without meaning, the same in all sessions: < 0, 0, > 0. */
int compare_images(MinimalTuple a, MinimalTuple b);

/* True if two tuples formed by form_image() have the same image. */
bool same_image(MinimalTuple a, MinimalTuple b);

} // namespace tw::capture
