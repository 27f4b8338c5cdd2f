/*
 * serializable.hpp - what a SERIALIZABLE transaction has read that reads a live view.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::maintain
{

/* To be called for each statement before it runs; does nothing at lower isolation levels. */
void note_reads(const PlannedStmt *statement, Snapshot snapshot);

} // namespace tw::maintain
