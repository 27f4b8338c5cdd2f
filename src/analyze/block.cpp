/*
 * block.cpp - select-project-join blocks and their delta queries.
 *
 * A block is linear in each of its base tables: filters, projections, inner
 * joins, UNION ALL, and subqueries made of these. So the delta of the block
 * with respect to one occurrence of a table is the block itself, with that
 * occurrence read from the tuplestore of the delta. Weights multiply along
 * joins and travel as a last column through subqueries. Which part of each
 * occurrence a term reads (new, delta, old) comes from circuit::delta_terms;
 * "old" is the signed union of the table and its negated delta.
 *
 * All of it is done on Query trees. The planner later pulls up the subqueries
 * that appear here.
 */
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/join_keys.hpp"

namespace tw::analyze
{

using circuit::Part;

/* ---- linearity ---- */

namespace
{

void
collect_from(Node *node, List **refs)
{
	if (node == nullptr)
		return;
	if (IsA(node, RangeTblRef))
		*refs = lappend_int(*refs, ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, FromExpr))
	{
		ListCell *lc;

		foreach (lc, ((FromExpr *) node)->fromlist)
			collect_from((Node *) lfirst(lc), refs);
	}
	else if (IsA(node, JoinExpr))
	{
		collect_from(((JoinExpr *) node)->larg, refs);
		collect_from(((JoinExpr *) node)->rarg, refs);
	}
	else if (IsA(node, SetOperationStmt))
	{
		collect_from(((SetOperationStmt *) node)->larg, refs);
		collect_from(((SetOperationStmt *) node)->rarg, refs);
	}
}

bool
has_outer_join(Node *node)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
	{
		foreach (lc, ((FromExpr *) node)->fromlist)
			if (has_outer_join((Node *) lfirst(lc)))
				return true;
		return false;
	}
	if (!IsA(node, JoinExpr))
		return false;

	JoinExpr *join = (JoinExpr *) node;
	return join->jointype != JOIN_INNER || has_outer_join(join->larg) || has_outer_join(join->rarg);
}

bool
all_union_all(Node *node)
{
	if (!IsA(node, SetOperationStmt))
		return true;

	SetOperationStmt *setop = (SetOperationStmt *) node;
	return setop->op == SETOP_UNION && setop->all && all_union_all(setop->larg) &&
		   all_union_all(setop->rarg);
}

bool
reads_tables_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, reads_tables_walker, unused, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		return (rte->rtekind == RTE_RELATION && rte->inFromCl) || rte->rtekind == RTE_CTE;
	}
	return pg::walk_expression(node, reads_tables_walker, unused);
}

} // namespace

List *
from_relations(Query *query)
{
	List *refs = NIL;

	collect_from(query->setOperations ? query->setOperations : (Node *) query->jointree, &refs);
	return refs;
}

Bitmapset *
relations_in(Node *from)
{
	List *refs = NIL;
	Bitmapset *relations = nullptr;
	ListCell *lc;

	collect_from(from, &refs);
	foreach (lc, refs)
		relations = bms_add_member(relations, lfirst_int(lc));
	return relations;
}

bool
reads_tables(Query *query)
{
	return reads_tables_walker((Node *) query, nullptr);
}

const char *
not_linear_from(Query *query)
{
	ListCell *lc;

	if (query->cteList != NIL)
		return "a recursive query";
	if (query->setOperations && !all_union_all(query->setOperations))
		return "a set operation";
	if (query->hasSubLinks)
		return "a subquery in an expression";
	if (!query->setOperations && has_outer_join((Node *) query->jointree))
		return "an outer join";

	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		switch (rte->rtekind)
		{
			case RTE_RELATION:
			case RTE_RESULT:
			case RTE_VALUES:
			case RTE_FUNCTION:
			case RTE_TABLEFUNC:
				break;
			case RTE_SUBQUERY:
				if (reads_tables_walker((Node *) rte->subquery, nullptr))
				{
					const char *reason = not_linear(rte->subquery);

					if (reason)
						return reason;
				}
				break;
			default:
				return "a kind of FROM item that has no delta rule";
		}
	}
	return nullptr;
}

const char *
not_linear(Query *query)
{
	if (query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL ||
		query->havingQual)
		return "aggregation in a subquery";
	if (query->hasWindowFuncs)
		return "a window function";
	if (query->distinctClause != NIL)
		return "DISTINCT in a subquery";
	if (query->limitCount || query->limitOffset)
		return "LIMIT";
	return not_linear_from(query);
}

/* ---- occurrences ---- */

namespace
{

struct UsedContext
{
	Index rti;
	int levels_up;
	Bitmapset *used;
};

bool
used_walker(Node *node, UsedContext *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->varno == context->rti && var->varlevelsup == context->levels_up)
			context->used = bms_add_member(context->used,
										   var->varattno - FirstLowInvalidHeapAttributeNumber);
		return false;
	}
	if (IsA(node, Query))
	{
		context->levels_up++;
		bool result = pg::walk_query((Query *) node, used_walker, context, QTW_IGNORE_JOINALIASES);
		context->levels_up--;
		return result;
	}
	return pg::walk_expression(node, used_walker, context);
}

} // namespace

Bitmapset *
columns_used(Query *query, int rti)
{
	UsedContext context = {(Index) rti, 0, nullptr};

	/* Alias variables were replaced; the aliases of a join name all columns. */
	(void) pg::walk_query(query, used_walker, &context, QTW_IGNORE_JOINALIASES);
	return context.used;
}

namespace
{

struct Occurrences
{
	List *relids;
	List *used; /* Bitmapsets */
};

void
collect_occurrences(Query *query, Occurrences *found)
{
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		int rti = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind == RTE_SUBQUERY && reads_tables_walker((Node *) rte->subquery, nullptr))
			collect_occurrences(rte->subquery, found);
		else if (rte->rtekind == RTE_RELATION)
		{
			found->relids = lappend_oid(found->relids, rte->relid);
			found->used = lappend(found->used, columns_used(query, rti));
		}
	}
}

/* ---- whole-row variables ---- */

struct WholeRowContext
{
	Query *query;
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

		if (var->varattno != InvalidAttrNumber || var->varlevelsup != 0)
			return (Node *) copyObject(var);

		RangeTblEntry *rte = rt_fetch(var->varno, context->query->rtable);
		if (rte->rtekind != RTE_RELATION && rte->rtekind != RTE_SUBQUERY)
			return (Node *) copyObject(var);

		RowExpr *row = makeNode(RowExpr);
		List *names = NIL;

		expandRTE(rte, var->varno, 0, var->location, var->vartype != RECORDOID, &names, &row->args);
		row->row_typeid = var->vartype;
		row->row_format = COERCE_IMPLICIT_CAST;
		row->colnames = var->vartype == RECORDOID ? names : NIL;
		row->location = -1;
		return (Node *) row;
	}
	return pg::mutate_expression(node, whole_row_mutator, context);
}

void
expand_whole_rows(Query *query)
{
	WholeRowContext context = {query};
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (rte->rtekind == RTE_SUBQUERY)
			expand_whole_rows(rte->subquery);
	}
	query->targetList = (List *) whole_row_mutator((Node *) query->targetList, &context);
	query->jointree = (FromExpr *) whole_row_mutator((Node *) query->jointree, &context);
}

/* The order of rows means nothing to a block; neither do columns that were there for ordering only. */
void
drop_ordering(Query *query)
{
	List *targets = NIL;
	ListCell *lc;

	query->sortClause = NIL;
	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->ressortgroupref = 0;
		if (!tle->resjunk)
			targets = lappend(targets, tle);
	}
	query->targetList = targets;
	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (rte->rtekind == RTE_SUBQUERY && reads_tables_walker((Node *) rte->subquery, nullptr))
			drop_ordering(rte->subquery);
	}
}

/* The relation of a query that is nothing but one relation, or 0. */
Index
native_relation(Query *query)
{
	List *refs = from_relations(query);

	if (query->setOperations || query->hasTargetSRFs || list_length(refs) != 1)
		return 0;

	RangeTblEntry *rte = rt_fetch(linitial_int(refs), query->rtable);
	if (rte->rtekind != RTE_RELATION || rte->securityQuals != NIL)
		return 0;
	return linitial_int(refs);
}

} // namespace

Block *
make_block(Query *query)
{
	Block *block = (Block *) palloc0(sizeof(Block));
	Occurrences found = {NIL, NIL};

	drop_ordering(query);
	expand_whole_rows(query);
	collect_occurrences(query, &found);

	block->query = query;
	block->noccurrences = list_length(found.relids);
	block->relids = (Oid *) palloc(sizeof(Oid) * Max(block->noccurrences, 1));
	block->used = (Bitmapset **) palloc(sizeof(Bitmapset *) * Max(block->noccurrences, 1));
	for (int i = 0; i < block->noccurrences; i++)
	{
		block->relids[i] = list_nth_oid(found.relids, i);
		block->used[i] = (Bitmapset *) list_nth(found.used, i);
	}
	block->native_rti = native_relation(query);
	find_join_keys(block);
	return block;
}

Block *
make_opaque_block(Query *query)
{
	Block *block = (Block *) palloc0(sizeof(Block));

	block->query = query;
	return block;
}

/* ---- delta queries ---- */

char *
delta_name(Oid relid)
{
	return psprintf("tailwater delta %u", relid);
}

char *
part_name(Oid relid, Part part)
{
	if (part == Part::kGone)
		return psprintf("tailwater gone %u", relid);
	if (part == Part::kFormer)
		return psprintf("tailwater change %u", relid);
	return delta_name(relid);
}

TupleDesc
delta_descriptor(TupleDesc relation)
{
	TupleDesc desc = CreateTemplateTupleDesc(relation->natts + 1);

	for (int i = 1; i <= relation->natts; i++)
		TupleDescCopyEntry(desc, i, relation, i);
	TupleDescInitEntry(desc, relation->natts + 1, kWeightName, INT8OID, -1, 0);
	return desc;
}

namespace
{

struct Rewriting
{
	const Block *block;
	const Part *parts;
	int next; /* occurrence */
};

Node *
weight_const(int64 value)
{
	return (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false,
							  FLOAT8PASSBYVAL);
}

Node *
multiply(Node *left, Node *right)
{
	if (left == nullptr)
		return right;
	if (right == nullptr)
		return left;
	return (Node *) makeFuncExpr(F_INT8MUL, INT8OID, list_make2(left, right), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

/* Fills the columns of a range table entry that reads a named tuplestore with the descriptor. */
void
become_tuplestore(RangeTblEntry *rte, const char *name, TupleDesc desc)
{
	rte->rtekind = RTE_NAMEDTUPLESTORE;
	rte->enrname = pstrdup(name);
	rte->enrtuples = 1;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->inh = false;
	rte->subquery = nullptr;
	rte->coltypes = NIL;
	rte->coltypmods = NIL;
	rte->colcollations = NIL;
	rte->eref = makeAlias(name, NIL);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool dropped = att->attisdropped;

		rte->coltypes = lappend_oid(rte->coltypes, dropped ? InvalidOid : att->atttypid);
		rte->coltypmods = lappend_int(rte->coltypmods, dropped ? 0 : att->atttypmod);
		rte->colcollations = lappend_oid(rte->colcollations,
										 dropped ? InvalidOid : att->attcollation);
		rte->eref->colnames = lappend(rte->eref->colnames,
									  makeString(pstrdup(dropped ? "" : NameStr(att->attname))));
	}
	pg::clear_permissions(rte);
}

/* SELECT column 1, ..., column n, weight FROM rte, as an arm of the signed union. */
Query *
union_arm(RangeTblEntry *rte, TupleDesc desc, Node *weight)
{
	Query *arm = select_from(rte);

	for (int i = 1; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i - 1);
		Expr *expr = att->attisdropped ? (Expr *) makeNullConst(INT4OID, -1, InvalidOid)
									   : (Expr *) makeVar(1, i, att->atttypid, att->atttypmod,
														  att->attcollation, 0);

		arm->targetList = lappend(arm->targetList,
								  makeTargetEntry(expr, i, pstrdup(NameStr(att->attname)), false));
	}
	arm->targetList = lappend(arm->targetList, makeTargetEntry((Expr *) weight, desc->natts,
															   pstrdup(kWeightName), false));
	return arm;
}

/* Turns an entry for a table into the signed union of the table and its negated delta, of that name. */
void
become_old(RangeTblEntry *rte, Query *parent, const char *name, TupleDesc desc)
{
	RangeTblEntry *table = (RangeTblEntry *) copyObject(rte);
	RangeTblEntry *delta = (RangeTblEntry *) copyObject(rte);
	Query *arm;
	Query *negated;

	table->securityQuals = NIL;
	delta->securityQuals = NIL;
	become_tuplestore(delta, name, desc);

	arm = union_arm(table, desc, weight_const(1));
	pg::copy_permissions(arm, table, parent);
	negated = union_arm(delta, desc,
						(Node *) makeFuncExpr(F_INT8UM, INT8OID,
											  list_make1(
												  makeVar(1, desc->natts, INT8OID, -1, 0, 0)),
											  InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
	/*
	 * OFFSET 0 keeps the planner from pulling the arm up: it can look rows of the
	 * union up in an index of the table for each row of another relation only if
	 * the other arm can be given the condition too, which it can to a subquery but
	 * not to a tuplestore.
	 */
	negated->limitOffset = weight_const(0);
	Query *both = union_all(list_make2(arm, negated));

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = both;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->inh = false;
	rte->relid = InvalidOid;
	rte->eref = from_item(both, rte->eref->aliasname)->eref;
	pg::clear_permissions(rte);
}

/* Rewrites one occurrence of a table; returns its weight, null where it is 1. */
Node *
rewrite_occurrence(Query *query, int rti, Rewriting *rewriting)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	Part part = rewriting->parts[rewriting->next++];

	if (part == Part::kNew)
		return nullptr;

	Relation rel = table_open(rte->relid, AccessShareLock);
	TupleDesc desc = delta_descriptor(RelationGetDescr(rel));

	table_close(rel, NoLock);
	if (part == Part::kDelta || part == Part::kGone)
		become_tuplestore(rte, part_name(rte->relid, part), desc);
	else
		become_old(rte, query, part_name(rte->relid, part), desc);
	return (Node *) makeVar(rti, desc->natts, INT8OID, -1, InvalidOid, 0);
}

bool
any_part(const Rewriting *rewriting, int from, int upto, bool (*test)(Part))
{
	for (int i = from; i < upto; i++)
		if (test(rewriting->parts[i]))
			return true;
	return false;
}

bool
is_delta(Part part)
{
	return part == Part::kDelta || part == Part::kGone;
}

int
count_occurrences(Query *query)
{
	Occurrences found = {NIL, NIL};

	collect_occurrences(query, &found);
	return list_length(found.relids);
}

void add_weight(Query *query, Rewriting *rewriting);

void
append_weight_column(Query *query, Node *weight)
{
	query->targetList = lappend(query->targetList,
								makeTargetEntry((Expr *) (weight ? weight : weight_const(1)),
												list_length(query->targetList) + 1,
												pstrdup(kWeightName), false));
}

void
extend_setop(Node *node)
{
	if (!IsA(node, SetOperationStmt))
		return;

	SetOperationStmt *setop = (SetOperationStmt *) node;

	setop->colTypes = lappend_oid(setop->colTypes, INT8OID);
	setop->colTypmods = lappend_int(setop->colTypmods, -1);
	setop->colCollations = lappend_oid(setop->colCollations, InvalidOid);
	extend_setop(setop->larg);
	extend_setop(setop->rarg);
}

/* UNION ALL: where the delta is in one arm, the others give nothing. */
void
add_weight_to_union(Query *query, Rewriting *rewriting)
{
	List *arms = from_relations(query);
	int first = rewriting->next;
	bool has_delta = any_part(rewriting, first, first + count_occurrences(query), is_delta);
	ListCell *lc;

	foreach (lc, arms)
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);
		int begin = rewriting->next;

		if (reads_tables_walker((Node *) rte->subquery, nullptr))
			add_weight(rte->subquery, rewriting);
		else
			append_weight_column(rte->subquery, nullptr);
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(kWeightName)));
		if (has_delta && !any_part(rewriting, begin, rewriting->next, is_delta))
		{
			Query *none = makeNode(Query);

			/* SELECT nulls WHERE false, with the arm's types */
			none->commandType = CMD_SELECT;
			none->canSetTag = true;
			none->jointree = makeFromExpr(NIL, makeBoolConst(false, false));
			ListCell *cell;
			foreach (cell, rte->subquery->targetList)
			{
				TargetEntry *tle = lfirst_node(TargetEntry, cell);
				Node *expr = (Node *) tle->expr;

				if (tle->resjunk)
					continue;
				none->targetList = lappend(
					none->targetList,
					makeTargetEntry((Expr *) makeNullConst(exprType(expr), exprTypmod(expr),
														   exprCollation(expr)),
									list_length(none->targetList) + 1,
									pstrdup(tle->resname ? tle->resname : "?column?"), false));
			}
			rte->subquery = none;
		}
	}
	extend_setop(query->setOperations);
	append_weight_column(query,
						 (Node *) makeVar(linitial_int(arms), list_length(query->targetList) + 1,
										  INT8OID, -1, InvalidOid, 0));
}

/* Rewrites a query's occurrences as the term says and appends their weight as a last column. */
void
add_weight(Query *query, Rewriting *rewriting)
{
	Node *weight = nullptr;
	ListCell *lc;

	if (query->setOperations)
	{
		add_weight_to_union(query, rewriting);
		return;
	}
	foreach (lc, from_relations(query))
	{
		int rti = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind == RTE_RELATION)
			weight = multiply(weight, rewrite_occurrence(query, rti, rewriting));
		else if (rte->rtekind == RTE_SUBQUERY &&
				 reads_tables_walker((Node *) rte->subquery, nullptr))
		{
			add_weight(rte->subquery, rewriting);
			rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(kWeightName)));
			weight = multiply(weight, (Node *) makeVar(rti, list_length(rte->subquery->targetList),
													   INT8OID, -1, InvalidOid, 0));
		}
	}
	append_weight_column(query, weight);
}

} // namespace

Query *
delta_query(const Block *block, const Part *parts)
{
	Query *query = (Query *) copyObject(block->query);
	Rewriting rewriting = {block, parts, 0};

	add_weight(query, &rewriting);
	return query;
}

void
read_delta(Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	Relation rel = table_open(rte->relid, AccessShareLock);

	become_tuplestore(rte, delta_name(rte->relid), delta_descriptor(RelationGetDescr(rel)));
	table_close(rel, NoLock);
}

void
read_before_and_after(Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	Relation rel = table_open(rte->relid, AccessShareLock);

	/* The weights of the signed union do not matter here, only that the rows are there. */
	become_old(rte, query, delta_name(rte->relid), delta_descriptor(RelationGetDescr(rel)));
	table_close(rel, NoLock);
}

AttrNumber
find_target(List *targets, Node *expr)
{
	ListCell *lc;

	foreach (lc, targets)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (equal(tle->expr, expr))
			return tle->resno;
	}
	return InvalidAttrNumber;
}

/* ---- restriction to keys ---- */

namespace
{

Node *
key_matches(Node *expr, Oid opno, Var *key, NullKeys nulls)
{
	OpExpr *equal_keys = makeNode(OpExpr);

	equal_keys->opno = opno;
	equal_keys->opfuncid = get_opcode(opno);
	equal_keys->opresulttype = BOOLOID;
	equal_keys->inputcollid = exprCollation(expr);
	equal_keys->args = list_make2(copyObject(expr), key);
	equal_keys->location = -1;
	if (nulls == NullKeys::kNeverMatch)
		return (Node *) equal_keys;

	NullTest *left = makeNode(NullTest);
	NullTest *right = makeNode(NullTest);

	left->arg = (Expr *) copyObject(expr);
	right->arg = (Expr *) copyObject(key);
	left->nulltesttype = right->nulltesttype = IS_NULL;
	left->argisrow = right->argisrow = false;
	left->location = right->location = -1;
	return (Node *) makeBoolExpr(OR_EXPR,
								 list_make2(equal_keys,
											makeBoolExpr(AND_EXPR, list_make2(left, right), -1)),
								 -1);
}

} // namespace

int
read_keys(Query *query, List *exprs)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	TupleDesc desc = CreateTemplateTupleDesc(list_length(exprs));
	ListCell *lc;
	int i = 0;

	foreach (lc, exprs)
	{
		Node *expr = (Node *) lfirst(lc);

		i++;
		TupleDescInitEntry(desc, i, psprintf("k%d", i), exprType(expr), exprTypmod(expr), 0);
		TupleDescInitEntryCollation(desc, i, exprCollation(expr));
	}
	become_tuplestore(rte, kKeysName, desc);
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	ref->rtindex = list_length(query->rtable);
	query->jointree->fromlist = lappend(query->jointree->fromlist, ref);
	return ref->rtindex;
}

void
restrict_to_keys(Query *query, List *exprs, List *operators, NullKeys nulls)
{
	int rti = read_keys(query, exprs);
	List *quals = NIL;
	ListCell *lc;
	ListCell *lc2;
	int i = 0;

	forboth (lc, exprs, lc2, operators)
	{
		Node *expr = (Node *) lfirst(lc);
		Var *key;

		i++;
		key = makeVar(rti, i, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
		quals = lappend(quals, key_matches(expr, lfirst_oid(lc2), key, nulls));
	}
	if (query->jointree->quals)
		quals = lcons(query->jointree->quals, quals);
	query->jointree->quals = (Node *) make_ands_explicit(quals);
}

} // namespace tw::analyze
