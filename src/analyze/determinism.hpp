/*
 * determinism.hpp - whether a query has one result, whatever plan computes it.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * True if something in the query, at any depth, can be shown to depend on
 * nothing but the rows it reads; false where it may depend on their order as
 * well: LIMIT or row_number() with ties, string_agg() without ORDER BY, group
 * columns whose equal values look different, user-defined aggregates. Sums of
 * floats count as independent: see use_exact_floats().
 */
bool is_order_independent(Query *query);

/*
 * Replaces aggregates over floats by tailwater's own, whose sums are exact,
 * in the query and all it contains, also where they are window functions without ORDER BY.
 */
void use_exact_floats(Query *query);

/* The built-in aggregate that one of these stands for; any other function itself. */
Oid server_aggregate(Oid function);

} // namespace tw::analyze
