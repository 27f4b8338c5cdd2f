/*
 * build.hpp - small queries around other queries.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* Name of a result column. */
const char *column_name(const TargetEntry *tle);

/* The entries of the target list that are shown, in order: those that are not there for sorting or grouping only. */
List *shown_targets(Query *query);

/* Number, from 1, of the expression in the list, to which a copy of it is added unless it is there. */
AttrNumber number_of(List **exprs, Node *expr);

/* The query as an item of FROM; what is only there for ordering has no name in it. */
RangeTblEntry *from_item(Query *query, const char *alias);

/* SELECT (nothing yet) FROM rte. */
Query *select_from(RangeTblEntry *rte);

/* The rows of all queries, whose shown columns have the same types; of one query, that itself. */
Query *union_all(List *queries);

/*
 * SELECT columns of inner, in the given order (a list of attribute numbers) and
 * coerced to the types, FROM inner. Takes inner over, which comes to stand one
 * level deeper.
 */
Query *select_columns(Query *inner, List *order, List *types, List *typmods);

} // namespace tw::analyze
