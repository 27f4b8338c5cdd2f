/*
 * triggers.hpp - the statement triggers on base tables.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::capture
{

/* Creates the triggers on a table that has none of them yet; true if it created them. */
bool create_triggers(Oid table);

/* True if they are among the triggers of a table that is open. */
bool has_triggers(const TriggerDesc *triggers);

/* Drops them. */
void drop_triggers(Oid table);

} // namespace tw::capture
