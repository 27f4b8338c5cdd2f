/*
 * reader.hpp - runs the feed's SQL functions and gives their rows to the hub.
 */
#pragma once

#include "pg/postgres.hpp"
#include "gateway/describe.hpp"

namespace tw::gateway
{

/*
 * Takes one change. `values` are the JSON of the columns one behind the other,
 * `ends` where each one ends. False ends the read.
 */
using RowCallback = bool (*)(void *arg, int64 version, int64 diff, const char *values,
							 const uint32 *ends, int columns);

/* Prepares the plans of a view, or renews them after a change of its definition. */
void prepare_view(const ViewDefinition *definition);
void forget_view(Oid view);
/* The columns of a prepared view, for filters and rights; null: not prepared. */
const ViewDefinition *prepared_definition(Oid view);

/* Changes after < v <= upto; columns that are not needed come empty. */
void read_changes(Oid view, int64 after, int64 upto, const bool *needed, RowCallback callback,
				  void *arg);
void read_snapshot(Oid view, const bool *needed, RowCallback callback, void *arg);

} // namespace tw::gateway
