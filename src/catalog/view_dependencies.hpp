/*
 * view_dependencies.hpp - what a view depends on besides what its query names.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::catalog
{

/*
 * Makes a view depend on the relations and functions (ObjectAddress *) that the
 * bodies of the functions name which it has taken in: they cannot be dropped
 * beneath it, and it hears when they are altered. Replaces what there was before.
 */
void set_view_dependencies(Oid view, List *objects);

/* Takes that back. */
void remove_view_dependencies(Oid view);

} // namespace tw::catalog
