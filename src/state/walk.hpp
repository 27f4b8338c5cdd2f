/*
 * walk.hpp - finds rows of ascending keys along an index.
 *
 * Who looks for many keys in order goes from leaf to leaf instead of descending
 * from the root for each. What a walk finds is what a search would have found
 * under the same snapshot; what it does not find may still be there.
 */
#pragma once

#include "state/writer.hpp"

namespace tw::state
{

struct Walk;

/* From how many keys on it is of use. */
constexpr int kManyKeys = 64;

/* Null where the writer's index cannot be walked along: its key must be a single column that is passed by value. */
Walk *begin_walk(Writer *writer);
void end_walk(Walk *walk);

/*
 * Looks for the row with this key under the active snapshot, and leaves it in
 * writer->found. False where it is not on the way: then it is to be searched.
 * `values` and `nulls` are by relation attribute number.
 */
bool walk_to(Walk *walk, const Datum *values, const bool *nulls);

} // namespace tw::state
