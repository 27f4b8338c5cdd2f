/*
 * equalities.hpp - which columns of the tables of a query are equal in each of its rows.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* A column of a place where a table is read; places are numbered by the caller. */
struct EqualColumn
{
	int place;
	AttrNumber column;
	Oid hash; /* function; equal values of columns that are equal hash alike */
	Oid collation;
	int group;    /* columns of the same group are equal */
	int argument; /* which argument of its condition it is */
};

/* What made two columns equal. */
struct EqualCondition
{
	EqualColumn a;
	EqualColumn b;
	Node *condition;
};

struct Equalities
{
	List *columns; /* EqualColumn */
	int ngroups;
	List *conditions; /* EqualCondition, between different places */
};

/*
 * If the condition says that two columns of tables are equal, by an operator
 * that can be hashed, returns true and fills in both but for their places.
 */
bool read_equality(Node *condition, const Var **left, const Var **right, EqualColumn *a,
				   EqualColumn *b);

/* Both columns are equal, as the condition says, and so is what either was equal to before. */
void add_equality(Equalities *equalities, EqualColumn a, EqualColumn b, Node *condition);

/* Columns of two places that are equal, as pairs (List of EqualColumn, one of a, then one of b). */
List *equal_pairs(const Equalities *equalities, int place_a, int place_b);

} // namespace tw::analyze
