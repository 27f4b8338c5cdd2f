/*
 * inline_functions.hpp - SQL functions as the queries that they are.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/*
 * The query, which has been rewritten, with the bodies of SQL functions in place of their
 * calls: of those that have one SELECT as their body and run as who calls them, and of
 * IMMUTABLE ones that read nothing. What cannot be replaced stays. If bodies is not
 * null, the bodies as they were analyzed, before they were rewritten, are added to it.
 */
Query *inline_functions(Query *query, List **bodies);

/*
 * The rewritten body that inline_functions() would put in place of a call, a
 * FuncExpr or OpExpr, or of an item of FROM, within functions that are being
 * replaced (a list of OIDs); null if there is none. *function is set to the function.
 */
Query *body_of_call(Node *call, List *active, Oid *function);
Query *body_of_item(RangeTblEntry *rte, List *active, Oid *function);

/* Moves set-returning functions of the select list, which are replaced in FROM only, to there. */
void move_sql_sets(Query *query);

/* True if the body of a function means the same under the settings of the session as when a view is maintained. */
bool has_one_meaning(Node *call);

} // namespace tw::analyze
