/*
 * statement.hpp - gathers what one outermost statement changes in base tables.
 */
#pragma once

#include "pg/postgres.hpp"
#include "capture/delta.hpp"

namespace tw::capture
{

/* Changes of one relation by one trigger call. */
struct Change
{
	Oid relid;
	TupleDesc desc;
	Tuplestorestate *old_rows; /* or null */
	Tuplestorestate *new_rows; /* or null */
	bool truncated;
	bool copied;    /* the rows are the change's own */
	int nest_level; /* of the (sub)transaction */
	bool
		exact; /* read from the write-ahead log: rows of this relation alone, of any number of statements */

	/* Filled at the first call of touches_columns(). */
	bool compared;
	Bitmapset *touched; /* columns, as attnum - FirstLowInvalidHeapAttributeNumber */
};

/*
 * False if the change is an UPDATE that left the columns as they were, image by
 * image. An UPDATE of many rows counts as one of all columns.
 */
bool touches_columns(Change *change, const Bitmapset *columns);

/* A BEFORE STATEMENT trigger of a base table fired. */
void enter_statement();

/* True if no statement on base tables is under way but the one whose AFTER trigger calls. */
bool is_outermost_statement();

/* True if no statement on base tables is under way: a row was changed without one. */
bool is_outside_statement();

/* Adds what an AFTER ROW trigger call saw to the pending batch. */
void add_row_change(TriggerData *trigger);

/*
 * The command by whose number rows of before the pending batch can be told from
 * those that it changed: what was there when the batch began is visible to this
 * command. InvalidCommandId where there is none: an earlier batch of the same
 * command, made by a user's trigger, has been applied already.
 */
CommandId first_command();

/* The AFTER STATEMENT trigger of the statement has done its work. */
void leave_statement();

enum class RowsLifetime
{
	kThisTrigger, /* the batch is run before the trigger returns: use the rows where they are */
	kBatch        /* the batch is run later: copy them */
};

/* Adds what the trigger call saw to the pending batch. */
void add_change(TriggerData *trigger, RowsLifetime lifetime);

/* The relation and what it is a partition of or inherits from, at any depth. */
List *ancestors_of(Oid relid);

/* True if the relation is the other one, a partition of it at any depth, or inherits from it. */
bool is_descendant(Oid relid, Oid ancestor);

/* The pending changes (List of Change), which are then no longer pending. */
List *take_changes();

/* What was taken is in the views now, and what comes next does not belong to it. */
void note_applied();

/* Frees the rows that the changes have of their own. */
void end_changes(List *changes);

/* The memory context of the pending batch, in which its changes are. Reset it when the batch is done. */
MemoryContext batch_context();

/* True if some table inherits from both relations, neither of which is above the other. */
bool share_descendant(Oid a, Oid b);

/*
 * The delta of a relation from changes of it, of its ancestors and, where asked
 * for, of its descendants; null where none of them changed. Rows that a
 * statement changed by way of an ancestor are told by the partition constraint;
 * an inheritance child has none and is reset.
 */
Delta *delta_of(Oid relid, List *changes, bool with_descendants);

void init();

} // namespace tw::capture
