/*
 * delta_query.cpp - the delta queries of a block.
 *
 * The delta of a block with respect to one occurrence of a table is the block
 * itself, with that occurrence read from the tuplestore of the delta. Weights
 * multiply along joins and travel as a last column through subqueries. Which part
 * of each occurrence a term reads (new, delta, old) comes from circuit::delta_terms;
 * "old" is the signed union of the table and its negated delta.
 *
 * Where an outer join shows nulls for the occurrence, there are three terms. The rows
 * that match are those of the inner join. Of the other side, the rows that match one that
 * went and none of those that are there now come with nulls; and the rows that match one that came
 * and none of those that were there before go with nulls. The last term is run under the old snapshot.
 *
 * All of it is done on Query trees. The planner later pulls up the subqueries
 * that appear here.
 */
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/outer_join.hpp"
#include "analyze/whole_row.hpp"

namespace tw::analyze
{

using circuit::Part;

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
	const Part *parts;
	int next; /* occurrence */
	Match match;
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

} // namespace

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

namespace
{

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

	/* A delta has one column more than its table. */
	spell_out(query, rti);
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

bool
is_rewritten(Part part)
{
	return part != Part::kNew;
}

/* Number of occurrences in an item of FROM. */
int
occurrences_in(Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);

	if (rte->rtekind == RTE_SUBQUERY && is_transparent(rte->subquery))
		return count_occurrences(rte->subquery);
	return rte->rtekind == RTE_RELATION;
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

		if (reads_tables(rte->subquery))
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

/*
 * The rows of an outer join's side, changed in the item, that match a row of the
 * other side: SELECT their weights. begin: number of the query's first occurrence.
 */
Query *
changed_matches(Query *query, JoinExpr *join, int rti, const Rewriting *rewriting, int begin)
{
	Query *matches = matches_of(query, join, rti);
	Bitmapset *side = relations_in((Node *) matches->jointree);
	Rewriting changes = {rewriting->parts, begin, Match::kAny};
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		if (bms_is_member(lfirst_int(lc), side))
			break;
		changes.next += occurrences_in(query, lfirst_int(lc));
	}
	add_weight(matches, &changes);
	return matches;
}

/* EXISTS (subquery), or its negation. */
Node *
exists(Query *subquery, bool negated)
{
	SubLink *sublink = makeNode(SubLink);

	sublink->subLinkType = EXISTS_SUBLINK;
	sublink->subselect = (Node *) subquery;
	sublink->location = -1;
	return negated ? (Node *) makeBoolExpr(NOT_EXPR, list_make1(sublink), -1) : (Node *) sublink;
}

/* The same, with those weights only that compare with 0 in this way. */
Query *
with_weight(Query *changes, Oid function)
{
	Node *weight = (Node *) llast_node(TargetEntry, changes->targetList)->expr;
	Node *test = (Node *) makeFuncExpr(function, BOOLOID,
									   list_make2(copyObject(weight), weight_const(0)), InvalidOid,
									   InvalidOid, COERCE_EXPLICIT_CALL);

	changes->jointree->quals = (Node *) make_ands_explicit(
		list_make2(changes->jointree->quals ? changes->jointree->quals : makeBoolConst(true, false),
				   test));
	return changes;
}

/*
 * Leaves of the query the rows of the join's other side that match a row that went, or came, and
 * none of those that are there: afterwards, or before.
 */
void
keep_turning(Query *query, JoinExpr *join, int rti, Rewriting *rewriting)
{
	int begin = rewriting->next;
	int end = begin + count_occurrences(query);
	bool lost = rewriting->match == Match::kLost;
	Query *changes = changed_matches(query, join, rti, rewriting, begin);
	Query *present = matches_of(query, join, rti);

	append_weight_column(present, nullptr);
	keep_unmatched(query, join, rti,
				   list_make2(exists(with_weight(changes, lost ? F_INT8LT : F_INT8GT), false),
							  exists(present, true)));
	append_weight_column(query, weight_const(lost ? 1 : -1));
	rewriting->next = end;
}

/* The outer join that shows nulls for the item with the delta, which is *rti; null: none in this query. */
JoinExpr *
join_to_split(Query *query, const Rewriting *rewriting, int *rti)
{
	int next = rewriting->next;
	ListCell *lc;

	if (rewriting->match == Match::kAny)
		return nullptr;
	foreach (lc, from_relations(query))
	{
		int n = occurrences_in(query, lfirst_int(lc));

		if (any_part(rewriting, next, next + n, is_delta))
		{
			List *joins = nulling_joins(query, lfirst_int(lc));

			*rti = lfirst_int(lc);
			return joins == NIL ? nullptr : (JoinExpr *) linitial(joins);
		}
		next += n;
	}
	return nullptr;
}

/* Rewrites a query's occurrences as the term says and appends their weight as a last column. */
void
add_weight(Query *query, Rewriting *rewriting)
{
	Node *weight = nullptr;
	int rti;
	ListCell *lc;

	if (query->setOperations)
	{
		add_weight_to_union(query, rewriting);
		return;
	}

	JoinExpr *join = join_to_split(query, rewriting, &rti);
	if (join && rewriting->match != Match::kKept)
	{
		keep_turning(query, join, rti, rewriting);
		return;
	}
	if (join)
		keep_matched(query, join, rti);
	foreach (lc, from_relations(query))
	{
		int item = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(item, query->rtable);
		int n = occurrences_in(query, item);

		if (!any_part(rewriting, rewriting->next, rewriting->next + n, is_rewritten))
			rewriting->next += n;
		else if (rte->rtekind == RTE_RELATION)
			weight = multiply(weight, rewrite_occurrence(query, item, rewriting));
		else
		{
			spell_out(query, item);
			add_weight(rte->subquery, rewriting);
			rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(kWeightName)));
			weight = multiply(weight, (Node *) makeVar(item, list_length(rte->subquery->targetList),
													   INT8OID, -1, InvalidOid, 0));
		}
	}
	append_weight_column(query, weight);
}

} // namespace

Query *
delta_query(const Block *block, const Part *parts, Match match)
{
	Query *query = (Query *) copyObject(block->query);
	Rewriting rewriting = {parts, 0, match};

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

} // namespace tw::analyze
