/*
 * whole_row.hpp - rows of an item of FROM as values.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* Whole rows of an item of FROM as values, wherever the query has them, are spelled out as its columns. */
void spell_out(Query *query, Index rti);

/* The same for all items, of the subqueries in FROM as well. */
void spell_out_all(Query *query);

/*
 * The query with tests whether a row is null as tests of its columns, where its type
 * has dropped ones: spelled out, these are null, and the server would test them.
 */
Query *test_live_columns(Query *query);

} // namespace tw::analyze
