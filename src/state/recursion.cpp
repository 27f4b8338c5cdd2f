/*
 * recursion.cpp - keeps the content of a recursive query, by rounds over what changed.
 *
 * R is the content, which the view holds; R = base + step(R), where the step is
 * linear in R. Rows that went from the tables are dealt with first, then rows
 * that came: between the two the tables are as if only the first had happened.
 * With both at once the recursion could go round a cycle that neither the old
 * nor the new tables have.
 *
 * UNION ALL: what the tables' change does to base and step(R) are the first
 * rows that are lost or gained; what the step makes of these are the next, and
 * so on. All weights are counts of derivations, so nothing else is needed.
 *
 * UNION: a row is there as long as it has any derivation. Gained rows are those
 * that are not there yet, followed round by round (semi-naive evaluation). For
 * lost rows all are taken out that had a derivation through what went, round by
 * round; then those that are still derived from what is left come back, and
 * what is derived from these (delete and rederive). Which are still derived is
 * asked for the rows that were taken out only.
 *
 * A round is one run of a cached query over a tuplestore that holds the rows of
 * the round before. One writer at a time keeps a recursive view (maintain/guard.cpp).
 */
#include "state/recursion.hpp"
#include "analyze/recursion.hpp"
#include "exec/data_error.hpp"
#include "exec/plan.hpp"
#include "exec/stream.hpp"
#include "state/apply.hpp"

namespace tw::state
{

using analyze::Block;
using analyze::NullKeys;
using analyze::Recursion;
using analyze::ViewPlan;
using capture::Delta;
using capture::ZEntry;
using capture::ZSet;
using circuit::Part;
using exec::CachedQuery;
using exec::NamedStore;

struct RecursionOperator
{
	const ViewPlan *plan;
	const Recursion *recursion;
	MemoryContext context;
	const bool *stale;
	WriterCache *writer;
	TupleDesc view;
	TupleDesc weighted; /* the view's columns and the weight */
	bool can_fail;      /* computing the query's expressions can raise an error */
	List *terms;        /* TermQuery */
};

namespace
{

/* Which rows of a term are wanted. */
enum class Wanted
{
	kAll,
	kKeys,
	kNullKeys
};

struct TermQuery
{
	const Block *block;
	Wanted wanted;
	Part *parts;
	CachedQuery *query;
};

/* What happened to the tables is told in two steps. */
enum class Pass
{
	kLosing,
	kGaining
};

/* A changed relation. */
struct Input
{
	Oid relid;
	TupleDesc desc;
	Tuplestorestate *change; /* as it was: with positive and negative weights */
	Tuplestorestate *came;   /* both with positive weights; null: no rows */
	Tuplestorestate *gone;
};

struct Run
{
	RecursionOperator *op;
	Input *inputs;
	int ninputs;
	Pass pass;
};

/* ---- inputs ---- */

Bitmapset *
used_columns(const Recursion *recursion, Oid relid)
{
	Bitmapset *used = nullptr;
	const Block *blocks[2] = {recursion->base, recursion->step};

	for (const Block *block : blocks)
		for (int i = 0; i < block->noccurrences; i++)
			if (block->relids[i] == relid)
				used = bms_add_members(used, block->used[i]);
	return used;
}

/* The rows of the store with weights of the sign, made positive; null where there are none. */
Tuplestorestate *
rows_of_sign(const Input *input, int64 sign)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(input->desc, &TTSOpsMinimalTuple);
	TupleTableSlot *row = MakeSingleTupleTableSlot(input->desc, &TTSOpsVirtual);
	int last = input->desc->natts - 1;
	Tuplestorestate *found = nullptr;

	tuplestore_rescan(input->change);
	while (tuplestore_gettupleslot(input->change, true, false, slot))
	{
		slot_getallattrs(slot);
		int64 weight = DatumGetInt64(slot->tts_values[last]) * sign;

		if (weight < 0)
			continue;
		if (!found)
			found = tuplestore_begin_heap(false, false, work_mem);
		ExecCopySlot(row, slot);
		row->tts_values[last] = Int64GetDatum(weight);
		tuplestore_puttupleslot(found, row);
	}
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(row);
	return found;
}

/* The relations that changed in a column that is read. */
void
find_inputs(Run *run, List *deltas)
{
	ListCell *lc;

	run->inputs = (Input *) palloc0(sizeof(Input) * Max(list_length(deltas), 1));
	foreach (lc, deltas)
	{
		const Delta *delta = (const Delta *) lfirst(lc);
		Input *input = &run->inputs[run->ninputs];
		capture::RowCounts counts;

		input->relid = delta->relid;
		input->desc = analyze::delta_descriptor(delta->desc);
		input->change = weighted_store(delta, used_columns(run->op->recursion, delta->relid),
									   input->desc, &counts);
		if (!input->change)
			continue;
		input->came = rows_of_sign(input, 1);
		input->gone = rows_of_sign(input, -1);
		run->ninputs++;
	}
}

void
end_inputs(Run *run)
{
	for (int i = 0; i < run->ninputs; i++)
	{
		Input *input = &run->inputs[i];

		tuplestore_end(input->change);
		if (input->came)
			tuplestore_end(input->came);
		if (input->gone)
			tuplestore_end(input->gone);
	}
}

const Input *
input_of(const Run *run, Oid relid)
{
	for (int i = 0; i < run->ninputs; i++)
		if (run->inputs[i].relid == relid)
			return &run->inputs[i];
	return nullptr;
}

/* How a term reads a table as it is after the pass. */
Part
after_pass(const Run *run, Oid relid)
{
	const Input *input = input_of(run, relid);

	return input && input->came && run->pass == Pass::kLosing ? Part::kOld : Part::kNew;
}

/* And before it. */
Part
before_pass(const Run *run, Oid relid)
{
	const Input *input = input_of(run, relid);

	if (!input)
		return Part::kNew;
	if (run->pass == Pass::kLosing && input->gone)
		return Part::kFormer;
	return input->came ? Part::kOld : Part::kNew;
}

bool
changes_in_pass(const Run *run, Oid relid)
{
	const Input *input = input_of(run, relid);

	return input && (run->pass == Pass::kLosing ? input->gone : input->came);
}

/* ---- running terms ---- */

CachedQuery *
term_query(RecursionOperator *op, const Block *block, const Part *parts, Wanted wanted)
{
	const Recursion *recursion = op->recursion;
	Size size = sizeof(Part) * block->noccurrences;
	ListCell *lc;

	foreach (lc, op->terms)
	{
		TermQuery *term = (TermQuery *) lfirst(lc);

		if (term->block == block && term->wanted == wanted && memcmp(term->parts, parts, size) == 0)
			return term->query;
	}

	MemoryContext old = MemoryContextSwitchTo(op->context);
	TermQuery *term = (TermQuery *) palloc(sizeof(TermQuery));
	Query *query;

	term->block = block;
	term->wanted = wanted;
	term->parts = (Part *) palloc(Max(size, 1));
	memcpy(term->parts, parts, size);
	if (wanted == Wanted::kAll)
		query = analyze::delta_query(block, parts, analyze::Match::kAny);
	else
		query = analyze::restricted_term(block, parts,
										 block == recursion->base ? recursion->base_keys
																  : recursion->step_keys,
										 wanted == Wanted::kKeys ? NullKeys::kNeverMatch
																 : NullKeys::kMatch);
	term->query = exec::make_cached_query(query, op->context, op->stale);
	op->terms = lappend(op->terms, term);
	MemoryContextSwitchTo(old);
	return term->query;
}

/* Rows in a tuplestore, with their weights. */
Tuplestorestate *
store_rows(RecursionOperator *op, const ZSet *rows, int64 *n)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(op->view, &TTSOpsMinimalTuple);
	int natts = op->view->natts;
	Datum *values = (Datum *) palloc(sizeof(Datum) * (natts + 1));
	bool *nulls = (bool *) palloc(sizeof(bool) * (natts + 1));

	*n = 0;
	for (int i = 0; i < rows->nentries; i++)
	{
		if (rows->entries[i].weight == 0)
			continue;
		ExecStoreMinimalTuple(rows->entries[i].row, slot, false);
		slot_getallattrs(slot);
		memcpy(values, slot->tts_values, sizeof(Datum) * natts);
		memcpy(nulls, slot->tts_isnull, sizeof(bool) * natts);
		values[natts] = Int64GetDatum(rows->entries[i].weight);
		nulls[natts] = false;
		tuplestore_putvalues(store, op->weighted, values, nulls);
		(*n)++;
	}
	ExecDropSingleTupleTableSlot(slot);
	pfree(values);
	pfree(nulls);
	return store;
}

/* Stores that a term may name: those of the tables, of the view and of keys. */
struct Stores
{
	NamedStore *stores;
	int n;
};

void
add_store(Stores *stores, const char *name, TupleDesc desc, Tuplestorestate *rows, int64 nrows)
{
	if (rows)
		stores->stores[stores->n++] = {name, desc, rows, nrows};
}

/*
 * Runs a term; `self` are the rows that stand for the view's delta, null where
 * the term does not read it; `keys` restrict it, null where it is not.
 */
void
run_term(Run *run, const Block *block, const Part *parts, const ZSet *self, Wanted wanted,
		 const NamedStore *keys, ZSet *out)
{
	RecursionOperator *op = run->op;
	Stores stores = {(NamedStore *) palloc(sizeof(NamedStore) * (run->ninputs * 3 + 2)), 0};
	Tuplestorestate *self_rows = nullptr;
	int64 nself = 0;

	for (int i = 0; i < run->ninputs; i++)
	{
		const Input *input = &run->inputs[i];

		add_store(&stores, analyze::part_name(input->relid, Part::kDelta), input->desc, input->came,
				  input->came ? tuplestore_tuple_count(input->came) : 0);
		add_store(&stores, analyze::part_name(input->relid, Part::kGone), input->desc, input->gone,
				  input->gone ? tuplestore_tuple_count(input->gone) : 0);
		add_store(&stores, analyze::part_name(input->relid, Part::kFormer), input->desc,
				  input->change, tuplestore_tuple_count(input->change));
	}
	if (self)
		self_rows = store_rows(op, self, &nself);
	add_store(&stores, analyze::delta_name(op->plan->view), op->weighted, self_rows, nself);
	if (keys)
		stores.stores[stores.n++] = *keys;
	run_query(term_query(op, block, parts, wanted), stores.stores, stores.n,
			  exec::WeightColumn::kLast, exec::collect_weighted_row, out);
	if (self_rows)
		tuplestore_end(self_rows);
	pfree(stores.stores);
}

/* The parts of a term without a delta of a table: all as after the pass, and the view as said. */
Part *
parts_after(const Run *run, const Block *block, Part self)
{
	Part *parts = (Part *) palloc(sizeof(Part) * Max(block->noccurrences, 1));

	for (int i = 0; i < block->noccurrences; i++)
		parts[i] = block->relids[i] == run->op->plan->view ? self
														   : after_pass(run, block->relids[i]);
	return parts;
}

/* What the tables' change in this pass does to the block, where the view lacks the rows in `lost`. */
void
add_change(Run *run, const Block *block, ZSet *lost, ZSet *out)
{
	Oid view = run->op->plan->view;
	Part self = lost ? Part::kOld : Part::kNew;

	for (int i = 0; i < block->noccurrences; i++)
	{
		if (!changes_in_pass(run, block->relids[i]))
			continue;

		Part *parts = parts_after(run, block, self);
		parts[i] = run->pass == Pass::kLosing ? Part::kGone : Part::kDelta;
		for (int j = i + 1; j < block->noccurrences; j++)
			if (block->relids[j] != view)
				parts[j] = before_pass(run, block->relids[j]);
		run_term(run, block, parts, block == run->op->recursion->step ? lost : nullptr,
				 Wanted::kAll, nullptr, out);
	}
}

/* The first round: what base and step lose or gain by the tables' change. */
ZSet *
first_round(Run *run, ZSet *lost)
{
	ZSet *round = capture::make_zset(run->op->view, CurrentMemoryContext);

	if (lost && capture::zset_is_empty(lost))
		lost = nullptr;
	add_change(run, run->op->recursion->base, nullptr, round);
	add_change(run, run->op->recursion->step, lost, round);
	return round;
}

/* What the step makes of a round. */
ZSet *
next_round(Run *run, ZSet *round)
{
	const Block *step = run->op->recursion->step;
	ZSet *next = capture::make_zset(run->op->view, CurrentMemoryContext);

	CHECK_FOR_INTERRUPTS();
	if (!capture::zset_is_empty(round))
		run_term(run, step, parts_after(run, step, Part::kDelta), round, Wanted::kAll, nullptr,
				 next);
	return next;
}

TupleTableSlot *
load(TupleTableSlot *slot, const ZEntry *entry)
{
	ExecStoreMinimalTuple(entry->row, slot, false);
	slot_getallattrs(slot);
	return slot;
}

/* ---- UNION ALL ---- */

/* Adds a round and all that follow from it to `total`. */
void
follow_counts(Run *run, ZSet *round, ZSet *total)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(run->op->view, &TTSOpsMinimalTuple);

	for (; !capture::zset_is_empty(round); round = next_round(run, round))
		for (int i = 0; i < round->nentries; i++)
			if (round->entries[i].weight != 0)
				(void) capture::zset_add(total, load(slot, &round->entries[i]),
										 round->entries[i].weight);
	ExecDropSingleTupleTableSlot(slot);
}

/* ---- UNION ---- */

/*
 * Follows rounds of rows that are each taken once. `admit` says whether a
 * candidate is new, and notes it; its rows make the next round.
 */
template <typename Admit>
void
follow_rows(Run *run, ZSet *candidates, Admit &&admit)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(run->op->view, &TTSOpsMinimalTuple);

	while (candidates->nentries > 0)
	{
		ZSet *round = capture::make_zset(run->op->view, CurrentMemoryContext);

		for (int i = 0; i < candidates->nentries; i++)
			if (candidates->entries[i].weight > 0 && admit(load(slot, &candidates->entries[i])))
				(void) capture::zset_add(round, load(slot, &candidates->entries[i]), 1);
		candidates = next_round(run, round);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Adds the row to the set unless it has it. */
bool
add_once(ZSet *set, TupleTableSlot *row)
{
	int entry = capture::zset_add(set, row, 0);

	if (set->entries[entry].weight != 0)
		return false;
	set->entries[entry].weight = 1;
	return true;
}

/* The keys of the rows in the set: columns, each combination once; apart those with a null. */
struct KeyStores
{
	TupleDesc desc;
	ZSet *keys;
	Tuplestorestate *stores[2]; /* by: has a null */
	int64 counts[2];
};

KeyStores
keys_of(Run *run, const ZSet *rows, List *columns)
{
	int n = list_length(columns);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(run->op->view, &TTSOpsMinimalTuple);
	KeyStores keys = {CreateTemplateTupleDesc(n), nullptr, {nullptr, nullptr}, {0, 0}};
	Datum *values = (Datum *) palloc(sizeof(Datum) * n);
	bool *nulls = (bool *) palloc(sizeof(bool) * n);

	for (int i = 0; i < n; i++)
		TupleDescCopyEntry(keys.desc, i + 1, run->op->view, list_nth_int(columns, i));
	keys.keys = capture::make_zset(keys.desc, CurrentMemoryContext);
	for (int which = 0; which < 2; which++)
		keys.stores[which] = tuplestore_begin_heap(false, false, work_mem);

	for (int e = 0; e < rows->nentries; e++)
	{
		int which = 0;

		if (rows->entries[e].weight == 0)
			continue;
		(void) load(slot, &rows->entries[e]);
		for (int i = 0; i < n; i++)
		{
			values[i] = slot->tts_values[list_nth_int(columns, i) - 1];
			nulls[i] = slot->tts_isnull[list_nth_int(columns, i) - 1];
			which |= nulls[i];
		}

		int known = keys.keys->nentries;
		if (capture::zset_add_values(keys.keys, values, nulls, 1) < known)
			continue;
		tuplestore_putvalues(keys.stores[which], keys.desc, values, nulls);
		keys.counts[which]++;
	}
	ExecDropSingleTupleTableSlot(slot);
	return keys;
}

/* Adds the rows that the block gives now, of those with the keys of `taken`, which the view lacks. */
void
add_still_derived(Run *run, const Block *block, List *columns, const ZSet *taken, ZSet *out)
{
	KeyStores keys = keys_of(run, taken, columns);
	bool is_step = block == run->op->recursion->step;

	for (int which = 0; which < 2; which++)
	{
		NamedStore store = {analyze::kKeysName, keys.desc, keys.stores[which], keys.counts[which]};

		if (keys.counts[which] > 0)
			run_term(run, block, parts_after(run, block, Part::kOld), is_step ? taken : nullptr,
					 which == 0 ? Wanted::kKeys : Wanted::kNullKeys, &store, out);
		tuplestore_end(keys.stores[which]);
	}
}

/* The rows that are gone from the set; null where so many may be that the query is better evaluated again. */
ZSet *
delete_and_rederive(Run *run, double limit)
{
	const Recursion *recursion = run->op->recursion;
	ZSet *taken = capture::make_zset(run->op->view, CurrentMemoryContext);
	ZSet *derived = capture::make_zset(run->op->view, CurrentMemoryContext);
	bool too_many = false;

	follow_rows(run, first_round(run, nullptr),
				[&](TupleTableSlot *row)
				{
					too_many |= taken->nentries > limit;
					return !too_many && add_once(taken, row);
				});
	if (too_many)
		return nullptr;
	if (taken->nentries == 0)
		return taken;
	add_still_derived(run, recursion->base, recursion->base_keys, taken, derived);
	add_still_derived(run, recursion->step, recursion->step_keys, taken, derived);
	follow_rows(run, derived,
				[&](TupleTableSlot *row)
				{
					ZEntry *entry = capture::zset_find(taken, row->tts_values, row->tts_isnull);

					if (!entry || entry->weight == 0)
						return false;
					entry->weight = 0;
					return true;
				});
	return taken;
}

/* The rows that are new in the set, from which those in `lost` are gone. */
ZSet *
gain_rows(Run *run, ZSet *lost)
{
	ZSet *gained = capture::make_zset(run->op->view, CurrentMemoryContext);
	ZSet *candidates = first_round(run, lost);

	if (candidates->nentries == 0)
		return gained;

	Writer *writer = open_writer(run->op->writer);
	follow_rows(run, candidates,
				[&](TupleTableSlot *row)
				{
					ZEntry *entry = lost
										? capture::zset_find(lost, row->tts_values, row->tts_isnull)
										: nullptr;

					if ((!entry || entry->weight == 0) && has_row(writer, run->op->view, row))
						return false;
					return add_once(gained, row);
				});
	close_writer(writer);
	return gained;
}

/* ---- both ---- */

struct Change
{
	ZSet *lost; /* both with positive weights, or null */
	ZSet *gained;
	bool everything;
};

void
compute_change(Run *run, bool loses, bool gains, double limit, Change *change)
{
	bool is_set = run->op->recursion->is_set;

	run->pass = Pass::kLosing;
	if (loses && is_set)
	{
		change->lost = delete_and_rederive(run, limit);
		change->everything = !change->lost;
	}
	else if (loses)
	{
		change->lost = capture::make_zset(run->op->view, CurrentMemoryContext);
		follow_counts(run, first_round(run, nullptr), change->lost);
	}
	if (!gains || change->everything)
		return;

	run->pass = Pass::kGaining;
	if (is_set)
	{
		change->gained = gain_rows(run, change->lost);
		return;
	}
	change->gained = capture::make_zset(run->op->view, CurrentMemoryContext);
	follow_counts(run, first_round(run, change->lost), change->gained);
}

void
add_rows(const ZSet *rows, int64 sign, TupleDesc desc, ZSet *out)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);

	for (int i = 0; rows && i < rows->nentries; i++)
		if (rows->entries[i].weight != 0)
			(void) capture::zset_add(out, load(slot, &rows->entries[i]),
									 sign * rows->entries[i].weight);
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * How many rows may be taken out before evaluating the query again is the
 * better way: taking out, looking up and putting back costs some times more.
 */
double
most_rows_to_take(Oid view)
{
	constexpr double kFew = 10000;
	Relation rel = table_open(view, AccessShareLock);
	BlockNumber pages;
	double tuples;
	double all_visible;

	estimate_rel_size(rel, nullptr, &pages, &tuples, &all_visible);
	table_close(rel, NoLock);
	return Max(tuples / 3, kFew);
}

} // namespace

RecursionOperator *
make_recursion_operator(const ViewPlan *plan, WriterCache *writer, TupleDesc view,
						const bool *stale)
{
	MemoryContext old = MemoryContextSwitchTo(plan->context);
	RecursionOperator *op = (RecursionOperator *) palloc0(sizeof(RecursionOperator));

	op->plan = plan;
	op->recursion = plan->recursion;
	op->context = plan->context;
	op->stale = stale;
	op->writer = writer;
	op->view = view;
	op->weighted = analyze::delta_descriptor(view);
	op->can_fail = exec::can_fail((Node *) plan->recursion->base->query) ||
				   exec::can_fail((Node *) plan->recursion->step->query);
	MemoryContextSwitchTo(old);
	return op;
}

exec::Touched
run_recursion(RecursionOperator *op, List *deltas, ZSet *out)
{
	Run run = {op, nullptr, 0, Pass::kLosing};
	Change change = {nullptr, nullptr, false};
	bool loses = false;
	bool gains = false;

	find_inputs(&run, deltas);
	for (int i = 0; i < run.ninputs; i++)
	{
		loses |= run.inputs[i].gone != nullptr;
		gains |= run.inputs[i].came != nullptr;
	}
	if (loses || gains)
	{
		double limit = loses ? most_rows_to_take(op->plan->view) : 0;

		/* Tables as they are between the passes are read as they are, with corrections. */
		if (!exec::survive_data_errors(loses && gains && op->can_fail, [&]()
									   { compute_change(&run, loses, gains, limit, &change); }))
			change.everything = true;
	}
	end_inputs(&run);
	if (change.everything)
		return exec::Touched::kEverything;
	add_rows(change.lost, -1, op->view, out);
	add_rows(change.gained, +1, op->view, out);
	return exec::Touched::kSomeKeys;
}

} // namespace tw::state
