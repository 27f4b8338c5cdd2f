/*
 * spill.hpp - weighted rows beyond memory, in an order that all sessions share.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::capture
{

struct Spill;

/*
 * An empty spill. It takes work_mem, and temporary files of the resource owner
 * that was given: they go with it, or with end_spill().
 */
Spill *make_spill(MemoryContext context, ResourceOwner owner);

/*
 * Adds a row. Rows come back in order of `rank`, then of the bytes of their
 * image; `row`, which may be null, comes with them.
 */
void spill_put(Spill *spill, int64 rank, MinimalTuple image, int64 weight, MinimalTuple row);

/* What spill_next() found; images and rows are copies in the context it was called in. */
struct Spilled
{
	int64 rank;
	int64 weight;
	MinimalTuple image;
	MinimalTuple row;
};

/* From the first row on again. After this nothing can be added. */
void spill_rewind(Spill *spill);

/* The next row; false after the last one. */
bool spill_next(Spill *spill, Spilled *out);

void end_spill(Spill *spill);

/* Bytes of memory that one hash table may take: work_mem times hash_mem_multiplier. */
Size hash_memory();

} // namespace tw::capture
