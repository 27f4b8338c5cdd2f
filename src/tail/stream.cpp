/*
 * stream.cpp - TAIL as an endless result: bare, and through COPY.
 *
 * The same cursor as behind DECLARE, without a portal. What is ready is read
 * into a tuplestore and sent from there when the read is over, so a client that
 * does not read what it is sent holds no snapshot and no lock.
 *
 * A bare TAIL sends its own row description, as the server does for a utility
 * command only in the simple query protocol; elsewhere it is refused.
 */
#include "tail/stream.hpp"

#include "tail/copy.hpp"
#include "tail/cursor.hpp"
#include "tail/syntax.hpp"
#include "tail/wait.hpp"

namespace tw::tail
{

namespace
{

/* A cursor, the rows that are on their way, and who gets them. */
struct Stream
{
	Cursor *cursor;
	Tuplestorestate *store;
	DestReceiver *into_store;
	TupleTableSlot *row;
	DestReceiver *client;
	uint64 sent;
};

void
send_stored(Stream *s)
{
	while (tuplestore_gettupleslot(s->store, true, false, s->row))
	{
		CHECK_FOR_INTERRUPTS();
		s->client->receiveSlot(s->row, s->client);
		s->sent++;
	}
	ExecClearTuple(s->row);
	tuplestore_clear(s->store);
	pq_flush();
}

Stream
open_stream(const DeclareCursorStmt *stmt, const TailQuery &query, ParamListInfo params,
			DestReceiver *client)
{
	Stream s = {};

	s.cursor = make_cursor(CurrentMemoryContext, CurrentResourceOwner, stmt, query, params);
	start(s.cursor, stmt, query);
	s.store = tuplestore_begin_heap(false, false, work_mem);
	s.into_store = CreateDestReceiver(DestTuplestore);
	SetTuplestoreDestReceiverParams(s.into_store, s.store, CurrentMemoryContext, false, nullptr,
									nullptr);
	s.into_store->rStartup(s.into_store, CMD_SELECT, s.cursor->desc);
	s.row = MakeSingleTupleTableSlot(s.cursor->desc, &TTSOpsMinimalTuple);
	s.client = client;
	return s;
}

void
refuse_place(const char *what, const char *where)
{
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s %s", what, where),
			errhint("Use DECLARE ... CURSOR FOR TAIL and FETCH."));
}

} // namespace

void
stream(const DeclareCursorStmt *stmt, bool top_level, ParamListInfo params, DestReceiver *dest,
	   QueryCompletion *completion)
{
	bool copy = (stmt->options & kTailCopy) != 0;

	if (!top_level || whereToSendOutput != DestRemote)
		refuse_place(copy ? "COPY of a TAIL" : "bare TAIL", "must be a statement of a client");
	if (!copy && dest->mydest != DestRemote)
		refuse_place("bare TAIL", "needs the simple query protocol");

	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tailwater stream",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	/* The server gave this command a snapshot; it must not live as long as the stream. */
	if (ActiveSnapshotSet())
		PopActiveSnapshot();

	TailQuery query = open_query(stmt);
	DestReceiver *client = copy ? make_copy_receiver(query.copy_options) : dest;
	Stream s = open_stream(stmt, query, params, client);

	client->rStartup(client, CMD_SELECT, s.cursor->desc);
	pq_flush();
	while (!is_over(s.cursor))
	{
		wait_and_deliver(s.cursor, {PG_INT64_MAX, -1}, s.into_store);
		send_stored(&s);
	}
	client->rShutdown(client);
	close_cursor(s.cursor);
	tuplestore_end(s.store);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	if (completion)
		SetQueryCompletion(completion, copy ? CMDTAG_COPY : CMDTAG_SELECT, s.sent);
}

} // namespace tw::tail
