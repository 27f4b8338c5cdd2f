/*
 * generated.hpp - stored generated columns that a transition table lacks.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::capture
{

/*
 * True if rows that a statement inserted into the table may lack their generated
 * columns in its transition table.
 */
bool lacks_generated_columns(Relation rel);

/* A copy of such rows with their generated columns, in the current memory context and for the transaction. */
Tuplestorestate *with_generated_columns(Relation rel, Tuplestorestate *rows);

} // namespace tw::capture
