/*
 * plan.hpp - plans and runs Query trees over named tuplestores.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/delta.hpp"

namespace tw::exec
{

using capture::RowCallback;

constexpr int kPlanSizes = 16;

/* The plan for one magnitude of the delta. */
struct CachedPlan
{
	PlannedStmt *plan;  /* null: not made yet */
	BlockNumber *pages; /* of the tables it reads when it was made, by place in its range table */
	uint64 uses;
};

/* A Query with its plans, for small and large deltas. */
struct CachedQuery
{
	Query *query;          /* not changed by planning */
	MemoryContext context; /* of the plans */
	const bool *stale;     /* set when a relation of the view changed: do not trust cached plans */
	CachedPlan plans[kPlanSizes]; /* by magnitude */
};

/* A tuplestore that queries see under a name. */
struct NamedStore
{
	const char *name;
	TupleDesc desc;
	Tuplestorestate *rows;
	int64 nrows;
	int64 ngone; /* rows of a delta with a negative weight */
};

CachedQuery *make_cached_query(Query *query, MemoryContext context, const bool *stale);

/*
 * Runs the query under the active snapshot with the stores visible to it, and
 * calls back for each row. Where has_weight, the last column is the weight and
 * stays in the row; otherwise weights are 1.
 */
enum class WeightColumn
{
	kNone,
	kLast
};
void run_query(CachedQuery *cached, NamedStore *stores, int nstores, WeightColumn weight,
			   RowCallback callback, void *arg);

} // namespace tw::exec
