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

struct CallbackReceiver
{
	DestReceiver pub;
	RowCallback callback;
	void *arg;
	WeightColumn weight;
};

bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	CallbackReceiver *receiver = reinterpret_cast<CallbackReceiver *>(self);
	int64 weight = 1;

	slot_getallattrs(slot);
	if (receiver->weight == WeightColumn::kLast)
		weight = DatumGetInt64(slot->tts_values[slot->tts_tupleDescriptor->natts - 1]);
	receiver->callback(receiver->arg, slot, weight);
	return true;
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

void
run_query(CachedQuery *cached, NamedStore *stores, int nstores, WeightColumn weight,
		  RowCallback callback, void *arg)
{
	int64 rows = 0;

	for (int i = 0; i < nstores; i++)
		rows += stores[i].nrows;

	PlannedStmt *plan = get_plan(cached, rows);
	CallbackReceiver receiver = {{receive_row, startup, nothing, nothing, DestNone},
								 callback,
								 arg,
								 weight};
	QueryDesc *desc = CreateQueryDesc(plan, "", GetActiveSnapshot(), InvalidSnapshot, &receiver.pub,
									  nullptr, make_environment(stores, nstores), 0);

	standard_ExecutorStart(desc, 0);
	standard_ExecutorRun(desc, ForwardScanDirection, 0, true);
	standard_ExecutorFinish(desc);
	standard_ExecutorEnd(desc);
	FreeQueryDesc(desc);
}

} // namespace tw::exec
