/*
 * equalities.cpp - which columns of the tables of a query are equal in each of its rows.
 *
 * Conditions a = b and b = c put a, b and c into one group, so that a = c is
 * known, too. Operators of one family hash equal values of different types
 * alike; a column joins conditions only if both hash it by the same function.
 */
#include "analyze/equalities.hpp"

namespace tw::analyze
{

namespace
{

/* The column that the expression is, be it relabeled; null where it is something else. */
const Var *
plain_column(Node *expr)
{
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	if (!IsA(expr, Var))
		return nullptr;

	const Var *var = (const Var *) expr;
	return var->varattno > 0 ? var : nullptr;
}

EqualColumn *
find_column(Equalities *equalities, const EqualColumn *column)
{
	ListCell *lc;

	foreach (lc, equalities->columns)
	{
		EqualColumn *known = (EqualColumn *) lfirst(lc);

		if (known->place == column->place && known->column == column->column &&
			known->hash == column->hash && known->collation == column->collation)
			return known;
	}

	EqualColumn *added = (EqualColumn *) palloc(sizeof(EqualColumn));
	*added = *column;
	added->group = equalities->ngroups++;
	equalities->columns = lappend(equalities->columns, added);
	return added;
}

} // namespace

bool
read_equality(Node *condition, const Var **left, const Var **right, EqualColumn *a, EqualColumn *b)
{
	if (!IsA(condition, OpExpr) || list_length(((OpExpr *) condition)->args) != 2)
		return false;

	const OpExpr *op = (const OpExpr *) condition;
	Node *first = (Node *) linitial(op->args);

	*a = *b = {};
	*left = plain_column(first);
	*right = plain_column((Node *) lsecond(op->args));
	if (!*left || !*right || !op_hashjoinable(op->opno, exprType(first)) ||
		!get_op_hash_functions(op->opno, &a->hash, &b->hash))
		return false;
	a->column = (*left)->varattno;
	b->column = (*right)->varattno;
	b->argument = 1;
	a->collation = b->collation = op->inputcollid;
	return true;
}

void
add_equality(Equalities *equalities, EqualColumn a, EqualColumn b, Node *condition)
{
	if (a.place != b.place)
	{
		EqualCondition *added = (EqualCondition *) palloc(sizeof(EqualCondition));

		*added = {a, b, condition};
		equalities->conditions = lappend(equalities->conditions, added);
	}

	int from = find_column(equalities, &a)->group;
	int to = find_column(equalities, &b)->group;
	ListCell *lc;

	foreach (lc, equalities->columns)
		if (((EqualColumn *) lfirst(lc))->group == from)
			((EqualColumn *) lfirst(lc))->group = to;
}

List *
equal_pairs(const Equalities *equalities, int place_a, int place_b)
{
	List *pairs = NIL;
	ListCell *la;
	ListCell *lb;

	foreach (la, equalities->columns)
	{
		const EqualColumn *a = (const EqualColumn *) lfirst(la);

		if (a->place != place_a)
			continue;
		foreach (lb, equalities->columns)
		{
			const EqualColumn *b = (const EqualColumn *) lfirst(lb);

			if (b->place == place_b && b->group == a->group)
				pairs = lappend(lappend(pairs, (void *) a), (void *) b);
		}
	}
	return pairs;
}

} // namespace tw::analyze
