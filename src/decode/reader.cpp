/*
 * reader.cpp - reads the write-ahead log in process, through a logical slot.
 *
 * The decoding context lives as long as the process. It is made inside a
 * transaction, because the server otherwise takes the process for one that
 * reads historic catalogs only, and lets vacuum remove rows its snapshots see.
 *
 * What is written is read, flushed or not: whatever comes of it is committed
 * behind it in the same log, so a crash that takes the one takes the other. The
 * exception is what decoding itself puts on disk (see read_record()).
 *
 * Decoding loads entries of the relation cache as they were at that point of
 * the log, maintenance those of today. They are the same unless a definition
 * changed in between. So the relations of which the server told a change since
 * the last decoding are dropped from the cache before it and after it.
 */
#include "decode/reader.hpp"
#include "decode/gather.hpp"

namespace tw::decode
{

namespace
{

constexpr int kMaxNews = 64;

LogicalDecodingContext *context = nullptr;
bool reading = false;
XLogRecPtr confirmed = InvalidXLogRecPtr;

/* Relations whose definition changed; more than fit: everything. */
Oid news[kMaxNews];
int nnews = 0;
bool all_news = false;

const char *
slot_name_of(Oid database)
{
	static char name[NAMEDATALEN];

	snprintf(name, sizeof(name), "tailwater_%u", database);
	return name;
}

const char *
slot_name()
{
	return slot_name_of(MyDatabaseId);
}

void
relation_changed(Datum unused, Oid relid)
{
	if (!reading || all_news)
		return;
	for (int i = 0; i < nnews; i++)
		if (news[i] == relid)
			return;
	if (OidIsValid(relid) && nnews < kMaxNews)
		news[nnews++] = relid;
	else
		all_news = true;
}

/* Drops from the caches what may be of another time. */
void
forget_changed()
{
	/* The server's own messages about what is dropped come back to relation_changed(). */
	if (all_news)
		InvalidateSystemCaches();
	for (int i = 0; i < nnews && !all_news; i++)
		RelationCacheInvalidateEntry(news[i]);
}

void
forget_news()
{
	nnews = 0;
	all_news = false;
}

void
write_nothing(LogicalDecodingContext *unused, XLogRecPtr lsn, TransactionId xid, bool last)
{
}

/* As read_local_xlog_page(), also where the page is written but not flushed. */
int
read_written_page(XLogReaderState *state, XLogRecPtr page, int required, XLogRecPtr record,
				  char *buffer)
{
	XLogRecPtr end = page + required;
	XLogRecPtr written = GetXLogWriteRecPtr();
	WALReadError error;

	if (end <= GetFlushRecPtr(nullptr) || end > written)
		return read_local_xlog_page(state, page, required, record, buffer);
	if (!WALRead(state, buffer, page, XLOG_BLCKSZ, pg::timeline(), &error))
		WALReadRaiseError(&error);
	return (int) Min((XLogRecPtr) XLOG_BLCKSZ, written - page);
}

XLogReaderRoutine
reader_routine(XLogPageReadCB read_page)
{
	XLogReaderRoutine routine = {};

	routine.page_read = read_page;
	routine.segment_open = wal_segment_open;
	routine.segment_close = wal_segment_close;
	return routine;
}

void
read_record()
{
	char *error = nullptr;
	/* Memory of a large record is freed when the next one is read. */
	MemoryContext old = MemoryContextSwitchTo(context->context);
	XLogRecord *record = XLogReadRecord(context->reader, &error);

	MemoryContextSwitchTo(old);

	if (error)
		ereport(ERROR, errcode_for_file_access(),
				errmsg("could not read the write-ahead log: %s", error));
	if (!record)
		return;
	/* Of these the server keeps a file, named after the position: that must not outlive the record. */
	if (XLogRecGetRmid(context->reader) == RM_STANDBY_ID)
		XLogFlush(context->reader->EndRecPtr);
	LogicalDecodingProcessRecord(context, context->reader);
}

} // namespace

bool
is_reader()
{
	return reading;
}

SlotState
inspect_slot(XLogRecPtr stored)
{
	ReplicationSlot *slot = SearchNamedReplicationSlot(slot_name(), true);

	if (!slot)
		return SlotState::kMissing;

	SpinLockAcquire(&slot->mutex);
	ReplicationSlotPersistentData data = slot->data;
	SpinLockRelease(&slot->mutex);
	if (data.database != MyDatabaseId || strcmp(NameStr(data.plugin), "tailwater") != 0 ||
		pg::slot_is_invalidated(&data) || XLogRecPtrIsInvalid(stored) ||
		data.confirmed_flush > stored || data.confirmed_flush > GetXLogInsertRecPtr())
		return SlotState::kUnusable;
	return SlotState::kUsable;
}

XLogRecPtr
create_slot()
{
	XLogReaderRoutine routine = reader_routine(read_local_xlog_page);

	reading = true;
	CheckLogicalDecodingRequirements();
	StartTransactionCommand();
	pg::create_ephemeral_slot(slot_name());

	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	LogicalDecodingContext *initial = CreateInitDecodingContext("tailwater", NIL, false,
																InvalidXLogRecPtr, &routine,
																write_nothing, write_nothing,
																nullptr);
	DecodingContextFindStartpoint(initial);
	XLogRecPtr start = MyReplicationSlot->data.confirmed_flush;
	FreeDecodingContext(initial);
	MemoryContextSwitchTo(old);
	CommitTransactionCommand();
	return start;
}

void
persist_slot()
{
	ReplicationSlotPersist();
}

void
open_reader()
{
	XLogReaderRoutine routine = reader_routine(read_written_page);

	reading = true;
	forget_gathered();
	if (!MyReplicationSlot)
		pg::acquire_slot(slot_name());
	StartTransactionCommand();

	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	context = CreateDecodingContext(InvalidXLogRecPtr, NIL, false, &routine, write_nothing,
									write_nothing, nullptr);
	MemoryContextSwitchTo(old);
	XLogBeginRead(context->reader, MyReplicationSlot->data.restart_lsn);
	confirmed = MyReplicationSlot->data.confirmed_flush;
	CommitTransactionCommand();
	all_news = true;
}

void
drop_slot()
{
	if (MyReplicationSlot)
		ReplicationSlotRelease();
	if (SearchNamedReplicationSlot(slot_name(), true))
		ReplicationSlotDrop(slot_name(), false);
}

bool
drop_idle_slot(Oid database)
{
	ReplicationSlot *slot = SearchNamedReplicationSlot(slot_name_of(database), true);

	if (!slot || slot->active_pid != 0 || slot->data.database != database)
		return false;
	ReplicationSlotDrop(slot_name_of(database), true);
	return true;
}

XLogRecPtr
slot_position(Oid database)
{
	ReplicationSlot *slot = SearchNamedReplicationSlot(slot_name_of(database), true);

	if (!slot)
		return InvalidXLogRecPtr;
	SpinLockAcquire(&slot->mutex);
	ReplicationSlotPersistentData data = slot->data;
	SpinLockRelease(&slot->mutex);
	if (pg::slot_is_invalidated(&data) || XLogRecPtrIsInvalid(data.confirmed_flush))
		return data.restart_lsn;
	return data.confirmed_flush;
}

XLogRecPtr
insert_position()
{
	XLogRecPtr position = GetXLogInsertRecPtr();

	/* At the start of a page it stands behind the page's header, where nothing has been written. */
	if (position % wal_segment_size == SizeOfXLogLongPHD)
		return position - SizeOfXLogLongPHD;
	if (position % wal_segment_size > XLOG_BLCKSZ && position % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		return position - SizeOfXLogShortPHD;
	return position;
}

void
write_log(XLogRecPtr upto)
{
	if (GetXLogWriteRecPtr() >= upto)
		return;
	/* What the walwriter does: it writes what is committed, and flushes now and then only. */
	(void) XLogBackgroundFlush();
	if (GetXLogWriteRecPtr() < upto)
		XLogFlush(upto);
}

void
decode_up_to(XLogRecPtr upto)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old = CurrentMemoryContext;

	if (context->reader->EndRecPtr >= upto)
		return;
	forget_changed();
	forget_news();
	while (context->reader->EndRecPtr < upto)
	{
		read_record();
		CHECK_FOR_INTERRUPTS();
	}
	/* Decoding begins and aborts subtransactions, which leave these behind. */
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
	forget_changed();
	forget_news();
}

void
confirm(XLogRecPtr upto)
{
	if (upto <= confirmed)
		return;
	LogicalConfirmReceivedLocation(upto);
	confirmed = upto;
}

void
init()
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

} // namespace tw::decode
