/*
 * portal.hpp - TAIL cursors as the server's portals, and FETCH.
 */
#pragma once

#include "pg/postgres.hpp"
#include "tail/cursor.hpp"
#include "tail/syntax.hpp"

namespace tw::tail
{

/* DECLARE ... CURSOR FOR TAIL. */
void declare(const DeclareCursorStmt *stmt, const char *source, ParamListInfo params);

/* The TAIL cursor of this name; null where there is none, or it is an ordinary one. */
Cursor *find_cursor(const char *name);

/* FETCH from a TAIL cursor; 0A000 for a statement that would not move forward. Returns rows. */
uint64 fetch(Cursor *cursor, const FetchStmt *stmt, DestReceiver *dest);

/* Installs what undoes a FETCH whose statement fails after it has completed. */
void init_portals();

} // namespace tw::tail
