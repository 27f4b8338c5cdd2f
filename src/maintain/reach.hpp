/*
 * reach.hpp - which views a change of a relation reaches, and which locks its writers take.
 */
#pragma once

#include "pg/postgres.hpp"
#include "maintain/session.hpp"

namespace tw::maintain
{

/* Immediate views that read the relations directly or through other immediate views, in topological order. */
List *affected_views(List *relids);

/* Takes the guards for a statement that writes these relations. Allocates in the current context. */
void guard_views(List *relids);

} // namespace tw::maintain
