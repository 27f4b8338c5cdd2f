/*
 * attach_steps.hpp - what attaching a view consists of, for attach() and for build().
 */
#pragma once

#include "pg/postgres.hpp"
#include "maintain/batch.hpp"

namespace tw::maintain
{

using catalog::delete_internal;
using catalog::insert_internal;
using catalog::read_internal;

/* The tables whose changes reach the view; locks them. */
List *tables_of(const analyze::ViewPlan *plan, LOCKMODE lock);

/* The tables and, where they are live views, those which these read in turn. */
List *with_tables_below(List *tables);

/* From now on changes of the tables are captured: by triggers, or in the write-ahead log. */
void capture_changes(List *tables, catalog::Mode mode);

/* No view may read the tables any more: triggers go, and the log gets what it got before. */
void stop_unused_capture(List *tables);

Oid owner_of(Oid view);

/* Analyzes a view or an inner relation as the view's owner. */
analyze::ViewPlan *analyze_as(Oid owner, Oid view);

List *without_inner_relations(List *tables);

/* Makes the tables for parts of the view's query, with their keys, where they are worth it; empty. */
List *choose_inner_relations(Oid view, Oid owner);

/* Drops the view's inner relations; returns the tables they were made of. */
List *remove_inner_relations(Oid view);

/* Indexes by which the view, or another of its inner relations, reads the view's inner relations. */
void create_reading_indexes(const analyze::ViewPlan *plan, List *inners);

/* Removes the state and the bases of a view or inner relation; returns the bases. */
List *remove_parts(Oid view);

/* An index by which rows of the view are found: one that is there, or a new one. */
Oid find_key_index(const analyze::ViewPlan *plan);

/*
 * Constraints of base tables may have come or gone by which the view's rows
 * were told apart: finds them by another index then, and drops one that was
 * made for it, which might forbid what is now allowed. True if that was so.
 */
bool follow_key(const analyze::ViewPlan *plan, const catalog::LiveView *info);

/* Rows of a keyed view are looked up by the touched keys, those of a recursive one by what its step joins. */
void ensure_touch_index(const analyze::ViewPlan *plan);

/* The hash of a composite value changes with its type: the key index that is on it is built anew. */
void rebuild_key_index(const ViewRuntime *view);

/* Attribute numbers of the columns that identify a row of the view; NIL: all. */
List *key_list(const analyze::ViewPlan *plan);
void create_state(const analyze::ViewPlan *plan);

/* State tables of a view besides its own ones: first that of its groups, then those of its distinct inputs. */
struct SpareState
{
	state::AggregateOperator *op;
	List *tables;
};

SpareState create_spare_state(const ViewRuntime *view);
void drop_spare_state(const SpareState *spare);

/* Computes the content of a view that has none. Returns the number of rows. */
int64 fill(const analyze::ViewPlan *plan, Snapshot snapshot);

/* Brings content and state in line with the query. Returns how many rows changed. */
int64 rebuild(const ViewRuntime *view, Publish publish, Snapshot snapshot);

/* Views that read this one follow what changed in it beyond their sight. */
void rebuild_dependents(Oid view);

/* Deferred views that read this one are computed again. */
void rebuild_deferred_readers(Oid view);

void record_bases(Oid view, List *tables);
void record_attachment(const analyze::ViewPlan *plan, catalog::Mode mode, Oid log, Oid key_index);
void mark_populated(Oid view);

/* Tells of a view that is recomputed at each change. */
void announce(const analyze::ViewPlan *plan);

} // namespace tw::maintain
