/*
 * state_tables.cpp - the state tables of a view's operators.
 */
#include "maintain/attach_steps.hpp"
#include "catalog/internal_table.hpp"
#include "state/aggregate.hpp"

namespace tw::maintain
{

using analyze::Strategy;
using analyze::ViewPlan;

namespace
{

/* The state table of an operator of the view: 0 for its groups, then its distinct inputs. */
void
create_state_table(const ViewPlan *plan, int number)
{
	char *name = number == 0 ? psprintf("state_%u", plan->view)
							 : psprintf("state_%u_%d", plan->view, number);
	Oid table = catalog::create_internal_table(name, state::state_descriptor(plan));
	List *columns = NIL;
	Datum values[3] = {ObjectIdGetDatum(plan->view), Int32GetDatum(number),
					   ObjectIdGetDatum(table)};
	bool nulls[3] = {false, false, false};

	for (int i = 1; i <= plan->ngroup; i++)
		columns = lappend_int(columns, i);
	if (columns != NIL)
		(void) catalog::create_lookup_index(table, psprintf("%s_key", name), columns,
											catalog::Uniqueness::kUnique);
	insert_internal("state", values, nulls);
}

} // namespace

void
create_state(const ViewPlan *plan)
{
	if (plan->strategy != Strategy::kAggregate)
		return;
	create_state_table(plan, 0);
	for (int i = 0; i < plan->ndistinct; i++)
		create_state_table(plan->distinct[i].plan, i + 1);
}

} // namespace tw::maintain
