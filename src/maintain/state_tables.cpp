/*
 * state_tables.cpp - the state tables of a view's operators.
 */
#include "maintain/attach_steps.hpp"
#include "catalog/internal_table.hpp"
#include "state/aggregate.hpp"
#include "state/top_k.hpp"

namespace tw::maintain
{

using analyze::Strategy;
using analyze::ViewPlan;

namespace
{

/* A table for groups, with an index on what tells them apart; returns that one, too. */
Oid
create_groups_table(const ViewPlan *plan, const char *name, Oid *index)
{
	Oid table = catalog::create_internal_table(name, state::state_descriptor(plan));
	List *columns = NIL;

	for (int i = 1; i <= plan->ngroup; i++)
		columns = lappend_int(columns, i);
	*index = columns == NIL ? InvalidOid
							: catalog::create_lookup_index(table, psprintf("%s_key", name), columns,
														   catalog::Uniqueness::kUnique);
	return table;
}

void
record_state_table(Oid view, int number, Oid table)
{
	Datum values[3] = {ObjectIdGetDatum(view), Int32GetDatum(number), ObjectIdGetDatum(table)};

	insert_internal("state", values);
}

/* The state table of an operator of the view: 0 for its groups, then its distinct inputs. */
void
create_state_table(const ViewPlan *plan, int number)
{
	char *name = number == 0 ? psprintf("state_%u", plan->view)
							 : psprintf("state_%u_%d", plan->view, number);
	Oid index;

	record_state_table(plan->view, number, create_groups_table(plan, name, &index));
}

/* The boundaries of a LIMIT, which are told by a number. */
void
create_boundaries_table(const ViewPlan *plan)
{
	char *name = psprintf("state_%u", plan->view);
	Oid table = catalog::create_internal_table(name, state::boundary_descriptor(plan));

	(void) catalog::create_lookup_index(table, psprintf("%s_key", name), list_make1_int(1),
										catalog::Uniqueness::kUnique);
	record_state_table(plan->view, 0, table);
}

} // namespace

void
create_state(const ViewPlan *plan)
{
	if (plan->limits)
		create_boundaries_table(plan);
	if (plan->strategy != Strategy::kAggregate)
		return;
	create_state_table(plan, 0);
	for (int i = 0; i < plan->ndistinct; i++)
		create_state_table(plan->distinct[i].plan, i + 1);
}

SpareState
create_spare_state(const ViewRuntime *view)
{
	const ViewPlan *plan = view->plan;
	SpareState spare = {nullptr, NIL};
	Oid index;
	Oid table = create_groups_table(plan, psprintf("spare_%u", plan->view), &index);

	spare.tables = lappend_oid(spare.tables, table);
	CommandCounterIncrement();
	spare.op = state::make_aggregate_operator(plan, table, index, view->desc, &view->stale);
	for (int i = 0; i < plan->ndistinct; i++)
	{
		const ViewPlan *part = plan->distinct[i].plan;

		table = create_groups_table(part, psprintf("spare_%u_%d", plan->view, i + 1), &index);
		spare.tables = lappend_oid(spare.tables, table);
		CommandCounterIncrement();
		state::set_distinct_operator(spare.op, i,
									 state::make_aggregate_operator(part, table, index,
																	ExecTypeFromTL(part->finalize),
																	&view->stale));
	}
	return spare;
}

void
drop_spare_state(const SpareState *spare)
{
	ListCell *lc;

	foreach (lc, spare->tables)
		catalog::drop_internal_table(lfirst_oid(lc));
	CommandCounterIncrement();
}

} // namespace tw::maintain
