/*
 * session.hpp - what a session remembers about live views.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/rights.hpp"
#include "analyze/view_plan.hpp"
#include "catalog/live_view.hpp"
#include "exec/keyed.hpp"
#include "exec/stream.hpp"
#include "feed/log.hpp"
#include "state/aggregate.hpp"
#include "state/recursion.hpp"
#include "state/top_k.hpp"
#include "state/writer.hpp"

namespace tw::maintain
{

/*
 * The rows of a LIMIT over an inner relation, without and with those that tie with
 * the last one: at its beginning, where it has an OFFSET, and at its end.
 */
struct TieQueries
{
	int n;
	exec::CachedQuery *first[2];
	exec::CachedQuery *with_ties[2];
};

TieQueries make_tie_queries(const analyze::ViewPlan *plan, MemoryContext context,
							const bool *stale);

/* True if the query as it was written may choose other rows that tie. */
bool has_ties(const TieQueries *ties);

/* How writers find keys that their rows do not have themselves (key_guard.cpp). */
struct Lookup
{
	exec::CachedQuery *query; /* null: the rows have them */
	TimestampTz used_until;   /* even if nobody writes the other side just now */
};

Lookup *make_lookups(const analyze::ViewPlan *plan, MemoryContext context, const bool *stale);

/* A live view made ready to be maintained in this session. */
struct ViewRuntime
{
	catalog::LiveView info;
	bool stale;   /* something it depends on changed: build it again before the next use */
	List *tables; /* OIDs of the tables it reads, with partitions and children */
	int level;    /* 0: reads base tables only; else 1 + the highest level of live views it reads */
	analyze::ViewPlan *plan;
	analyze::Rights rights;              /* of its owner */
	exec::Stream *input;                 /* of plan->input */
	exec::CachedQuery *whole;            /* the whole query */
	TieQueries ties;                     /* where rows may tie at a limit */
	state::AggregateOperator *aggregate; /* kAggregate */
	state::RecursionOperator *recursion; /* kRecursive */
	state::TopKOperator *top_k;          /* of a LIMIT that is followed by its boundaries */
	exec::KeyedOperator *keyed;          /* kKeyed, or of the keyed input of groups */
	Lookup *lookups;                     /* by pair_keys() */
	Oid state;
	List *part_states;          /* OIDs of the state tables of its distinct inputs */
	TupleDesc desc;             /* of the view */
	state::WriterCache *writer; /* of the view */
	feed::LogCache *log;        /* where it has a log */
};

/* The runtime of an attached view; null where it is not attached. Valid until the transaction ends. */
ViewRuntime *get_runtime(Oid view);

/*
 * Removes from a cache by OID the entries of relations that were dropped, whom nobody will
 * ask for again; `release` is called for each first. Looks only if there are twice as many
 * entries as it left the last time, *kept, which begins at 0.
 */
void forget_dropped(HTAB *cache, long *kept, void (*release)(void *entry));

/* True if writers keep the view up to date; does not look at its definition. */
bool is_immediate(Oid view);

/* A runtime of a view that is not attached yet; delete plan->context when done with it. */
ViewRuntime *build_runtime(const catalog::LiveView *info);

/* OIDs of the attached views that read the relation, directly or as a partition or child. */
List *views_of_base(Oid relid);

/* An input of a view that is being built, and the table in which its changes are recorded. */
struct Recording
{
	Oid view;
	Oid base;
	Oid changes;
	bool alone;  /* without partitions and children */
	bool broken; /* altered meanwhile: its changes are not recorded any more */
};

/* Inputs (List of Recording) of views being built that a change of the relation reaches. Usually NIL. */
List *recordings_of_base(Oid relid);

/* Inputs of a view that is being built. */
List *recordings_of_view(Oid view);

/* Grows whenever what is remembered about views or base tables may have changed. */
uint64 knowledge_version();

/* Everything about these relations is looked up again in all sessions, from the next command on. */
void invalidate(Oid relid);

void init_session();

} // namespace tw::maintain
