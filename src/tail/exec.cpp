/*
 * exec.cpp - tailwater.exec(text): TAIL syntax where the literal text cannot be parsed.
 *
 * PL/pgSQL and SPI parse by other ways than pg_parse_query(), and a server
 * whose code cannot be patched has no other way at all. The function reads one
 * statement with the same reader and runs it with the same code. No search_path
 * is set on it: the statement's names are the caller's, and it has the
 * caller's rights.
 */
#include "tail/portal.hpp"
#include "tail/syntax.hpp"

namespace tw::tail
{

namespace
{

/* A receiver that makes each row a jsonb object in a tuplestore. */
struct JsonReceiver
{
	DestReceiver pub;
	Tuplestorestate *store;
	TupleDesc store_desc;
	TupleDesc desc;
	FmgrInfo to_jsonb;
	MemoryContext context; /* of one row */
};

/* to_jsonb() asks its call expression for the type of its argument. */
void
start_up(DestReceiver *self, int, TupleDesc desc)
{
	JsonReceiver *r = reinterpret_cast<JsonReceiver *>(self);
	FuncExpr *call = makeFuncExpr(F_TO_JSONB, JSONBOID,
								  list_make1(makeNullConst(RECORDOID, -1, InvalidOid)), InvalidOid,
								  InvalidOid, COERCE_EXPLICIT_CALL);

	r->desc = BlessTupleDesc(CreateTupleDescCopy(desc));
	fmgr_info(F_TO_JSONB, &r->to_jsonb);
	fmgr_info_set_expr(reinterpret_cast<Node *>(call), &r->to_jsonb);
}

bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	JsonReceiver *r = reinterpret_cast<JsonReceiver *>(self);
	MemoryContext old = MemoryContextSwitchTo(r->context);

	slot_getallattrs(slot);
	HeapTuple tuple = heap_form_tuple(r->desc, slot->tts_values, slot->tts_isnull);
	Datum object = FunctionCall1(&r->to_jsonb, HeapTupleGetDatum(tuple));
	bool isnull = false;
	tuplestore_putvalues(r->store, r->store_desc, &object, &isnull);
	MemoryContextSwitchTo(old);
	MemoryContextReset(r->context);
	return true;
}

void
shut_down(DestReceiver *)
{
}

void
destroy(DestReceiver *)
{
}

JsonReceiver
make_receiver(ReturnSetInfo *result)
{
	JsonReceiver r = {};

	r.pub.receiveSlot = receive;
	r.pub.rStartup = start_up;
	r.pub.rShutdown = shut_down;
	r.pub.rDestroy = destroy;
	r.pub.mydest = DestNone;
	r.store = result->setResult;
	r.store_desc = result->setDesc;
	r.context = AllocSetContextCreate(CurrentMemoryContext, "tailwater exec row",
									  ALLOCSET_DEFAULT_SIZES);
	return r;
}

/* The result as a tuplestore in the caller's memory; empty so far. */
ReturnSetInfo *
make_result(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);

	if (!result || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("set-valued function called in context that cannot accept a set"));

	MemoryContext old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0,
											  false, work_mem);
	result->setDesc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(result->setDesc, 1, "exec", JSONBOID, -1, 0);
	MemoryContextSwitchTo(old);
	return result;
}

void
refuse_command()
{
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("tailwater.exec() runs one TAIL command"),
			errhint("The commands are DECLARE ... CURSOR FOR TAIL, FETCH from a TAIL cursor, and "
					"CLOSE."));
}

/* An error's position is one in the command, not in the statement that calls the function. */
void
move_position(void *arg)
{
	int at = geterrposition();

	if (at > 0)
	{
		errposition(0);
		internalerrposition(at);
		internalerrquery(static_cast<const char *>(arg));
	}
}

void
run_declare(RawStmt *raw, const char *command)
{
	DeclareCursorStmt *stmt = reinterpret_cast<DeclareCursorStmt *>(raw->stmt);

	if (!(stmt->options & kTail) || stmt->options & (kTailBare | kTailCopy))
		refuse_command();
	Query *query = parse_analyze_fixedparams(raw, command, nullptr, 0, nullptr);
	declare(castNode(DeclareCursorStmt, query->utilityStmt), command, nullptr);
}

void
run_fetch(const FetchStmt *stmt, ReturnSetInfo *result)
{
	Cursor *cursor = find_cursor(stmt->portalname);

	if (cursor)
	{
		JsonReceiver receiver = make_receiver(result);
		fetch(cursor, stmt, &receiver.pub);
		return;
	}
	if (GetPortalByName(stmt->portalname))
		refuse_command();
	ereport(ERROR, errcode(ERRCODE_UNDEFINED_CURSOR),
			errmsg("cursor \"%s\" does not exist", stmt->portalname));
}

} // namespace

} // namespace tw::tail

extern "C"
{
	PGDLLEXPORT Datum tailwater_exec(PG_FUNCTION_ARGS);
	PG_FUNCTION_INFO_V1(tailwater_exec);
}

Datum
tailwater_exec(PG_FUNCTION_ARGS)
{
	using namespace tw::tail;

	const char *command = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *result = make_result(fcinfo);
	ErrorContextCallback callback = {error_context_stack, move_position,
									 const_cast<char *>(command)};
	error_context_stack = &callback;

	List *trees = parse_with_tail(command);
	if (list_length(trees) != 1)
		refuse_command();

	RawStmt *raw = linitial_node(RawStmt, trees);
	if (IsA(raw->stmt, DeclareCursorStmt))
		run_declare(raw, command);
	else if (IsA(raw->stmt, FetchStmt))
		run_fetch(reinterpret_cast<FetchStmt *>(raw->stmt), result);
	else if (IsA(raw->stmt, ClosePortalStmt))
		PerformPortalClose(reinterpret_cast<ClosePortalStmt *>(raw->stmt)->portalname);
	else
		refuse_command();
	error_context_stack = callback.previous;
	return static_cast<Datum>(0);
}
