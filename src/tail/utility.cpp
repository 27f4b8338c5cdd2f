/*
 * utility.cpp - runs the TAIL statements: the utility hook of this folder.
 */
#include "tail/tail.hpp"

#include "tail/patch.hpp"
#include "tail/portal.hpp"
#include "tail/query.hpp"
#include "tail/stream.hpp"
#include "tail/syntax.hpp"

namespace tw::tail
{

namespace
{

ProcessUtility_hook_type prev_process_utility = nullptr;

/* DECLARE, bare TAIL or COPY; false if the statement is an ordinary one. */
bool
run_declare(const DeclareCursorStmt *stmt, const char *source, bool top_level, ParamListInfo params,
			DestReceiver *dest, QueryCompletion *completion)
{
	if (!(stmt->options & kTail))
		return false;
	if (stmt->options & (kTailBare | kTailCopy))
	{
		stream(stmt, top_level, params, dest, completion);
		return true;
	}
	RequireTransactionBlock(top_level, "DECLARE CURSOR");
	declare(stmt, source, params);
	return true;
}

/* FETCH from a TAIL cursor; false if the statement is an ordinary one. */
bool
run_fetch(const FetchStmt *stmt, DestReceiver *dest, QueryCompletion *completion)
{
	Cursor *cursor = find_cursor(stmt->portalname);

	if (!cursor)
	{
		if (has_timeout(stmt) && GetPortalByName(stmt->portalname))
			ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("cursor \"%s\" is not a TAIL cursor", stmt->portalname),
					errhint("Only a FETCH from a TAIL cursor can have a TIMEOUT."));
		return false;
	}

	uint64 rows = fetch(cursor, stmt, dest);
	if (completion)
		SetQueryCompletion(completion, CMDTAG_FETCH, rows);
	return true;
}

void
process_utility(PlannedStmt *planned, const char *source, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				DestReceiver *dest, QueryCompletion *completion)
{
	Node *stmt = planned->utilityStmt;

	if (IsA(stmt, DeclareCursorStmt) &&
		run_declare(reinterpret_cast<DeclareCursorStmt *>(stmt), source,
					context == PROCESS_UTILITY_TOPLEVEL, params, dest, completion))
		return;
	if (IsA(stmt, FetchStmt) && run_fetch(reinterpret_cast<FetchStmt *>(stmt), dest, completion))
		return;

	if (prev_process_utility)
		prev_process_utility(planned, source, read_only_tree, context, params, environment, dest,
							 completion);
	else
		standard_ProcessUtility(planned, source, read_only_tree, context, params, environment, dest,
								completion);
}

} // namespace

void
init()
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	init_query_hook();
	init_portals();
	patch_parser();
}

} // namespace tw::tail
