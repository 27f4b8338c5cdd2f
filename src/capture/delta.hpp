/*
 * delta.hpp - what changed in a relation during a statement.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/zset.hpp"

namespace tw::capture
{

/* Rows that came or went together, in the format of the relation they were changed in. */
struct DeltaPart
{
	Tuplestorestate *rows;
	int weight;              /* of each row: +1 or -1 */
	TupleDesc desc;          /* of the rows */
	TupleConversionMap *map; /* to the delta's relation; null: same format */
	ExprState *filter;       /* which of the rows are the delta's, in its format; null: all */
	ExprContext *econtext;
};

/*
 * The change of one relation: a base table, the root of the partitions that
 * changed, or a live view that another one reads.
 */
struct Delta
{
	Oid relid;
	TupleDesc desc;
	bool many;   /* rows of many statements: some may have come and gone again */
	bool reset;  /* truncated or otherwise changed beyond rows: what reads it must be rebuilt */
	List *parts; /* DeltaPart; a live view has `set` instead */
	ZSet *set;
};

/* True if one of the deltas (List of Delta) is a reset. */
bool any_reset(List *deltas);

/* Calls back for every changed row; they are in the format of the delta's relation. */
void each_row(const Delta *delta, RowCallback callback, void *arg);

/* A new read pointer at the first row, which becomes the active one. */
int rewound_pointer(Tuplestorestate *rows);

/*
 * A tuplestore in the current memory context, whose file belongs to the owner: that of
 * the transaction, to outlive the trigger call that begins it; null: to outlive transactions, too.
 */
Tuplestorestate *begin_store(ResourceOwner owner);

struct RowCounts
{
	int64 all;
	int64 gone; /* those of them with a negative weight */
};

/*
 * The delta as a tuplestore with the weight as last column, consolidated over
 * the columns in `used` (attnum - FirstLowInvalidHeapAttributeNumber; the others
 * become null). Returns null where nothing is left: no used column changed.
 */
Tuplestorestate *weighted_store(const Delta *delta, const Bitmapset *used, TupleDesc weighted,
								RowCounts *counts);

} // namespace tw::capture
