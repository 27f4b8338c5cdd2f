/*
 * inner.cpp - the steps in which the inner relations of a view come and go.
 *
 * They are made before the view is attached, in the order in which they read
 * each other, and go with its state. Who fills them, and under which snapshot,
 * is decided by attach() and build().
 */
#include "maintain/attach_steps.hpp"
#include "maintain/environment.hpp"
#include "analyze/decompose.hpp"
#include "analyze/stage.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/internal_table.hpp"

namespace tw::maintain
{

using analyze::ViewPlan;

Oid
owner_of(Oid view)
{
	Relation rel = table_open(view, AccessShareLock);
	Oid owner = rel->rd_rel->relowner;

	table_close(rel, NoLock);
	return owner;
}

ViewPlan *
analyze_as(Oid owner, Oid view)
{
	Environment environment = enter_environment(owner, Settings::kPinned);
	ViewPlan *plan = analyze::analyze_view(view, CurrentMemoryContext);

	leave_environment(&environment);
	return plan;
}

List *
without_inner_relations(List *tables)
{
	List *others = NIL;
	ListCell *lc;

	foreach (lc, tables)
		if (catalog::view_of(lfirst_oid(lc)) == lfirst_oid(lc))
			others = lappend_oid(others, lfirst_oid(lc));
	return others;
}

List *
remove_inner_relations(Oid view)
{
	List *tables = NIL;
	List *inners = catalog::inner_relations(view);
	ListCell *lc;

	foreach (lc, inners)
		tables = list_concat_unique_oid(tables, remove_parts(lfirst_oid(lc)));
	foreach (lc, inners)
		catalog::drop_inner_relation(lfirst_oid(lc));
	return list_difference_oid(tables, inners);
}

List *
choose_inner_relations(Oid view, Oid owner)
{
	Environment environment = enter_environment(owner, Settings::kPinned);
	ListCell *lc;

	analyze::create_inner_relations(view, catalog::create_inner_relation);
	List *inners = catalog::inner_relations(view);
	foreach (lc, inners)
	{
		ViewPlan *plan = analyze::analyze_view(lfirst_oid(lc), CurrentMemoryContext);

		catalog::set_inner_key(lfirst_oid(lc), InvalidOid, key_list(plan));
	}
	bool pays = inners != NIL && analyze::whether_inner_pays(view);
	leave_environment(&environment);
	if (pays)
		return inners;
	(void) remove_inner_relations(view);
	return NIL;
}

namespace
{

/* A LIMIT reads the first rows of an inner relation in this order. */
void
ensure_order_index(const ViewPlan *plan, Oid inner)
{
	Query *query = plan->query;
	List *columns = NIL;
	List *operators = NIL;
	List *nulls_first = NIL;
	ListCell *lc;

	if (!analyze::is_top_k(query) || linitial_node(RangeTblEntry, query->rtable)->relid != inner)
		return;
	foreach (lc, query->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Var *var = (Var *) get_sortgroupclause_expr(clause, query->targetList);

		if (!IsA(var, Var))
			break;
		columns = lappend_int(columns, var->varattno);
		operators = lappend_oid(operators, clause->sortop);
		nulls_first = lappend_int(nulls_first, clause->nulls_first);
	}
	catalog::create_order_index(inner, psprintf("%s_order", get_rel_name(inner)), columns,
								operators, nulls_first);
}

} // namespace

void
create_reading_indexes(const ViewPlan *plan, List *inners)
{
	ListCell *lc;

	foreach (lc, inners)
	{
		Oid inner = lfirst_oid(lc);
		List *columns = analyze::lookup_columns(plan->query, inner);

		if (columns != NIL)
			catalog::ensure_planner_index(inner,
										  ChooseRelationName(get_rel_name(inner), nullptr, "lookup",
															 catalog::internal_namespace(), false),
										  columns);
		ensure_order_index(plan, inner);
	}
}

} // namespace tw::maintain
