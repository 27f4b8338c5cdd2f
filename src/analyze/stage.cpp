/*
 * stage.cpp - splits a query into stages, each a subquery of the next.
 *
 * A query does many things in a fixed order: it joins and filters, groups,
 * computes windows, removes duplicates, sorts and limits. Each of them has its
 * own way of being followed, so they are taken apart where one query does
 * several. The later stage reads the earlier one's result as a subquery, whose
 * columns are everything the later one needs: group columns and aggregates, or
 * all columns of the target list, those included that are not shown.
 */
#include "analyze/stage.hpp"
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/full_join.hpp"

namespace tw::analyze
{

namespace
{

/* ---- building queries ---- */

Var *
column_of(int rti, TargetEntry *tle)
{
	Node *expr = (Node *) tle->expr;

	return makeVar(rti, tle->resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

/* All columns become visible ones, so that the next stage can read them. */
void
show_all(Query *query)
{
	ListCell *lc;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->resjunk = false;
		if (!tle->resname)
			tle->resname = psprintf("c%d", tle->resno);
	}
}

/* The target list of the query as columns of a subquery that shows them all. */
List *
same_targets(Query *query)
{
	List *targets = NIL;
	ListCell *lc;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *copy = flatCopyTargetEntry(tle);

		copy->expr = (Expr *) column_of(1, tle);
		copy->resorigtbl = InvalidOid;
		copy->resorigcol = 0;
		targets = lappend(targets, copy);
	}
	return targets;
}

/* ---- the stage of groups ---- */

struct GroupStage
{
	List *columns;        /* expressions: group columns, then whatever else is needed */
	int depth;            /* of subqueries in expressions */
	bool over_aggregates; /* the stage computes the aggregates */
	bool failed;
};

Node *
stage_column(GroupStage *stage, Node *expr)
{
	return (Node *) makeVar(1, number_of(&stage->columns, expr), exprType(expr), exprTypmod(expr),
							exprCollation(expr), stage->depth);
}

Node *
over_groups_mutator(Node *node, GroupStage *stage)
{
	ListCell *lc;

	if (node == nullptr)
		return nullptr;
	if (stage->depth == 0)
		foreach (lc, stage->columns)
			if (equal(lfirst(lc), node))
				return stage_column(stage, node);
	if (IsA(node, Aggref) && (int) ((Aggref *) node)->agglevelsup == stage->depth &&
		stage->over_aggregates)
	{
		if (stage->depth > 0)
			stage->failed = true;
		return stage->failed ? node : stage_column(stage, node);
	}
	if (IsA(node, GroupingFunc) && (int) ((GroupingFunc *) node)->agglevelsup == stage->depth)
	{
		if (!stage->over_aggregates)
			return (Node *) copyObject(node);
		if (stage->depth > 0)
			stage->failed = true;
		return stage->failed ? node : stage_column(stage, node);
	}
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup == stage->depth)
	{
		Var *own = (Var *) copyObject(node);

		own->varlevelsup = 0;
		return stage_column(stage, (Node *) own);
	}
	if (IsA(node, Query))
	{
		stage->depth++;
		Node *result = (Node *) pg::mutate_query((Query *) node, over_groups_mutator, stage, 0);
		stage->depth--;
		return result;
	}
	return pg::mutate_expression(node, over_groups_mutator, stage);
}

/* SELECT columns FROM ... WHERE ... GROUP BY ... of the query. */
Query *
grouping_of(Query *query, List *columns)
{
	Query *groups = (Query *) copyObject(query);
	List *targets = NIL;
	AttrNumber resno = 0;
	ListCell *lc;

	foreach (lc, columns)
	{
		Node *expr = (Node *) copyObject(lfirst(lc));
		TargetEntry *tle;

		resno++;
		tle = makeTargetEntry((Expr *) expr, resno, psprintf("c%d", resno), false);
		if (resno <= list_length(query->groupClause))
			tle->ressortgroupref = list_nth_node(SortGroupClause, query->groupClause, resno - 1)
									   ->tleSortGroupRef;
		targets = lappend(targets, tle);
	}
	groups->targetList = targets;
	groups->havingQual = nullptr;
	groups->windowClause = NIL;
	groups->hasWindowFuncs = false;
	groups->distinctClause = NIL;
	groups->hasDistinctOn = false;
	groups->sortClause = NIL;
	groups->limitCount = groups->limitOffset = nullptr;
	groups->hasTargetSRFs = false;
	return groups;
}

List *
group_expressions(const Query *query)
{
	List *expressions = NIL;
	ListCell *lc;

	foreach (lc, query->groupClause)
		expressions = lappend(expressions,
							  copyObject(get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc),
																  query->targetList)));
	return expressions;
}

/* The query as one over its groups; null where that cannot be written. */
Query *
over_groups(Query *query)
{
	GroupStage stage = {group_expressions(query), 0, true, false};
	ListCell *lc;

	List *targets = (List *) over_groups_mutator((Node *) query->targetList, &stage);
	Node *having = over_groups_mutator(query->havingQual, &stage);
	List *windows = (List *) over_groups_mutator((Node *) query->windowClause, &stage);
	if (stage.failed || stage.columns == NIL)
		return nullptr;

	Query *top = select_from(from_item(grouping_of(query, stage.columns), "stage"));
	top->targetList = targets;
	foreach (lc, targets)
	{
		lfirst_node(TargetEntry, lc)->resorigtbl = InvalidOid;
		lfirst_node(TargetEntry, lc)->resorigcol = 0;
	}
	top->jointree->quals = having;
	top->windowClause = windows;
	top->hasWindowFuncs = query->hasWindowFuncs;
	top->distinctClause = query->distinctClause;
	top->hasDistinctOn = query->hasDistinctOn;
	top->sortClause = query->sortClause;
	top->hasTargetSRFs = expression_returns_set((Node *) targets);
	top->hasSubLinks = checkExprHasSubLink((Node *) targets) || checkExprHasSubLink(having) ||
					   checkExprHasSubLink((Node *) windows);
	return top;
}

/* True if a group column is what a set-returning function gives. */
bool
groups_by_sets(const Query *query)
{
	return expression_returns_set((Node *) group_expressions(query));
}

/* Grouping over a subquery that computes the group columns, and with them the rows of their functions. */
Query *
over_group_columns(Query *query)
{
	GroupStage stage = {group_expressions(query), 0, false, false};
	ListCell *lc;

	Query *top = (Query *) copyObject(query);
	top->targetList = (List *) over_groups_mutator((Node *) query->targetList, &stage);
	top->havingQual = over_groups_mutator(query->havingQual, &stage);
	top->windowClause = (List *) over_groups_mutator((Node *) query->windowClause, &stage);
	top->hasTargetSRFs = expression_returns_set((Node *) top->targetList);
	top->hasSubLinks = checkExprHasSubLink((Node *) top->targetList) ||
					   checkExprHasSubLink(top->havingQual) ||
					   checkExprHasSubLink((Node *) top->windowClause);

	Query *input = (Query *) copyObject(query);
	input->targetList = NIL;
	foreach (lc, stage.columns)
		input->targetList = lappend(input->targetList,
									makeTargetEntry((Expr *) lfirst(lc),
													list_length(input->targetList) + 1,
													psprintf("c%d",
															 list_length(input->targetList) + 1),
													false));
	input->groupClause = input->groupingSets = NIL;
	input->groupDistinct = false;
	input->havingQual = nullptr;
	input->hasAggs = input->hasWindowFuncs = input->hasDistinctOn = false;
	input->windowClause = input->distinctClause = input->sortClause = NIL;
	input->limitCount = input->limitOffset = nullptr;
	input->hasSubLinks = checkExprHasSubLink((Node *) input->targetList) ||
						 checkExprHasSubLink((Node *) input->jointree);

	Query *shell = select_from(from_item(input, "stage"));
	top->rtable = shell->rtable;
	top->jointree = shell->jointree;
	return top;
}

/* ---- grouping sets ---- */

struct ArmContext
{
	Query *query;
	List *kept;    /* references of the columns that the arm groups by */
	List *dropped; /* expressions that are null in the arm */
};

/* In one arm, columns that it does not group by are null, and GROUPING() is a constant. */
Node *
arm_mutator(Node *node, ArmContext *context)
{
	ListCell *lc;

	if (node == nullptr)
		return nullptr;
	if (IsA(node, Aggref))
		return (Node *) copyObject(node);
	if (IsA(node, GroupingFunc))
	{
		int32 bits = 0;

		foreach (lc, ((GroupingFunc *) node)->refs)
			bits = bits * 2 + !list_member_int(context->kept, lfirst_int(lc));
		return (Node *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(bits),
								  false, true);
	}
	foreach (lc, context->dropped)
		if (equal(lfirst(lc), node))
			return (Node *) makeNullConst(exprType(node), exprTypmod(node), exprCollation(node));
	return pg::mutate_expression(node, arm_mutator, context);
}

/* The query grouped by one of its sets. */
Query *
grouping_set_arm(Query *query, List *set)
{
	Query *arm = (Query *) copyObject(query);
	ArmContext context = {query, set, NIL};
	List *groups = NIL;
	List *kept = NIL;
	ListCell *lc;

	foreach (lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Node *expr = get_sortgroupclause_expr(clause, query->targetList);

		if (!list_member_int(set, clause->tleSortGroupRef))
			context.dropped = lappend(context.dropped, expr);
		else
			kept = lappend(kept, expr);
	}
	/* The same expression may be grouped by twice. */
	context.dropped = list_difference(context.dropped, kept);
	foreach (lc, arm->groupClause)
		if (list_member_int(set, lfirst_node(SortGroupClause, lc)->tleSortGroupRef))
			groups = lappend(groups, lfirst(lc));
	arm->targetList = (List *) arm_mutator((Node *) arm->targetList, &context);
	arm->havingQual = arm_mutator(arm->havingQual, &context);
	arm->groupClause = groups;
	arm->groupingSets = NIL;
	arm->sortClause = NIL;
	/* One group over everything has a row even where there is nothing. */
	if (groups == NIL && !contain_aggs_of_level((Node *) arm->targetList, 0) &&
		!contain_aggs_of_level(arm->havingQual, 0))
		arm->havingQual = make_and_qual(arm->havingQual, makeBoolConst(true, false));
	return arm;
}

} // namespace

int
add_item(Query *query, RangeTblEntry *rte)
{
	RangeTblRef *ref = makeNode(RangeTblRef);

	query->rtable = lappend(query->rtable, rte);
	ref->rtindex = list_length(query->rtable);
	query->jointree->fromlist = lappend(query->jointree->fromlist, ref);
	return ref->rtindex;
}

Query *
select_all_from(Query *query)
{
	Query *top = select_from(from_item(query, "stage"));
	ListCell *lc;

	foreach (lc, shown_targets(query))
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		top->targetList = lappend(top->targetList, makeTargetEntry((Expr *) column_of(1, tle),
																   list_length(top->targetList) + 1,
																   tle->resname, false));
	}
	return top;
}

Query *
sorted_over(Query *query)
{
	List *targets = same_targets(query);

	show_all(query);

	Query *top = select_from(from_item(query, "stage"));
	top->targetList = targets;
	top->sortClause = query->sortClause;
	return top;
}

void
make_distinct(Query *query)
{
	Index ref = 0;
	ListCell *lc;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		SortGroupClause *clause = makeNode(SortGroupClause);
		bool hashable;

		tle->ressortgroupref = clause->tleSortGroupRef = ++ref;
		get_sort_group_operators(exprType((Node *) tle->expr), false, true, false, &clause->sortop,
								 &clause->eqop, nullptr, &hashable);
		clause->hashable = hashable;
		query->distinctClause = lappend(query->distinctClause, clause);
	}
}

bool
is_grouped(Query *query)
{
	return query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL ||
		   query->havingQual;
}

namespace
{

/* A subquery above the groups, not in the argument of an aggregate or in a group column. */
bool
sublink_walker(Node *node, Query *query)
{
	ListCell *lc;

	if (node == nullptr || IsA(node, Aggref))
		return false;
	foreach (lc, query->groupClause)
		if (equal(get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc), query->targetList),
				  node))
			return false;
	if (IsA(node, SubLink))
		return true;
	return pg::walk_expression(node, sublink_walker, query);
}

/* An aggregate that state does not follow. */
bool
other_aggregate_walker(Node *node, void *unused)
{
	if (node == nullptr || IsA(node, Query))
		return false;
	if (IsA(node, Aggref))
	{
		Aggref *agg = (Aggref *) node;

		return agg->aggorder != NIL || agg->aggdistinct != NIL || aggregate_sees_order(agg);
	}
	return pg::walk_expression(node, other_aggregate_walker, unused);
}

/* True if a column by which touched rows could be told is there, but not shown. */
bool
hides_keys(Query *query)
{
	ListCell *lc;

	if (query->distinctClause != NIL)
		return false;
	foreach (lc, query->groupClause)
		if (get_sortgroupclause_tle(lfirst_node(SortGroupClause, lc), query->targetList)->resjunk)
			return other_aggregate_walker((Node *) query->targetList, nullptr) ||
				   other_aggregate_walker(query->havingQual, nullptr);
	foreach (lc, query->windowClause)
	{
		ListCell *lp;

		foreach (lp, lfirst_node(WindowClause, lc)->partitionClause)
			if (get_sortgroupclause_tle(lfirst_node(SortGroupClause, lp), query->targetList)
					->resjunk)
				return true;
	}
	return false;
}

/* Full joins: adds what tells their rows as a column that is not shown; false where it is shown, or nothing does. */
bool
hides_merged_key(Query *query)
{
	List *merged = merged_columns(query);
	ListCell *lc;

	if (merged == NIL || is_grouped(query) || query->hasWindowFuncs || query->hasTargetSRFs ||
		query->distinctClause != NIL)
		return false;
	foreach (lc, merged)
		if (find_target(query->targetList, (Node *) lfirst(lc)) > 0)
			return false;
	query->targetList = lappend(query->targetList,
								makeTargetEntry((Expr *) linitial(merged),
												list_length(query->targetList) + 1,
												pstrdup("merged"), true));
	return true;
}

/* Without the columns that neither are shown nor sorted or told apart by. */
void
drop_unreferenced(Query *query)
{
	List *targets = NIL;
	ListCell *lc;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk &&
			!get_sortgroupref_clause_noerr(tle->ressortgroupref, query->distinctClause) &&
			!get_sortgroupref_clause_noerr(tle->ressortgroupref, query->sortClause))
			continue;
		tle->resno = list_length(targets) + 1;
		targets = lappend(targets, tle);
	}
	query->targetList = targets;
}

/* SELECT DISTINCT, with its order, over what the query is without it. */
Query *
split_distinct(Query *query)
{
	Query *top = sorted_over(query);

	top->distinctClause = query->distinctClause;
	top->hasDistinctOn = query->hasDistinctOn;
	query->distinctClause = NIL;
	query->hasDistinctOn = false;
	query->sortClause = NIL;
	drop_unreferenced(top);
	return top;
}

/* ORDER BY ... LIMIT over what the query is without it. */
Query *
split_limit(Query *query)
{
	Query *top = sorted_over(query);

	top->limitCount = query->limitCount;
	top->limitOffset = query->limitOffset;
	top->limitOption = query->limitOption;
	top->hasSubLinks = checkExprHasSubLink(top->limitCount) ||
					   checkExprHasSubLink(top->limitOffset);
	query->limitCount = query->limitOffset = nullptr;
	query->limitOption = LIMIT_OPTION_COUNT;
	if (!query->hasDistinctOn)
		query->sortClause = NIL;
	return top;
}

/* The shown columns of the query, over all of its columns. */
Query *
split_projection(Query *query)
{
	Query *top = sorted_over(query);

	query->sortClause = NIL;
	return top;
}

/* A union of groupings, all of them over copies of the same input. */
Query *
split_grouping_sets(Query *query)
{
	constexpr int kMostSets = 64;
	List *sets = expand_grouping_sets(query->groupingSets, query->groupDistinct, kMostSets + 1);
	List *arms = NIL;
	ListCell *lc;

	if (sets == NIL || list_length(sets) > kMostSets)
		return query;
	foreach (lc, sets)
		arms = lappend(arms, grouping_set_arm(query, (List *) lfirst(lc)));
	return union_all(arms);
}

bool
order_walker(Node *node, void *unused)
{
	if (node == nullptr || IsA(node, Query))
		return false;
	if (IsA(node, Aggref))
	{
		Aggref *agg = (Aggref *) node;

		if (agg->aggorder == NIL && agg->aggdistinct == NIL && aggregate_sees_order(agg))
			return true;
	}
	return pg::walk_expression(node, order_walker, unused);
}

} // namespace

bool
has_sublink_over_groups(Query *query)
{
	return is_grouped(query) && (sublink_walker((Node *) query->targetList, query) ||
								 sublink_walker(query->havingQual, query));
}

bool
query_sees_order(Query *query)
{
	ListCell *lc;

	foreach (lc, query->windowClause)
		if (lfirst_node(WindowClause, lc)->orderClause == NIL)
			return true;
	return order_walker((Node *) query->targetList, nullptr) ||
		   order_walker(query->havingQual, nullptr);
}

bool
is_top_k(Query *query)
{
	return (query->limitCount || query->limitOffset) && query->sortClause != NIL &&
		   !query->setOperations && !is_grouped(query) && !query->hasWindowFuncs &&
		   query->distinctClause == NIL && !query->jointree->quals &&
		   list_length(query->jointree->fromlist) == 1 && list_length(query->rtable) == 1 &&
		   IsA(linitial(query->jointree->fromlist), RangeTblRef);
}

Query *
split_stages(Query *query)
{
	if (query->cteList != NIL || query->hasForUpdate)
		return query;
	if (groups_by_sets(query))
		query = over_group_columns(query);
	if (query->limitCount || query->limitOffset)
	{
		bool split = is_top_k(query) && rt_fetch(1, query->rtable)->rtekind == RTE_SUBQUERY;

		if (query->sortClause == NIL || split || query->hasTargetSRFs)
			return query;
		return split_limit(query);
	}
	if (query->setOperations)
		return query;
	if (query->distinctClause != NIL && !query->hasTargetSRFs &&
		(is_grouped(query) || query->hasWindowFuncs || query->hasSubLinks))
		return split_distinct(query);
	if (is_grouped(query) && (query->hasWindowFuncs || query->hasTargetSRFs ||
							  (query->hasSubLinks && has_sublink_over_groups(query))))
	{
		Query *top = over_groups(query);

		return top ? top : query;
	}
	if (query->groupingSets != NIL)
		return split_grouping_sets(query);
	if ((hides_keys(query) && !query->hasTargetSRFs) || hides_merged_key(query))
		return split_projection(query);
	return query;
}

} // namespace tw::analyze
