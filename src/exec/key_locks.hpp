/*
 * key_locks.hpp - locks on the hashes of keys, and what there may be of them.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::exec
{

constexpr int kSomeKeys = 256; /* a statement with more of them locks what they are keys of */

/* The hashes of some keys in ascending order, or the fact that there are many. */
struct KeyHashes
{
	bool many;
	int n;
	uint32 hashes[kSomeKeys];
	uint8 marks[kSomeKeys]; /* the bits each was added with */
};

void add_hash(KeyHashes *keys, uint32 hash, uint8 mark);

/* True if the keys are few, and the transaction holds not too many locks of this kind. */
bool may_lock_keys(const KeyHashes *keys);

/* The transaction is about to take so many. */
void count_key_locks(int n);

} // namespace tw::exec
