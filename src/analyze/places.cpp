/*
 * places.cpp - where a query reads tables, and which columns of them are equal in each of its rows.
 *
 * Conditions of WHERE and of inner joins hold for all rows of a query, and so
 * do those of its subqueries in FROM for the rows these give. A column is
 * followed through subqueries down to the table it comes from, but not through
 * a union, whose arms each have tables and conditions of their own.
 *
 * Where no condition compares two places, there may be a way over others:
 * r.k = s.k and s.h = t.h. The rows of s that a row of r meets tell the values
 * of t.h that matter to it. Only what the query says decides how two
 * places are compared, and primary keys, which nobody adds or removes while a
 * table is in use: all sessions must come to the same conclusion.
 */
#include "analyze/places.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"

namespace tw::analyze
{

namespace
{

/* Queries around the present one, innermost first. */
using Stack = List;

void
add_places(Places *places, Query *query, List *arms)
{
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (rte->rtekind == RTE_SUBQUERY)
			add_places(places, rte->subquery,
					   query->setOperations ? lappend(list_copy(arms), rte) : arms);
		else if (rte->rtekind == RTE_RELATION || rte->rtekind == RTE_NAMEDTUPLESTORE)
		{
			Place *added = (Place *) palloc(sizeof(Place));

			added->rte = rte;
			added->arms = arms;
			places->list = lappend(places->list, added);
		}
	}
}

int
number_of_place(const Places *places, const RangeTblEntry *rte)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, places->list)
	{
		if (((const Place *) lfirst(lc))->rte == rte)
			return n;
		n++;
	}
	return -1;
}

/* Follows a column through subqueries to the table it comes from; false where it is computed. */
bool
trace_column(const Places *places, Stack *stack, const Var *var, EqualColumn *column)
{
	if ((int) var->varlevelsup >= list_length(stack))
		return false;

	Stack *level = list_copy_tail(stack, var->varlevelsup);
	Query *query = linitial_node(Query, level);
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);

	if (rte->rtekind == RTE_SUBQUERY)
	{
		Node *expr =
			(Node *) list_nth_node(TargetEntry, rte->subquery->targetList, var->varattno - 1)->expr;

		if (!IsA(expr, Var) || ((Var *) expr)->varattno <= 0 || rte->subquery->setOperations)
			return false;
		return trace_column(places, lcons(rte->subquery, level), (Var *) expr, column);
	}
	column->place = number_of_place(places, rte);
	column->column = var->varattno;
	return column->place >= 0;
}

void
add_conditions(Places *places, Stack *stack, Node *quals)
{
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) quals))
	{
		const Var *left;
		const Var *right;
		EqualColumn a;
		EqualColumn b;

		if (read_equality((Node *) lfirst(lc), &left, &right, &a, &b) &&
			trace_column(places, stack, left, &a) && trace_column(places, stack, right, &b))
			add_equality(&places->equal, a, b, (Node *) lfirst(lc));
	}
}

/* The conditions of a FROM node and all below it that hold for every row. */
void
add_from_conditions(Places *places, Stack *stack, Node *from)
{
	ListCell *lc;

	if (IsA(from, FromExpr))
	{
		foreach (lc, ((FromExpr *) from)->fromlist)
			add_from_conditions(places, stack, (Node *) lfirst(lc));
		add_conditions(places, stack, ((FromExpr *) from)->quals);
	}
	else if (IsA(from, JoinExpr) && ((JoinExpr *) from)->jointype == JOIN_INNER)
	{
		add_from_conditions(places, stack, ((JoinExpr *) from)->larg);
		add_from_conditions(places, stack, ((JoinExpr *) from)->rarg);
		add_conditions(places, stack, ((JoinExpr *) from)->quals);
	}
}

void
add_equalities(Places *places, Stack *outer, Query *query)
{
	Stack *stack = lcons(query, list_copy(outer));
	ListCell *lc;

	add_from_conditions(places, stack, (Node *) query->jointree);
	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (rte->rtekind == RTE_SUBQUERY)
			add_equalities(places, stack, rte->subquery);
	}
}

} // namespace

Places
find_places(Query *query)
{
	Places places = {};

	add_places(&places, query, NIL);
	add_equalities(&places, NIL, query);
	return places;
}

bool
never_meet(const Places *places, int a, int b)
{
	List *left = place(places, a)->arms;
	List *right = place(places, b)->arms;
	int n = Min(list_length(left), list_length(right));

	/* Where they are first in different arms, it is of the same union: the way to it is the same. */
	for (int i = 0; i < n; i++)
		if (list_nth(left, i) != list_nth(right, i))
			return true;
	return false;
}

bool
find_equal_columns(const Places *places, int first, int second, JoinKey *key)
{
	List *pairs = equal_pairs(&places->equal, first, second);

	if (pairs == NIL)
		return false;
	take_columns((const EqualColumn *) linitial(pairs), (const EqualColumn *) lsecond(pairs), 0,
				 key);
	return true;
}

void
take_columns(const EqualColumn *a, const EqualColumn *b, int side, JoinKey *key)
{
	key->sides[side].column = a->column;
	key->sides[side].hash = a->hash;
	key->sides[1 - side].column = b->column;
	key->sides[1 - side].hash = b->hash;
	key->collation = a->collation;
	key->distance = 1;
}

/* ---- ways ---- */

namespace
{

/* Adds the hops that lead from the place to others that were not reached yet. */
void
extend_ways(const Places *places, int from, List **ways, List **reached)
{
	ListCell *lc;

	foreach (lc, places->equal.conditions)
	{
		const EqualCondition *condition = (const EqualCondition *) lfirst(lc);

		for (int turn = 0; turn < 2; turn++)
		{
			const EqualColumn *near = turn == 0 ? &condition->a : &condition->b;
			const EqualColumn *far = turn == 0 ? &condition->b : &condition->a;

			if (near->place != from || ways[far->place] != NIL)
				continue;
			Hop *hop = (Hop *) palloc(sizeof(Hop));
			hop->from = *near;
			hop->to = *far;
			hop->condition = condition->condition;
			ways[far->place] = lappend(list_copy(ways[from]), hop);
			*reached = lappend_int(*reached, far->place);
		}
	}
}

} // namespace

List *
find_way(const Places *places, int from, int to)
{
	List **ways = (List **) palloc0(sizeof(List *) * list_length(places->list));
	List *reached = list_make1_int(from);
	ListCell *lc;

	/* The list grows while it is read: nearest first. */
	foreach (lc, reached)
		if (lfirst_int(lc) != to)
			extend_ways(places, lfirst_int(lc), ways, &reached);
	return from == to ? NIL : ways[to];
}

List *
reverse_way(List *way)
{
	List *back = NIL;
	ListCell *lc;

	foreach (lc, way)
	{
		Hop *hop = (Hop *) palloc(sizeof(Hop));

		*hop = *(const Hop *) lfirst(lc);
		std::swap(hop->from, hop->to);
		back = lcons(hop, back);
	}
	return back;
}

namespace
{

bool
is_primary_key(Oid relid, AttrNumber column)
{
	Oid constraint;
	Bitmapset *key = get_primary_key_attnos(relid, false, &constraint);

	return bms_membership(key) == BMS_SINGLETON &&
		   bms_singleton_member(key) == column - FirstLowInvalidHeapAttributeNumber;
}

/* True if the way has a table, or more, between its ends, and comes into each by its primary key. */
bool
is_unique_way(const Places *places, List *way)
{
	for (int i = 0; i + 1 < list_length(way); i++)
	{
		const Hop *hop = (const Hop *) list_nth(way, i);

		if (!is_primary_key(place(places, hop->to.place)->rte->relid, hop->to.column))
			return false;
	}
	return true;
}

/* Makes an argument of an equality, a column, one of a query's own. */
void
set_column(Node *argument, int rti, AttrNumber column)
{
	while (IsA(argument, RelabelType))
		argument = (Node *) ((RelabelType *) argument)->arg;

	Var *var = castNode(Var, argument);
	var->varno = rti;
	var->varattno = column;
	var->varlevelsup = 0;
	var->varnosyn = 0;
	var->varattnosyn = 0;
}

/* Adds the place's table, or the delta of its table, to the query's FROM; returns its range table index. */
int
add_item(const Places *places, int number, bool as_delta, Query *query)
{
	RangeTblEntry *rte = (RangeTblEntry *) copyObject(place(places, number)->rte);
	RangeTblRef *ref = makeNode(RangeTblRef);

	rte->securityQuals = NIL;
	rte->lateral = false;
	pg::clear_permissions(rte);
	query->rtable = lappend(query->rtable, rte);
	ref->rtindex = list_length(query->rtable);
	query->jointree->fromlist = lappend(query->jointree->fromlist, ref);
	if (as_delta && rte->rtekind == RTE_RELATION)
		read_delta(query, ref->rtindex);
	return ref->rtindex;
}

/* SELECT the last table's column FROM delta, tables between, WHERE the conditions up to there. */
Query *
lookup_query(const Places *places, List *way)
{
	Query *query = makeNode(Query);
	const Hop *first = (const Hop *) linitial(way);
	const Hop *last = (const Hop *) llast(way);
	List *conditions = NIL;

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, nullptr);
	int rti = add_item(places, first->from.place, true, query);
	for (int i = 0; i + 1 < list_length(way); i++)
	{
		const Hop *hop = (const Hop *) list_nth(way, i);
		OpExpr *condition = (OpExpr *) copyObject(hop->condition);
		int next = add_item(places, hop->to.place, false, query);

		set_column((Node *) list_nth(condition->args, hop->from.argument), rti, hop->from.column);
		set_column((Node *) list_nth(condition->args, hop->to.argument), next, hop->to.column);
		conditions = lappend(conditions, condition);
		rti = next;
	}
	query->jointree->quals = (Node *) make_ands_explicit(conditions);

	Node *argument = (Node *) copyObject(
		list_nth(((OpExpr *) last->condition)->args, last->from.argument));
	set_column(argument, rti, last->from.column);
	query->targetList = list_make1(makeTargetEntry((Expr *) argument, 1, pstrdup("key"), false));
	return query;
}

} // namespace

void
take_way(const Places *places, List *way, int side, JoinKey *key)
{
	List *back = reverse_way(way);

	if (!is_unique_way(places, way) && is_unique_way(places, back))
	{
		way = back;
		side = 1 - side;
	}

	const Hop *last = (const Hop *) llast(way);

	take_columns(&last->from, &last->to, side, key);
	key->sides[side].column = 1;
	key->distance = list_length(way);
	key->finder = side;
	key->lookup = lookup_query(places, way);
	key->between = NIL;
	for (int i = 0; i + 1 < list_length(way); i++)
		key->between = lappend_oid(
			key->between, place(places, ((const Hop *) list_nth(way, i))->to.place)->rte->relid);
}

namespace
{

int
compare_distance(const void *a, const void *b)
{
	const JoinKey *left = (const JoinKey *) a;
	const JoinKey *right = (const JoinKey *) b;

	if (left->distance != right->distance)
		return left->distance - right->distance;
	if (left->sides[0].occurrence != right->sides[0].occurrence)
		return left->sides[0].occurrence - right->sides[0].occurrence;
	return left->sides[1].occurrence - right->sides[1].occurrence;
}

} // namespace

void
sort_keys(JoinKey *keys, int n)
{
	qsort(keys, n, sizeof(JoinKey), compare_distance);
}

} // namespace tw::analyze
