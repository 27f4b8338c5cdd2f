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

/* The column of a table that the expression is, be it relabeled; null where it is something else. */
const Var *
plain_column(Node *expr)
{
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	if (!IsA(expr, Var))
		return nullptr;

	const Var *var = (const Var *) expr;
	return var->varlevelsup == 0 && var->varattno > 0 ? var : nullptr;
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

bool
read_condition(Node *condition, List *rtis, JoinKey *key)
{
	if (!IsA(condition, OpExpr) || list_length(((OpExpr *) condition)->args) != 2)
		return false;

	const OpExpr *op = (const OpExpr *) condition;
	Node *left = (Node *) linitial(op->args);
	const Var *a = plain_column(left);
	const Var *b = plain_column((Node *) lsecond(op->args));
	if (!a || !b || !op_hashjoinable(op->opno, exprType(left)) ||
		!get_op_hash_functions(op->opno, &key->sides[0].hash, &key->sides[1].hash))
		return false;

	key->sides[0].occurrence = occurrence_of(rtis, a);
	key->sides[0].column = a->varattno;
	key->sides[1].occurrence = occurrence_of(rtis, b);
	key->sides[1].column = b->varattno;
	key->collation = op->inputcollid;
	return key->sides[0].occurrence >= 0 && key->sides[1].occurrence >= 0 &&
		   key->sides[0].occurrence != key->sides[1].occurrence;
}

bool
is_known(const Block *block, const JoinKey *key)
{
	for (int i = 0; i < block->njoin_keys; i++)
	{
		const JoinKey *other = &block->join_keys[i];

		if (other->sides[0].occurrence == key->sides[0].occurrence &&
			other->sides[1].occurrence == key->sides[1].occurrence)
			return true;
	}
	return false;
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

	List *conditions = add_conditions(NIL, (Node *) query->jointree);
	block->join_keys = (JoinKey *) palloc(sizeof(JoinKey) * Max(list_length(conditions), 1));
	foreach (lc, conditions)
	{
		JoinKey key;

		if (!read_condition((Node *) lfirst(lc), rtis, &key))
			continue;
		if (key.sides[0].occurrence > key.sides[1].occurrence)
		{
			JoinSide first = key.sides[0];

			key.sides[0] = key.sides[1];
			key.sides[1] = first;
		}
		if (!is_known(block, &key) && occurs_once(block, key.sides[0].occurrence) &&
			occurs_once(block, key.sides[1].occurrence))
			block->join_keys[block->njoin_keys++] = key;
	}
}

} // namespace tw::analyze
