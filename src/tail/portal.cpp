/*
 * portal.cpp - TAIL cursors as the server's portals, and FETCH.
 *
 * A TAIL cursor is a portal, so that CLOSE, pg_cursors, Describe, ROLLBACK TO
 * SAVEPOINT and the end of the transaction treat it like any other cursor. But
 * it has no plan: a planned query would keep one snapshot and would come to an
 * end. Its FETCH is executed here. The portal's only statement is its own
 * DECLARE, so whoever runs it by other means (SPI_cursor_fetch(), an Execute
 * message naming it) comes to refuse_active() below. It must not be a FETCH:
 * the server would follow that to its portal for ever.
 *
 * While a FETCH runs the portal is marked active, which keeps functions in the
 * filter from closing it. After an error it is ready again, not failed: a
 * cancelled wait must not end the cursor, and the position has not moved.
 */
#include "tail/portal.hpp"

#include "tail/wait.hpp"

namespace tw::tail
{

namespace
{

Cursor *open_cursors = nullptr;

Cursor *
cursor_of(Portal portal)
{
	Cursor *cursor = open_cursors;

	while (cursor && cursor->portal != portal)
		cursor = cursor->next;
	return cursor;
}

/* Cleanup hook of the portal. */
void
clean_up(Portal portal)
{
	Cursor **link = &open_cursors;

	while (*link && (*link)->portal != portal)
		link = &(*link)->next;
	if (!*link)
		return;

	Cursor *cursor = *link;
	*link = cursor->next;
	close_cursor(cursor);
}

PlannedStmt *
statement_of(const DeclareCursorStmt *stmt)
{
	PlannedStmt *planned = makeNode(PlannedStmt);

	planned->commandType = CMD_UTILITY;
	planned->canSetTag = true;
	planned->utilityStmt = reinterpret_cast<Node *>(
		copyObject(const_cast<DeclareCursorStmt *>(stmt)));
	planned->stmt_location = -1;
	return planned;
}

void
refuse_active(const Cursor *cursor)
{
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("TAIL cursor \"%s\" can only be read with FETCH", cursor->portal->name),
			errhint("In PL/pgSQL use tailwater.exec('FETCH ...')."));
}

void
check_direction(const FetchStmt *stmt)
{
	const char *what = nullptr;

	if (stmt->ismove)
		what = "MOVE is";
	else if (stmt->direction != FETCH_FORWARD || (stmt->howMany < 0 && !has_timeout(stmt)))
		what = "a FETCH that does not move forward is";
	if (what)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s not supported with TAIL cursors", what),
				errhint("Use FETCH [ FORWARD ] with a number, NEXT or ALL."));
}

/*
 * A FETCH that has completed is undone if its own statement fails after all,
 * because then nobody has its rows; not by a ROLLBACK TO that comes later, as
 * with any cursor. It is undone with the subtransaction it ran in, or one
 * around that; those that began later have larger numbers. Nothing here may fail.
 */
void
undo_fetches(SubXactEvent event, SubTransactionId aborted, SubTransactionId, void *)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (Cursor *cursor = open_cursors; cursor; cursor = cursor->next)
		if (cursor->last_fetch == GetCurrentStatementStartTimestamp() &&
			cursor->last_fetch_in >= aborted)
			cursor->must_go_back = true;
}

} // namespace

void
declare(const DeclareCursorStmt *stmt, const char *source, ParamListInfo params)
{
	TailQuery query = open_query(stmt);

	if (stmt->portalname[0] == '\0')
		ereport(ERROR, errcode(ERRCODE_INVALID_CURSOR_NAME),
				errmsg("invalid cursor name: must not be empty"));

	Cursor *running = find_cursor(stmt->portalname);
	if (running && running->portal->status == PORTAL_ACTIVE)
		refuse_active(running);

	Portal portal = CreatePortal(stmt->portalname, false, false);
	Cursor *cursor = make_cursor(portal->portalContext, portal->resowner, stmt, query, params);
	cursor->portal = portal;
	portal->cleanup = clean_up;
	cursor->next = open_cursors;
	open_cursors = cursor;

	MemoryContext old = MemoryContextSwitchTo(portal->portalContext);
	PortalDefineQuery(portal, nullptr, pstrdup(source), CMDTAG_SELECT,
					  list_make1(statement_of(stmt)), nullptr);
	MemoryContextSwitchTo(old);

	start(cursor, stmt, query);

	portal->cursorOptions = stmt->options & (CURSOR_OPT_BINARY | CURSOR_OPT_NO_SCROLL);
	portal->strategy = PORTAL_UTIL_SELECT;
	portal->tupDesc = cursor->desc;
	portal->atStart = true;
	portal->atEnd = false;
	portal->portalPos = 0;
	portal->status = PORTAL_READY;
}

Cursor *
find_cursor(const char *name)
{
	Portal portal = name ? GetPortalByName(name) : nullptr;

	return portal ? cursor_of(portal) : nullptr;
}

uint64
fetch(Cursor *cursor, const FetchStmt *stmt, DestReceiver *dest)
{
	Portal portal = cursor->portal;
	FetchRequest request = unpack_fetch(stmt);
	uint64 given = 0;

	if (portal->status == PORTAL_ACTIVE)
		refuse_active(cursor);
	check_direction(stmt);
	MarkPortalActive(portal);
	PG_TRY();
	{
		dest->rStartup(dest, CMD_SELECT, cursor->desc);
		given = wait_and_deliver(cursor, request, dest);
		dest->rShutdown(dest);
	}
	PG_CATCH();
	{
		portal->status = PORTAL_READY;
		PG_RE_THROW();
	}
	PG_END_TRY();
	portal->status = PORTAL_READY;
	portal->atStart = false;
	return given;
}

void
init_portals()
{
	RegisterSubXactCallback(undo_fetches, nullptr);
}

} // namespace tw::tail
