/*
 * query.hpp - the query of a TAIL: what it may be, before and after parse analysis.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::tail
{

enum Progress
{
	kWithoutProgress,
	kWithProgress
};

/* SELECT * FROM relation. */
SelectStmt *select_all_from(RangeVar *relation);

/* expression::type, the type being one of pg_catalog. */
Node *typed(Node *expression, const char *type, int location);

/* Puts the columns of TAIL (see syntax.hpp) before those of the user. */
List *add_tail_columns(List *columns, Node *as_of, Node *up_to, Progress progress);

/* The options of COPY as a column that takes them through parse analysis. */
Node *copy_options_column(List *options, const char *text, int location);

/* Raises 0A000 for a SELECT that is more than filter and projection of one relation. */
void refuse_unsupported_clauses(const SelectStmt *select, const char *text, int location);

/* The same for what only parse analysis can see; and lets go of the relation. Installs a hook. */
void init_query_hook();

/* The parts of an analyzed TAIL. Points into the statement. */
struct TailQuery
{
	RangeTblEntry *view;
	List *permissions; /* of the query, for servers that keep them apart */
	Expr *as_of;       /* of type bigint; null constant: not given */
	Expr *up_to;
	List *columns;      /* TargetEntry: all columns of the result, those of TAIL first */
	int tail_columns;   /* how many of them are TAIL's */
	Node *filter;       /* null: none */
	List *copy_options; /* DefElem, of COPY */
};

TailQuery open_query(const DeclareCursorStmt *stmt);

} // namespace tw::tail
