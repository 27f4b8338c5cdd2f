/*
 * key_guard.hpp - keeps writers of different inputs of one view apart where their rows could meet.
 */
#pragma once

#include "pg/postgres.hpp"
#include "maintain/session.hpp"

namespace tw::maintain
{

/* The view's pairs of inputs whose rows have keys, in the order in which writers lock them. */
const analyze::JoinKey *pair_keys(const analyze::ViewPlan *plan, int *n);

/*
 * True if writers of the two base tables are kept apart by the keys of their rows, or need not be
 * kept apart: in all of their places, which are so many pairs.
 */
bool guarded_by_key(const ViewRuntime *view, Oid a, Oid b, int npairs);

enum class Guarded
{
	kNothing,
	kSomething /* perhaps somebody was waited for: look at tables under a snapshot taken now */
};

/* Takes the guards for the rows in the deltas, to the end of the transaction. */
Guarded guard_keys(const ViewRuntime *view, List *deltas);

/* Takes the guards for all rows of all inputs. */
void guard_all_keys(const ViewRuntime *view);

} // namespace tw::maintain
