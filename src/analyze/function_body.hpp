/*
 * function_body.hpp - calls of SQL functions, and the queries that these are.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* A call whose body can be had. */
struct Call
{
	FuncExpr *expr; /* with all arguments, in order */
	HeapTuple proc;
	bool sets;
	bool strict;
	TupleDesc desc; /* of a composite result, else null */
	bool as_row;    /* the body gives such a result as one column */
};

/* Looks at a call, within functions that are being replaced; the caller releases call->proc where true is returned. */
bool find_call(Node *node, List *active, Call *call);

/*
 * The rewritten body of a call, whose rights are those of the caller; null if it has none that can be put in
 * its place. If bodies is not null, the body as it was analyzed, before it was rewritten, is added to it.
 */
Query *body_of(Call *call, List **bodies);

/* A FuncExpr, or that of an OpExpr; null if the node is neither. */
FuncExpr *as_function_call(Node *node);

/* True if the query is SELECT expressions [WHERE condition]. */
bool reads_nothing(const Query *query);

/* The only function of an item of FROM, null if it is more than that. */
RangeTblFunction *only_function(const RangeTblEntry *rte);

/* The call of a function that gives a set, alone in FROM; else null. */
Node *set_call(const RangeTblEntry *rte);

/* The columns of its rows may be stated in FROM. */
void take_stated_columns(const RangeTblEntry *rte, Call *call);

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
