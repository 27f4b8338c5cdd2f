/*
 * settings.hpp - the configuration parameters of tailwater (see settings.cpp for their documentation).
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::settings
{

extern bool tail_syntax;       /* tailwater.tail_syntax */
extern int port;               /* tailwater.port */
extern char *listen_addresses; /* tailwater.listen_addresses */
extern char *anon_role;        /* tailwater.anon_role */
extern char *origins;          /* tailwater.origins */
extern int max_connections;    /* tailwater.max_connections */
extern char *static_directory; /* tailwater.static_directory */
extern int retention;          /* tailwater.retention, seconds */
extern int retention_size;     /* tailwater.retention_size, kB */
extern int max_lag;            /* tailwater.max_lag_bytes, MB; 0: no limit */

void init();

} // namespace tw::settings
