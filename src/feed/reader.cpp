/*
 * reader.cpp - reads the changes of a live view, version by version.
 *
 * The changes of version v are the log rows whose transaction snapshot(v) sees
 * and snapshot(v - 1) does not: those of the transactions that snapshot(v - 1)
 * saw running, one index look-up each, then the index range from one xmax to
 * the other. That is the order of (xid, seq), the same at every reading.
 *
 * Only rows that the active snapshot sees are read. It sees everything that
 * snapshot(v) sees, because it sees version v, which was committed later; so
 * rolled back and unfinished work never shows.
 */
#include "feed/reader.hpp"

#include "feed/consolidate.hpp"
#include "feed/packed.hpp"
#include "worker/shmem.hpp"
#include "feed/version.hpp"

namespace tw::feed
{

namespace
{

/* ERRCODE_SNAPSHOT_TOO_OLD, which newer servers do not name any more. */
constexpr int kPositionLost = MAKE_SQLSTATE('7', '2', '0', '0', '0');

/* How long read_snapshot() waits for the first version of a view just attached. */
constexpr int kFirstVersionTimeoutMs = 30000;

/*
 * Versions to be read still from which on it pays to look ahead in the log, so
 * that versions without changes of this view are skipped. Not for the newest
 * few: beyond them there may be many rows of a transaction that has not
 * finished, and they would be looked at in vain at every reading.
 */
constexpr int64 kLookAheadVersions = 32;

enum class LookAhead
{
	kNo,
	kYes
};

/* A view opened for reading; everything in it belongs to one memory context. */
struct Reader
{
	Relation view;
	Relation log;
	MemoryContext context;     /* of this reading */
	MemoryContext row_context; /* reset for each row */
	TupleTableSlot *row;       /* a row of the view, virtual */
	TupleTableSlot *stored;    /* a row of the bag */
	RowBag bag;
	uint64
		next_xid; /* no log row has an xid from where was read last up to, not including, this one */
};

void
open_reader(Reader *reader, const catalog::LiveView &view)
{
	if (!OidIsValid(view.log))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the feed of live view \"%s\" is switched off", get_rel_name(view.view)),
				errhint(
					"Switch it on with ALTER MATERIALIZED VIEW ... SET (tailwater.feed = on)."));

	reader->context = AllocSetContextCreate(CurrentMemoryContext, "tailwater reader",
											ALLOCSET_DEFAULT_SIZES);
	reader->row_context = AllocSetContextCreate(reader->context, "tailwater reader row",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(reader->context);
	reader->view = relation_open(view.view, AccessShareLock);
	reader->log = table_open(view.log, AccessShareLock);
	reader->row = MakeSingleTupleTableSlot(RelationGetDescr(reader->view), &TTSOpsVirtual);
	reader->stored = MakeSingleTupleTableSlot(RelationGetDescr(reader->view), &TTSOpsMinimalTuple);
	reader->bag.init(reader->context, reader->row);
	reader->next_xid = 0;
	MemoryContextSwitchTo(old);
}

void
close_reader(Reader *reader)
{
	reader->bag.close();
	ExecDropSingleTupleTableSlot(reader->row);
	ExecDropSingleTupleTableSlot(reader->stored);
	table_close(reader->log, AccessShareLock);
	relation_close(reader->view, AccessShareLock);
	MemoryContextDelete(reader->context);
}

/* Puts the view's columns of a log row into reader->row, and returns its diff. */
int32
load_log_row(Reader *reader, HeapTuple tup)
{
	TupleDesc log_desc = RelationGetDescr(reader->log);
	TupleDesc desc = RelationGetDescr(reader->view);
	Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * log_desc->natts));
	bool *nulls = static_cast<bool *>(palloc(sizeof(bool) * log_desc->natts));

	heap_deform_tuple(tup, log_desc, values, nulls);
	ExecClearTuple(reader->row);
	for (int i = 0, from = 3; i < desc->natts; i++)
	{
		bool dropped = TupleDescAttr(desc, i)->attisdropped;

		reader->row->tts_isnull[i] = dropped || nulls[from];
		reader->row->tts_values[i] = dropped ? (Datum) 0 : values[from];
		from += dropped ? 0 : 1;
	}
	fetch_external_values(reader->row);
	ExecStoreVirtualTuple(reader->row);
	return DatumGetInt32(values[2]);
}

void
collect_one(Reader *reader, HeapTuple tup)
{
	MemoryContextReset(reader->row_context);
	MemoryContext old = MemoryContextSwitchTo(reader->row_context);
	int32 diff = load_log_row(reader, tup);

	reader->bag.add(reader->row, diff);
	MemoryContextSwitchTo(old);
}

/* Adds a row of the log to the bag, or those that it stands for. */
void
collect_row(Reader *reader, HeapTuple tup)
{
	PackedRows packed;
	Datum rows;

	if (!log_row_packed(tup, RelationGetDescr(reader->log), &rows))
	{
		collect_one(reader, tup);
		return;
	}
	packed.open(rows);
	while (HeapTupleIsValid(tup = packed.next()))
		collect_one(reader, tup);
	packed.close();
}

/*
 * Adds to the bag the log rows of an xid range that `upto` sees (nullptr: all).
 * With look_ahead the scan goes on to the first row after the range and leaves
 * its xid in next_xid.
 */
void
collect_range(Reader *reader, uint64 first, uint64 end, const StoredSnapshot *upto,
			  LookAhead look_ahead)
{
	bool beyond = look_ahead == LookAhead::kYes;
	TupleDesc desc = RelationGetDescr(reader->log);
	LogScan scan;
	HeapTuple tup;

	if (first >= end)
		return;
	scan.open(reader->log, GetActiveSnapshot(), first, beyond ? PG_UINT64_MAX : end);
	while (HeapTupleIsValid(tup = scan.next()) && log_row_xid(tup, desc) < end)
	{
		CHECK_FOR_INTERRUPTS();
		if (!upto || upto->sees(log_row_xid(tup, desc)))
			collect_row(reader, tup);
	}
	if (beyond)
		reader->next_xid = tup ? log_row_xid(tup, desc) : PG_UINT64_MAX;
	scan.close();
}

/* Fills the bag with what `upto` sees and `after` does not. */
void
collect_changes(Reader *reader, const StoredSnapshot *after, const StoredSnapshot *upto,
				LookAhead look_ahead)
{
	reader->bag.reset();
	for (uint32 i = 0; i < after->num_running; i++)
		if (upto->sees(after->running[i]))
			collect_range(reader, after->running[i], after->running[i] + 1, nullptr,
						  LookAhead::kNo);
	if (upto->xmax > reader->next_xid)
		collect_range(reader, after->xmax, upto->xmax, upto, look_ahead);
}

/* Fills the bag with what the active snapshot sees and `after` does not. */
void
collect_unversioned(Reader *reader, const StoredSnapshot *after)
{
	for (uint32 i = 0; i < after->num_running; i++)
		collect_range(reader, after->running[i], after->running[i] + 1, nullptr, LookAhead::kNo);
	collect_range(reader, after->xmax, PG_UINT64_MAX, nullptr, LookAhead::kNo);
}

/* Calls back for the rows of the bag, with their diffs times `sign`. */
bool
emit_bag(Reader *reader, int64 version, int sign, ChangeCallback callback, void *arg)
{
	for (uint32 i = 0; i < reader->bag.size; i++)
	{
		int64 diff = reader->bag.get(i, reader->stored);

		if (diff != 0 && !callback(arg, version, sign * diff, reader->stored))
			return false;
	}
	return true;
}

void
refuse_position(const catalog::LiveView &view, int64 after)
{
	int64 oldest = oldest_position(view);

	ereport(ERROR, errcode(kPositionLost),
			errmsg("position " INT64_FORMAT " of live view \"%s\" is no longer retained", after,
				   get_rel_name(view.view)),
			oldest > 0 ? errdetail("The oldest position is " INT64_FORMAT ".", oldest)
					   : errdetail("The view has no position yet."),
			errhint("Take a new snapshot of the view and go on from its version."));
}

/* A position that no version of this server has reached: it comes from one that was lost. */
void
refuse_future(const catalog::LiveView &view, int64 after, int64 newest)
{
	ereport(ERROR, errcode(kPositionLost),
			errmsg("position " INT64_FORMAT " of live view \"%s\" does not exist", after,
				   get_rel_name(view.view)),
			errdetail("The newest version is " INT64_FORMAT ", the oldest position is " INT64_FORMAT
					  ".",
					  newest, oldest_position(view)),
			errhint("Take a new snapshot of the view and go on from its version."));
}

/* Reads the version of a position, or raises 72000. Returns false where it is not visible yet. */
bool
find_position(const catalog::LiveView &view, int64 after, Version *out)
{
	Version newest;

	find_newest(GetActiveSnapshot(), &newest);
	if (after > newest.number)
	{
		int64 published = RecoveryInProgress() ? 0 : worker::published_version();

		if (published > 0 && after > Max(published, newest.number))
			refuse_future(view, after, Max(published, newest.number));
		return false;
	}
	if (!find_version(after, GetActiveSnapshot(), out) || !out->snapshot->sees(view.attached_xid) ||
		log_floor(view.log) > after)
		refuse_position(view, after);
	return true;
}

} // namespace

int64
newest_version()
{
	Version version;

	find_newest(GetActiveSnapshot(), &version);
	return version.number;
}

int64
oldest_position(const catalog::LiveView &view)
{
	Version low, high;

	if (!find_oldest(GetActiveSnapshot(), &low) || !find_newest(GetActiveSnapshot(), &high) ||
		!high.snapshot->sees(view.attached_xid))
		return 0;

	int64 first = low.number, last = high.number;
	/* A version that sees the attachment is followed only by such. */
	while (first < last)
	{
		int64 middle = first + (last - first) / 2;

		if (!find_version_from(middle, GetActiveSnapshot(), &low))
			elog(ERROR, "version " INT64_FORMAT " is missing", high.number);
		if (low.number > last || low.snapshot->sees(view.attached_xid))
			last = middle;
		else
			first = low.number + 1;
	}
	/* It may lie in a gap. */
	if (!find_version_from(first, GetActiveSnapshot(), &low))
		return 0;
	return Max(low.number, log_floor(view.log));
}

int64
read_changes(const catalog::LiveView &view, int64 after, int64 upto, ChangeCallback callback,
			 void *arg)
{
	Reader reader;
	Version previous, version;
	VersionScan scan;
	int64 reached = after;
	int64 last = newest_version();

	if (upto != 0)
		last = Min(last, upto);
	open_reader(&reader, view);
	MemoryContext old = MemoryContextSwitchTo(reader.context);
	if (find_position(view, after, &previous) &&
		scan.open(after + 1, AccessShareLock, GetActiveSnapshot()))
	{
		while (reached < last && scan.next(ForwardScanDirection, &version))
		{
			collect_changes(&reader, previous.snapshot, version.snapshot,
							last - version.number >= kLookAheadVersions ? LookAhead::kYes
																		: LookAhead::kNo);
			reached = version.number;
			MemoryContextSwitchTo(old);
			bool go_on = emit_bag(&reader, version.number, 1, callback, arg);
			MemoryContextSwitchTo(reader.context);
			if (!go_on)
				break;
			pfree(previous.snapshot);
			previous = version;
		}
		scan.close();
	}
	MemoryContextSwitchTo(old);
	close_reader(&reader);
	return reached;
}

namespace
{

/* Whether equal rows of the view are possible, so that they have to be merged. */
bool
may_have_copies(Oid key_index)
{
	HeapTuple tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(key_index));
	bool unique = false;

	if (HeapTupleIsValid(tup))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tup);

		unique = index->indisunique && index->indisvalid &&
				 heap_attisnull(tup, Anum_pg_index_indpred, nullptr);
		ReleaseSysCache(tup);
	}
	return !unique;
}

/*
 * Streams the rows of the view as the active snapshot sees them, minus the
 * changes in the bag; then the rows that those changes have removed.
 */
void
emit_streaming(Reader *reader, int64 version, ChangeCallback callback, void *arg)
{
	TableScanDesc scan = table_beginscan(reader->view, GetActiveSnapshot(), 0, nullptr);
	TupleTableSlot *slot = table_slot_create(reader->view, nullptr);
	bool go_on = true;

	while (go_on && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(reader->row_context);
		MemoryContext old = MemoryContextSwitchTo(reader->row_context);
		ExecCopySlot(reader->row, slot);
		fetch_external_values(reader->row);
		int64 *later = reader->bag.find(reader->row);
		MemoryContextSwitchTo(old);

		if (later && *later > 0)
			(*later)--; /* this copy came after the version */
		else
			go_on = callback(arg, version, 1, reader->row);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	if (!go_on)
		return;

	for (uint32 i = 0; i < reader->bag.size; i++)
		if (reader->bag.get(i, reader->stored) > 0)
			ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("change log of live view \"%s\" has a row that the view does not have",
						   RelationGetRelationName(reader->view)));
	(void) emit_bag(reader, version, -1, callback, arg);
}

bool
add_to_bag(void *arg, int64, int64 diff, TupleTableSlot *row)
{
	static_cast<RowBag *>(arg)->add(row, diff);
	return true;
}

/* As emit_streaming(), with equal rows merged. */
void
emit_merged(Reader *reader, int64 version, ChangeCallback callback, void *arg)
{
	RowBag merged;

	merged.init(reader->context, reader->row);
	emit_streaming(reader, version, add_to_bag, &merged);
	reader->bag.close();
	reader->bag = merged;
	(void) emit_bag(reader, version, 1, callback, arg);
}

/* Waits until a version knows of a view that was attached a moment ago. */
void
wait_for_first_version(const catalog::LiveView &view)
{
	FullTransactionId own = GetTopFullTransactionIdIfAny();

	if (RecoveryInProgress())
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("live view \"%s\" has no version on this standby yet",
					   get_rel_name(view.view)),
				errhint("Try again when the standby has caught up."));
	if (FullTransactionIdIsValid(own) && U64FromFullTransactionId(own) == view.attached_xid)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("live view \"%s\" has no version before this transaction commits",
					   get_rel_name(view.view)));
	(void) worker::wait_until_covered(
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kFirstVersionTimeoutMs));
}

bool
find_snapshot_version(const catalog::LiveView &view, Version *out)
{
	return find_newest(GetActiveSnapshot(), out) && out->snapshot->sees(view.attached_xid);
}

} // namespace

int64
read_snapshot(const catalog::LiveView &view, ChangeCallback callback, void *arg)
{
	Version version;
	Reader reader;
	bool newer = false;

	if (!find_snapshot_version(view, &version))
	{
		wait_for_first_version(view);
		PushActiveSnapshot(GetLatestSnapshot());
		newer = true;
		if (!find_snapshot_version(view, &version))
			ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("live view \"%s\" has no version yet", get_rel_name(view.view)),
					errhint("Look for \"tailwater sequencer\" in pg_stat_activity and in the "
							"server's log."));
	}

	open_reader(&reader, view);
	collect_unversioned(&reader, version.snapshot);
	if (may_have_copies(view.key_index))
		emit_merged(&reader, version.number, callback, arg);
	else
		emit_streaming(&reader, version.number, callback, arg);
	close_reader(&reader);
	if (newer)
		PopActiveSnapshot();
	return version.number;
}

void
check_select_privilege(Oid view)
{
	Oid user = GetUserId();

	if (pg_class_aclcheck(view, user, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(view, user, ACL_SELECT, ACLMASK_ALL) == ACLCHECK_OK)
		return;
	aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_MATVIEW, get_rel_name(view));
}

} // namespace tw::feed
