/*
 * places.hpp - where a query reads tables, and which columns of them are equal in each of its rows.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/equalities.hpp"
#include "analyze/view_plan.hpp"

namespace tw::analyze
{

/* One place where a table, or the tuplestore of its delta, is read. */
struct Place
{
	RangeTblEntry *rte;
	List *
		arms; /* the arms of UNION ALL it is in, outermost first: their entries in the range table of the union */
};

/* In depth-first order through subqueries of FROM; the position is the place's number. */
struct Places
{
	List *list; /* Place */
	Equalities equal;
};

Places find_places(Query *query);

inline const Place *
place(const Places *places, int number)
{
	return (const Place *) list_nth(places->list, number);
}

/* True if no row of one place meets one of the other: they are in different arms of a union. */
bool never_meet(const Places *places, int a, int b);

/* Fills in the columns of the key if the query says that two columns of the places are equal. */
bool find_equal_columns(const Places *places, int first, int second, JoinKey *key);

/* Makes these the columns of the key, the first that of the side. */
void take_columns(const EqualColumn *a, const EqualColumn *b, int side, JoinKey *key);

/* A condition on the way from one place to another. */
struct Hop
{
	EqualColumn from;
	EqualColumn to;
	Node *condition;
};

/* The shortest way from one place to another over conditions (List of Hop); NIL where there is none. */
List *find_way(const Places *places, int from, int to);

/* The same way back. */
List *reverse_way(List *way);

/*
 * Makes the way, which begins on that side, the path of the key: writers of one end, the finder, find the
 * values of the other side's column in the last table before it. The finder is the side from which each table on
 * the way is come into by its primary key, else where the way begins.
 */
void take_way(const Places *places, List *way, int side, JoinKey *key);

/* Nearest first: in this order writers take them (maintain/key_guard.cpp). */
void sort_keys(JoinKey *keys, int n);

} // namespace tw::analyze
