/*
 * join_keys.cpp - which columns must be equal for rows of two tables to meet in a block.
 *
 * All joins of a block are inner joins, so every condition of its FROM and WHERE
 * holds for every row. An equality between plain columns of two tables whose
 * operator can be hashed tells by a hash which rows cannot meet: writers of
 * such rows need not wait for each other. Nor need writers of tables in different
 * arms of UNION ALL. Where the conditions lead from one table to another over a third one, the
 * rows of that one tell the values by which they meet; they are looked up from the
 * side where each row has one such value, if primary keys say so.
 */
#include "analyze/join_keys.hpp"
#include "analyze/places.hpp"

namespace tw::analyze
{

namespace
{

bool
are_occurrences(const Block *block, const Places *places)
{
	if (list_length(places->list) != block->noccurrences)
		return false;
	for (int i = 0; i < block->noccurrences; i++)
		if (place(places, i)->rte->relid != block->relids[i])
			return false;
	return true;
}

/* By which columns rows of two occurrences meet; false where nothing is known. */
bool
find_key(const Places *places, int first, int second, JoinKey *key)
{
	if (never_meet(places, first, second))
		return true;
	if (find_equal_columns(places, first, second, key))
		return true;

	List *way = find_way(places, first, second);
	if (way == NIL)
		return false;
	take_way(places, way, 0, key);
	return true;
}

} // namespace

void
find_join_keys(Block *block)
{
	int n = block->noccurrences;

	block->njoin_keys = 0;
	block->join_keys = nullptr;
	if (n < 2)
		return;

	Places places = find_places(block->query);
	if (!are_occurrences(block, &places))
		return;
	block->join_keys = (JoinKey *) palloc(sizeof(JoinKey) * (n * (n - 1) / 2));
	for (int i = 0; i < n; i++)
		for (int j = i + 1; j < n; j++)
		{
			JoinKey *key = &block->join_keys[block->njoin_keys];

			*key = {};
			key->sides[0] = {i, block->relids[i], InvalidAttrNumber, InvalidOid};
			key->sides[1] = {j, block->relids[j], InvalidAttrNumber, InvalidOid};
			block->njoin_keys += find_key(&places, i, j, key);
		}
	sort_keys(block->join_keys, block->njoin_keys);
}

} // namespace tw::analyze
