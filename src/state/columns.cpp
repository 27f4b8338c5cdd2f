/*
 * columns.cpp - the columns of an aggregate operator's input, groups, results and state table.
 */
#include "state/columns.hpp"
#include "state/accumulator.hpp"
#include "state/aggregate.hpp"
#include "state/packed.hpp"

namespace tw::state
{

using analyze::AggregateKind;
using analyze::AggregateSpec;
using analyze::ViewPlan;

int
state_natts(const ViewPlan *plan)
{
	int natts = plan->ngroup + 1;

	for (int i = 0; i < plan->naggregates; i++)
		natts += plan->aggregates[i].nstate;
	return natts;
}

/* Whether the next best is known depends on what happened to the group. */
Bitmapset *
incidental_columns(const ViewPlan *plan)
{
	Bitmapset *columns = nullptr;

	/* They are not columns of their own there. */
	if (state_layout(state_columns(plan), plan->ngroup + 1).packed)
		return nullptr;
	for (int i = 0; i < plan->naggregates; i++)
	{
		const AggregateSpec *spec = &plan->aggregates[i];

		if (spec->kind == AggregateKind::kMin || spec->kind == AggregateKind::kMax)
			columns = bms_add_range(columns, spec->state + 2, spec->state + 3);
	}
	return columns;
}

TupleDesc
key_descriptor(const ViewPlan *plan)
{
	TupleDesc desc = CreateTemplateTupleDesc(plan->ngroup);

	for (int i = 1; i <= plan->ngroup; i++)
	{
		Node *expr = (Node *) list_nth_node(TargetEntry, plan->input->query->targetList, i - 1)
						 ->expr;

		TupleDescInitEntry(desc, i, psprintf("k%d", i), exprType(expr), exprTypmod(expr), 0);
		TupleDescInitEntryCollation(desc, i, exprCollation(expr));
	}
	return desc;
}

TupleDesc
result_descriptor(const ViewPlan *plan, TupleDesc keys)
{
	TupleDesc desc = CreateTemplateTupleDesc(plan->ngroup + plan->naggregates);

	for (int i = 1; i <= plan->ngroup; i++)
		TupleDescCopyEntry(desc, i, keys, i);
	for (int i = 0; i < plan->naggregates; i++)
	{
		Node *agg = (Node *) plan->aggregates[i].aggref;
		AttrNumber attno = plan->ngroup + i + 1;

		TupleDescInitEntry(desc, attno, psprintf("a%d", i + 1), exprType(agg), exprTypmod(agg), 0);
		TupleDescInitEntryCollation(desc, attno, exprCollation(agg));
	}
	return desc;
}

TupleDesc
input_descriptor(const ViewPlan *plan)
{
	TupleDesc block = ExecTypeFromTL(plan->input->query->targetList);

	if (plan->ndistinct == 0)
		return block;

	TupleDesc desc = CreateTemplateTupleDesc(block->natts + 1);
	for (int i = 1; i <= block->natts; i++)
		TupleDescCopyEntry(desc, i, block, i);
	TupleDescInitEntry(desc, desc->natts, "distinct", INT4OID, -1, 0);
	return desc;
}

TupleDesc
state_columns(const ViewPlan *plan)
{
	TupleDesc keys = key_descriptor(plan);
	TupleDesc desc = CreateTemplateTupleDesc(state_natts(plan));
	AttrNumber attno = plan->ngroup + 1;

	for (int i = 1; i <= plan->ngroup; i++)
		TupleDescCopyEntry(desc, i, keys, i);
	TupleDescInitEntry(desc, attno, "n", INT8OID, -1, 0);
	for (int i = 0; i < plan->naggregates; i++)
	{
		const AggregateSpec *spec = &plan->aggregates[i];

		for (int j = 0; j < spec->nstate; j++)
		{
			attno++;
			TupleDescInitEntry(desc, attno, psprintf("s%d_%d", i + 1, j + 1), state_type(spec, j),
							   -1, 0);
			if (state_type(spec, j) == spec->argtype)
				TupleDescInitEntryCollation(desc, attno, spec->collation);
		}
	}
	return desc;
}

TupleDesc
state_descriptor(const ViewPlan *plan)
{
	return stored_descriptor(state_layout(state_columns(plan), plan->ngroup + 1));
}

} // namespace tw::state
