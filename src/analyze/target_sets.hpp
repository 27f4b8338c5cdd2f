/*
 * target_sets.hpp - set-returning functions of the select list as items of FROM.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * SELECT unnest(t.a) FROM t becomes SELECT u FROM t, unnest(t.a) u, which is the same
 * rows and is followed like any join; likewise in the columns of GROUP BY. Several
 * functions become one ROWS FROM item. The query is changed in place; left as it
 * is where functions are nested, return rows, or are computed over groups or windows.
 */
void move_target_sets(Query *query);

} // namespace tw::analyze
