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

/*
 * The same for relations that are not locked, so that the views may be altered meanwhile: in
 * no order, without inner relations, and without a look at their definitions.
 */
List *views_above(List *relids);

/*
 * Takes the guards for a statement that writes these relations, or for an UPDATE of these columns of a
 * relation that leaves all others as they are. Allocates in the current context.
 */
void guard_views(List *relids);
void guard_views(Oid relid, const Bitmapset *columns);

} // namespace tw::maintain
