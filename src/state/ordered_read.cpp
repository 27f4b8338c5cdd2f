/*
 * ordered_read.cpp - reads a table along an index, from a place in its order on.
 *
 * A B-tree finds a place by its first columns: by equality, and by an
 * inequality of the column that comes next. So what comes after (a, b, c) is
 * read as ranges that follow each other: equal in a and b and beyond c; equal
 * in a and beyond b; beyond a. Nulls satisfy no inequality and are a range of
 * their own before or after the others. Each range is a scan that descends to its
 * place; who wants a few rows only mostly finds them in the first.
 */
#include "state/ordered_read.hpp"

namespace tw::state
{

namespace
{

/* How the column after the equal ones is restricted. */
enum class Beyond
{
	kAny,
	kValue, /* beyond the value */
	kNull,
	kNotNull
};

struct Range
{
	int nequal;
	Beyond beyond;
};

} // namespace

struct OrderedRead
{
	Relation table;
	Relation index;
	int n;
	const Datum *keys;
	const bool *nulls;
	ScanDirection direction;
	TupleTableSlot *slot;
	IndexScanDesc scan; /* of the present range; null: none yet */
	int nranges;
	int range; /* the next one */
	Range ranges[2 * INDEX_MAX_KEYS + 1];
};

namespace
{

void
add_range(OrderedRead *read, int nequal, Beyond beyond)
{
	read->ranges[read->nranges++] = {nequal, beyond};
}

/* What comes after the place in the direction, nearest first. */
void
add_ranges_beyond(OrderedRead *read)
{
	for (int i = read->n - 1; i >= 0; i--)
	{
		bool nulls_first = read->index->rd_indoption[i] & INDOPTION_NULLS_FIRST;
		bool nulls_follow = ScanDirectionIsForward(read->direction) ? !nulls_first : nulls_first;

		if (!read->nulls[i])
			add_range(read, i, Beyond::kValue);
		if (nulls_follow && !read->nulls[i])
			add_range(read, i, Beyond::kNull);
		if (!nulls_follow && read->nulls[i])
			add_range(read, i, Beyond::kNotNull);
	}
}

void
compare_key(OrderedRead *read, ScanKey key, int i, StrategyNumber strategy)
{
	Relation index = read->index;
	Oid type = index->rd_opcintype[i];
	Oid op = get_opfamily_member(index->rd_opfamily[i], type, type, strategy);

	ScanKeyEntryInitialize(key, 0, i + 1, strategy, InvalidOid, index->rd_indcollation[i],
						   get_opcode(op), read->keys[i]);
}

void
test_null(OrderedRead *read, ScanKey key, int i, int flag)
{
	ScanKeyEntryInitialize(key, SK_ISNULL | flag, i + 1, InvalidStrategy, InvalidOid,
						   read->index->rd_indcollation[i], InvalidOid, (Datum) 0);
}

/* Values grow in the direction, or fall. */
StrategyNumber
strategy_beyond(const OrderedRead *read, int i)
{
	bool falls = read->index->rd_indoption[i] & INDOPTION_DESC;

	if (ScanDirectionIsBackward(read->direction))
		falls = !falls;
	return falls ? BTLessStrategyNumber : BTGreaterStrategyNumber;
}

void
begin_range(OrderedRead *read, const Range *range)
{
	ScanKeyData keys[INDEX_MAX_KEYS];
	int i = 0;

	for (; i < range->nequal; i++)
	{
		if (read->nulls[i])
			test_null(read, &keys[i], i, SK_SEARCHNULL);
		else
			compare_key(read, &keys[i], i, BTEqualStrategyNumber);
	}
	if (range->beyond == Beyond::kValue)
		compare_key(read, &keys[i], i, strategy_beyond(read, i));
	if (range->beyond == Beyond::kNull || range->beyond == Beyond::kNotNull)
		test_null(read, &keys[i], i,
				  range->beyond == Beyond::kNull ? SK_SEARCHNULL : SK_SEARCHNOTNULL);
	if (range->beyond != Beyond::kAny)
		i++;
	read->scan = index_beginscan(read->table, read->index, GetActiveSnapshot(), i, 0);
	index_rescan(read->scan, keys, i, nullptr, 0);
}

void
end_range(OrderedRead *read)
{
	if (read->scan)
		index_endscan(read->scan);
	read->scan = nullptr;
}

} // namespace

OrderedRead *
begin_ordered_read(Oid table, Oid index, int n, From from, const Datum *keys, const bool *nulls,
				   ScanDirection direction)
{
	OrderedRead *read = (OrderedRead *) palloc0(sizeof(OrderedRead));

	read->table = table_open(table, AccessShareLock);
	read->index = index_open(index, AccessShareLock);
	read->n = n;
	read->keys = keys;
	read->nulls = nulls;
	read->direction = direction;
	read->slot = table_slot_create(read->table, nullptr);
	if (from != From::kBeyond)
		add_range(read, from == From::kEnd ? 0 : n, Beyond::kAny);
	if (from != From::kEnd)
		add_ranges_beyond(read);
	return read;
}

TupleTableSlot *
next_in_order(OrderedRead *read)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (read->scan && index_getnext_slot(read->scan, read->direction, read->slot))
			return read->slot;
		end_range(read);
		if (read->range == read->nranges)
			return nullptr;
		begin_range(read, &read->ranges[read->range++]);
	}
}

void
end_ordered_read(OrderedRead *read)
{
	end_range(read);
	ExecDropSingleTupleTableSlot(read->slot);
	index_close(read->index, NoLock);
	table_close(read->table, NoLock);
	pfree(read);
}

bool
is_empty_index(Oid table, Oid index)
{
	OrderedRead *read = begin_ordered_read(table, index, 0, From::kEnd, nullptr, nullptr,
										   ForwardScanDirection);
	bool empty = next_in_order(read) == nullptr;

	end_ordered_read(read);
	return empty;
}

} // namespace tw::state
