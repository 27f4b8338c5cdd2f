/*
 * decompose.hpp - a query as a chain of queries, each over the results of those before.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* Where the result of the chain's n-th query is kept: the table's OID. */
using FindRelation = Oid (*)(void *arg, int number, Query *query);

/*
 * Takes the query, normalized, apart: a part that the rest could not follow
 * row by row, a grouped subquery for instance, is replaced by a table that holds
 * its result. *parts gets these queries in order; each reads base tables and
 * tables of earlier parts. Returns the rest, which gives the same rows as the
 * query. The query is changed. The same query always gives the same parts.
 */
Query *decompose(Query *query, FindRelation find, void *arg, List **parts);

/*
 * Columns of the table that the query compares with something else by equality,
 * as a list of attribute numbers: the planner should have an index on them.
 */
List *lookup_columns(Query *query, Oid table);

} // namespace tw::analyze
