/*
 * set_operation.cpp - set operations that are kept in state, as groups.
 *
 * Whether and how often a row is in the result of UNION, INTERSECT and EXCEPT,
 * nested in any way, depends only on how often it is in each of the arms. So the
 * query is taken for one that groups by all columns:
 *
 *     SELECT c1, ..., cn FROM (SELECT ..., true, false FROM arm1
 *                              UNION ALL SELECT ..., false, true FROM arm2) u
 *     GROUP BY c1, ..., cn
 *
 * in which each group stands for as many rows as a multiplicity says: an
 * expression over count(*) FILTER (WHERE in this arm). A change costs one group
 * for each changed row, however often the row is there.
 *
 * Arms that need not be told apart are counted together: those below UNION ALL,
 * and below UNION where only presence matters. UNION alone is DISTINCT.
 */
#include "analyze/set_operation.hpp"
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"

namespace tw::analyze
{

namespace
{

struct Arm
{
	int rti;
	int tag;
};

struct Tagging
{
	List *arms; /* Arm */
	int ntags;
	int ncolumns;
};

Node *
int8_const(int64 value)
{
	return (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false,
							  FLOAT8PASSBYVAL);
}

/* True if the tree has no other nodes than unions; where `all`, than UNION ALL. */
bool
only_unions(Node *node, bool all)
{
	if (!IsA(node, SetOperationStmt))
		return true;

	SetOperationStmt *setop = (SetOperationStmt *) node;
	return setop->op == SETOP_UNION && (setop->all || !all) && only_unions(setop->larg, all) &&
		   only_unions(setop->rarg, all);
}

void
tag_arms(Node *node, Tagging *tagging, int tag)
{
	if (IsA(node, SetOperationStmt))
	{
		tag_arms(((SetOperationStmt *) node)->larg, tagging, tag);
		tag_arms(((SetOperationStmt *) node)->rarg, tagging, tag);
		return;
	}

	Arm *arm = (Arm *) palloc(sizeof(Arm));

	arm->rti = castNode(RangeTblRef, node)->rtindex;
	arm->tag = tag;
	tagging->arms = lappend(tagging->arms, arm);
}

/* How many rows of the group the arms below the node have, which get a common tag. */
Node *
count_rows(Node *node, Tagging *tagging)
{
	Aggref *count = makeNode(Aggref);

	tagging->ntags++;
	tag_arms(node, tagging, tagging->ntags);
	count->aggfnoid = F_COUNT_;
	count->aggtype = INT8OID;
	count->aggstar = true;
	count->aggkind = AGGKIND_NORMAL;
	count->aggfilter = (Expr *) makeVar(1, tagging->ncolumns + tagging->ntags, BOOLOID, -1,
										InvalidOid, 0);
	count->aggno = count->aggtransno = -1;
	count->location = -1;
	return (Node *) count;
}

Node *
call(Oid function, Oid type, Node *left, Node *right)
{
	return (Node *) makeFuncExpr(function, type, list_make2(left, right), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

Node *
extreme_of(MinMaxOp op, Node *left, Node *right)
{
	MinMaxExpr *result = makeNode(MinMaxExpr);

	result->minmaxtype = INT8OID;
	result->op = op;
	result->args = list_make2(left, right);
	result->location = -1;
	return (Node *) result;
}

Node *
one_where(Node *condition)
{
	CaseExpr *result = makeNode(CaseExpr);
	CaseWhen *when = makeNode(CaseWhen);

	when->expr = (Expr *) condition;
	when->result = (Expr *) int8_const(1);
	when->location = -1;
	result->casetype = INT8OID;
	result->args = list_make1(when);
	result->defresult = (Expr *) int8_const(0);
	result->location = -1;
	return (Node *) result;
}

Node *number_of_rows(Node *node, Tagging *tagging);

/* The condition that the result of the node has the group's row. */
Node *
is_present(Node *node, Tagging *tagging)
{
	if (only_unions(node, false))
		return call(F_INT8GT, BOOLOID, count_rows(node, tagging), int8_const(0));

	SetOperationStmt *setop = castNode(SetOperationStmt, node);
	if (setop->op == SETOP_EXCEPT && setop->all)
	{
		Node *left = number_of_rows(setop->larg, tagging);
		Node *right = number_of_rows(setop->rarg, tagging);

		return call(F_INT8GT, BOOLOID, left, right);
	}

	Node *left = is_present(setop->larg, tagging);
	Node *right = is_present(setop->rarg, tagging);
	switch (setop->op)
	{
		case SETOP_UNION:
			return (Node *) makeBoolExpr(OR_EXPR, list_make2(left, right), -1);
		case SETOP_INTERSECT:
			return (Node *) makeBoolExpr(AND_EXPR, list_make2(left, right), -1);
		default:
			right = (Node *) makeBoolExpr(NOT_EXPR, list_make1(right), -1);
			return (Node *) makeBoolExpr(AND_EXPR, list_make2(left, right), -1);
	}
}

/* How often the result of the node has the group's row. */
Node *
number_of_rows(Node *node, Tagging *tagging)
{
	if (only_unions(node, true))
		return count_rows(node, tagging);

	SetOperationStmt *setop = castNode(SetOperationStmt, node);
	if (!setop->all)
		return one_where(is_present(node, tagging));

	Node *left = number_of_rows(setop->larg, tagging);
	Node *right = number_of_rows(setop->rarg, tagging);
	switch (setop->op)
	{
		case SETOP_UNION:
			return call(F_INT8PL, INT8OID, left, right);
		case SETOP_INTERSECT:
			return extreme_of(IS_LEAST, left, right);
		default:
			return extreme_of(IS_GREATEST, call(F_INT8MI, INT8OID, left, right), int8_const(0));
	}
}

/* ---- the query that groups ---- */

/* SELECT columns as the set operation has them, true for the arm's tag, false for the others FROM arm. */
Query *
tagged_arm(Query *whole, const Arm *arm, int ntags)
{
	Query *inner = (Query *) copyObject(rt_fetch(arm->rti, whole->rtable)->subquery);
	SetOperationStmt *setop = castNode(SetOperationStmt, whole->setOperations);
	List *order = NIL;

	for (int i = 1; i <= list_length(setop->colTypes); i++)
		order = lappend_int(order, i);

	Query *query = select_columns(inner, order, setop->colTypes, setop->colTypmods);
	for (int tag = 1; tag <= ntags; tag++)
		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) makeBoolConst(tag == arm->tag, false),
													list_length(query->targetList) + 1,
													psprintf("tag%d", tag), false));
	return query;
}

SetOperationStmt *
union_all(Node *left, Node *right, const SetOperationStmt *like, int ntags)
{
	SetOperationStmt *setop = makeNode(SetOperationStmt);

	setop->op = SETOP_UNION;
	setop->all = true;
	setop->larg = left;
	setop->rarg = right;
	setop->colTypes = list_copy(like->colTypes);
	setop->colTypmods = list_copy(like->colTypmods);
	setop->colCollations = list_copy(like->colCollations);
	for (int i = 0; i < ntags; i++)
	{
		setop->colTypes = lappend_oid(setop->colTypes, BOOLOID);
		setop->colTypmods = lappend_int(setop->colTypmods, -1);
		setop->colCollations = lappend_oid(setop->colCollations, InvalidOid);
	}
	return setop;
}

/* The tagged arms, one after the other. */
Query *
tagged_union(Query *whole, const Tagging *tagging)
{
	const SetOperationStmt *like = castNode(SetOperationStmt, whole->setOperations);
	Query *query = makeNode(Query);
	Node *tree = nullptr;
	ListCell *lc;

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, nullptr);
	foreach (lc, tagging->arms)
	{
		Query *arm = tagged_arm(whole, (const Arm *) lfirst(lc), tagging->ntags);
		RangeTblRef *ref = makeNode(RangeTblRef);

		query->rtable = lappend(query->rtable, from_item(arm, "arm"));
		ref->rtindex = list_length(query->rtable);
		tree = tree ? (Node *) union_all(tree, (Node *) ref, like, tagging->ntags) : (Node *) ref;
	}
	query->setOperations = tree;

	const SetOperationStmt *top = castNode(SetOperationStmt, tree);
	const Query *first = linitial_node(RangeTblEntry, query->rtable)->subquery;
	for (int i = 0; i < list_length(top->colTypes); i++)
	{
		const char *name = column_name(list_nth_node(TargetEntry, first->targetList, i));
		Var *var = makeVar(1, i + 1, list_nth_oid(top->colTypes, i),
						   list_nth_int(top->colTypmods, i), list_nth_oid(top->colCollations, i),
						   0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var, i + 1, pstrdup(name), false));
	}
	return query;
}

/* SELECT columns FROM the tagged arms GROUP BY columns. */
Query *
grouped_query(Query *whole, const Tagging *tagging)
{
	Query *query = select_from(from_item(tagged_union(whole, tagging), "arms"));
	const Query *arms = linitial_node(RangeTblEntry, query->rtable)->subquery;

	query->hasAggs = true;
	for (int i = 1; i <= tagging->ncolumns; i++)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, arms->targetList, i - 1);
		Node *expr = (Node *) tle->expr;
		SortGroupClause *clause = makeNode(SortGroupClause);

		tle = makeTargetEntry((Expr *) makeVar(1, i, exprType(expr), exprTypmod(expr),
											   exprCollation(expr), 0),
							  i, pstrdup(tle->resname), false);
		tle->ressortgroupref = clause->tleSortGroupRef = i;
		clause->eqop = lookup_type_cache(exprType(expr), TYPECACHE_EQ_OPR)->eq_opr;
		query->targetList = lappend(query->targetList, tle);
		query->groupClause = lappend(query->groupClause, clause);
	}
	return query;
}

/* Groups need collations that are known; UNION ALL does not. */
bool
lacks_collation(const SetOperationStmt *setop)
{
	ListCell *lc;
	ListCell *lt;

	forboth (lc, setop->colCollations, lt, setop->colTypes)
		if (!OidIsValid(lfirst_oid(lc)) && type_is_collatable(lfirst_oid(lt)))
			return true;
	return false;
}

} // namespace

const char *
plan_set_operation(ViewPlan *plan)
{
	Query *query = plan->query;
	SetOperationStmt *setop = castNode(SetOperationStmt, query->setOperations);
	Tagging tagging = {NIL, 0, list_length(setop->colTypes)};
	Node *multiplicity = nullptr;

	if (query->cteList != NIL)
		return "a recursive query";
	if (query->limitCount || query->limitOffset)
		return "LIMIT";
	if (tagging.ncolumns == 0)
		return "a set operation without columns";
	if (lacks_collation(setop))
		return "a set operation with a column of unknown collation";

	if (!setop->all && only_unions((Node *) setop, false))
		tag_arms((Node *) setop, &tagging, 0);
	else
		multiplicity = number_of_rows((Node *) setop, &tagging);
	return plan_groups(plan, grouped_query(query, &tagging), multiplicity);
}

} // namespace tw::analyze
