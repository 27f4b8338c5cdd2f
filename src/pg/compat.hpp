/*
 * compat.hpp - differences between PostgreSQL 14 and 18, in one place.
 *
 * Nothing outside this file tests PG_VERSION_NUM. A difference is hidden
 * behind a function or alias with the newest server's meaning.
 */
#pragma once

#if PG_VERSION_NUM < 140000
#error "tailwater needs PostgreSQL 14 or later"
#endif
