/*
 * aftermath.hpp - what commands did to things that live views depend on.
 *
 * The object-access hook only notes what was dropped, altered or redefined
 * while a command runs; settle() acts on the notes when the command is over and
 * the catalogs are consistent again.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::ddl
{

/* Installs the object-access hook and the callback that forgets notes at the end of a transaction.
 */
void init_aftermath();

/*
 * Tells which command runs from now on and returns the one that ran before.
 * Commands that only move or reorganize data, and renaming of functions, alter
 * nothing in this sense.
 */
NodeTag enter_command(NodeTag command);

/* Notes that a command may have altered a relation. */
void note_altered(Oid relation);

/* Acts on everything noted so far. */
void settle();

/* OIDs of attached views whose query uses the object, through ordinary views, functions, operators
 * and casts. */
List *live_dependents(Oid class_id, Oid object_id);

/* The same for views that have taken in a function whose body names this function. */
List *live_dependents_by_name(Oid function);

} // namespace tw::ddl
