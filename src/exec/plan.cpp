/*
 * plan.cpp - plans and runs Query trees over named tuplestores.
 *
 * Plans are made by the server's planner and kept for the session with the
 * view they belong to; there is no text, no SPI and no plan cache of the server
 * between. A plan is made for each magnitude of the delta, since the best join
 * order differs: with one row everything is looked up by index, with hundreds
 * the delta itself must not be read again for each of its rows. The relations
 * of a plan are locked before it starts, as the plan cache would do; if that
 * brings news of a change, the query is planned again for this run, and the
 * owner of the view's plan rebuilds it at the next statement.
 */
#include "exec/plan.hpp"

namespace tw::exec
{

namespace
{

/* A plan for deltas of fewer rows than `below` is made for `planned` rows; 0: for those of the first one. */
struct Magnitude
{
	int64 below;
	double planned;
};

const Magnitude kMagnitudes[kPlanSizes] = {{16, 1}, {1000, 100}, {30000, 0}, {PG_INT64_MAX, 0}};

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

PlannedStmt *
get_plan(CachedQuery *cached, int64 rows)
{
	int size = 0;

	while (size < kPlanSizes - 1 && rows >= kMagnitudes[size].below)
		size++;

	PlannedStmt **place = &cached->plans[size];
	double planned = kMagnitudes[size].planned;

	if (*place == nullptr)
	{
		PlannedStmt *plan = plan_query(cached, planned > 0 ? planned : (double) rows);
		MemoryContext old = MemoryContextSwitchTo(cached->context);

		*place = (PlannedStmt *) copyObject(plan);
		MemoryContextSwitchTo(old);
	}
	lock_relations(*place);
	if (!*cached->stale)
		return *place;

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
