/*
 * guard.hpp - keeps writers of different inputs of one view apart.
 */
#pragma once

#include "pg/postgres.hpp"
#include "maintain/session.hpp"

namespace tw::maintain
{

/*
 * Takes the locks that a writer of these bases of the view needs, until the end
 * of the transaction.
 */
void guard_write(const ViewRuntime *view, List *written);

/* Locks the tables that the view reads for reading: to be done before guards are taken. */
void lock_inputs(const ViewRuntime *view);

/* Takes the locks of a TRUNCATE of inputs of these views (List of OIDs). */
void guard_truncate(List *views);

/* Takes the locks that exclude all writers of the view's base tables from maintaining it. */
void guard_all(const ViewRuntime *view);

/* Takes the lock under which the whole view may be evaluated again. */
void guard_recompute(const ViewRuntime *view);

/* True if the delta of the view depends on rows that other transactions may be writing. */
bool needs_guard(const ViewRuntime *view);

} // namespace tw::maintain
