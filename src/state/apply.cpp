/*
 * apply.cpp - applies the delta of a view to the view.
 *
 * An old and a new row with the same key become one update in place, as long
 * as the view has no other unique index that two updates could trip over.
 * Removals come before insertions, so that a key may move from one row to
 * another. Rows are matched by their image: of several equal rows exactly as
 * many go as the delta says. Rows without a key that go are taken in an order
 * that all sessions share, since two of them may want copies of the same rows.
 */
#include "state/apply.hpp"
#include "capture/image.hpp"
#include "exec/snapshot.hpp"
#include "state/bulk_insert.hpp"
#include "state/walk.hpp"

namespace tw::state
{

using capture::ZEntry;
using capture::ZSet;

namespace
{

struct Application
{
	Writer *writer;
	Walk *walk;  /* of the writer, or null */
	ZSet *delta; /* or a part of it */
	bool in_parts;
	Packing packing;
	TupleTableSlot *entry; /* holds the row of an entry */
	TupleTableSlot *other; /* holds the row of a second one */
	capture::RowCallback changed;
	void *arg;
	int64 nrows;
};

/*
 * Under a fixed snapshot the row may be one that others put there since, as where
 * DDL made the hidden relations of a view anew.
 */
[[noreturn]] void
row_missing(Relation view)
{
	if (IsolationUsesXactSnapshot())
	{
		Snapshot fixed = GetActiveSnapshot();
		Snapshot now = GetLatestSnapshot();

		if (now->xmax != fixed->xmax || now->xcnt != fixed->xcnt)
			serialization_failure();
	}
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("materialized view \"%s\" lacks a row that is to be removed",
				   RelationGetRelationName(view)),
			errdetail("The view does not match its base tables."),
			errhint("REFRESH MATERIALIZED VIEW builds it anew."));
	pg_unreachable();
}

TupleTableSlot *
load(TupleTableSlot *slot, const ZEntry *entry)
{
	ExecStoreMinimalTuple(entry->row, slot, false);
	slot_getallattrs(slot);
	return slot;
}

TupleTableSlot *
load(Application *app, const ZEntry *entry)
{
	return load(app->entry, entry);
}

bool
same_value(Form_pg_attribute att, Datum a, bool a_null, Datum b, bool b_null)
{
	return a_null == b_null && (a_null || datum_image_eq(a, b, att->attbyval, att->attlen));
}

/* True if the row the search found looks like the given one. */
bool
found_image(Writer *writer, TupleDesc desc, TupleTableSlot *row)
{
	TupleTableSlot *found = writer->found;
	bool same = true;

	slot_getallattrs(found);
	for (int i = 0; same && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Datum value = found->tts_values[i];

		if (!found->tts_isnull[i])
			value = capture::canonical_value(att, value);
		same = same_value(att, row->tts_values[i], row->tts_isnull[i], value, found->tts_isnull[i]);
		if (!found->tts_isnull[i] && value != found->tts_values[i])
			pfree(DatumGetPointer(value));
	}
	return same;
}

/* A loaded row for storing; valid as long as it is loaded. */
TupleTableSlot *
stored_row(Application *app, TupleTableSlot *from)
{
	TupleTableSlot *row = app->writer->row;
	int natts = row->tts_tupleDescriptor->natts;

	ExecClearTuple(row);
	memcpy(row->tts_values, from->tts_values, sizeof(Datum) * natts);
	memcpy(row->tts_isnull, from->tts_isnull, sizeof(bool) * natts);
	return ExecStoreVirtualTuple(row);
}

/* Removes up to n rows with the entry's image; returns how many, fewer on a conflict. */
int64
remove_some(Application *app, const ZEntry *entry, int64 n, bool *conflict)
{
	TupleTableSlot *row = load(app, entry);
	Search search = begin_search(app->writer, GetActiveSnapshot(), row->tts_values,
								 row->tts_isnull);
	int64 removed = 0;

	*conflict = false;
	while (removed < n && next_row(app->writer, &search))
	{
		if (!found_image(app->writer, app->delta->desc, row))
			continue;
		if (delete_row(app->writer, &app->writer->found->tts_tid) == WriteResult::kConflict)
			*conflict = true;
		else
			removed++;
	}
	end_search(&search);
	return removed;
}

void
remove_rows(Application *app, const ZEntry *entry)
{
	int64 left = -entry->weight;

	while (left > 0)
	{
		bool conflict;

		left -= remove_some(app, entry, left, &conflict);
		if (left == 0)
			break;
		if (!conflict)
			row_missing(app->writer->rel);
		/* What was removed so far must not be found again. */
		CommandCounterIncrement();
		exec::renew_snapshot();
	}
	app->changed(app->arg, load(app, entry), entry->weight);
	app->nrows += -entry->weight;
}

/* `bulk` may be null. */
void
insert_rows(Application *app, BulkInsert *bulk, const ZEntry *entry)
{
	TupleTableSlot *row = load(app, entry);

	for (int64 i = 0; i < entry->weight; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (bulk)
			bulk_insert(bulk, stored_row(app, row));
		else
			insert_row(app->writer, stored_row(app, row), app->packing);
	}
	app->changed(app->arg, row, entry->weight);
	app->nrows += entry->weight;
}

} // namespace

bool
has_row(Writer *writer, TupleDesc desc, TupleTableSlot *row)
{
	Search search = begin_search(writer, GetActiveSnapshot(), row->tts_values, row->tts_isnull);
	bool found = false;

	while (!found && next_row(writer, &search))
		found = found_image(writer, desc, row);
	end_search(&search);
	return found;
}

namespace
{

/* Finds a row that looks like the given one, first along the index, where there is a walk, or where the session found it before. */
bool
find_image(Application *app, Walk *walk, TupleTableSlot *row)
{
	Writer *writer = app->writer;
	TupleDesc desc = app->delta->desc;
	const Datum *values = row->tts_values;
	const bool *nulls = row->tts_isnull;

	if ((walk ? walk_to(walk, values, nulls) : find_again(writer, values, nulls)) &&
		found_image(writer, desc, row))
		return true;
	if (!has_row(writer, desc, row))
		return false;
	if (!walk)
		remember_found(writer, values, nulls);
	return true;
}

void
replace_row(Application *app, TupleTableSlot *old, TupleTableSlot *now)
{
	for (Walk *walk = app->walk;; walk = nullptr)
	{
		if (!find_image(app, walk, old))
			row_missing(app->writer->rel);

		ItemPointerData tid = app->writer->found->tts_tid;
		if (update_row(app->writer, &tid, stored_row(app, now)) == WriteResult::kDone)
			break;
		exec::renew_snapshot();
	}
	app->changed(app->arg, old, -1);
	app->changed(app->arg, now, +1);
	app->nrows++;
}

TupleDesc
key_descriptor(Writer *writer)
{
	TupleDesc desc = CreateTemplateTupleDesc(writer->ncolumns);

	for (int i = 0; i < writer->ncolumns; i++)
		TupleDescCopyEntry(desc, i + 1, RelationGetDescr(writer->rel), writer->columns[i]);
	return desc;
}

void
load_key(Application *app, const ZEntry *entry, Datum *values, bool *nulls)
{
	TupleTableSlot *row = load(app, entry);

	for (int i = 0; i < app->writer->ncolumns; i++)
	{
		values[i] = row->tts_values[app->writer->columns[i] - 1];
		nulls[i] = row->tts_isnull[app->writer->columns[i] - 1];
	}
}

bool
same_key(Application *app, TupleTableSlot *a, TupleTableSlot *b)
{
	Writer *writer = app->writer;

	for (int i = 0; i < writer->ncolumns; i++)
	{
		int column = writer->columns[i] - 1;

		if (!same_value(TupleDescAttr(app->delta->desc, column), a->tts_values[column],
						a->tts_isnull[column], b->tts_values[column], b->tts_isnull[column]))
			return false;
	}
	return true;
}

/* In place of the number of a partner. */
constexpr int kAlone = -1;
constexpr int kReplaced = -2; /* has one, and both are done */

/* The number of the entries that come or go, have weight 1 or -1, and are without partner. */
int
count_single(const ZSet *delta, const int *partner, int64 weight)
{
	int n = 0;

	for (int i = 0; i < delta->nentries; i++)
		n += delta->entries[i].weight == weight && partner[i] == kAlone;
	return n;
}

/*
 * The usual case: what goes stands just before what comes for it. Rows with a
 * key are replaced at once: their base rows or their group are locked already,
 * so the order does not matter. What is read in parts is paired twice, and
 * replaced at the first time by remove_part().
 */
void
pair_neighbours(Application *app, int *partner)
{
	ZSet *delta = app->delta;
	bool at_once = is_keyed(app->writer) && !app->in_parts;

	for (int i = 0; i + 1 < delta->nentries; i++)
	{
		if (delta->entries[i].weight != -1 || delta->entries[i + 1].weight != 1)
			continue;

		TupleTableSlot *old = load(app, &delta->entries[i]);
		TupleTableSlot *now = load(app->other, &delta->entries[i + 1]);
		if (!same_key(app, old, now))
			continue;
		partner[i] = partner[i + 1] = at_once ? kReplaced : i + 1;
		if (at_once)
		{
			CHECK_FOR_INTERRUPTS();
			replace_row(app, old, now);
		}
	}
}

/* Pairs what is left by means of a hash table. */
void
pair_distant(Application *app, int *partner, Datum *values, bool *nulls)
{
	ZSet *delta = app->delta;

	/* The weight of a key remembers the entry that comes with it: number + 1, 0 when taken. */
	ZSet *keys = capture::make_zset(key_descriptor(app->writer), CurrentMemoryContext);
	for (int i = 0; i < delta->nentries; i++)
	{
		if (delta->entries[i].weight != 1 || partner[i] != kAlone)
			continue;
		load_key(app, &delta->entries[i], values, nulls);
		int key = capture::zset_add_values(keys, values, nulls, 0);
		keys->entries[key].weight = i + 1;
	}
	for (int i = 0; i < delta->nentries; i++)
	{
		if (delta->entries[i].weight != -1 || partner[i] != kAlone)
			continue;
		load_key(app, &delta->entries[i], values, nulls);
		ZEntry *key = capture::zset_find(keys, values, nulls);
		if (!key || key->weight == 0)
			continue;
		partner[i] = (int) key->weight - 1;
		partner[partner[i]] = partner[i];
		key->weight = 0;
	}
}

/*
 * partner[i] for an entry that goes: the entry that comes with the same key,
 * or kAlone. Partners are marked by themselves.
 */
int *
pair_entries(Application *app)
{
	ZSet *delta = app->delta;
	Writer *writer = app->writer;
	int *partner = (int *) MemoryContextAllocHuge(CurrentMemoryContext,
												  sizeof(int) * (Size) Max(delta->nentries, 1));

	for (int i = 0; i < delta->nentries; i++)
		partner[i] = kAlone;
	if (!writer->index || writer->other_unique)
		return partner;

	Datum *values = (Datum *) palloc(sizeof(Datum) * Max(writer->ncolumns, 1));
	bool *nulls = (bool *) palloc(sizeof(bool) * Max(writer->ncolumns, 1));

	pair_neighbours(app, partner);
	if (count_single(delta, partner, -1) > 0 && count_single(delta, partner, 1) > 0)
		pair_distant(app, partner, values, nulls);
	return partner;
}

/* What goes of a part, and what takes its place. */
void
remove_part(Application *app, const int *partner)
{
	const ZSet *delta = app->delta;
	const int *order = is_keyed(app->writer) ? nullptr : capture::zset_order(delta);

	for (int n = 0; n < delta->nentries; n++)
	{
		int i = order ? order[n] : n;

		CHECK_FOR_INTERRUPTS();
		if (delta->entries[i].weight < 0 && partner[i] >= 0)
			replace_row(app, load(app, &delta->entries[i]),
						load(app->other, &delta->entries[partner[i]]));
	}
	for (int n = 0; n < delta->nentries; n++)
	{
		int i = order ? order[n] : n;

		CHECK_FOR_INTERRUPTS();
		if (delta->entries[i].weight < 0 && partner[i] == kAlone)
			remove_rows(app, &delta->entries[i]);
	}
}

/* What comes and takes no other row's place. */
void
insert_part(Application *app, const int *partner)
{
	const ZSet *delta = app->delta;
	bool many = delta->nentries >= kManyKeys && app->packing == Packing::kFull;
	BulkInsert *bulk = many ? begin_bulk_insert(app->writer) : nullptr;

	for (int i = 0; i < delta->nentries; i++)
		if (delta->entries[i].weight > 0 && partner[i] == kAlone)
			insert_rows(app, bulk, &delta->entries[i]);
	if (bulk)
		end_bulk_insert(bulk);
}

/*
 * Rows of one key are in one part. All that goes has gone before anything
 * comes, which may need a second reading.
 */
void
apply_parts(Application *app, ZSet *delta)
{
	capture::ZParts parts = capture::read_parts(delta);

	while ((app->delta = capture::next_part(&parts)) != nullptr)
	{
		MemoryContext old = MemoryContextSwitchTo(delta->spill ? app->delta->context
															   : CurrentMemoryContext);
		const int *partner = pair_entries(app);

		remove_part(app, partner);
		if (!delta->spill)
			insert_part(app, partner);
		MemoryContextSwitchTo(old);
	}
	if (!delta->spill)
		return;
	parts = capture::read_parts(delta);
	while ((app->delta = capture::next_part(&parts)) != nullptr)
	{
		MemoryContext old = MemoryContextSwitchTo(app->delta->context);

		insert_part(app, pair_entries(app));
		MemoryContextSwitchTo(old);
	}
}

} // namespace

int64
apply(Writer *writer, ZSet *delta, Packing packing, capture::RowCallback changed, void *arg)
{
	bool many = delta->spill || delta->nentries >= kManyKeys;
	Application app = {writer,
					   many && is_keyed(writer) ? begin_walk(writer) : nullptr,
					   delta,
					   delta->spill != nullptr,
					   packing,
					   MakeSingleTupleTableSlot(delta->desc, &TTSOpsMinimalTuple),
					   MakeSingleTupleTableSlot(delta->desc, &TTSOpsMinimalTuple),
					   changed,
					   arg,
					   0};

	apply_parts(&app, delta);
	if (app.walk)
		end_walk(app.walk);
	ExecDropSingleTupleTableSlot(app.entry);
	ExecDropSingleTupleTableSlot(app.other);
	return app.nrows;
}

} // namespace tw::state
