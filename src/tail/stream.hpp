/*
 * stream.hpp - TAIL as an endless result: bare, and through COPY.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::tail
{

/*
 * Runs a bare TAIL, or COPY (TAIL ...) TO STDOUT, until UP TO is reached or it
 * is cancelled. Rows are flushed to the client as soon as they are there.
 */
void stream(const DeclareCursorStmt *stmt, bool top_level, ParamListInfo params, DestReceiver *dest,
			QueryCompletion *completion);

} // namespace tw::tail
