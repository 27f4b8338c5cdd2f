/*
 * ddl.hpp - utility commands on live views and on what they read.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::ddl
{

/* Installs the hooks; called once, at preload. */
void init();

} // namespace tw::ddl
