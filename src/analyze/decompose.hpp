/*
 * decompose.hpp - a query as a chain of queries, each over the results of those before.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* How a query is to be taken apart. */
struct Cutting
{
	/* Where the result of the chain's n-th query is kept: the table's OID. */
	Oid (*find)(void *arg, int number, Query *query);
	void *arg;

	/*
	 * Numbers of the items of FROM that become tables, in the order in which they are
	 * met. Whether one should may depend on the unique keys of tables, which come and go:
	 * it is decided once (`decided` is false then, and the list is filled) and kept.
	 */
	bool decided;
	List *places;
};

/*
 * Takes the query, normalized, apart: a part that the rest could not follow
 * row by row, a grouped subquery for instance, is replaced by a table that holds
 * its result. *parts gets these queries in order; each reads base tables and
 * tables of earlier parts. Returns the rest, which gives the same rows as the
 * query. The query is changed. The same query always gives the same parts.
 */
Query *decompose(Query *query, Cutting *cutting, List **parts);

/*
 * Columns of the table that the query compares with something else by equality,
 * as a list of attribute numbers: the planner should have an index on them.
 */
List *lookup_columns(Query *query, Oid table);

} // namespace tw::analyze
