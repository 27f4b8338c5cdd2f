/*
 * generated.cpp - stored generated columns that a transition table lacks.
 *
 * A row that is inserted by way of a partitioned table is put into the transition
 * table as it came, if nothing of the partition could have changed it before; where
 * the partition's columns are laid out in another way, generated columns are computed in a
 * copy of the row only. They depend on nothing but the row, so they are computed here once more.
 */
#include "capture/generated.hpp"
#include "capture/delta.hpp"

namespace tw::capture
{

namespace
{

bool
is_generated(TupleDesc desc, int i)
{
	return TupleDescAttr(desc, i)->attgenerated == ATTRIBUTE_GENERATED_STORED;
}

} // namespace

bool
lacks_generated_columns(Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && constr &&
		   constr->has_generated_stored;
}

Tuplestorestate *
with_generated_columns(Relation rel, Tuplestorestate *rows)
{
	TupleDesc desc = RelationGetDescr(rel);
	EState *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	ExprState **columns = (ExprState **) palloc0(sizeof(ExprState *) * desc->natts);
	TupleTableSlot *row = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	TupleTableSlot *result = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	Tuplestorestate *store = begin_store(TopTransactionResourceOwner);

	for (int i = 0; i < desc->natts; i++)
		if (is_generated(desc, i))
			columns[i] = ExecPrepareExpr((Expr *) build_column_default(rel, i + 1), estate);
	(void) rewound_pointer(rows);
	while (tuplestore_gettupleslot(rows, true, false, row))
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		ExecCopySlot(result, row);
		slot_getallattrs(result);
		econtext->ecxt_scantuple = row;
		for (int i = 0; i < desc->natts; i++)
			if (columns[i])
				result->tts_values[i] = ExecEvalExprSwitchContext(columns[i], econtext,
																  &result->tts_isnull[i]);
		tuplestore_puttupleslot(store, result);
	}
	ExecDropSingleTupleTableSlot(row);
	ExecDropSingleTupleTableSlot(result);
	FreeExecutorState(estate);
	return store;
}

} // namespace tw::capture
