/*
 * recursion.hpp - views that hold the content of a recursive query.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/block.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/*
 * WITH RECURSIVE r AS (base UNION [ALL] step) SELECT the columns of r FROM r.
 * The step reads the view itself in place of r.
 */
struct Recursion
{
	bool is_set; /* UNION: each row is there once */
	Block *base; /* both give the view's columns */
	Block *step;
	int self;        /* the step's occurrence that is the view */
	List *joined;    /* columns of the view by which the step joins it to tables */
	List *base_keys; /* columns by which rows of the base are looked up, */
	List *step_keys; /* and of the step */
};

/*
 * True if the query is nothing but the columns of a recursive query, in any
 * order: what plan_recursion() may be able to plan.
 */
bool is_recursive_content(Query *query);

/* True if it is that of WITH RECURSIVE ... UNION, whose rows are all different. */
bool is_recursive_set(Query *query);

/* True if there is a recursive query anywhere in the query. */
bool reads_recursion(Query *query);

/*
 * Plans the view as the content of a recursive query. Returns null, or why that
 * cannot be; the plan is then unchanged.
 */
const char *plan_recursion(ViewPlan *plan);

/*
 * A term of the block's delta (see delta_query), of which only rows are wanted
 * whose columns have values that the tuplestore of keys holds.
 */
Query *restricted_term(const Block *block, const circuit::Part *parts, List *columns,
					   NullKeys nulls);

} // namespace tw::analyze
