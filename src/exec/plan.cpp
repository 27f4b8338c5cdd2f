/*
 * plan.cpp - plans and runs Query trees over named tuplestores.
 *
 * Plans are made by the server's planner and kept for the session with the
 * view they belong to; there is no text, no SPI and no plan cache of the server
 * between. A plan is made for each magnitude of the delta, since the best join
 * order differs: with one row everything is looked up by index, with hundreds
 * the delta itself must not be read again for each of its rows, and with very
 * many the other tables are read as a whole. Magnitudes are powers of four, so
 * that what a plan costs follows the change it is for. The relations
 * of a plan are locked before it starts, as the plan cache would do; if that
 * brings news of a change, the query is planned again for this run, and the
 * owner of the view's plan rebuilds it at the next statement. New statistics are
 * such news; a table that has grown much since its last ones is not, and is
 * looked for: who reads a small table as a whole must not do so when it is large.
 *
 * A plan that was made for few rows and gives many is not fit for its delta: the
 * planner multiplies the selectivities of the columns of a key, and then evaluates a
 * subquery for one row that are hundreds. Such a run is given up before any row was
 * handed on, and begun anew with the plan for a larger delta.
 */
#include "exec/plan.hpp"

namespace tw::exec
{

namespace
{

/* Deltas of fewer rows are all planned for one row. */
constexpr int64 kFewRows = 16;

/* From one magnitude to the next. */
constexpr int64 kStep = 4;

/* How many times as large a table may become, and how many pages it may grow beside, without a new plan. */
constexpr uint64 kGrowth = 4;
constexpr uint64 kSmallGrowth = 32;

/* After how many uses, at the latest, tables are looked at again. */
constexpr uint64 kUsesUnseen = 64;

/* A plan may give so many times as many rows as it was made for, and so many in any case. */
constexpr double kSurprise = 16;
constexpr int64 kAnyRows = 64;

/* Where a plan is made for more rows it may give any number: they would have to be kept. */
constexpr double kManyRows = 4096;

/* How often a run is begun anew, and for a delta how many times as large. */
constexpr int kTries = 4;
constexpr int64 kLarger = 64;

struct CallbackReceiver
{
	DestReceiver pub;
	RowCallback callback;
	void *arg;
	WeightColumn weight;
	int64
		limit; /* of rows that are kept until the run is over; 0: all are handed on at once; -1: there were more */
	MemoryContext parent;
	MemoryContext context; /* of what is kept; null: nothing yet */
	List *kept;            /* MinimalTuple */
	TupleTableSlot *slot;  /* for them */
};

void
hand_on(const CallbackReceiver *receiver, TupleTableSlot *slot)
{
	int64 weight = 1;

	slot_getallattrs(slot);
	if (receiver->weight == WeightColumn::kLast)
		weight = DatumGetInt64(slot->tts_values[slot->tts_tupleDescriptor->natts - 1]);
	receiver->callback(receiver->arg, slot, weight);
}

/* Beside the query's own memory, which is gone when it has ended. */
void
keep(CallbackReceiver *receiver, TupleTableSlot *slot)
{
	if (!receiver->context)
		receiver->context = AllocSetContextCreate(receiver->parent, "tailwater rows of a query",
												  ALLOCSET_SMALL_SIZES);

	MemoryContext old = MemoryContextSwitchTo(receiver->context);
	if (!receiver->slot)
		receiver->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(slot->tts_tupleDescriptor),
												  &TTSOpsMinimalTuple);
	receiver->kept = lappend(receiver->kept, ExecCopySlotMinimalTuple(slot));
	MemoryContextSwitchTo(old);
}

/* False where the plan has given too many rows. */
bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	CallbackReceiver *receiver = reinterpret_cast<CallbackReceiver *>(self);

	if (receiver->limit == 0)
		hand_on(receiver, slot);
	else if (list_length(receiver->kept) == receiver->limit)
		receiver->limit = -1;
	else
		keep(receiver, slot);
	return receiver->limit >= 0;
}

void
startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

void
nothing(DestReceiver *self)
{
}

/* Locks the tables, which the planner expects of its caller, and sets the size of the stores. */
bool
prepare_walker(Node *node, double *rows)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, prepare_walker, rows, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION)
			LockRelationOid(rte->relid, rte->rellockmode);
		if (rte->rtekind == RTE_NAMEDTUPLESTORE)
			rte->enrtuples = *rows;
		return false;
	}
	return pg::walk_expression(node, prepare_walker, rows);
}

PlannedStmt *
plan_query(CachedQuery *cached, double rows)
{
	Query *query = (Query *) copyObject(cached->query);

	(void) prepare_walker((Node *) query, &rows);

	PlannedStmt *plan = pg_plan_query(query, "", 0, nullptr);
	plan->jitFlags = PGJIT_NONE;
	return plan;
}

void
lock_relations(PlannedStmt *plan)
{
	ListCell *lc;

	foreach (lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION)
			LockRelationOid(rte->relid, rte->rellockmode);
	}
}

/* The magnitude of a delta, and for how many rows its plan is made. */
int
magnitude(int64 rows, double *planned)
{
	int size = 0;
	int64 below = kFewRows;

	*planned = 1;
	for (; size < kPlanSizes - 1 && rows >= below; size++)
	{
		*planned = (double) below * 2;
		below *= kStep;
	}
	return size;
}

/* Pages of the tables in the plan, which are locked; 0 for what is not a table with pages. */
BlockNumber *
count_pages(const PlannedStmt *plan)
{
	BlockNumber *pages = (BlockNumber *) palloc0(sizeof(BlockNumber) *
												 Max(list_length(plan->rtable), 1));
	int n = 0;
	ListCell *lc;

	foreach (lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION &&
			(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_MATVIEW))
		{
			Relation rel = relation_open(rte->relid, NoLock);

			pages[n] = RelationGetNumberOfBlocks(rel);
			relation_close(rel, NoLock);
		}
		n++;
	}
	return pages;
}

/*
 * True if a table of the plan, which are locked, has become much larger. It is
 * looked at after 1, 2, 4, ... uses and then from time to time, since that is not free.
 */
bool
has_outgrown(CachedPlan *cached)
{
	uint64 uses = ++cached->uses;

	if (uses < kUsesUnseen ? (uses & (uses - 1)) != 0 : uses % kUsesUnseen != 0)
		return false;

	BlockNumber *now = count_pages(cached->plan);
	bool outgrown = false;

	for (int i = 0; i < list_length(cached->plan->rtable); i++)
		outgrown |= now[i] > kGrowth * cached->pages[i] + kSmallGrowth;
	pfree(now);
	return outgrown;
}

/* The plan that was there before stays in memory: it may be running. */
void
fill_plan(CachedQuery *cached, CachedPlan *place, double rows)
{
	PlannedStmt *plan = plan_query(cached, rows);
	MemoryContext old = MemoryContextSwitchTo(cached->context);

	place->plan = (PlannedStmt *) copyObject(plan);
	place->pages = count_pages(plan);
	place->uses = 0;
	MemoryContextSwitchTo(old);
}

PlannedStmt *
get_plan(CachedQuery *cached, int64 rows)
{
	double planned;
	CachedPlan *place = &cached->plans[magnitude(rows, &planned)];

	if (place->plan)
	{
		lock_relations(place->plan);
		if (!*cached->stale && has_outgrown(place))
			fill_plan(cached, place, planned);
	}
	else
		fill_plan(cached, place, planned);
	if (!*cached->stale)
		return place->plan;

	PlannedStmt *fresh = plan_query(cached, (double) rows);
	lock_relations(fresh);
	return fresh;
}

QueryEnvironment *
make_environment(NamedStore *stores, int nstores)
{
	QueryEnvironment *env = create_queryEnv();

	for (int i = 0; i < nstores; i++)
	{
		EphemeralNamedRelation enr = (EphemeralNamedRelation) palloc0(
			sizeof(EphemeralNamedRelationData));

		enr->md.name = pstrdup(stores[i].name);
		enr->md.reliddesc = InvalidOid;
		enr->md.tupdesc = stores[i].desc;
		enr->md.enrtype = ENR_NAMED_TUPLESTORE;
		enr->md.enrtuples = (double) stores[i].nrows;
		enr->reldata = stores[i].rows;
		register_ENR(env, enr);
	}
	return env;
}

} // namespace

CachedQuery *
make_cached_query(Query *query, MemoryContext context, const bool *stale)
{
	CachedQuery *cached = (CachedQuery *) MemoryContextAllocZero(context, sizeof(CachedQuery));

	cached->query = query;
	cached->context = context;
	cached->stale = stale;
	return cached;
}

namespace
{

/* Hands on what was kept, unless the run was given up. */
void
finish(CallbackReceiver *receiver)
{
	ListCell *lc;

	if (!receiver->context)
		return;

	MemoryContext old = MemoryContextSwitchTo(receiver->context);
	if (receiver->limit > 0)
		foreach (lc, receiver->kept)
			hand_on(receiver,
					ExecStoreMinimalTuple((MinimalTuple) lfirst(lc), receiver->slot, false));
	ExecDropSingleTupleTableSlot(receiver->slot);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(receiver->context);
}

/* Runs a plan; false if it gave far more rows than it was made for, and none was handed on. */
bool
run_plan(PlannedStmt *plan, NamedStore *stores, int nstores, CallbackReceiver *receiver)
{
	QueryDesc *desc = CreateQueryDesc(plan, "", GetActiveSnapshot(), InvalidSnapshot,
									  &receiver->pub, nullptr, make_environment(stores, nstores),
									  0);

	standard_ExecutorStart(desc, 0);
	standard_ExecutorRun(desc, ForwardScanDirection, 0, true);
	standard_ExecutorFinish(desc);
	standard_ExecutorEnd(desc);
	FreeQueryDesc(desc);
	finish(receiver);
	return receiver->limit >= 0;
}

/* How many rows the plan may give; 0: any number. */
int64
limit_of(const PlannedStmt *plan)
{
	double expected = plan->planTree->plan_rows;

	return expected > kManyRows ? 0 : Max(kAnyRows, (int64) (expected * kSurprise));
}

} // namespace

void
run_query(CachedQuery *cached, NamedStore *stores, int nstores, WeightColumn weight,
		  RowCallback callback, void *arg)
{
	int64 rows = 0;
	bool done = false;

	for (int i = 0; i < nstores; i++)
		rows += stores[i].nrows;
	for (int i = 0; !done; i++, rows = Max(rows, 1) * kLarger)
	{
		PlannedStmt *plan = get_plan(cached, rows);
		CallbackReceiver receiver = {{receive_row, startup, nothing, nothing, DestNone},
									 callback,
									 arg,
									 weight,
									 i < kTries ? limit_of(plan) : 0,
									 CurrentMemoryContext,
									 nullptr,
									 NIL,
									 nullptr};

		done = run_plan(plan, stores, nstores, &receiver);
	}
}

} // namespace tw::exec
