/*
 * view_plan.cpp - analysis of a materialized view: which strategy keeps it.
 *
 * The strategies are tried from the cheapest to the most general. Whatever is
 * not select-project-join or a grouping over it is evaluated again.
 */
#include "analyze/view_plan.hpp"
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/determinism.hpp"
#include "analyze/key.hpp"
#include "analyze/keyed.hpp"
#include "analyze/recursion.hpp"
#include "analyze/refusal.hpp"
#include "analyze/set_operation.hpp"

namespace tw::analyze
{

namespace
{

struct BasesContext
{
	ViewPlan *plan;
	List *reads_tree; /* read with their descendants */
};

bool
bases_walker(Node *node, BasesContext *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, bases_walker, context, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->inFromCl)
		{
			context->plan->bases = list_append_unique_oid(context->plan->bases, rte->relid);
			if (!rte->inh)
				context->plan->only_bases = list_append_unique_oid(context->plan->only_bases,
																   rte->relid);
			else
				context->reads_tree = list_append_unique_oid(context->reads_tree, rte->relid);
		}
		return false;
	}
	return pg::walk_expression(node, bases_walker, context);
}

bool
function_sees_settings(Oid funcid, void *unused)
{
	return funcid >= FirstNormalObjectId || func_volatile(funcid) != PROVOLATILE_IMMUTABLE;
}

bool
environment_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, environment_walker, unused, 0);
	if (check_functions_in_node(node, function_sees_settings, nullptr))
		return true;
	if (IsA(node, CoerceToDomain))
		return true; /* its constraints may call anything */
	return pg::walk_expression(node, environment_walker, unused);
}

void
set_key(ViewPlan *plan)
{
	bool exists;
	List *key = derive_key(plan->query, &exists);
	ListCell *lc;

	plan->key = (AttrNumber *) palloc(sizeof(AttrNumber) * Max(list_length(key), 1));
	foreach (lc, key)
		plan->key[plan->nkey++] = lfirst_int(lc);
}

/*
 * True if the groups of a query whose input is not linear are better evaluated
 * again than kept in state: more changes can be followed that way, or as many
 * by the same columns.
 */
bool
rather_keyed(const ViewPlan *plan)
{
	ViewPlan groups = *plan;

	if (!plan->keyed_input || plan_keyed(&groups) != nullptr)
		return false;

	int lost = count_unfollowed(plan->keyed_input);
	int lost_by_groups = count_unfollowed(&groups);
	return lost_by_groups < lost || (lost_by_groups == lost && is_keyed_by_groups(plan));
}

void
choose_strategy(ViewPlan *plan)
{
	Query *query = plan->query;
	const char *reason = not_linear(query);

	if (reason == nullptr)
	{
		plan->strategy = Strategy::kLinear;
		plan->input = make_block((Query *) copyObject(query));
		return;
	}
	if (query->hasAggs || query->groupClause != NIL || query->distinctClause != NIL ||
		query->havingQual)
	{
		reason = plan_aggregate(plan);
		if (reason == nullptr && !rather_keyed(plan))
		{
			plan->strategy = Strategy::kAggregate;
			return;
		}
		if (reason == nullptr)
			reason = plan->reason;
		plan->keyed_input = nullptr;
		plan->input = nullptr;
	}
	if (query->setOperations)
	{
		reason = plan_set_operation(plan);
		if (reason == nullptr)
		{
			plan->strategy = Strategy::kAggregate;
			return;
		}
	}
	if (is_recursive_content(query))
	{
		reason = plan_recursion(plan);
		if (reason == nullptr)
		{
			plan->strategy = Strategy::kRecursive;
			return;
		}
	}
	plan->reason = reason;
	plan->strategy = Strategy::kKeyed;
	reason = plan_keyed(plan);
	if (reason)
	{
		plan->strategy = Strategy::kRecompute;
		if (query->cteList == NIL)
			plan->reason = reason;
	}
}

} // namespace

Query *
rewritten_query(Relation view)
{
	if (view->rd_rel->relkind != RELKIND_MATVIEW || view->rd_rules == nullptr ||
		view->rd_rules->numLocks != 1)
		elog(ERROR, "relation \"%s\" has no view definition", RelationGetRelationName(view));

	Query *query = (Query *) copyObject(linitial_node(Query, view->rd_rules->rules[0]->actions));
	AcquireRewriteLocks(query, true, false);
	List *rewritten = QueryRewrite(query);

	if (list_length(rewritten) != 1)
		elog(ERROR, "unexpected rewrite result for a materialized view");
	return linitial_node(Query, rewritten);
}

ViewPlan *
analyze_view(Oid view, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "tailwater view plan",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation rel = table_open(view, AccessShareLock);
	ViewPlan *plan = (ViewPlan *) palloc0(sizeof(ViewPlan));

	plan->context = context;
	plan->view = view;
	plan->owner = rel->rd_rel->relowner;
	plan->query = rewritten_query(rel);
	check_maintainable(plan->query, nullptr);
	plan->query = normalize(plan->query);
	BasesContext bases = {plan, NIL};
	(void) bases_walker((Node *) plan->query, &bases);
	plan->needs_environment = environment_walker((Node *) plan->query, nullptr);
	use_exact_floats(plan->query);
	set_key(plan);
	choose_strategy(plan);
	ListCell *lc;
	foreach (lc, plan->only_bases)
		if (list_member_oid(bases.reads_tree, lfirst_oid(lc)))
		{
			plan->strategy = Strategy::kRecompute;
			plan->reason = "a table read both with and without its descendants";
			plan->npoints = 0;
			plan->keyed_input = nullptr;
			plan->only_bases = foreach_delete_current (plan->only_bases, lc);
		}
	table_close(rel, NoLock);
	MemoryContextSwitchTo(old);
	return plan;
}

} // namespace tw::analyze
