/*
 * view_plan.cpp - analysis of a materialized view: which strategy keeps it.
 *
 * The strategies are tried from the cheapest to the most general. Whatever is
 * not select-project-join or a grouping over it is evaluated again.
 */
#include "analyze/view_plan.hpp"
#include "analyze/aggregate.hpp"
#include "analyze/block.hpp"
#include "analyze/decompose.hpp"
#include "analyze/determinism.hpp"
#include "analyze/inline_functions.hpp"
#include "analyze/key.hpp"
#include "analyze/keyed.hpp"
#include "analyze/recursion.hpp"
#include "analyze/refusal.hpp"
#include "analyze/scale.hpp"
#include "analyze/set_operation.hpp"
#include "analyze/stage.hpp"
#include "analyze/whole_row.hpp"
#include "catalog/inner_relation.hpp"

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

/* Output functions that are declared immutable although they look at extra_float_digits, bytea_output or lc_monetary. */
bool
prints_by_settings(Oid funcid)
{
	switch (funcid)
	{
		case F_FLOAT4OUT:
		case F_FLOAT8OUT:
		case F_BYTEAOUT:
		case F_CASH_OUT:
		case F_POINT_OUT:
		case F_LSEG_OUT:
		case F_LINE_OUT:
		case F_BOX_OUT:
		case F_PATH_OUT:
		case F_POLY_OUT:
		case F_CIRCLE_OUT:
			return true;
		default:
			return false;
	}
}

bool
function_sees_settings(Oid funcid, void *unused)
{
	funcid = server_aggregate(funcid);
	return funcid >= FirstNormalObjectId || func_volatile(funcid) != PROVOLATILE_IMMUTABLE ||
		   prints_by_settings(funcid);
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
	if (IsA(node, XmlExpr))
		return true; /* maps values to XML by their types */
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

	if (!plan->keyed_input || follows_each(plan->keyed_input) || plan_keyed(&groups) != nullptr)
		return false;

	int lost = count_unfollowed(plan->keyed_input);
	int lost_by_groups = count_unfollowed(&groups);
	return lost_by_groups < lost || (lost_by_groups == lost && is_keyed_by_groups(plan));
}

void
choose_strategy(ViewPlan *plan, bool mixed)
{
	Query *query = plan->query;
	const char *reason = not_linear(query);

	if (mixed)
	{
		plan->strategy = Strategy::kRecompute;
		plan->reason = "a table read both with and without its descendants";
		return;
	}
	if (reason == nullptr)
	{
		plan->strategy = Strategy::kLinear;
		plan->input = make_block((Query *) copyObject(query));
		return;
	}
	bool groups = query->hasAggs || query->groupClause != NIL || query->distinctClause != NIL ||
				  query->havingQual;
	if (groups || query->setOperations)
	{
		reason = groups ? plan_aggregate(plan) : plan_set_operation(plan);
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
		if (!reads_recursion(query))
			plan->reason = reason;
	}
}

} // namespace

namespace
{

/* The same; the bodies of functions that it has taken in are added to bodies, if that is not null. */
Query *
rewritten_with_bodies(Relation view, List **bodies)
{
	if (view->rd_rel->relkind != RELKIND_MATVIEW || view->rd_rules == nullptr ||
		view->rd_rules->numLocks != 1)
		elog(ERROR, "relation \"%s\" has no view definition", RelationGetRelationName(view));

	Query *query = (Query *) copyObject(linitial_node(Query, view->rd_rules->rules[0]->actions));
	AcquireRewriteLocks(query, true, false);
	List *rewritten = QueryRewrite(query);

	if (list_length(rewritten) != 1)
		elog(ERROR, "unexpected rewrite result for a materialized view");
	return test_live_columns(inline_functions(linitial_node(Query, rewritten), bodies));
}

} // namespace

Query *
rewritten_query(Relation view)
{
	return rewritten_with_bodies(view, nullptr);
}

namespace
{

void
add_object(List **objects, Oid class_id, Oid object_id)
{
	ObjectAddress *object = (ObjectAddress *) palloc(sizeof(ObjectAddress));

	ObjectAddressSet(*object, class_id, object_id);
	*objects = lappend(*objects, object);
}

bool
add_function(Oid funcid, void *objects)
{
	if (funcid >= FirstNormalObjectId)
		add_object((List **) objects, ProcedureRelationId, funcid);
	return false;
}

bool
objects_walker(Node *node, List **objects)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, objects_walker, objects, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION)
			add_object(objects, RelationRelationId, rte->relid);
		return false;
	}
	(void) check_functions_in_node(node, add_function, objects);
	return pg::walk_expression(node, objects_walker, objects);
}

} // namespace

List *
objects_in_functions(Oid view)
{
	Relation rel = table_open(view, AccessShareLock);
	List *bodies = NIL;
	List *objects = NIL;

	(void) rewritten_with_bodies(rel, &bodies);
	table_close(rel, NoLock);
	(void) objects_walker((Node *) bodies, &objects);
	return objects;
}

namespace
{

bool
owner_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return ((Query *) node)->hasRowSecurity ||
			   pg::walk_query((Query *) node, owner_walker, unused, 0);
	return IsA(node, SQLValueFunction) || pg::walk_expression(node, owner_walker, unused);
}

} // namespace

bool
depends_on_owner(Oid view)
{
	Relation rel = table_open(view, AccessShareLock);
	bool result = owner_walker((Node *) rewritten_query(rel), nullptr);

	table_close(rel, NoLock);
	return result;
}

namespace
{

/* The table that holds a part of the view's query; there must be one. */
Oid
find_part(void *arg, int number, Query *query)
{
	List *inners = (List *) arg;

	if (number >= list_length(inners))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("an inner relation of the materialized view is missing"),
				errhint("Use tailwater.release() and tailwater.maintain() to build it anew."));
	return list_nth_oid(inners, number);
}

/* The query of a live view as it was written, with exact sums of floats. */
Query *
whole_query(Oid view, Oid *owner)
{
	Relation rel = table_open(view, AccessShareLock);
	Query *query = rewritten_query(rel);

	Refusal refusal = find_refusal(query, Functions::kInlined);

	*owner = rel->rd_rel->relowner;
	if (refusal.construct)
		raise_refusal(refusal, nullptr);
	table_close(rel, NoLock);
	query = normalize(query);
	infer_scales(query);
	use_exact_floats(query);
	return query;
}

/* True if the query is a LIMIT of an inner relation. */
bool
reads_inner_in_order(Query *query)
{
	catalog::InnerRelation inner;

	return is_top_k(query) &&
		   linitial_node(RangeTblEntry, query->rtable)->rtekind == RTE_RELATION &&
		   catalog::find_inner_relation(linitial_node(RangeTblEntry, query->rtable)->relid, &inner);
}

/* Takes the tables off only_bases that are also read with their descendants; true if there are any. */
bool
takes_mixed_tables(ViewPlan *plan, List *reads_tree)
{
	ListCell *lc;
	int before = list_length(plan->only_bases);

	foreach (lc, plan->only_bases)
		if (list_member_oid(reads_tree, lfirst_oid(lc)))
			plan->only_bases = foreach_delete_current (plan->only_bases, lc);
	return list_length(plan->only_bases) < before;
}

/* Fills in all that follows from the query. */
void
plan_query(ViewPlan *plan, Query *query)
{
	BasesContext bases = {plan, NIL};

	plan->query = query;
	(void) bases_walker((Node *) plan->query, &bases);
	plan->needs_environment = environment_walker((Node *) plan->query, nullptr);
	bool mixed = takes_mixed_tables(plan, bases.reads_tree);

	choose_strategy(plan, mixed);
	if (plan->exact_floats && plan->strategy != Strategy::kAggregate)
	{
		/* State is exact by itself. */
		use_exact_floats(plan->query);
		choose_strategy(plan, mixed);
	}
	plan->top_k = !mixed && reads_inner_in_order(plan->query);
}

ViewPlan *
make_plan(Oid view, Oid owner, MemoryContext context)
{
	ViewPlan *plan = (ViewPlan *) palloc0(sizeof(ViewPlan));

	plan->context = context;
	plan->view = view;
	plan->owner = owner;
	return plan;
}

/* The plan of a view without its inner relations. */
ViewPlan *
plan_undivided(Oid view)
{
	Oid owner;
	Query *query = whole_query(view, &owner);
	ViewPlan *plan = make_plan(view, owner, CurrentMemoryContext);

	plan->whole = (Query *) copyObject(query);
	plan_query(plan, query);
	return plan;
}

/* The parts of the view's query, of which it has one at least, and what is left. */
Query *
divided_query(Query *query, Oid view, List *inners, List **parts)
{
	Cutting cutting = {find_part, inners, true, catalog::cut_places(view)};

	return decompose((Query *) copyObject(query), &cutting, parts);
}

} // namespace

ViewPlan *
analyze_view(Oid view, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "tailwater view plan",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	catalog::InnerRelation inner;
	bool is_inner = catalog::find_inner_relation(view, &inner);
	Oid owner;
	Query *whole = whole_query(is_inner ? inner.view : view, &owner);
	List *inners = catalog::inner_relations(is_inner ? inner.view : view);
	ViewPlan *plan = make_plan(view, owner, context);
	List *parts = NIL;
	Query *rest = inners == NIL
					  ? (Query *) copyObject(whole)
					  : divided_query(whole, is_inner ? inner.view : view, inners, &parts);

	if (is_inner)
	{
		/* Only while the relations are being created is one missing. */
		if (inner.number >= list_length(parts))
			elog(ERROR, "inner relation %u is not part of its view", view);
		plan->whole = rest = (Query *) list_nth(parts, inner.number);
		rest = (Query *) copyObject(rest);
	}
	else
	{
		plan->whole = whole;
		plan->inners = inners;
	}
	plan->query = plan->whole;
	set_key(plan);
	plan->exact_floats = inners != NIL;
	plan_query(plan, rest);
	plan->may_tie = plan->top_k && !is_order_independent(plan->whole);
	plan->limits = plan->top_k ? find_limits(plan) : nullptr;
	MemoryContextSwitchTo(old);
	return plan;
}

namespace
{

struct Creation
{
	Oid view;
	CreateRelation create;
};

/* Columns of the rows a query gives, under names of their own. */
TupleDesc
result_descriptor(Query *query)
{
	TupleDesc desc = ExecCleanTypeFromTL(query->targetList);

	for (int i = 1; i <= desc->natts; i++)
		namestrcpy(&TupleDescAttr(desc, i - 1)->attname, psprintf("c%d", i));
	return desc;
}

Oid
create_part(void *arg, int number, Query *query)
{
	Creation *creation = static_cast<Creation *>(arg);

	return creation->create(creation->view, number, result_descriptor(query));
}

/* True if all it reads are groups that inner relations keep: usually far fewer rows than what they are made of. */
bool
reads_groups_only(const ViewPlan *plan)
{
	ListCell *lc;

	foreach (lc, plan->bases)
	{
		catalog::InnerRelation inner;

		if (!catalog::find_inner_relation(lfirst_oid(lc), &inner) ||
			analyze_view(lfirst_oid(lc), CurrentMemoryContext)->strategy != Strategy::kAggregate)
			return false;
	}
	return true;
}

/* What it costs to follow a view, from following each row to evaluating everything again. */
int
rank_of(const ViewPlan *plan)
{
	const ViewPlan *keyed = keyed_part(plan);
	const Query *query = plan->query;

	if (plan->strategy == Strategy::kRecompute)
	{
		/* One group over everything: there is no other way, and it need not take the rest along. */
		bool one_group = query->hasAggs && query->groupClause == NIL &&
						 not_linear_from(plan->query) == nullptr;

		return plan->top_k || follows_each(plan) ? 1 : one_group || reads_groups_only(plan) ? 3 : 4;
	}
	if (!keyed || follows_each(keyed))
		return 0;
	if (count_unfollowed(keyed) > 0)
		return 3;
	/* Groups that are evaluated again cost what is in them. */
	return keyed == plan && (query->hasAggs || query->groupClause != NIL) ? 2 : 1;
}

} // namespace

void
create_inner_relations(Oid view, CreateRelation create)
{
	ViewPlan *plan = plan_undivided(view);
	Creation creation = {view, create};
	Cutting cutting = {create_part, &creation, false, NIL};
	List *parts = NIL;

	if (rank_of(plan) > 0)
		(void) decompose(plan->whole, &cutting, &parts);
	if (parts != NIL)
		catalog::set_cut_places(view, cutting.places);
}

bool
whether_inner_pays(Oid view)
{
	ViewPlan *undivided = plan_undivided(view);
	ViewPlan *divided = analyze_view(view, CurrentMemoryContext);
	int rank = rank_of(divided);
	ListCell *lc;

	foreach (lc, divided->inners)
		rank = Max(rank, rank_of(analyze_view(lfirst_oid(lc), CurrentMemoryContext)));
	return rank < rank_of(undivided);
}

} // namespace tw::analyze
