/*
 * revive.hpp - brings live views back after pg_upgrade.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::ddl
{

/*
 * Called by a background worker of the database, outside a transaction, before
 * its work. Attaches again what was attached in another cluster; a look at one
 * row where nothing is to be done. A view that cannot be attached is reported
 * in the server log and stays listed.
 */
void revive_views();

} // namespace tw::ddl
