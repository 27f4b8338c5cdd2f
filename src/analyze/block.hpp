/*
 * block.hpp - select-project-join blocks and their delta queries.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/view_plan.hpp"
#include "circuit/terms.hpp"

namespace tw::analyze
{

/*
 * Replaces CTEs by subqueries and join alias variables by what they stand for,
 * at all levels. A recursive CTE becomes a subquery that owns it and gives its
 * content. Returns the changed query.
 */
Query *normalize(Query *query);

/*
 * Why the FROM and WHERE of the query are not linear in its base tables, or
 * null where they are. Its target list, grouping and ordering are not looked at.
 */
const char *not_linear_from(Query *query);

/* Why the whole query is not linear, or null where it is. */
const char *not_linear(Query *query);

/* True if the query reads tables, directly or in what it contains. */
bool reads_tables(Query *query);

/* Makes a block of a linear query, which it takes over. */
Block *make_block(Query *query);

/* Makes a block of any query, to be evaluated as a whole: it has no occurrences. */
Block *make_opaque_block(Query *query);

/* Name of the tuplestore that holds the delta of a relation. */
char *delta_name(Oid relid);

/* Name of the tuplestore a term needs to read the part of a relation; kDelta and kOld: the delta. */
char *part_name(Oid relid, circuit::Part part);

/* Columns of a delta: those of the relation, dropped ones included, and the weight. */
TupleDesc delta_descriptor(TupleDesc relation);

/*
 * The query that computes one term of the block's delta: its columns, then the
 * weight (int8). parts is indexed by occurrence.
 */
Query *delta_query(const Block *block, const circuit::Part *parts);

/* Makes an entry of the query's range table, a table, read the table's delta. */
void read_delta(Query *query, int rti);

/* Makes it read the rows the table has now together with those of its delta. */
void read_before_and_after(Query *query, int rti);

/* Index of the column in the query's target list whose expression equals expr; 0 where there is none. */
AttrNumber find_target(List *targets, Node *expr);

/* The relations in a query's FROM, as range table indexes in depth-first order. */
List *from_relations(Query *query);

/* The relations below a node of a FROM clause, as a set of range table indexes. */
Bitmapset *relations_in(Node *from);

/*
 * Columns of a relation that a query, with all it contains, reads (attnum -
 * FirstLowInvalidHeapAttributeNumber).
 */
Bitmapset *columns_used(Query *query, int rti);

/*
 * Adds the tuplestore of keys, whose columns have the types of the expressions,
 * to the query's FROM; returns its range table index.
 */
int read_keys(Query *query, List *exprs);

/*
 * Adds the tuplestore of keys to the query's FROM, and to its WHERE that each
 * expression equals its key column by the operator. Where nulls_match, a null
 * also matches a null.
 */
enum class NullKeys
{
	kNeverMatch,
	kMatch
};
void restrict_to_keys(Query *query, List *exprs, List *operators, NullKeys nulls);

} // namespace tw::analyze
