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
#include "exec/snapshot.hpp"

namespace tw::state
{

using capture::ZEntry;
using capture::ZSet;

namespace
{

struct Application
{
	Writer *writer;
	ZSet *delta;
	TupleTableSlot *entry; /* holds the row of an entry */
	capture::RowCallback changed;
	void *arg;
	int64 nrows;
};

[[noreturn]] void
row_missing(Relation view)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("materialized view \"%s\" lacks a row that is to be removed",
				   RelationGetRelationName(view)),
			errdetail("The view does not match its base tables."),
			errhint("REFRESH MATERIALIZED VIEW builds it anew."));
	pg_unreachable();
}

TupleTableSlot *
load(Application *app, const ZEntry *entry)
{
	ExecStoreMinimalTuple(entry->row, app->entry, false);
	slot_getallattrs(app->entry);
	return app->entry;
}

/* True if the row the search found looks like the entry's. */
bool
found_image(Application *app, const ZEntry *entry)
{
	TupleTableSlot *found = app->writer->found;

	slot_getallattrs(found);
	MinimalTuple image =
		capture::form_image(app->delta->desc, found->tts_values, found->tts_isnull);
	bool same = capture::same_image(image, entry->row);

	pfree(image);
	return same;
}

/* Removes up to n rows with the entry's image; returns how many, fewer on a conflict. */
int64
remove_some(Application *app, const ZEntry *entry, int64 n, bool *conflict)
{
	TupleTableSlot *row = load(app, entry);
	Search search =
		begin_search(app->writer, GetActiveSnapshot(), row->tts_values, row->tts_isnull);
	int64 removed = 0;

	*conflict = false;
	while (removed < n && next_row(app->writer, &search))
	{
		if (!found_image(app, entry))
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

void
insert_rows(Application *app, const ZEntry *entry)
{
	TupleTableSlot *row = load(app, entry);

	for (int64 i = 0; i < entry->weight; i++)
	{
		ExecCopySlot(app->writer->row, row);
		insert_row(app->writer, app->writer->row);
	}
	app->changed(app->arg, load(app, entry), entry->weight);
	app->nrows += entry->weight;
}

void
replace_row(Application *app, const ZEntry *old, const ZEntry *now)
{
	for (;;)
	{
		TupleTableSlot *row = load(app, old);
		Search search =
			begin_search(app->writer, GetActiveSnapshot(), row->tts_values, row->tts_isnull);
		bool found = false;

		while (!found && next_row(app->writer, &search))
			found = found_image(app, old);
		end_search(&search);
		if (!found)
			row_missing(app->writer->rel);

		ItemPointerData tid = app->writer->found->tts_tid;
		ExecCopySlot(app->writer->row, load(app, now));
		if (update_row(app->writer, &tid, app->writer->row) == WriteResult::kDone)
			break;
		exec::renew_snapshot();
	}
	app->changed(app->arg, load(app, old), -1);
	app->changed(app->arg, load(app, now), +1);
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

/*
 * partner[i] for an entry that goes: the entry that comes with the same key,
 * or -1. Partners are marked by themselves.
 */
int *
pair_entries(Application *app)
{
	ZSet *delta = app->delta;
	Writer *writer = app->writer;
	int *partner = (int *) palloc(sizeof(int) * Max(delta->nentries, 1));
	Datum *values = (Datum *) palloc(sizeof(Datum) * Max(writer->ncolumns, 1));
	bool *nulls = (bool *) palloc(sizeof(bool) * Max(writer->ncolumns, 1));

	for (int i = 0; i < delta->nentries; i++)
		partner[i] = -1;
	if (!writer->index || writer->other_unique)
		return partner;

	/* The weight of a key remembers the entry that comes with it: number + 1, 0 when taken. */
	ZSet *keys = capture::make_zset(key_descriptor(writer), CurrentMemoryContext);
	for (int i = 0; i < delta->nentries; i++)
	{
		if (delta->entries[i].weight != 1)
			continue;
		load_key(app, &delta->entries[i], values, nulls);
		int key = capture::zset_add_values(keys, values, nulls, 0);
		keys->entries[key].weight = i + 1;
	}
	for (int i = 0; i < delta->nentries; i++)
	{
		if (delta->entries[i].weight != -1)
			continue;
		load_key(app, &delta->entries[i], values, nulls);
		ZEntry *key = capture::zset_find(keys, values, nulls);
		if (!key || key->weight == 0)
			continue;
		partner[i] = (int) key->weight - 1;
		partner[partner[i]] = partner[i];
		key->weight = 0;
	}
	return partner;
}

} // namespace

int64
apply(Writer *writer, ZSet *delta, capture::RowCallback changed, void *arg)
{
	Application app = {writer,
					   delta,
					   MakeSingleTupleTableSlot(delta->desc, &TTSOpsMinimalTuple),
					   changed,
					   arg,
					   0};
	int *partner = pair_entries(&app);
	/* Rows with a key have their base rows or their group locked already. */
	const bool keyed = writer->index && writer->index->rd_index->indisunique;
	const int *order = keyed ? nullptr : capture::zset_order(delta);

	for (int n = 0; n < delta->nentries; n++)
	{
		int i = order ? order[n] : n;

		CHECK_FOR_INTERRUPTS();
		if (delta->entries[i].weight < 0 && partner[i] >= 0)
			replace_row(&app, &delta->entries[i], &delta->entries[partner[i]]);
	}
	for (int n = 0; n < delta->nentries; n++)
	{
		int i = order ? order[n] : n;

		CHECK_FOR_INTERRUPTS();
		if (delta->entries[i].weight < 0 && partner[i] < 0)
			remove_rows(&app, &delta->entries[i]);
	}
	for (int i = 0; i < delta->nentries; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (delta->entries[i].weight > 0 && partner[i] < 0)
			insert_rows(&app, &delta->entries[i]);
	}
	ExecDropSingleTupleTableSlot(app.entry);
	return app.nrows;
}

} // namespace tw::state
