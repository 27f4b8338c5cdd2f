/*
 * key_locks.cpp - locks on the hashes of keys, and what there may be of them.
 *
 * The server's table of locks has room for max_locks_per_transaction of each
 * session on average. A statement that would need many locks the whole that the keys are
 * of, and so does a transaction that has many.
 */
#include "exec/key_locks.hpp"

namespace tw::exec
{

namespace
{

constexpr int kSharesInTransaction = 8; /* of what a session has on average */

int taken = 0;
LocalTransactionId taken_by = InvalidLocalTransactionId;

int
taken_now()
{
	if (taken_by != pg::local_transaction())
		taken = 0;
	taken_by = pg::local_transaction();
	return taken;
}

} // namespace

void
add_hash(KeyHashes *keys, uint32 hash, uint8 mark)
{
	int at = keys->n;

	if (keys->many)
		return;
	while (at > 0 && keys->hashes[at - 1] >= hash)
		at--;
	if (at < keys->n && keys->hashes[at] == hash)
	{
		keys->marks[at] |= mark;
		return;
	}
	if (keys->n == kSomeKeys)
	{
		keys->many = true;
		return;
	}
	memmove(&keys->hashes[at + 1], &keys->hashes[at], sizeof(uint32) * (keys->n - at));
	memmove(&keys->marks[at + 1], &keys->marks[at], keys->n - at);
	keys->hashes[at] = hash;
	keys->marks[at] = mark;
	keys->n++;
}

bool
may_lock_keys(const KeyHashes *keys)
{
	return !keys->many && taken_now() + keys->n <= max_locks_per_xact * kSharesInTransaction;
}

void
count_key_locks(int n)
{
	taken = taken_now() + n;
}

} // namespace tw::exec
