/*
 * walk.cpp - finds rows of ascending keys along an index.
 *
 * An index scan from a key upwards stands at an entry until a larger key is
 * looked for, goes a few entries further, and begins anew where that was not
 * enough. To begin costs as much as several searches, since the scan reads a leaf
 * at a time: where fewer keys than that were found on the way, because they are far
 * from each other, the walk rests for a while, longer each time. What others add to
 * that leaf afterwards it does not see: a row
 * version that is visible because the snapshot was renewed meanwhile. So not to
 * find a key means nothing.
 */
#include "state/walk.hpp"

namespace tw::state
{

struct Walk
{
	Writer *writer;
	int column; /* of the relation, from 0 */
	Oid collation;
	FmgrInfo compare;
	FmgrInfo at_least;
	IndexScanDesc scan;
	bool standing; /* at an entry; all before it are less than `last`, or have been looked at */
	Datum last;    /* the key that was looked for */
	bool begun;    /* since it rested */
	int met;       /* keys that were near the one before, since it began anew */
	int rest;      /* how many keys it does not look for from here */
	int next_rest; /* the next time */
};

namespace
{

constexpr int kSteps = 32;
constexpr int kWorthwhile = 8; /* searches that cost as much as to begin anew */
constexpr int kShortRest = 32;
constexpr int kLongRest = 1024;

bool
step(Walk *walk)
{
	MemoryContext old = MemoryContextSwitchTo(walk->writer->batch);

	walk->standing = index_getnext_tid(walk->scan, ForwardScanDirection) != nullptr;
	MemoryContextSwitchTo(old);
	return walk->standing;
}

/* < 0 if the entry it stands at is before the key. */
int
compare_entry(Walk *walk, Datum key)
{
	bool isnull;
	Datum value = index_getattr(walk->scan->xs_itup, 1, walk->scan->xs_itupdesc, &isnull);

	/* Nulls come last. */
	return isnull ? 1
				  : DatumGetInt32(FunctionCall2Coll(&walk->compare, walk->collation, value, key));
}

void
begin_anew(Walk *walk, Datum key)
{
	ScanKeyData from;

	ScanKeyEntryInitializeWithInfo(&from, 0, 1, BTGreaterEqualStrategyNumber, InvalidOid,
								   walk->collation, &walk->at_least, key);
	/* The access method keeps there what it allocates. */
	MemoryContext old = MemoryContextSwitchTo(walk->writer->batch);
	index_rescan(walk->scan, &from, 1, nullptr, 0);
	MemoryContextSwitchTo(old);
	(void) step(walk);
	walk->begun = true;
	walk->met = 0;
}

/* True if the key is to be found from where it stands, without many steps. */
bool
is_ahead(Walk *walk, Datum key)
{
	if (!walk->standing ||
		DatumGetInt32(FunctionCall2Coll(&walk->compare, walk->collation, key, walk->last)) <= 0)
		return false;
	for (int i = 0; i < kSteps; i++)
	{
		if (compare_entry(walk, key) >= 0)
			return true;
		if (!step(walk))
			return false;
	}
	return false;
}

/* True if the walk should not look for this key, which is not ahead of where it stands. */
bool
rests(Walk *walk)
{
	if (walk->rest == 0 && walk->begun)
	{
		bool worthwhile = walk->met >= kWorthwhile;

		walk->rest = worthwhile ? 0 : walk->next_rest;
		walk->next_rest = worthwhile ? kShortRest : Min(walk->next_rest * 2, kLongRest);
	}
	if (walk->rest == 0)
		return false;
	walk->rest--;
	walk->begun = walk->standing = false;
	return true;
}

} // namespace

Walk *
begin_walk(Writer *writer)
{
	Relation index = writer->index;

	if (!index || writer->form != IndexForm::kColumns || writer->ncolumns != 1 ||
		index->rd_rel->relam != BTREE_AM_OID || index->rd_indoption[0] != 0 ||
		!TupleDescAttr(RelationGetDescr(writer->rel), writer->columns[0] - 1)->attbyval)
		return nullptr;

	Walk *walk = (Walk *) palloc0(sizeof(Walk));
	Oid type = index->rd_opcintype[0];
	Oid at_least = get_opfamily_member(index->rd_opfamily[0], type, type,
									   BTGreaterEqualStrategyNumber);

	walk->writer = writer;
	walk->next_rest = kShortRest;
	walk->column = writer->columns[0] - 1;
	walk->collation = index->rd_indcollation[0];
	fmgr_info(index_getprocid(index, 1, BTORDER_PROC), &walk->compare);
	fmgr_info(get_opcode(at_least), &walk->at_least);

	MemoryContext old = MemoryContextSwitchTo(writer->batch);
	walk->scan = index_beginscan(writer->rel, index, GetActiveSnapshot(), 1, 0);
	walk->scan->xs_want_itup = true;
	MemoryContextSwitchTo(old);
	return walk;
}

void
end_walk(Walk *walk)
{
	index_endscan(walk->scan);
	pfree(walk);
}

bool
walk_to(Walk *walk, const Datum *values, const bool *nulls)
{
	Datum key = values[walk->column];

	if (nulls[walk->column])
		return false;
	walk->scan->xs_snapshot = GetActiveSnapshot();
	if (is_ahead(walk, key))
		walk->met++;
	else if (rests(walk))
		return false;
	else
		begin_anew(walk, key);
	walk->last = key;
	while (walk->standing && compare_entry(walk, key) == 0)
	{
		if (index_fetch_heap(walk->scan, walk->writer->found))
			return true;
		(void) step(walk);
	}
	return false;
}

} // namespace tw::state
