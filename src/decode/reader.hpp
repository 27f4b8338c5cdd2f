/*
 * reader.hpp - the replication slot of a database, and the reader of its log.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::decode
{

/* True in the process that opened, or is opening, the reader. */
bool is_reader();

enum class SlotState
{
	kMissing,
	kUnusable, /* another plugin's, invalidated, or beyond what is stored */
	kUsable
};

/*
 * Looks at the slot of this database. `stored`: position up to which the stored
 * frontier covers the log; a slot that was confirmed beyond it is not ours.
 */
SlotState inspect_slot(XLogRecPtr stored);

/*
 * Creates the slot, which stays temporary until persist_slot(): what is stored
 * with the new slot has to be durable before. Waits for running transactions.
 * Not in a transaction. Returns the position from which changes are complete.
 */
XLogRecPtr create_slot();
void persist_slot();

/* Opens a usable slot for reading. Not in a transaction. */
void open_reader();

/* Drops the slot of this database where there is one; nothing may be open in another process. */
void drop_slot();

/* Drops the slot of a database if no process uses it; returns whether it did. From any process. */
bool drop_idle_slot(Oid database);

/*
 * Position up to which the database's slot is confirmed, or while it is being
 * made, where it begins; invalid where there is none that holds back log. From
 * any process.
 */
XLogRecPtr slot_position(Oid database);

/* Position up to which records are inserted in the log now. */
XLogRecPtr insert_position();

/* Has the log written up to the position, so that it can be read; not necessarily flushed. */
void write_log(XLogRecPtr upto);

/*
 * Decodes up to the position, which must be written. In a transaction, with
 * its snapshot taken before the position.
 */
void decode_up_to(XLogRecPtr upto);

/* What lies before the position will never be asked for again; older positions are ignored. */
void confirm(XLogRecPtr upto);

void init();

} // namespace tw::decode
