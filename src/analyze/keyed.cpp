/*
 * keyed.cpp - views whose touched keys are evaluated again.
 *
 * The keys are result columns whose touched values can be computed from the
 * delta of each base table (touch.cpp). After a change, the query restricted to
 * the touched keys gives the view's new rows for them, and the view itself has
 * the old ones; the difference is the delta. Nothing else needs to be known of
 * what the query does, so that every query with such keys is maintained by work
 * that follows the change.
 *
 * A base table for which the keys cannot be followed makes its changes
 * recompute the view, unless its touch query finds that nothing is touched;
 * changes of the others do not. A view without any key is kept by that test
 * alone.
 */
#include "analyze/keyed.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/determinism.hpp"
#include "analyze/full_join.hpp"
#include "analyze/key.hpp"
#include "analyze/pushdown.hpp"
#include "analyze/touch.hpp"
#include "analyze/touch_keys.hpp"

namespace tw::analyze
{

namespace
{

/*
 * Columns of the result by which rows can be told: there is an equality that can be hashed, and they
 * are not the same in all rows (a grouping set shows null for what it does not group by).
 */
Bitmapset *
matchable_columns(Query *query)
{
	Bitmapset *columns = nullptr;
	ListCell *lc;

	foreach (lc, shown_targets(query))
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TypeCacheEntry *type = lookup_type_cache(exprType((Node *) tle->expr),
												 TYPECACHE_EQ_OPR | TYPECACHE_HASH_PROC);

		if (OidIsValid(type->eq_opr) && OidIsValid(type->hash_proc) && !IsA(tle->expr, Const))
			columns = bms_add_member(columns, tle->resno);
	}
	return columns;
}

int
count_subsets(Bitmapset *candidate, List *known)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, known)
		n += bms_is_subset(candidate, (Bitmapset *) lfirst(lc));
	return n;
}

/* The set of columns that most points can follow; of equal ones the view's own key, then the largest. */
Bitmapset *
choose_columns(ViewPlan *plan, List *known)
{
	List *candidates = NIL;
	Bitmapset *best = nullptr;
	Bitmapset *common = nullptr;
	Bitmapset *key = nullptr;
	int best_count = 0;
	ListCell *lc;

	for (int i = 0; i < plan->nkey; i++)
		key = bms_add_member(key, plan->key[i]);
	foreach (lc, known)
	{
		Bitmapset *columns = (Bitmapset *) lfirst(lc);

		if (bms_is_empty(columns))
			continue;
		common = common ? bms_int_members(common, columns) : bms_copy(columns);
		candidates = lappend(candidates, columns);
	}
	if (!bms_is_empty(common))
		candidates = lcons(common, candidates);
	/* Part of the key, if not all of it can be followed everywhere. */
	if (!bms_is_empty(bms_intersect(key, common)))
		candidates = lcons(bms_intersect(key, common), candidates);
	if (!bms_is_empty(key))
		candidates = lcons(key, candidates);

	foreach (lc, candidates)
	{
		Bitmapset *candidate = (Bitmapset *) lfirst(lc);
		int count = count_subsets(candidate, known);

		if (count > best_count)
		{
			best = candidate;
			best_count = count;
		}
	}
	return best;
}

/* True if the result column shows a column of a base table's unique key. */
bool
shows_key_column(Query *query, int column)
{
	Var *var = (Var *) list_nth_node(TargetEntry, query->targetList, column - 1)->expr;

	if (!IsA(var, Var) || var->varlevelsup > 0 || query->setOperations)
		return false;

	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind == RTE_SUBQUERY && var->varattno > 0)
		return shows_key_column(rte->subquery, var->varattno);
	if (rte->rtekind != RTE_RELATION)
		return false;

	Relation rel = table_open(rte->relid, AccessShareLock);
	Bitmapset *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	bool result = bms_is_member(var->varattno - FirstLowInvalidHeapAttributeNumber, keys);

	table_close(rel, NoLock);
	return result;
}

/*
 * Any of the columns would do, but the fewer the cheaper: those that show key
 * columns of base tables are the selective ones.
 */
Bitmapset *
most_selective(Query *query, Bitmapset *columns)
{
	Bitmapset *keys = nullptr;

	for (int c = bms_next_member(columns, -1); c >= 0; c = bms_next_member(columns, c))
		if (shows_key_column(query, c))
			keys = bms_add_member(keys, c);
	return keys ? keys : columns;
}

List *
expressions_of(Query *query, const ViewPlan *plan)
{
	List *exprs = NIL;

	for (int i = 0; i < plan->nrestrict; i++)
		exprs = lappend(exprs,
						list_nth_node(TargetEntry, query->targetList, plan->restrict_columns[i] - 1)
							->expr);
	return exprs;
}

/* Equality operators between the keys and expressions that may have a narrower type. */
List *
operators_for(List *exprs)
{
	List *operators = NIL;
	ListCell *lc;

	foreach (lc, exprs)
		operators = lappend_oid(
			operators, lookup_type_cache(exprType((Node *) lfirst(lc)), TYPECACHE_EQ_OPR)->eq_opr);
	return operators;
}

/* Restricts a query by its own result columns; set operations in each of their arms. */
void
restrict_query(Query *query, const ViewPlan *plan, NullKeys nulls)
{
	ListCell *lc;

	if (!query->setOperations)
	{
		List *exprs = expressions_of(query, plan);

		/* Inside subqueries keys match by equality only. */
		if (nulls == NullKeys::kNeverMatch)
			push_down_keys(query, exprs);
		else if (list_length(exprs) == 1)
			push_down_null_key(query, (Node *) linitial(exprs));
		restrict_to_keys(query, exprs, operators_for(exprs), nulls);
		return;
	}

	SetOperationStmt *setop = castNode(SetOperationStmt, query->setOperations);
	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		for (int i = 0; i < plan->nrestrict; i++)
		{
			int column = plan->restrict_columns[i] - 1;
			TargetEntry *tle = list_nth_node(TargetEntry, rte->subquery->targetList, column);
			Oid type = list_nth_oid(setop->colTypes, column);

			if (exprType((Node *) tle->expr) != type)
				tle->expr = (Expr *) coerce_to_target_type(nullptr, (Node *) tle->expr,
														   exprType((Node *) tle->expr), type,
														   list_nth_int(setop->colTypmods, column),
														   COERCION_IMPLICIT, COERCE_IMPLICIT_CAST,
														   -1);
		}
		restrict_query(rte->subquery, plan, nulls);
	}
}

/* SELECT all columns FROM the view, restricted to the keys: its rows before the change. */
Query *
stored_query(const ViewPlan *plan, NullKeys nulls)
{
	Relation rel = table_open(plan->view, AccessShareLock);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Query *query = select_from(rte);

	rte->rtekind = RTE_RELATION;
	rte->relid = plan->view;
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	rte->eref = makeAlias(RelationGetRelationName(rel), NIL);
	rte->inFromCl = true;
	for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i - 1);

		rte->eref->colnames = lappend(rte->eref->colnames,
									  makeString(pstrdup(NameStr(att->attname))));
		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) makeVar(1, i, att->atttypid,
																	 att->atttypmod,
																	 att->attcollation, 0),
													i, pstrdup(NameStr(att->attname)), false));
	}
	table_close(rel, NoLock);
	restrict_query(query, plan, nulls);
	return query;
}

Query *
restricted_query(const ViewPlan *plan, NullKeys nulls)
{
	Query *query = (Query *) copyObject(plan->query);

	restrict_query(query, plan, nulls);
	return query;
}

} // namespace

namespace
{

/* By point: the result columns that can be followed there. */
List *
known_columns(Query *query, List *points)
{
	Bitmapset *matchable = matchable_columns(query);
	List *known = NIL;
	ListCell *lc;

	foreach (lc, points)
	{
		Bitmapset *columns = nullptr;
		Query *touch = touch_query(query, (TouchPoint *) lfirst(lc), NIL, &columns);

		known = lappend(known, touch ? bms_intersect(columns, matchable) : nullptr);
	}
	return known;
}

/* The delta of the query as it is, for what changes alone; rows must come out the same whenever they are computed. */
Block *
partial_block(Query *query)
{
	return is_order_independent(query) ? make_partial_block((Query *) copyObject(query)) : nullptr;
}

/* Writes down the chosen columns, and which points they can follow. */
void
set_keys(ViewPlan *plan, Bitmapset *columns, List *points, List *known)
{
	plan->restrict_columns = (AttrNumber *) palloc(sizeof(AttrNumber) *
												   Max(bms_num_members(columns), 1));
	plan->nrestrict = 0;
	for (int c = bms_next_member(columns, -1); c >= 0; c = bms_next_member(columns, c))
		plan->restrict_columns[plan->nrestrict++] = c;

	plan->npoints = list_length(points);
	plan->points = (TouchPoint *) palloc(sizeof(TouchPoint) * Max(plan->npoints, 1));
	for (int i = 0; i < plan->npoints; i++)
	{
		plan->points[i] = *(TouchPoint *) list_nth(points, i);
		plan->points[i].followed = !bms_is_empty(columns) &&
								   bms_is_subset(columns, (Bitmapset *) list_nth(known, i));
		plan->points[i].apart = true;
	}
}

} // namespace

const char *
plan_keyed(ViewPlan *plan)
{
	List *points = find_touch_points(plan->query);
	List *known = known_columns(plan->query, points);
	Bitmapset *columns = most_selective(plan->query, choose_columns(plan, known));

	set_keys(plan, columns, points, known);
	if (plan->query->cteList != NIL)
		return "a recursive query";
	plan->partial = partial_block(plan->query);
	if (bms_is_empty(columns))
		return "no column by which touched rows could be told";
	plan->restricted = restricted_query(plan, NullKeys::kNeverMatch);
	plan->restricted_nulls = restricted_query(plan, NullKeys::kMatch);
	plan->stored = stored_query(plan, NullKeys::kNeverMatch);
	plan->stored_nulls = stored_query(plan, NullKeys::kMatch);
	find_point_keys(plan);
	return nullptr;
}

/* ---- the input of groups ---- */

namespace
{

AttrNumber
add_key_column(Query *query, Node *expr)
{
	AttrNumber column = find_target(query->targetList, expr);
	Var *var = (Var *) expr;
	const char *name = "merged";

	if (column > 0)
		return column;
	column = list_length(query->targetList) + 1;
	if (IsA(var, Var))
		name = get_rte_attribute_name(rt_fetch(var->varno, query->rtable), var->varattno);
	query->targetList = lappend(query->targetList, makeTargetEntry((Expr *) copyObject(expr),
																   column, pstrdup(name), false));
	return column;
}

/* Columns of a table that may tell its rows: those of its keys, and what the query uses anyway. */
void
add_table_columns(Query *query, int rti, Bitmapset *used)
{
	Relation rel = table_open(rt_fetch(rti, query->rtable)->relid, AccessShareLock);
	Bitmapset *columns = bms_union(used, RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY));

	for (int c = bms_next_member(columns, -1); c >= 0; c = bms_next_member(columns, c))
	{
		AttrNumber attno = c + FirstLowInvalidHeapAttributeNumber;

		if (attno <= 0)
			continue;
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attno - 1);
		(void) add_key_column(query, (Node *) makeVar(rti, attno, att->atttypid, att->atttypmod,
													  att->attcollation, 0));
	}
	table_close(rel, NoLock);
}

void add_candidates(Query *query);

/* Lets a subquery of FROM show what tells its rows: groups, partitions, and keys of what it reads. */
void
widen_subquery(RangeTblEntry *rte)
{
	Query *query = rte->subquery;
	ListCell *lc;

	if (query->setOperations || query->distinctClause != NIL || query->hasTargetSRFs)
		return;
	foreach (lc, query->targetList)
		lfirst_node(TargetEntry, lc)->resjunk = false;
	if (!query->hasAggs && query->groupClause == NIL && !query->havingQual &&
		!query->hasWindowFuncs)
		add_candidates(query);
	for (int i = list_length(rte->eref->colnames); i < list_length(query->targetList); i++)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, query->targetList, i);

		Var *var = (Var *) tle->expr;

		if (!tle->resname && IsA(var, Var) && var->varlevelsup == 0)
			tle->resname = get_rte_attribute_name(rt_fetch(var->varno, query->rtable),
												  var->varattno);
		if (!tle->resname)
			tle->resname = psprintf("c%d", i + 1);
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup(tle->resname)));
	}
}

/* Adds whatever in FROM may tell rows of the input as columns of it. */
void
add_candidates(Query *query)
{
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		int rti = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);
		ListCell *lt;

		if (rte->rtekind == RTE_RELATION)
			add_table_columns(query, rti, columns_used(query, rti));
		if (rte->rtekind != RTE_SUBQUERY)
			continue;
		widen_subquery(rte);
		foreach (lt, rte->subquery->targetList)
			if (!lfirst_node(TargetEntry, lt)->resjunk)
				(void) add_key_column(query,
									  (Node *) makeVarFromTargetEntry(rti, lfirst_node(TargetEntry,
																					   lt)));
	}
	foreach (lc, merged_columns(query))
		(void) add_key_column(query, (Node *) lfirst(lc));
}

/* The columns that are plain references, if any: these are computed without fail, and indexes may serve them. */
Bitmapset *
plain_columns(Query *query, Bitmapset *columns)
{
	Bitmapset *plain = nullptr;

	for (int c = bms_next_member(columns, -1); c >= 0; c = bms_next_member(columns, c))
		if (IsA(list_nth_node(TargetEntry, query->targetList, c - 1)->expr, Var))
			plain = bms_add_member(plain, c);
	return plain ? plain : columns;
}

/* The input with the chosen ones of the candidates as columns. */
Query *
with_keys(const Query *input, Query *candidates, Bitmapset *columns, Bitmapset **kept)
{
	Query *query = (Query *) copyObject(candidates);
	int ninput = list_length(input->targetList);

	query->targetList = list_truncate(query->targetList, ninput);

	*kept = nullptr;
	for (int c = bms_next_member(columns, -1); c >= 0; c = bms_next_member(columns, c))
	{
		Node *expr = (Node *) list_nth_node(TargetEntry, candidates->targetList, c - 1)->expr;

		*kept = bms_add_member(*kept, c <= ninput ? c : add_key_column(query, expr));
	}
	return query;
}

Query *
restricted_input(const ViewPlan *plan, const Query *input, NullKeys nulls)
{
	Query *query = restricted_query(plan, nulls);

	query->targetList = list_truncate(query->targetList, list_length(input->targetList));
	return query;
}

} // namespace

ViewPlan *
plan_keyed_input(const ViewPlan *plan, const Query *input)
{
	ViewPlan *keyed = (ViewPlan *) palloc0(sizeof(ViewPlan));
	Query *candidates = (Query *) copyObject(input);
	Bitmapset *columns;

	if (input->cteList != NIL || input->setOperations)
		return nullptr;
	add_candidates(candidates);
	columns = choose_columns(keyed, known_columns(candidates, find_touch_points(candidates)));
	columns = most_selective(candidates, plain_columns(candidates, columns));
	if (bms_is_empty(columns))
		return nullptr;

	keyed->context = plan->context;
	keyed->view = plan->view;
	keyed->strategy = Strategy::kKeyed;
	keyed->query = with_keys(input, candidates, columns, &columns);
	List *points = find_touch_points(keyed->query);
	set_keys(keyed, columns, points, known_columns(keyed->query, points));
	keyed->partial = partial_block((Query *) input);
	keyed->restricted = restricted_input(keyed, input, NullKeys::kNeverMatch);
	keyed->restricted_nulls = restricted_input(keyed, input, NullKeys::kMatch);
	find_point_keys(keyed);
	return keyed;
}

int
count_unfollowed(const ViewPlan *plan)
{
	int n = 0;

	for (int i = 0; i < plan->npoints; i++)
		n += !plan->points[i].followed;
	return n;
}

bool
follows_each(const ViewPlan *plan)
{
	if (!plan->partial)
		return false;
	for (int i = 0; i < plan->npoints; i++)
		if (!follows(plan->partial, list_make1_oid(plan->points[i].relid)))
			return false;
	return true;
}

bool
is_keyed_by_groups(const ViewPlan *plan)
{
	for (int i = 0; i < plan->keyed_input->nrestrict; i++)
		if (plan->keyed_input->restrict_columns[i] > plan->ngroup)
			return false;
	return true;
}

} // namespace tw::analyze
