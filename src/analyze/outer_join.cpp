/*
 * outer_join.cpp - a query with one of its outer joins taken apart.
 *
 * L left join R on p is the rows of L and R that match, and for each row of L
 * without a match one with nulls for R. When R changes, the first part changes by
 * the rows of L that match what changed; the second by those rows of L that had a
 * match and have none, and those that had none and have one. delta_query.cpp puts
 * the three together; here are their forms as queries.
 */
#include "analyze/outer_join.hpp"
#include "analyze/block.hpp"

namespace tw::analyze
{

namespace
{

bool
nulls_left(const JoinExpr *join)
{
	return join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL;
}

bool
nulls_right(const JoinExpr *join)
{
	return join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL;
}

bool
is_on_left(const JoinExpr *join, int rti)
{
	return bms_is_member(rti, relations_in(join->larg));
}

Node *
side_of(const JoinExpr *join, int rti)
{
	return is_on_left(join, rti) ? join->larg : join->rarg;
}

void
collect_nulling(Node *node, int rti, List **joins)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
		foreach (lc, ((FromExpr *) node)->fromlist)
			collect_nulling((Node *) lfirst(lc), rti, joins);
	if (!IsA(node, JoinExpr) || !bms_is_member(rti, relations_in(node)))
		return;

	JoinExpr *join = (JoinExpr *) node;
	bool left = is_on_left(join, rti);
	if (left ? nulls_left(join) : nulls_right(join))
		*joins = lappend(*joins, join);
	collect_nulling(left ? join->larg : join->rarg, rti, joins);
}

} // namespace

List *
nulling_joins(Query *query, int rti)
{
	List *joins = NIL;

	if (!query->setOperations)
		collect_nulling((Node *) query->jointree, rti, &joins);
	return joins;
}

bool
matches_by_equality(JoinExpr *join, int rti)
{
	Bitmapset *side = relations_in(side_of(join, rti));
	Bitmapset *both = relations_in((Node *) join);
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) join->quals))
	{
		OpExpr *op = (OpExpr *) lfirst(lc);

		if (!is_opclause(op) || list_length(op->args) != 2 ||
			!op_hashjoinable(op->opno, exprType((Node *) linitial(op->args))))
			continue;

		Bitmapset *left = pull_varnos(nullptr, (Node *) linitial(op->args));
		Bitmapset *right = pull_varnos(nullptr, (Node *) lsecond(op->args));
		if (bms_is_empty(left) || bms_is_empty(right) || !bms_is_subset(left, both) ||
			!bms_is_subset(right, both))
			continue;
		if ((bms_is_subset(left, side) && !bms_overlap(right, side)) ||
			(bms_is_subset(right, side) && !bms_overlap(left, side)))
			return true;
	}
	return false;
}

namespace
{

void
collect_named(Node *node, Bitmapset **named)
{
	ListCell *lc;

	if (IsA(node, RangeTblRef))
		*named = bms_add_member(*named, ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, FromExpr))
		foreach (lc, ((FromExpr *) node)->fromlist)
			collect_named((Node *) lfirst(lc), named);
	else
	{
		JoinExpr *join = castNode(JoinExpr, node);

		*named = bms_add_member(*named, join->rtindex);
		collect_named(join->larg, named);
		collect_named(join->rarg, named);
	}
}

/* Entries that FROM no longer names become empty ones: the planner looks at all of them. */
void
forget_unnamed(Query *query)
{
	Bitmapset *named = nullptr;
	int rti = 0;
	ListCell *lc;

	collect_named((Node *) query->jointree, &named);
	foreach (lc, query->rtable)
	{
		RangeTblEntry *nothing;

		if (bms_is_member(++rti, named))
			continue;
		nothing = makeNode(RangeTblEntry);
		nothing->rtekind = RTE_RESULT;
		nothing->eref = makeAlias("*RESULT*", NIL);
		lfirst(lc) = nothing;
	}
}

} // namespace

void
keep_matched(Query *query, JoinExpr *join, int rti)
{
	if (join->jointype != JOIN_FULL)
		join->jointype = JOIN_INNER;
	else
		join->jointype = is_on_left(join, rti) ? JOIN_LEFT : JOIN_RIGHT;
	if (join->rtindex > 0)
		rt_fetch(join->rtindex, query->rtable)->jointype = join->jointype;
}

namespace
{

struct Lowering
{
	Bitmapset *stay; /* relations that the lowered query reads itself */
	Index depth;     /* below it */
};

/* For an expression that moves into a subquery of its query: what the subquery does not read is one level further up. */
Node *
lower_mutator(Node *node, Lowering *lowering)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var))
	{
		Var *var = (Var *) copyObject(node);

		if (var->varlevelsup > lowering->depth ||
			(var->varlevelsup == lowering->depth && !bms_is_member(var->varno, lowering->stay)))
			var->varlevelsup++;
		return (Node *) var;
	}
	if (IsA(node, Query))
	{
		lowering->depth++;
		Node *result = (Node *) pg::mutate_query((Query *) node, lower_mutator, lowering, 0);
		lowering->depth--;
		return result;
	}

	Node *result = pg::mutate_expression(node, lower_mutator, lowering);
	if (IsA(result, Aggref) && ((Aggref *) result)->agglevelsup > lowering->depth)
		((Aggref *) result)->agglevelsup++;
	if (IsA(result, GroupingFunc) && ((GroupingFunc *) result)->agglevelsup > lowering->depth)
		((GroupingFunc *) result)->agglevelsup++;
	return result;
}

} // namespace

Query *
matches_of(Query *query, JoinExpr *join, int rti)
{
	Node *side = side_of(join, rti);
	Lowering lowering = {relations_in(side), 0};
	Query *matches = makeNode(Query);

	collect_named(side, &lowering.stay);
	matches->commandType = CMD_SELECT;
	matches->canSetTag = true;
	matches->rtable = (List *) copyObject(query->rtable);
	matches->jointree = makeFromExpr(list_make1(copyObject(side)),
									 (Node *) copyObject(join->quals));
	forget_unnamed(matches);
	matches = pg::mutate_query(matches, lower_mutator, &lowering, 0);
	matches->hasSubLinks = query->hasSubLinks;
	return matches;
}

namespace
{

Node *
replace_join(Node *node, const JoinExpr *join, Node *replacement)
{
	ListCell *lc;

	if (node == (const Node *) join)
		return replacement;
	if (IsA(node, FromExpr))
		foreach (lc, ((FromExpr *) node)->fromlist)
			lfirst(lc) = replace_join((Node *) lfirst(lc), join, replacement);
	if (IsA(node, JoinExpr))
	{
		JoinExpr *parent = (JoinExpr *) node;

		parent->larg = replace_join(parent->larg, join, replacement);
		parent->rarg = replace_join(parent->rarg, join, replacement);
	}
	return node;
}

struct Nulling
{
	Bitmapset *relations;
	Index depth;
};

Node *
null_mutator(Node *node, Nulling *nulling)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->varlevelsup == nulling->depth && bms_is_member(var->varno, nulling->relations))
			return (Node *) makeNullConst(var->vartype, var->vartypmod, var->varcollid);
		return (Node *) copyObject(node);
	}
	if (IsA(node, Query))
	{
		nulling->depth++;
		Node *result = (Node *) pg::mutate_query((Query *) node, null_mutator, nulling, 0);
		nulling->depth--;
		return result;
	}
	return pg::mutate_expression(node, null_mutator, nulling);
}

} // namespace

void
keep_unmatched(Query *query, JoinExpr *join, int rti, List *conditions)
{
	bool left = is_on_left(join, rti);
	Nulling nulling = {relations_in(left ? join->larg : join->rarg), 0};
	FromExpr *other = makeFromExpr(list_make1(left ? join->rarg : join->larg),
								   (Node *) make_ands_explicit(conditions));

	query->jointree = castNode(FromExpr,
							   replace_join((Node *) query->jointree, join, (Node *) other));
	query->hasSubLinks = true;
	forget_unnamed(query);
	*query = *pg::mutate_query(query, null_mutator, &nulling, 0);
}

/* ---- joins that are inner ones for some rows ---- */

namespace
{

/* The side of an outer join that it shows nulls for; null: it is an inner or a full one. */
Node *
nullable_side(const JoinExpr *join)
{
	if (join->jointype == JOIN_LEFT)
		return join->rarg;
	return join->jointype == JOIN_RIGHT ? join->larg : nullptr;
}

/* Below the node: rows with nulls for one of these relations, as outer joins show, do not matter. */
void
make_inner(Node *node, Bitmapset *present)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
		foreach (lc, ((FromExpr *) node)->fromlist)
			make_inner((Node *) lfirst(lc), present);
	if (!IsA(node, JoinExpr) || ((JoinExpr *) node)->jointype == JOIN_FULL)
		return;

	JoinExpr *join = (JoinExpr *) node;
	Node *nullable = nullable_side(join);
	if (nullable && !bms_overlap(relations_in(nullable), present))
	{
		make_inner(nullable == join->rarg ? join->larg : join->rarg, present);
		return;
	}
	join->jointype = JOIN_INNER;
	present = bms_union(present, find_nonnullable_rels(join->quals));
	make_inner(join->larg, present);
	make_inner(join->rarg, present);
}

void
keep_joins_below(Node *node, int rti)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
	{
		make_inner(node, find_nonnullable_rels(((FromExpr *) node)->quals));
		foreach (lc, ((FromExpr *) node)->fromlist)
			keep_joins_below((Node *) lfirst(lc), rti);
	}
	if (!IsA(node, JoinExpr) || ((JoinExpr *) node)->jointype == JOIN_FULL)
		return;

	JoinExpr *join = (JoinExpr *) node;
	Node *nullable = nullable_side(join);
	bool in_left = bms_is_member(rti, relations_in(join->larg));
	if (!in_left && !bms_is_member(rti, relations_in(join->rarg)))
		return;
	/* With the item on its nullable side, the join has rows that match, and rows that do not. */
	if (!nullable || bms_is_member(rti, relations_in(nullable)))
	{
		Bitmapset *present = find_nonnullable_rels(join->quals);

		make_inner(join->larg, present);
		make_inner(join->rarg, present);
	}
	keep_joins_below(in_left ? join->larg : join->rarg, rti);
}

} // namespace

void
keep_joins_of(Query *query, int rti)
{
	keep_joins_below((Node *) query->jointree, rti);
}

} // namespace tw::analyze
