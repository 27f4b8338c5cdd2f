/*
 * stream.cpp - computes the delta of a block, row by row, in two tiers.
 *
 * Native: a block over one relation is a filter and a projection; they are
 * compiled once and run over the changed rows, nothing is planned and no
 * relation is read. Planned: one delta query for each term, made and planned
 * when first needed, keyed by which part of each occurrence it reads.
 */
#include "exec/stream.hpp"
#include "exec/data_error.hpp"
#include "exec/snapshot.hpp"
#include "pg/guard.hpp"

namespace tw::exec
{

using analyze::Block;
using analyze::Match;
using analyze::Reach;
using capture::Delta;
using circuit::Part;

struct Stream
{
	const Block *block;
	MemoryContext context;
	const bool *stale;
	List *terms; /* TermQuery */
	CachedQuery *whole;
	bool may_fail; /* its expressions can raise an error */

	/* native tier */
	bool compiled;
	ExprContext *econtext;
	ExprState *qual;
	ProjectionInfo *projection;
	TupleTableSlot *result;
};

namespace
{

struct TermQuery
{
	Part *parts;
	Match match;
	CachedQuery *query;
};

/* Calls a backend function for each term; the terms themselves are pure. */
struct TermList
{
	int nterms;
	Part *parts; /* nterms x noccurrences */
};

TermList
compute_terms(const bool *changed, int n)
{
	int nchanged = 0;

	for (int i = 0; i < n; i++)
		nchanged += changed[i];

	TermList list = {0, (Part *) palloc(sizeof(Part) * Max(nchanged * n, 1))};
	pg::call_pure(
		[&]()
		{
			for (const circuit::Term &term :
				 circuit::delta_terms(std::vector<bool>(changed, changed + n)))
			{
				for (int i = 0; i < n; i++)
					list.parts[list.nterms * n + i] = term.parts[i];
				list.nterms++;
			}
		});
	return list;
}

CachedQuery *
term_query(Stream *stream, const Part *parts, Match match)
{
	Size size = sizeof(Part) * stream->block->noccurrences;
	ListCell *lc;

	foreach (lc, stream->terms)
	{
		TermQuery *term = (TermQuery *) lfirst(lc);

		if (term->match == match && memcmp(term->parts, parts, size) == 0)
			return term->query;
	}

	MemoryContext old = MemoryContextSwitchTo(stream->context);
	TermQuery *term = (TermQuery *) palloc(sizeof(TermQuery));
	term->parts = (Part *) palloc(size);
	memcpy(term->parts, parts, size);
	term->match = match;
	term->query = make_cached_query(analyze::delta_query(stream->block, parts, match),
									stream->context, stream->stale);
	stream->terms = lappend(stream->terms, term);
	MemoryContextSwitchTo(old);
	return term->query;
}

const Delta *
find_delta(List *deltas, Oid relid)
{
	ListCell *lc;

	foreach (lc, deltas)
		if (((Delta *) lfirst(lc))->relid == relid)
			return (const Delta *) lfirst(lc);
	return nullptr;
}

/* ---- native ---- */

void
compile(Stream *stream, TupleDesc input)
{
	MemoryContext old = MemoryContextSwitchTo(stream->context);
	Query *query = stream->block->query;
	List *targets = (List *) expression_planner((Expr *) copyObject(query->targetList));
	Node *quals = (Node *) copyObject(query->jointree->quals);

	stream->econtext = CreateStandaloneExprContext();
	if (quals)
	{
		List *ands;

		quals = (Node *) expression_planner((Expr *) quals);
		ands = make_ands_implicit((Expr *) quals);
		stream->qual = ExecInitQual(ands, nullptr);
	}
	stream->result = MakeSingleTupleTableSlot(ExecTypeFromTL(targets), &TTSOpsVirtual);
	stream->projection = ExecBuildProjectionInfo(targets, stream->econtext, stream->result, nullptr,
												 input);
	stream->compiled = true;
	MemoryContextSwitchTo(old);
}

struct NativeRun
{
	Stream *stream;
	RowCallback callback;
	void *arg;
};

void
native_row(void *arg, TupleTableSlot *row, int64 weight)
{
	NativeRun *run = static_cast<NativeRun *>(arg);
	ExprContext *econtext = run->stream->econtext;

	ResetExprContext(econtext);
	econtext->ecxt_scantuple = row;
	if (run->stream->qual && !ExecQual(run->stream->qual, econtext))
		return;
	run->callback(run->arg, ExecProject(run->stream->projection), weight);
}

/* FROM a, (join) with quals in JoinExprs is not native; a flat FROM has its quals in one place. */
bool
is_native(const Block *block)
{
	return block->native_rti != 0;
}

/* ---- planned ---- */

/* Runs the terms of the block's delta; changed: by occurrence. */
void
run_terms(Stream *stream, const bool *changed, NamedStore *stores, int nstores,
		  RowCallback callback, void *arg)
{
	const Block *block = stream->block;
	int n = block->noccurrences;
	TermList terms = compute_terms(changed, n);
	bool nulled = false;

	for (int i = 0; i < n; i++)
		nulled |= changed[i] && block->reaches[i] == Reach::kNulled;
	for (int t = 0; t < terms.nterms; t++)
	{
		const Part *parts = terms.parts + t * n;

		if (!nulled)
		{
			run_query(term_query(stream, parts, Match::kAny), stores, nstores, WeightColumn::kLast,
					  callback, arg);
			continue;
		}
		/* There is one changed table; no match goes if none of its rows does. */
		run_query(term_query(stream, parts, Match::kKept), stores, nstores, WeightColumn::kLast,
				  callback, arg);
		if (stores->ngone > 0)
			run_query(term_query(stream, parts, Match::kLost), stores, nstores, WeightColumn::kLast,
					  callback, arg);
		if (stores->ngone == stores->nrows)
			continue;
		PushCopiedSnapshot(old_snapshot());
		run_query(term_query(stream, parts, Match::kGained), stores, nstores, WeightColumn::kLast,
				  callback, arg);
		PopActiveSnapshot();
	}
}

/* Columns of the relation that any of its occurrences reads. */
Bitmapset *
used_columns(const Block *block, Oid relid)
{
	Bitmapset *used = nullptr;

	for (int i = 0; i < block->noccurrences; i++)
		if (block->relids[i] == relid)
			used = bms_add_members(used, block->used[i]);
	return used;
}

void
run_planned(Stream *stream, List *deltas, RowCallback callback, void *arg)
{
	const Block *block = stream->block;
	int n = block->noccurrences;
	bool *changed = (bool *) palloc0(sizeof(bool) * Max(n, 1));
	NamedStore *stores = (NamedStore *) palloc0(sizeof(NamedStore) * Max(list_length(deltas), 1));
	int nstores = 0;
	ListCell *lc;

	foreach (lc, deltas)
	{
		const Delta *delta = (const Delta *) lfirst(lc);
		Bitmapset *used = used_columns(block, delta->relid);
		NamedStore *store = &stores[nstores];
		bool occurs = false;

		for (int i = 0; i < n; i++)
			occurs |= block->relids[i] == delta->relid;
		if (!occurs)
			continue;
		if (!open_delta(delta, used, store))
			continue;
		nstores++;
		for (int i = 0; i < n; i++)
			changed[i] |= block->relids[i] == delta->relid;
	}

	run_terms(stream, changed, stores, nstores, callback, arg);
	for (int i = 0; i < nstores; i++)
		tuplestore_end(stores[i].rows);
}

} // namespace

bool
open_delta(const Delta *delta, const Bitmapset *used, NamedStore *store)
{
	capture::RowCounts counts;

	store->desc = analyze::delta_descriptor(delta->desc);
	store->rows = weighted_store(delta, used, store->desc, &counts);
	store->nrows = counts.all;
	store->ngone = counts.gone;
	if (store->rows)
		store->name = analyze::delta_name(delta->relid);
	return store->rows;
}

Stream *
make_stream(const Block *block, MemoryContext context, const bool *stale)
{
	Stream *stream = (Stream *) MemoryContextAllocZero(context, sizeof(Stream));

	stream->block = block;
	stream->context = context;
	stream->stale = stale;
	stream->may_fail = block->noccurrences > 1 && can_fail((Node *) block->query);
	return stream;
}

bool
may_meet_errors(const Stream *stream, List *deltas)
{
	const Block *block = stream->block;
	int changed = 0;

	for (int i = 0; i < block->noccurrences; i++)
		changed += find_delta(deltas, block->relids[i]) != nullptr;
	return stream->may_fail && changed > 1;
}

void
run_delta(Stream *stream, List *deltas, RowCallback callback, void *arg)
{
	if (!is_native(stream->block))
	{
		run_planned(stream, deltas, callback, arg);
		return;
	}

	const Delta *delta = find_delta(deltas, stream->block->relids[0]);
	if (!delta)
		return;
	if (!stream->compiled)
		compile(stream, delta->desc);

	NativeRun run = {stream, callback, arg};
	each_row(delta, native_row, &run);
}

void
run_changes(Stream *stream, List *changed, NamedStore *stores, int nstores, RowCallback callback,
			void *arg)
{
	const Block *block = stream->block;
	bool *occurs = (bool *) palloc0(sizeof(bool) * block->noccurrences);

	for (int i = 0; i < block->noccurrences; i++)
		occurs[i] = list_member_oid(changed, block->relids[i]);
	run_terms(stream, occurs, stores, nstores, callback, arg);
}

void
collect_weighted_row(void *arg, TupleTableSlot *row, int64 weight)
{
	slot_getallattrs(row);
	(void) capture::zset_add_values(static_cast<capture::ZSet *>(arg), row->tts_values,
									row->tts_isnull, weight);
}

void
run_whole(Stream *stream, RowCallback callback, void *arg)
{
	if (!stream->whole)
	{
		MemoryContext old = MemoryContextSwitchTo(stream->context);

		stream->whole = make_cached_query((Query *) copyObject(stream->block->query),
										  stream->context, stream->stale);
		MemoryContextSwitchTo(old);
	}
	run_query(stream->whole, nullptr, 0, WeightColumn::kNone, callback, arg);
}

} // namespace tw::exec
