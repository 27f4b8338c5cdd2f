/*
 * top_k.hpp - what ORDER BY ... LIMIT shows of the inner relation it reads.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/internal_table.hpp"

namespace tw::analyze
{

struct ViewPlan;

/* One of the expressions that rows are sorted by. */
struct SortKey
{
	Expr *expr; /* over the inner relation */
	Oid type;
	int32 typmod;
	Oid collation;
	Oid op; /* of ascending or descending order */
	bool nulls_first;
};

/* Rows of the inner relation by their place in the order, which begins with 0. */
struct TopK
{
	int64 first; /* the first one shown: OFFSET */
	int64 end;   /* the first one not shown any more; kNoEnd: there is no LIMIT */
	bool with_ties;
	int nkeys;
	SortKey *keys;

	/* By column of the view: the sort key that it shows. Null where it shows anything else, too. */
	int *shown_keys;

	catalog::OrderIndex index; /* of the inner relation, by these keys */
};

constexpr int64 kNoEnd = -1;

/*
 * The limits of a plan that reads an inner relation in order, allocated in the
 * current context; null where they are not constant, or what it is sorted by
 * cannot be stored: then it is read again each time.
 */
TopK *find_limits(const ViewPlan *plan);

} // namespace tw::analyze
