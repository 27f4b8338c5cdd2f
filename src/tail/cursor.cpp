/*
 * cursor.cpp - a TAIL that is being read: its query and its position in the feed.
 *
 * A cursor is a position in the shared log: the version up to which it has
 * been read, and a tuplestore of result rows that were read and not taken yet:
 * the snapshot, which is read at DECLARE, and the rest of a version of which
 * only a part was wanted. A read always goes on to the end of a version,
 * so no version is read twice, however few rows at a time are fetched.
 *
 * Each read has its own snapshot, newer than the transaction's, and its own
 * resource owner, which gives back all locks when the read is over: between
 * reads the cursor holds nothing that could block DROP of the view or vacuum.
 * In a REPEATABLE READ transaction that is on purpose: the feed moves on while
 * tables stand still.
 *
 * A position advances only when a FETCH has completed, and goes back if the
 * statement of that FETCH fails after all (its rows have not reached anyone).
 * Filter and projection are initialized anew for each FETCH: what a function
 * in them remembers must not survive an error.
 */
#include "tail/cursor.hpp"

#include "feed/reader.hpp"
#include "tail/syntax.hpp"

namespace tw::tail
{

namespace
{

/* A read of the feed: a snapshot, a lock on the view, memory, and who gives them back. */
struct Read
{
	MemoryContext context;
	MemoryContext outer_context;
	ResourceOwner owner;
	ResourceOwner outer;
	catalog::LiveView view;
};

void
begin_read(Read *read, const Cursor *cursor)
{
	read->outer = CurrentResourceOwner;
	read->owner = ResourceOwnerCreate(CurrentResourceOwner, "tailwater read");
	CurrentResourceOwner = read->owner;
	read->context = AllocSetContextCreate(CurrentMemoryContext, "tailwater read",
										  ALLOCSET_DEFAULT_SIZES);
	read->outer_context = MemoryContextSwitchTo(read->context);

	/* The lock first: who waits for a DROP must see its result. */
	LockRelationOid(cursor->view, AccessShareLock);
	PushActiveSnapshot(GetLatestSnapshot());

	if (!catalog::find_live_view(cursor->view, &read->view))
		read->view = {};
}

void
end_read(Read *read)
{
	PopActiveSnapshot();
	CurrentResourceOwner = read->outer;

	/* Not "commit", which would hand the locks on to the transaction. */
	ResourceOwnerRelease(read->owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(read->owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(read->owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(read->owner);
	MemoryContextSwitchTo(read->outer_context);
	MemoryContextDelete(read->context);
}

/* The view is still what it was at DECLARE, and may still be read. */
void
check_view(const Cursor *cursor, const Read *read)
{
	if (!OidIsValid(read->view.view) || read->view.epoch != cursor->epoch ||
		!OidIsValid(read->view.log))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the live view of this TAIL is not what it was when the TAIL began"),
				errdetail("It was dropped, redefined or released, or lost its feed."),
				errhint("Begin again with a snapshot."));
	pg::check_permissions(cursor->entry, cursor->permissions);
}

/* ---- delivering rows ---- */

Tuplestorestate *
make_pending(Cursor *cursor)
{
	MemoryContext old = MemoryContextSwitchTo(cursor->context);
	ResourceOwner outer = CurrentResourceOwner;

	CurrentResourceOwner = cursor->owner;
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_set_eflags(store, 0);
	if (tuplestore_alloc_read_pointer(store, 0) != kReading ||
		tuplestore_alloc_read_pointer(store, 0) != kBefore)
		elog(ERROR, "unexpected read pointer");
	CurrentResourceOwner = outer;
	MemoryContextSwitchTo(old);
	return store;
}

/* Gives out a row of the result, or keeps it once the limit is reached. */
void
give(Delivery *d, TupleTableSlot *row)
{
	if (d->dest && d->given < d->limit)
	{
		if (!d->dest->receiveSlot(row, d->dest))
			d->limit = d->given; /* the receiver wants no more; keep the rest */
		else
			d->given++;
		return;
	}
	if (!d->cursor->unfinished_pending)
		d->cursor->unfinished_pending = make_pending(d->cursor);
	tuplestore_puttupleslot(d->cursor->unfinished_pending, row);
}

/*
 * Puts the columns of TAIL before those of the row and gives it out. Values
 * that are stored out of line are fetched: nothing protects them once the
 * snapshot of this read is gone.
 */
void
give_row(Delivery *d, int64 diff, TupleTableSlot *row)
{
	const Cursor *cursor = d->cursor;
	TupleTableSlot *out = d->out;
	int n = 0;

	ExecClearTuple(out);
	memset(out->tts_isnull, 0, sizeof(bool) * cursor->tail_columns);
	out->tts_values[n++] = Int64GetDatum(d->version);
	if (cursor->progress)
		out->tts_values[n++] = BoolGetDatum(false);
	out->tts_values[n++] = Int64GetDatum(diff);

	slot_getallattrs(row);
	for (int i = 0; n < cursor->desc->natts; i++, n++)
	{
		out->tts_isnull[n] = row->tts_isnull[i];
		out->tts_values[n] = row->tts_values[i];
	}
	MemoryContext old = MemoryContextSwitchTo(d->econtext->ecxt_per_tuple_memory);
	feed::fetch_external_values(out);
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(out);
	give(d, out);
}

/* Gives out the sums of the rows that the projection may have made equal. */
void
give_sums(Delivery *d)
{
	if (!d->cursor->consolidate)
		return;
	for (uint32 i = 0; i < d->changes.size; i++)
	{
		ResetExprContext(d->econtext);
		if (int64 diff = d->changes.get(i, d->changed))
			give_row(d, diff, d->changed);
	}
	ExecClearTuple(d->changed);
	d->changes.reset();
}

void
give_progress(Delivery *d, int64 version)
{
	TupleTableSlot *out = d->out;

	ExecClearTuple(out);
	memset(out->tts_isnull, true, sizeof(bool) * d->cursor->desc->natts);
	memset(out->tts_isnull, false, sizeof(bool) * 2);
	out->tts_values[0] = Int64GetDatum(version);
	out->tts_values[1] = BoolGetDatum(true);
	ExecStoreVirtualTuple(out);
	give(d, out);
	d->at.progress = version;
	d->at.progress_at = GetCurrentTimestamp();
}

/* Filter and projection of one row of the view. */
void
take_row(Delivery *d, int64 diff, TupleTableSlot *row)
{
	ResetExprContext(d->econtext);
	d->econtext->ecxt_scantuple = row;
	if (d->filter && !ExecQual(d->filter, d->econtext))
		return;
	if (d->project)
		row = ExecProject(d->project);
	if (d->cursor->consolidate)
		d->changes.add(row, diff);
	else
		give_row(d, diff, row);
}

/* All rows of the version being read are known. */
void
finish_version(Delivery *d)
{
	if (d->version == 0)
		return;
	give_sums(d);
	if (d->cursor->progress && d->version > d->at.progress)
		give_progress(d, d->version);
	d->at.version = d->version;
	d->version = 0;
}

bool
is_full(const Delivery *d)
{
	return d->given >= d->limit;
}

bool
take_change(void *arg, int64 version, int64 diff, TupleTableSlot *row)
{
	Delivery *d = static_cast<Delivery *>(arg);

	CHECK_FOR_INTERRUPTS();
	if (version != d->version)
	{
		finish_version(d);
		if (is_full(d))
		{
			d->stopped = true;
			return false;
		}
		d->version = version;
	}
	take_row(d, diff, row);
	return true;
}

/*
 * Versions read at once for a FETCH of few rows: the reader's effort grows with
 * the range, and most of it would be wasted.
 */
constexpr int64 kFirstStride = 64;

void
read_log(Delivery *d)
{
	Cursor *cursor = d->cursor;
	Read read;

	begin_read(&read, cursor);
	check_view(cursor, &read);

	int64 end = feed::newest_version();
	if (cursor->up_to >= 0)
		end = Min(end, cursor->up_to);

	int64 stride = d->limit == PG_INT64_MAX ? PG_INT64_MAX : kFirstStride;
	d->stopped = false;
	while (d->at.version < end && !is_full(d) && !d->stopped)
	{
		int64 upto = end - d->at.version > stride ? d->at.version + stride : end;

		feed::read_changes(read.view, d->at.version, upto, take_change, d);
		finish_version(d);
		if (!d->stopped)
			d->at.version = upto;
		stride = stride > PG_INT64_MAX / 2 ? PG_INT64_MAX : stride * 2;
	}
	if (cursor->progress && d->at.version > d->at.progress)
		give_progress(d, d->at.version);
	end_read(&read);
}

void
drain_pending(Delivery *d)
{
	Tuplestorestate *store = d->at.pending;

	if (!store)
		return;
	tuplestore_select_read_pointer(store, kReading);
	tuplestore_copy_read_pointer(store, kTaken, kReading);
	while (!is_full(d))
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(d->econtext);

		MemoryContext old = MemoryContextSwitchTo(d->cursor->context);
		bool found = tuplestore_gettupleslot(store, true, false, d->stored);
		MemoryContextSwitchTo(old);
		if (!found)
		{
			d->at.pending = nullptr;
			return;
		}
		give(d, d->stored);
	}
}

/* ---- the snapshot ---- */

/* Sums kept in memory while a snapshot is read; a whole view would be too much. */
constexpr uint32 kMaxSums = 100000;

bool
take_snapshot_row(void *arg, int64 version, int64 diff, TupleTableSlot *row)
{
	Delivery *d = static_cast<Delivery *>(arg);

	CHECK_FOR_INTERRUPTS();
	d->version = version;
	take_row(d, diff, row);
	if (d->cursor->consolidate && d->changes.size >= kMaxSums)
		give_sums(d); /* equal rows may then come in several parts */
	return true;
}

/* A snapshot of the past: the present, and what must be added to it, often negative. */
struct Past
{
	Delivery *delivery;
	int64 version;
	feed::RowBag history;
};

bool
add_inverse(void *arg, int64, int64 diff, TupleTableSlot *row)
{
	CHECK_FOR_INTERRUPTS();
	static_cast<Past *>(arg)->history.add(row, -diff);
	return true;
}

bool
take_present_row(void *arg, int64, int64 diff, TupleTableSlot *row)
{
	Past *past = static_cast<Past *>(arg);
	int64 *owed = past->history.find(row);

	if (owed && *owed < 0)
	{
		int64 part = Min(diff, -*owed);

		*owed += part;
		diff -= part;
	}
	return diff == 0 || take_snapshot_row(past->delivery, past->version, diff, row);
}

void
read_past(Delivery *d, const catalog::LiveView &view, int64 version, int64 newest)
{
	Relation rel = table_open(view.view, AccessShareLock);
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
	Past past = {d, version, {}};

	past.history.init(CurrentMemoryContext, row);
	feed::read_changes(view, version, newest, add_inverse, &past);
	feed::read_snapshot(view, take_present_row, &past);
	for (uint32 i = 0; i < past.history.size; i++)
	{
		int64 diff = past.history.get(i, row);

		if (diff < 0)
			ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("change log of live view \"%s\" has a row that the view does not have",
						   RelationGetRelationName(rel)));
		if (diff > 0)
			take_snapshot_row(d, version, diff, row);
	}
	past.history.close();
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, AccessShareLock);
}

bool
take_nothing(void *, int64, int64, TupleTableSlot *)
{
	return false;
}

/* The value of AS OF or UP TO; -1: not given. */
int64
read_version_clause(const Cursor *cursor, Expr *expression, const char *clause)
{
	EState *estate = CreateExecutorState();
	bool isnull;

	estate->es_param_list_info = cursor->params;
	ExprState *state = ExecInitExprWithParams(expression_planner(expression), cursor->params);
	int64 version = DatumGetInt64(
		ExecEvalExprSwitchContext(state, CreateExprContext(estate), &isnull));
	FreeExecutorState(estate);

	if (isnull)
		return -1;
	if (version < 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must not be negative", clause));
	return version;
}

void
check_up_to(int64 up_to, int64 begin)
{
	if (up_to >= 0 && up_to < begin)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("UP TO %lld is before version %lld, where the TAIL begins",
					   static_cast<long long>(up_to), static_cast<long long>(begin)));
}

/* The first read: position and, where wanted, snapshot. Returns the version where the TAIL begins. */
int64
take_position(Delivery *d, const catalog::LiveView &view, int64 as_of, bool snapshot)
{
	int64 newest = feed::newest_version();

	d->at.progress = -1;
	if (as_of >= 0 && as_of != newest && (!snapshot || as_of > newest))
		feed::read_changes(view, as_of, as_of + 1, take_nothing,
						   nullptr); /* refuses a bad one now */
	if (!snapshot)
	{
		d->at.progress = as_of >= 0 ? as_of : newest;
		return d->at.progress;
	}
	if (as_of < 0 || as_of == newest)
		as_of = feed::read_snapshot(view, take_snapshot_row, d);
	else if (as_of < newest)
		read_past(d, view, as_of, newest);
	else
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("version %lld is not here yet", static_cast<long long>(as_of)),
				errdetail("The newest version is %lld.", static_cast<long long>(newest)));

	d->version = as_of;
	finish_version(d);
	return as_of;
}

/* Undoes the last advance(). */
void
go_back(Cursor *cursor)
{
	if (cursor->now.pending && cursor->now.pending != cursor->before.pending)
		tuplestore_end(cursor->now.pending);
	if (cursor->before.pending)
		tuplestore_copy_read_pointer(cursor->before.pending, kBefore, kTaken);
	cursor->now = cursor->before;
	cursor->last_fetch = 0;
	cursor->must_go_back = false;
}

/* ---- the query ---- */

bool
is_view_column(const TargetEntry *entry, int attno)
{
	const Var *var = reinterpret_cast<const Var *>(entry->expr);

	return IsA(entry->expr, Var) && var->varattno == attno;
}

/* Columns of a relation; a materialized view never loses one. */
int
count_columns(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int natts = 0;

	if (HeapTupleIsValid(tuple))
	{
		natts = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relnatts;
		ReleaseSysCache(tuple);
	}
	return natts;
}

/* Sorts the projection into: the view's columns as they are; something that keeps rows distinct; other. */
void
classify_projection(Cursor *cursor)
{
	int natts = count_columns(cursor->view);
	bool all = true;
	ListCell *cell;

	cursor->plain = list_length(cursor->projection) == natts;
	for (int attno = 1; attno <= natts; attno++)
	{
		bool found = false;

		foreach (cell, cursor->projection)
			found |= is_view_column(lfirst_node(TargetEntry, cell), attno);
		all &= found;
		cursor->plain = cursor->plain &&
						is_view_column(list_nth_node(TargetEntry, cursor->projection, attno - 1),
									   attno);
	}
	cursor->consolidate = !all;
}

} // namespace

Cursor *
make_cursor(MemoryContext context, ResourceOwner owner, const DeclareCursorStmt *stmt,
			const TailQuery &query, ParamListInfo params)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Cursor *cursor = static_cast<Cursor *>(palloc0(sizeof(Cursor)));
	ListCell *cell;

	cursor->context = context;
	cursor->owner = owner;
	cursor->view = query.view->relid;
	cursor->entry = copyObject(query.view);
	cursor->permissions = copyObject(query.permissions);
	pg::set_checked_user(cursor->entry, cursor->permissions, GetUserId());
	cursor->params = copyParamList(params);
	cursor->progress = (stmt->options & kTailProgress) != 0;
	cursor->tail_columns = query.tail_columns;
	cursor->desc = ExecTypeFromTL(query.columns);

	foreach (cell, query.columns)
	{
		TargetEntry *entry = copyObject(lfirst_node(TargetEntry, cell));

		if (entry->resno <= query.tail_columns)
			continue;
		entry->resno -= query.tail_columns;
		entry->expr = expression_planner(entry->expr);
		cursor->projection = lappend(cursor->projection, entry);
	}
	if (query.filter)
		cursor->filter = reinterpret_cast<Node *>(make_ands_implicit(
			expression_planner(reinterpret_cast<Expr *>(copyObject(query.filter)))));
	classify_projection(cursor);
	MemoryContextSwitchTo(old);
	return cursor;
}

void
start(Cursor *cursor, const DeclareCursorStmt *stmt, const TailQuery &query)
{
	int64 as_of = read_version_clause(cursor, query.as_of, "AS OF");
	int64 up_to = read_version_clause(cursor, query.up_to, "UP TO");
	Delivery d;
	Read read;

	begin_read(&read, cursor);
	if (!OidIsValid(read.view.view))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("\"%s\" is not a live view", get_rel_name(cursor->view)),
				errhint("tailwater.maintain() makes a materialized view a live one."));
	if (!OidIsValid(read.view.log))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the feed of live view \"%s\" is off", get_rel_name(cursor->view)),
				errhint("Set tailwater.feed = on for the view."));
	cursor->epoch = read.view.epoch;
	check_view(cursor, &read);

	begin_delivery(&d, cursor, nullptr, 0);
	d.at.version = take_position(&d, read.view, as_of, (stmt->options & kTailSnapshot) != 0);
	d.at.progress_at = GetCurrentTimestamp();
	check_up_to(up_to, d.at.version);
	cursor->up_to = up_to;
	end_delivery(&d);
	end_read(&read);

	cursor->now = d.at;
	cursor->now.pending = cursor->unfinished_pending;
	cursor->unfinished_pending = nullptr;
	cursor->before = cursor->now;
}

void
begin_delivery(Delivery *d, Cursor *cursor, DestReceiver *dest, int64 limit)
{
	if (cursor->must_go_back)
		go_back(cursor);
	*d = {};
	d->cursor = cursor;
	d->dest = dest;
	d->limit = limit;
	d->at = cursor->now;
	if (cursor->unfinished_pending) /* of a FETCH that failed */
		tuplestore_end(cursor->unfinished_pending);
	cursor->unfinished_pending = nullptr;

	d->out = MakeSingleTupleTableSlot(cursor->desc, &TTSOpsVirtual);
	d->stored = MakeSingleTupleTableSlot(cursor->desc, &TTSOpsMinimalTuple);
	d->estate = CreateExecutorState();
	d->estate->es_param_list_info = cursor->params;
	d->econtext = CreateExprContext(d->estate);

	MemoryContext old = MemoryContextSwitchTo(d->estate->es_query_cxt);
	if (cursor->filter)
		d->filter = ExecInitQual(reinterpret_cast<List *>(cursor->filter), nullptr);
	if (!cursor->plain)
	{
		TupleDesc desc = ExecTypeFromTL(cursor->projection);
		TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);

		d->project = ExecBuildProjectionInfo(cursor->projection, d->econtext, slot, nullptr,
											 nullptr);
		if (cursor->consolidate)
		{
			d->changed = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
			d->changes.init(CurrentMemoryContext, slot);
		}
	}
	MemoryContextSwitchTo(old);
}

void
end_delivery(Delivery *d)
{
	ExecDropSingleTupleTableSlot(d->out);
	ExecDropSingleTupleTableSlot(d->stored);
	FreeExecutorState(d->estate);
}

bool
at_end(const Delivery *d)
{
	const Cursor *cursor = d->cursor;

	return cursor->up_to >= 0 && d->at.version >= cursor->up_to && !d->at.pending &&
		   !cursor->unfinished_pending;
}

void
deliver_ready(Delivery *d)
{
	drain_pending(d);
	if (!is_full(d) && !at_end(d))
		read_log(d);
}

void
deliver_progress(Delivery *d)
{
	give_progress(d, d->at.version);
}

void
advance(Delivery *d)
{
	Cursor *cursor = d->cursor;

	if (cursor->before.pending && cursor->before.pending != cursor->now.pending)
		tuplestore_end(cursor->before.pending);
	cursor->before = cursor->now;
	if (cursor->now.pending)
	{
		tuplestore_copy_read_pointer(cursor->now.pending, kTaken, kBefore);
		tuplestore_copy_read_pointer(cursor->now.pending, kReading, kTaken);
	}
	cursor->now = d->at;
	if (cursor->unfinished_pending)
		cursor->now.pending = cursor->unfinished_pending;
	cursor->unfinished_pending = nullptr;
	cursor->last_fetch = GetCurrentStatementStartTimestamp();
	cursor->last_fetch_in = GetCurrentSubTransactionId();
}

bool
is_over(const Cursor *cursor)
{
	return cursor->up_to >= 0 && cursor->now.version >= cursor->up_to && !cursor->now.pending;
}

void
close_cursor(Cursor *cursor)
{
	Tuplestorestate *stores[] = {cursor->now.pending,
								 cursor->before.pending == cursor->now.pending
									 ? nullptr
									 : cursor->before.pending,
								 cursor->unfinished_pending};

	for (Tuplestorestate *store : stores)
		if (store)
			tuplestore_end(store);
	cursor->now.pending = cursor->before.pending = cursor->unfinished_pending = nullptr;
}

} // namespace tw::tail
