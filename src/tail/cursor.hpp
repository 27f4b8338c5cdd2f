/*
 * cursor.hpp - a TAIL that is being read: its query and its position in the feed.
 */
#pragma once

#include "pg/postgres.hpp"
#include "catalog/live_view.hpp"
#include "feed/consolidate.hpp"
#include "tail/query.hpp"

namespace tw::tail
{

/* Read pointers of Position::pending. */
enum PendingPointer
{
	kTaken = 0,   /* rows before it have been given out */
	kReading = 1, /* of the FETCH that is running */
	kBefore = 2   /* kTaken before the last FETCH */
};

/* Where in the feed a TAIL stands. */
struct Position
{
	int64 version;            /* the log has been read up to it */
	int64 progress;           /* of the last progress row */
	TimestampTz progress_at;  /* when that was made */
	Tuplestorestate *pending; /* result rows read and not given out; null: none */
};

struct Cursor
{
	Cursor *next;  /* in the list of open cursors; portal only */
	Portal portal; /* null: bare TAIL, COPY */
	MemoryContext context;
	ResourceOwner owner; /* of temporary files */

	/* What to read. Never changes. */
	Oid view;
	int64 epoch;
	RangeTblEntry *entry; /* with `permissions`: what the user who declared it needs */
	List *permissions;
	ParamListInfo params;
	TupleDesc desc;   /* of the result */
	List *projection; /* TargetEntry; the user's columns only */
	Node *filter;     /* implicitly ANDed list, or null */
	int tail_columns;
	bool plain;       /* the user's columns are the view's */
	bool consolidate; /* the projection can make different rows equal */
	bool progress;    /* PROGRESS rows wanted */
	int64 up_to;      /* last version; -1: endless */

	/* Where it stands. */
	Position now;
	Position before;                     /* the last FETCH, if that may have to be undone */
	TimestampTz last_fetch;              /* statement_timestamp() of that FETCH, 0: none */
	SubTransactionId last_fetch_in;      /* and its subtransaction */
	bool must_go_back;                   /* before the next FETCH */
	Tuplestorestate *unfinished_pending; /* made by a FETCH that has not completed */
};

/* Rows go here: dest, up to limit, then a tuplestore. Lives for one FETCH. */
struct Delivery
{
	Cursor *cursor;
	DestReceiver *dest; /* null: everything is kept */
	int64 limit;
	int64 given;
	Position at;            /* becomes the cursor's when the FETCH completes */
	TupleTableSlot *out;    /* a row of the result */
	TupleTableSlot *stored; /* one that was pending */
	EState *estate;         /* of filter and projection */
	ExprContext *econtext;
	ExprState *filter;       /* null: none */
	ProjectionInfo *project; /* null: plain */
	TupleTableSlot *changed; /* a row of `changes` */
	feed::RowBag changes;    /* of the version being read, where they must be summed up */
	int64 version;           /* being read; 0: none */
	bool stopped;            /* reading stopped before the newest version */
};

/* Fills in what the statement says; position and snapshot come by start(). */
Cursor *make_cursor(MemoryContext context, ResourceOwner owner, const DeclareCursorStmt *stmt,
					const TailQuery &query, ParamListInfo params);

/* Takes the position, and reads the snapshot if there is to be one. */
void start(Cursor *cursor, const DeclareCursorStmt *stmt, const TailQuery &query);

/* All rows up to UP TO have been given out. */
bool at_end(const Delivery *delivery);

void begin_delivery(Delivery *delivery, Cursor *cursor, DestReceiver *dest, int64 limit);
void end_delivery(Delivery *delivery);

/* Gives out rows that are pending, then what the log has, until the limit. Takes its own snapshot. */
void deliver_ready(Delivery *delivery);

/* Gives out a progress row at the delivery's position. */
void deliver_progress(Delivery *delivery);

/* Makes the delivery's position the cursor's. */
void advance(Delivery *delivery);

/* The cursor has given out all rows up to UP TO. */
bool is_over(const Cursor *cursor);

/* Releases what needs more than its memory context being deleted. */
void close_cursor(Cursor *cursor);

} // namespace tw::tail
