/*
 * key.hpp - which columns identify a row of a query's result.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * Columns (as an integer list of result numbers) whose values no two rows of
 * the result share, nulls compared as equal; NIL where none are known. *exists
 * is false then, and true for the empty key of a result of one row.
 */
List *derive_key(Query *query, bool *exists);

/* True if values of the expression that are equal under its type's default equality also look the same. */
bool equality_is_image(Node *expr);

/* What a column of the query's FROM was computed by, where that is a subquery; else the expression itself. */
Node *source_of(Query *query, Node *expr);

} // namespace tw::analyze
