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

/*
 * True if rows of the query's FROM that meet its conditions are rows of its
 * result, and some are of tables: no grouping, windows, DISTINCT, LIMIT, or set
 * operations other than UNION ALL of such queries.
 */
bool is_transparent(Query *query);

/* Makes a block of a linear query, which it takes over. */
Block *make_block(Query *query);

/*
 * Makes a block of a query that is linear in some of its tables, or changes with some as an
 * outer join does, which it takes over; null where it does with none. Whole rows of items stay as they are.
 */
Block *make_partial_block(Query *query);

/* True if the block's delta can be computed where these tables (OIDs) changed and no others. */
bool follows(const Block *block, List *relids);

/* Makes a block of any query, to be evaluated as a whole: it has no occurrences. */
Block *make_opaque_block(Query *query);

/* Name of the tuplestore that holds the delta of a relation. */
char *delta_name(Oid relid);

/* Name of the tuplestore a term needs to read the part of a relation; kDelta and kOld: the delta. */
char *part_name(Oid relid, circuit::Part part);

/* Columns of a delta: those of the relation, dropped ones included, and the weight. */
TupleDesc delta_descriptor(TupleDesc relation);

/* Which rows of an outer join a term is about, where the delta is on a side that it shows nulls for. */
enum class Match : char
{
	kAny,   /* there is no such join */
	kKept,  /* rows of the other side with the rows of the delta that they match */
	kLost,  /* rows of the other side that had a match and have none: they come, with nulls */
	kGained /* rows of the other side that had none and have one: they go, with nulls; to be run under the old snapshot */
};

/*
 * The query that computes one term of the block's delta: its columns, then the
 * weight (int8). parts is indexed by occurrence.
 */
Query *delta_query(const Block *block, const circuit::Part *parts, Match match);

/* Number of tables in the query's FROM, and in that of transparent subqueries. */
int count_occurrences(Query *query);

/* Makes a range table entry read a named tuplestore of rows with these columns. */
void become_tuplestore(RangeTblEntry *rte, const char *name, TupleDesc desc);

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
