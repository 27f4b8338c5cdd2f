/*
 * consolidate.hpp - a multiset of rows by image, with summed diffs.
 *
 * Rows are equal when each attribute has the same image (datum_image_eq), so
 * 1.0 is not 1.00. A RowBag keeps the order in which rows first occurred. It
 * lives in one memory context, is private to a reader, and holds its rows in
 * memory: as large as the distinct rows of the largest version read.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::feed
{

struct RowBag
{
	/* `slot` gives the rows' descriptor and is used to look at stored rows. */
	void init(MemoryContext parent, TupleTableSlot *slot);

	/* Adds diff copies of the row in the slot given to init(). */
	void add(TupleTableSlot *row, int64 diff);

	/* The sum for a row, to be changed in place; nullptr where the row is not in the bag. */
	int64 *find(TupleTableSlot *row);

	/* Loads the i-th row into a slot with the same descriptor (of minimal tuples); returns its sum. */
	int64 get(uint32 i, TupleTableSlot *out);

	void reset();

	/* Frees everything; after an error it goes with its memory context. */
	void close();

	uint32 size;

  private:
	struct Entry
	{
		uint32 hash;
		int32 next; /* in the bucket; -1: last */
		int64 diff;
		MinimalTuple row;
	};

	uint32 hash(TupleTableSlot *row);
	bool equal(const Entry *entry, TupleTableSlot *row);
	Entry *search(TupleTableSlot *row, uint32 hash);
	void grow();

	MemoryContext context_;
	TupleTableSlot *stored_; /* for comparing */
	Entry *entries_;
	uint32 capacity_;
	int32 *buckets_; /* as many as capacity_ */
};

/*
 * Replaces values that are stored out of line by the values themselves, in the
 * current memory context: they must not point into a table that may be pruned.
 * The slot must be virtual.
 */
void fetch_external_values(TupleTableSlot *row);

} // namespace tw::feed
