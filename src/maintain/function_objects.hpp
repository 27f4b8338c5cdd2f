/*
 * function_objects.hpp - what the functions name that a view has taken in.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::maintain
{

/*
 * Makes a view depend on the tables and functions that the bodies of its SQL
 * functions name, so that they cannot be dropped beneath it and it hears when they
 * are altered. Replaces what there was before.
 */
void depend_on_function_objects(Oid view, Oid owner);

/* Takes that back. */
void forget_function_objects(Oid view);

} // namespace tw::maintain
