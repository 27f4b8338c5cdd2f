/*
 * whole_row.cpp - see whole_row.hpp.
 *
 * A delta has a column more than its table, so the row of a table as a value becomes a
 * row of the columns. Dropped columns are among them, since the type has them.
 */
#include "analyze/whole_row.hpp"

namespace tw::analyze
{

namespace
{

struct WholeRowContext
{
	Query *query;
	Index rti; /* 0: of all items */
	int depth; /* of the expression below the query */
};

/* A delta has one column more than its table, so "t.*" as a value is spelled out. */
Node *
whole_row_mutator(Node *node, WholeRowContext *context)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->varattno != InvalidAttrNumber || (int) var->varlevelsup != context->depth ||
			(context->rti > 0 && (Index) var->varno != context->rti))
			return (Node *) copyObject(var);

		RangeTblEntry *rte = rt_fetch(var->varno, context->query->rtable);
		if (rte->rtekind != RTE_RELATION && rte->rtekind != RTE_SUBQUERY)
			return (Node *) copyObject(var);

		RowExpr *row = makeNode(RowExpr);
		List *names = NIL;

		expandRTE(rte, var->varno, var->varlevelsup, var->location, var->vartype != RECORDOID,
				  &names, &row->args);
		row->row_typeid = var->vartype;
		row->row_format = COERCE_IMPLICIT_CAST;
		row->colnames = var->vartype == RECORDOID ? names : NIL;
		row->location = -1;
		return (Node *) row;
	}
	if (IsA(node, Query))
	{
		context->depth++;
		Node *result = (Node *) pg::mutate_query((Query *) node, whole_row_mutator, context, 0);
		context->depth--;
		return result;
	}
	return pg::mutate_expression(node, whole_row_mutator, context);
}

} // namespace

/* What stands in FROM may refer to items before it. */
void
spell_out(Query *query, Index rti)
{
	WholeRowContext context = {query, rti, 0};
	ListCell *lc;

	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY && rte->lateral)
			rte->subquery = castNode(Query, whole_row_mutator((Node *) rte->subquery, &context));
		rte->functions = (List *) whole_row_mutator((Node *) rte->functions, &context);
		rte->values_lists = (List *) whole_row_mutator((Node *) rte->values_lists, &context);
		rte->tablefunc = (TableFunc *) whole_row_mutator((Node *) rte->tablefunc, &context);
		rte->securityQuals = (List *) whole_row_mutator((Node *) rte->securityQuals, &context);
	}
	query->targetList = (List *) whole_row_mutator((Node *) query->targetList, &context);
	query->jointree = (FromExpr *) whole_row_mutator((Node *) query->jointree, &context);
}

void
spell_out_all(Query *query)
{
	ListCell *lc;

	foreach (lc, query->rtable)
		if (lfirst_node(RangeTblEntry, lc)->rtekind == RTE_SUBQUERY)
			spell_out_all(lfirst_node(RangeTblEntry, lc)->subquery);
	spell_out(query, 0);
}

/* ---- tests for null ---- */

namespace
{

/* A column of a row. */
Node *
field_of(const Var *row, AttrNumber attnum, Form_pg_attribute att)
{
	if (row->varattno == InvalidAttrNumber)
		return (Node *) makeVar(row->varno, attnum, att->atttypid, att->atttypmod,
								att->attcollation, row->varlevelsup);

	FieldSelect *field = makeNode(FieldSelect);
	field->arg = (Expr *) copyObject(row);
	field->fieldnum = attnum;
	field->resulttype = att->atttypid;
	field->resulttypmod = att->atttypmod;
	field->resultcollid = att->attcollation;
	return (Node *) field;
}

/* The columns of a row that are there; NIL if none was dropped. */
List *
live_columns(const Var *row)
{
	TupleDesc desc = lookup_rowtype_tupdesc(row->vartype, row->vartypmod);
	List *columns = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped)
			columns = lappend(columns, field_of(row, i + 1, att));
	}
	bool all = list_length(columns) == desc->natts;
	ReleaseTupleDesc(desc);
	return all ? NIL : columns;
}

/* A whole row, or one that a subquery shows, which may be a whole row there. */
bool
is_row_of_type(const Node *node)
{
	const Var *var = (const Var *) node;

	return IsA(node, Var) && var->vartype != RECORDOID &&
		   get_typtype(var->vartype) == TYPTYPE_COMPOSITE;
}

Node *
live_columns_mutator(Node *node, void *unused)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
		return (Node *) pg::mutate_query((Query *) node, live_columns_mutator, unused, 0);

	NullTest *test = (NullTest *) node;
	if (!IsA(node, NullTest) || !test->argisrow || !is_row_of_type((Node *) test->arg))
		return pg::mutate_expression(node, live_columns_mutator, unused);

	NullTest *result = (NullTest *) copyObject(test);
	List *columns = live_columns((const Var *) test->arg);
	if (columns == NIL)
		return (Node *) result;

	RowExpr *row = makeNode(RowExpr);
	row->args = columns;
	row->row_typeid = RECORDOID;
	row->row_format = COERCE_IMPLICIT_CAST;
	for (int i = 1; i <= list_length(columns); i++)
		row->colnames = lappend(row->colnames, makeString(psprintf("f%d", i)));
	row->location = -1;
	result->arg = (Expr *) row;
	return (Node *) result;
}

} // namespace

Query *
test_live_columns(Query *query)
{
	return pg::mutate_query(query, live_columns_mutator, (void *) nullptr, 0);
}

} // namespace tw::analyze
