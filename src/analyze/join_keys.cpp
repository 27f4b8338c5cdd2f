/*
 * join_keys.cpp - which columns must be equal for rows of two tables to meet in a block.
 *
 * All joins of a block are inner joins, so every condition of its FROM and WHERE
 * holds for every row. An equality between plain columns of two tables whose
 * operator can be hashed tells by a hash which rows cannot meet: writers of
 * such rows need not wait for each other. Blocks with tables in subqueries
 * (UNION ALL among them) are left alone.
 */
#include "analyze/join_keys.hpp"
#include "analyze/block.hpp"
#include "analyze/equalities.hpp"

namespace tw::analyze
{

namespace
{

/* The conditions of a FROM node and all below it, joined by AND. */
List *
add_conditions(List *conditions, Node *from)
{
	ListCell *lc;

	if (from == nullptr)
		return conditions;
	if (IsA(from, FromExpr))
	{
		foreach (lc, ((FromExpr *) from)->fromlist)
			conditions = add_conditions(conditions, (Node *) lfirst(lc));
		return list_concat(conditions, make_ands_implicit((Expr *) ((FromExpr *) from)->quals));
	}
	if (IsA(from, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) from;

		conditions = add_conditions(conditions, join->larg);
		conditions = add_conditions(conditions, join->rarg);
		return list_concat(conditions, make_ands_implicit((Expr *) join->quals));
	}
	return conditions;
}

/* The number of the occurrence that the range table entry is, -1: none. */
int
occurrence_of(List *rtis, const Var *var)
{
	for (int i = 0; i < list_length(rtis); i++)
		if (list_nth_int(rtis, i) == (int) var->varno)
			return i;
	return -1;
}

/* Adds what the condition says, if that is an equality of columns of two occurrences. */
void
add_condition(Equalities *equalities, Node *condition, List *rtis)
{
	const Var *left;
	const Var *right;
	EqualColumn a;
	EqualColumn b;

	if (!read_equality(condition, &left, &right, &a, &b) || left->varlevelsup > 0 ||
		right->varlevelsup > 0)
		return;
	a.place = occurrence_of(rtis, left);
	b.place = occurrence_of(rtis, right);
	if (a.place >= 0 && b.place >= 0)
		add_equality(equalities, a, b);
}

/* By which columns rows of two occurrences meet; false where no equality is known. */
bool
find_key(const Equalities *equalities, int first, int second, JoinKey *key)
{
	List *pairs = equal_pairs(equalities, first, second);

	if (pairs == NIL)
		return false;

	const EqualColumn *a = (const EqualColumn *) linitial(pairs);
	const EqualColumn *b = (const EqualColumn *) lsecond(pairs);
	key->sides[0] = {first, a->column, a->hash};
	key->sides[1] = {second, b->column, b->hash};
	key->collation = a->collation;
	return true;
}

bool
occurs_once(const Block *block, int occurrence)
{
	for (int i = 0; i < block->noccurrences; i++)
		if (i != occurrence && block->relids[i] == block->relids[occurrence])
			return false;
	return true;
}

} // namespace

void
find_join_keys(Block *block)
{
	Query *query = block->query;
	List *rtis = NIL;
	ListCell *lc;

	block->njoin_keys = 0;
	block->join_keys = nullptr;
	if (query->setOperations || block->noccurrences < 2)
		return;
	foreach (lc, from_relations(query))
		if (rt_fetch(lfirst_int(lc), query->rtable)->rtekind == RTE_RELATION)
			rtis = lappend_int(rtis, lfirst_int(lc));
	if (list_length(rtis) != block->noccurrences)
		return;

	Equalities equalities = {};
	foreach (lc, add_conditions(NIL, (Node *) query->jointree))
		add_condition(&equalities, (Node *) lfirst(lc), rtis);

	int n = block->noccurrences;
	block->join_keys = (JoinKey *) palloc(sizeof(JoinKey) * Max(n * (n - 1) / 2, 1));
	for (int i = 0; i < n; i++)
		for (int j = i + 1; j < n; j++)
			if (occurs_once(block, i) && occurs_once(block, j) &&
				find_key(&equalities, i, j, &block->join_keys[block->njoin_keys]))
				block->njoin_keys++;
}

} // namespace tw::analyze
