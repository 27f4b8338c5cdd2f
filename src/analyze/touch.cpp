/*
 * touch.cpp - which rows of a query's result a change of a table can touch.
 *
 * Whatever a query does - outer joins, subqueries in expressions, windows,
 * aggregates of any kind - a change of one of its tables touches only rows that
 * can be traced to the changed row. The touch query follows that trace: the
 * query with the changed table replaced by its delta and everything left out
 * that could hide a touched row. It gives more rows than are touched, never
 * fewer:
 *
 *   - grouping, windows, DISTINCT, ORDER BY and LIMIT go; of their columns
 *     those stay known that all rows touched together share (group columns,
 *     partition columns, DISTINCT ON columns)
 *   - an outer join becomes an inner one where the change is on its nullable
 *     side (rows of the other side whose match comes or goes), and its nullable
 *     side goes where the change is elsewhere, unless the join with the change needs it
 *   - of a full join the side stays that holds the change; the rows it touches
 *     share the value by which the join matches rows (full_join.cpp)
 *   - a subquery in an expression that holds the change becomes a lateral item
 *     in FROM, so that its correlation says which outer rows it touches
 *   - of a set operation the arm stays that holds the change
 *   - conditions that look at anything that is gone are dropped
 *   - what is not connected to the change by a condition is not known
 *
 * A path is a list of steps from the whole query to the place: into an item of
 * FROM (or an arm of a set operation), by range table index, or into the n-th
 * subquery of the expressions.
 */
#include "analyze/touch.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/full_join.hpp"
#include "analyze/outer_join.hpp"

namespace tw::analyze
{

namespace
{

enum class StepKind
{
	kFrom,
	kSubLink
};

struct Step
{
	StepKind kind;
	int index; /* range table index, or number of the subquery */
};

/* ---- subqueries in expressions, in a fixed order ---- */

struct SubLinkSearch
{
	List *found; /* SubLink */
};

bool
sublink_walker(Node *node, SubLinkSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, SubLink))
	{
		search->found = lappend(search->found, node);
		return sublink_walker(((SubLink *) node)->testexpr, search);
	}
	if (IsA(node, Query))
		return false;
	return pg::walk_expression(node, sublink_walker, search);
}

/* Conditions that hold for every row of the FROM clause: WHERE and inner join conditions. */
void
inner_conditions(Node *node, List **conditions)
{
	if (IsA(node, FromExpr))
	{
		FromExpr *from = (FromExpr *) node;
		ListCell *lc;

		foreach (lc, from->fromlist)
			inner_conditions((Node *) lfirst(lc), conditions);
		*conditions = lappend(*conditions, from->quals);
	}
	else if (IsA(node, JoinExpr) && ((JoinExpr *) node)->jointype == JOIN_INNER)
	{
		inner_conditions(((JoinExpr *) node)->larg, conditions);
		inner_conditions(((JoinExpr *) node)->rarg, conditions);
		*conditions = lappend(*conditions, ((JoinExpr *) node)->quals);
	}
}

/* The query's subqueries in expressions that touch queries can follow. */
List *
sublinks_of(Query *query)
{
	SubLinkSearch search = {NIL};
	List *conditions = NIL;

	inner_conditions((Node *) query->jointree, &conditions);
	(void) sublink_walker((Node *) conditions, &search);
	(void) sublink_walker((Node *) query->targetList, &search);
	(void) sublink_walker(query->havingQual, &search);
	return search.found;
}

/* ---- finding the points ---- */

struct PointSearch
{
	List *points;
	List *path; /* of the query that is being looked at */
	bool reachable;
};

List *
extend_path(List *path, StepKind kind, int index)
{
	Step *step = (Step *) palloc(sizeof(Step));

	step->kind = kind;
	step->index = index;
	return lappend(list_copy(path), step);
}

void
add_point(PointSearch *search, Query *query, int rti)
{
	TouchPoint *point = (TouchPoint *) palloc0(sizeof(TouchPoint));

	point->relid = rt_fetch(rti, query->rtable)->relid;
	point->used = columns_used(query, rti);
	if (search->reachable)
		point->path = extend_path(search->path, StepKind::kFrom, rti);
	search->points = lappend(search->points, point);
}

void search_query(PointSearch *search, Query *query);

void
search_below(PointSearch *search, Query *query, StepKind kind, int index)
{
	List *path = search->path;

	search->path = extend_path(path, kind, index);
	search_query(search, query);
	search->path = path;
}

struct UnreachableSearch
{
	PointSearch *points;
	List *reached; /* subqueries that are looked at otherwise */
};

/* Queries in corners that touch queries do not follow: all tables in them are unreachable. */
bool
unreachable_walker(Node *node, UnreachableSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		if (list_member_ptr(search->reached, node))
			return false;

		bool reachable = search->points->reachable;
		search->points->reachable = false;
		search_query(search->points, (Query *) node);
		search->points->reachable = reachable;
		return false;
	}
	return pg::walk_expression(node, unreachable_walker, search);
}

void
search_query(PointSearch *search, Query *query)
{
	UnreachableSearch rest = {search, NIL};
	int number = 0;
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		int rti = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind == RTE_RELATION)
			add_point(search, query, rti);
		else if (rte->rtekind == RTE_SUBQUERY)
		{
			search_below(search, rte->subquery, StepKind::kFrom, rti);
			rest.reached = lappend(rest.reached, rte->subquery);
		}
	}
	foreach (lc, sublinks_of(query))
	{
		SubLink *sublink = (SubLink *) lfirst(lc);

		search_below(search, castNode(Query, sublink->subselect), StepKind::kSubLink, number++);
		rest.reached = lappend(rest.reached, sublink->subselect);
	}
	(void) pg::walk_query(query, unreachable_walker, &rest, 0);
}

/* ---- building a touch query ---- */

/* One query of the nest that is being built. */
struct Level
{
	Bitmapset *absent;  /* relations that are gone: unusable */
	Bitmapset *unshown; /* relations on the nullable side of the change: usable below only */
	Index partial;      /* subquery that holds the change: only some of its columns are known */
	Bitmapset *known;   /* of `partial` */
	Level *outer;
	List *merged; /* Merged: what the full joins around the change show of it */
};

/* COALESCE(left, right) has this value in all rows that the change touches. */
struct Merged
{
	const MergedKey *key;
	Node *value;
};

struct Building
{
	List *changed;
	Oid relid; /* of the point */

	/*
	 * Other places where tables are read that changed, by number: those of `as_delta` read the delta
	 * and the others the table as it is now. Where not `apart` all of them read both.
	 */
	int nothers;
	bool apart;
	uint32 as_delta;
};

struct UsableSearch
{
	Level *level;
	int depth;
};

bool
unusable_walker(Node *node, UsableSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, SubLink) || IsA(node, Aggref) || IsA(node, GroupingFunc) || IsA(node, WindowFunc))
		return true;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;
		Level *level = search->level;

		for (Index up = var->varlevelsup; up > 0 && level; up--)
			level = level->outer;
		if (!level)
			return false;
		/* A delta has more columns than its table, so whole rows are not the same. */
		if (var->varattno == InvalidAttrNumber)
			return true;
		if (bms_is_member(var->varno, level->absent) || bms_is_member(var->varno, level->unshown))
			return true;
		return var->varno == level->partial && !bms_is_member(var->varattno, level->known);
	}
	return pg::walk_expression(node, unusable_walker, search);
}

bool
usable(Node *node, Level *level)
{
	UsableSearch search = {level, 0};

	return !unusable_walker(node, &search) && !expression_returns_set(node);
}

void
add_conditions(List **conditions, Node *quals, Level *level)
{
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) quals))
	{
		Node *node = (Node *) lfirst(lc);

		if (IsA(node, List) || is_andclause(node))
		{
			ListCell *inner;

			foreach (inner, IsA(node, List) ? (List *) node : ((BoolExpr *) node)->args)
				add_conditions(conditions, (Node *) lfirst(inner), level);
		}
		else if (usable(node, level))
			*conditions = lappend(*conditions, node);
	}
}

/* True if an item of FROM that does not hold the change may stay. */
bool
may_stay(RangeTblEntry *rte)
{
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return true;
		case RTE_VALUES:
			return !rte->lateral && !checkExprHasSubLink((Node *) rte->values_lists);
		case RTE_FUNCTION:
			return !rte->lateral && !checkExprHasSubLink((Node *) rte->functions);
		default:
			return false;
	}
}

/*
 * Walks the FROM clause: which relations stay (*items), and which are absent.
 * Returns false where there is no way to the change.
 */
bool
choose_items(Node *node, Query *query, int on_path, Level *level, List **items)
{
	if (IsA(node, RangeTblRef))
	{
		int rti = ((RangeTblRef *) node)->rtindex;

		if (rti == on_path || may_stay(rt_fetch(rti, query->rtable)))
			*items = lappend_int(*items, rti);
		else
			level->absent = bms_add_member(level->absent, rti);
		return true;
	}
	if (IsA(node, FromExpr))
	{
		ListCell *lc;

		foreach (lc, ((FromExpr *) node)->fromlist)
			if (!choose_items((Node *) lfirst(lc), query, on_path, level, items))
				return false;
		return true;
	}

	JoinExpr *join = castNode(JoinExpr, node);
	if (join->jointype == JOIN_INNER)
		return choose_items(join->larg, query, on_path, level, items) &&
			   choose_items(join->rarg, query, on_path, level, items);
	if (join->jointype == JOIN_FULL)
	{
		Bitmapset *left = relations_in(join->larg);
		Bitmapset *right = relations_in(join->rarg);

		if (!bms_is_member(on_path, left))
			level->absent = bms_add_members(level->absent, left);
		if (!bms_is_member(on_path, right))
			level->absent = bms_add_members(level->absent, right);
		if (bms_is_member(on_path, left))
			return choose_items(join->larg, query, on_path, level, items);
		return !bms_is_member(on_path, right) ||
			   choose_items(join->rarg, query, on_path, level, items);
	}

	Node *preserved = join->jointype == JOIN_LEFT ? join->larg : join->rarg;
	Node *nullable = join->jointype == JOIN_LEFT ? join->rarg : join->larg;
	if (!choose_items(preserved, query, on_path, level, items))
		return false;
	if (bms_is_member(on_path, relations_in(nullable)))
		return choose_items(nullable, query, on_path, level, items);
	level->absent = bms_add_members(level->absent, relations_in(nullable));
	return true;
}

struct MergedContext
{
	List *merged;
	bool as_null; /* leave out what stands for the value */
};

Node *
merged_mutator(Node *node, MergedContext *context)
{
	ListCell *lc;

	if (node == nullptr)
		return nullptr;
	foreach (lc, context->merged)
	{
		const Merged *merged = (const Merged *) lfirst(lc);

		if (!is_merged_key(node, merged->key))
			continue;
		if (context->as_null)
			return (Node *) makeNullConst(exprType(node), exprTypmod(node), exprCollation(node));
		return (Node *) copyObject(merged->value);
	}
	return pg::mutate_expression(node, merged_mutator, context);
}

/* The expression with values of the change in place of merged keys; null where it is not usable. */
Node *
usable_value(Node *expr, Level *level)
{
	MergedContext check = {level->merged, true};
	MergedContext replace = {level->merged, false};

	if (usable(expr, level))
		return expr;
	if (level->merged == NIL || checkExprHasSubLink(expr) || contain_aggs_of_level(expr, 0) ||
		contain_windowfuncs(expr) || !usable(merged_mutator(expr, &check), level))
		return nullptr;
	return merged_mutator(expr, &replace);
}

/* A full join that has the change on one side: what it shows of it. */
void
merge_full_join(JoinExpr *join, int on_path, Level *level)
{
	bool is_left = bms_is_member(on_path, relations_in(join->larg));
	List *merged = NIL;
	ListCell *lc;

	foreach (lc, merged_keys(join))
	{
		const MergedKey *key = (const MergedKey *) lfirst(lc);
		Node *value = usable_value(is_left ? key->left : key->right, level);

		if (!value)
			continue;
		Merged *shown = (Merged *) palloc(sizeof(Merged));
		shown->key = key;
		shown->value = value;
		merged = lappend(merged, shown);
	}
	level->merged = merged;
	level->unshown = bms_add_members(level->unshown,
									 relations_in(is_left ? join->larg : join->rarg));
}

/* Collects usable conditions, innermost first; marks what becomes unshown on the way. */
void
choose_conditions(Node *node, int on_path, Level *level, List **conditions)
{
	if (IsA(node, FromExpr))
	{
		FromExpr *from = (FromExpr *) node;
		ListCell *lc;

		foreach (lc, from->fromlist)
			choose_conditions((Node *) lfirst(lc), on_path, level, conditions);
		add_conditions(conditions, from->quals, level);
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) node;

		if (join->jointype == JOIN_FULL)
		{
			bool is_left = bms_is_member(on_path, relations_in(join->larg));

			if (!is_left && !bms_is_member(on_path, relations_in(join->rarg)))
				return;
			choose_conditions(is_left ? join->larg : join->rarg, on_path, level, conditions);
			merge_full_join(join, on_path, level);
			return;
		}

		Node *nullable = join->jointype == JOIN_LEFT ? join->rarg : join->larg;
		Bitmapset *nullable_rels = join->jointype == JOIN_INNER ? nullptr : relations_in(nullable);
		bool holds_change = bms_is_member(on_path, nullable_rels);

		choose_conditions(join->larg, on_path, level, conditions);
		choose_conditions(join->rarg, on_path, level, conditions);
		if (join->jointype == JOIN_INNER || holds_change)
			add_conditions(conditions, join->quals, level);
		if (holds_change)
		{
			level->unshown = bms_add_members(level->unshown, nullable_rels);
			level->merged = NIL;
		}
	}
}

struct OuterVars
{
	int depth;
	Bitmapset *varnos;
};

bool
varnos_walker(Node *node, OuterVars *vars)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
	{
		if ((int) ((Var *) node)->varlevelsup == vars->depth)
			vars->varnos = bms_add_member(vars->varnos, ((Var *) node)->varno);
		return false;
	}
	if (IsA(node, Query))
	{
		vars->depth++;
		(void) pg::walk_query((Query *) node, varnos_walker, vars, 0);
		vars->depth--;
		return false;
	}
	return pg::walk_expression(node, varnos_walker, vars);
}

Bitmapset *
varnos_of(Node *node)
{
	OuterVars vars = {0, nullptr};

	(void) varnos_walker(node, &vars);
	return vars.varnos;
}

/* Forgets what full joins show by items that were left out since. */
void
forget_absent(Level *level)
{
	ListCell *lc;

	foreach (lc, level->merged)
		if (bms_overlap(varnos_of(((const Merged *) lfirst(lc))->value), level->absent))
			level->merged = foreach_delete_current (level->merged, lc);
}

/* Relations that conditions and lateral references connect with the change. */
Bitmapset *
connected_with(int on_path, Query *query, List *conditions)
{
	Bitmapset *connected = bms_make_singleton(on_path);
	RangeTblEntry *rte = rt_fetch(on_path, query->rtable);
	bool growing = true;
	ListCell *lc;

	if (rte->rtekind == RTE_SUBQUERY && rte->lateral)
		connected = bms_add_members(connected, varnos_of((Node *) rte->subquery));
	while (growing)
	{
		growing = false;
		foreach (lc, conditions)
		{
			Bitmapset *varnos = varnos_of((Node *) lfirst(lc));

			if (!bms_overlap(varnos, connected) || bms_is_subset(varnos, connected))
				continue;
			connected = bms_add_members(connected, varnos);
			growing = true;
		}
	}
	return connected;
}

/* x = ANY (subquery) with the subquery's columns taken from the lateral item. */
struct ParamContext
{
	Query *subquery;
	Bitmapset *known;
	int rti;
	bool failed;
};

Node *
param_mutator(Node *node, ParamContext *context)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_SUBLINK)
	{
		Param *param = (Param *) node;

		if (!bms_is_member(param->paramid, context->known))
			context->failed = true;
		return (Node *) makeVar(context->rti, param->paramid, param->paramtype, param->paramtypmod,
								param->paramcollid, 0);
	}
	return pg::mutate_expression(node, param_mutator, context);
}

/* The condition that a row of the lateral item matters to an outer row: the test is not false. */
Node *
sublink_condition(SubLink *sublink, Query *subquery, Bitmapset *known, int rti)
{
	ParamContext context = {subquery, known, rti, false};

	if (sublink->subLinkType != ANY_SUBLINK && sublink->subLinkType != ALL_SUBLINK)
		return nullptr;

	Node *test = param_mutator(sublink->testexpr, &context);
	if (context.failed)
		return nullptr;

	BooleanTest *result = makeNode(BooleanTest);
	result->arg = (Expr *) test;
	/* x op ALL fails by a row for which the test is not true. */
	result->booltesttype = sublink->subLinkType == ANY_SUBLINK ? IS_NOT_FALSE : IS_NOT_TRUE;
	result->location = -1;
	return (Node *) result;
}

/* True if the subquery is a plain condition of WHERE: only rows for which the test is true matter. */
bool
is_plain_condition(Query *query, SubLink *sublink)
{
	List *conditions = NIL;
	ListCell *lc;

	if (sublink->subLinkType != ANY_SUBLINK)
		return false;
	inner_conditions((Node *) query->jointree, &conditions);
	foreach (lc, conditions)
	{
		ListCell *la;

		foreach (la, make_ands_implicit((Expr *) lfirst(lc)))
			if (lfirst(la) == (void *) sublink)
				return true;
	}
	return false;
}

/* ---- what remains known above grouping, windows and the like ---- */

bool
in_all_partitions(Query *query, Node *expr)
{
	ListCell *lc;

	foreach (lc, query->windowClause)
	{
		WindowClause *window = lfirst_node(WindowClause, lc);
		bool found = false;
		ListCell *lp;

		foreach (lp, window->partitionClause)
			found |= equal(get_sortgroupclause_expr(lfirst_node(SortGroupClause, lp),
													query->targetList),
						   expr);
		if (!found)
			return false;
	}
	return true;
}

bool
is_shared(Query *query, TargetEntry *tle)
{
	if (query->limitCount || query->limitOffset || query->groupingSets != NIL)
		return false;
	if (query->hasDistinctOn)
	{
		bool found = false;
		ListCell *lc;

		foreach (lc, query->distinctClause)
			found |= equal(get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc),
													query->targetList),
						   tle->expr);
		if (!found)
			return false;
	}
	return !query->hasWindowFuncs || in_all_partitions(query, (Node *) tle->expr);
}

/* Known columns keep their expression, the others become null. */
Bitmapset *
reduce_targets(Query *query, Level *level)
{
	Bitmapset *known = nullptr;
	List *targets = NIL;
	ListCell *lc;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node *expr = (Node *) tle->expr;

		if (tle->resjunk)
			continue;
		Node *value = is_shared(query, tle) ? usable_value(expr, level) : nullptr;
		if (value)
		{
			known = bms_add_member(known, tle->resno);
			expr = value;
		}
		else
			expr = (Node *) makeNullConst(exprType(expr), exprTypmod(expr), exprCollation(expr));
		targets = lappend(targets,
						  makeTargetEntry((Expr *) expr, tle->resno,
										  tle->resname ? pstrdup(tle->resname) : nullptr, false));
	}
	query->targetList = targets;
	return known;
}

void
strip(Query *query)
{
	query->groupClause = NIL;
	query->groupingSets = NIL;
	query->havingQual = nullptr;
	query->hasAggs = false;
	query->windowClause = NIL;
	query->hasWindowFuncs = false;
	query->distinctClause = NIL;
	query->hasDistinctOn = false;
	query->sortClause = NIL;
	query->limitCount = nullptr;
	query->limitOffset = nullptr;
	query->limitOption = LIMIT_OPTION_COUNT;
	query->hasTargetSRFs = false;
	query->hasSubLinks = false;
}

Query *touch(Query *query, List *path, int position, Level *outer, Building *building,
			 Bitmapset **known);

/* Adds the subquery of an expression as a lateral item; returns its range table index, 0 on failure. */
int
add_lateral(Query *query, SubLink *sublink, bool plain, List *path, int position, Level *level,
			Building *building, List **conditions)
{
	Bitmapset *known = nullptr;
	Query *subquery = touch(castNode(Query, sublink->subselect), path, position, level, building,
							&known);

	if (!subquery)
		return 0;

	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List *names = NIL;
	ListCell *lc;

	foreach (lc, subquery->targetList)
		names = lappend(names, makeString(psprintf("c%d", lfirst_node(TargetEntry, lc)->resno)));
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = subquery;
	rte->lateral = true;
	rte->eref = makeAlias("touched", names);
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	ref->rtindex = list_length(query->rtable);

	Node *condition = sublink_condition(sublink, subquery, known, ref->rtindex);
	if (condition && plain)
		condition = (Node *) ((BooleanTest *) condition)->arg;
	if (condition && usable(condition, level))
		*conditions = lappend(*conditions, condition);
	return ref->rtindex;
}

void
replace_other(Query *query, int rti, Building *building)
{
	int number = building->nothers++;

	if (!building->apart)
		read_before_and_after(query, rti);
	else if (building->as_delta & (1U << number))
		read_delta(query, rti);
}

/*
 * Replaces the tables that changed: the point by its delta, others by what they
 * held before and after. Entries that FROM no longer names become empty ones.
 */
void
replace_tables(Query *query, List *refs, int point, Building *building)
{
	Bitmapset *named = nullptr;
	int rti = 0;
	ListCell *lc;

	foreach (lc, refs)
		named = bms_add_member(named, lfirst_node(RangeTblRef, lc)->rtindex);
	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		rti++;
		if (!bms_is_member(rti, named))
		{
			RangeTblEntry *nothing = makeNode(RangeTblEntry);

			nothing->rtekind = RTE_RESULT;
			nothing->eref = makeAlias("*RESULT*", NIL);
			lfirst(lc) = nothing;
			continue;
		}
		if (rte->rtekind != RTE_RELATION)
			continue;
		rte->securityQuals = NIL;
		if (rti == point)
			read_delta(query, rti);
		else if (list_member_oid(building->changed, rte->relid))
			replace_other(query, rti, building);
	}
}

Query *
touch_arm(Query *query, List *path, int position, Level *outer, Building *building,
		  Bitmapset **known)
{
	const Step *step = (const Step *) list_nth(path, position);
	RangeTblEntry *rte = rt_fetch(step->index, query->rtable);
	SetOperationStmt *setop = castNode(SetOperationStmt, query->setOperations);
	Level level = {nullptr, nullptr, 0, nullptr, outer, NIL};

	if (query->limitCount || query->limitOffset)
		return nullptr;

	Query *arm = touch(rte->subquery, path, position + 1, &level, building, known);
	if (!arm)
		return nullptr;

	ListCell *lc;
	ListCell *lt;
	ListCell *lm;
	forthree (lc, arm->targetList, lt, setop->colTypes, lm, setop->colTypmods)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (exprType((Node *) tle->expr) != lfirst_oid(lt))
			tle->expr = (Expr *) coerce_to_target_type(nullptr, (Node *) tle->expr,
													   exprType((Node *) tle->expr), lfirst_oid(lt),
													   lfirst_int(lm), COERCION_IMPLICIT,
													   COERCE_IMPLICIT_CAST, -1);
	}
	/* The arm was one level deeper. */
	IncrementVarSublevelsUp((Node *) arm, -1, 2);
	return arm;
}

/* The touch query of one query of the nest, which is changed. */
Query *
touch(Query *query, List *path, int position, Level *outer, Building *building, Bitmapset **known)
{
	const Step *step = (const Step *) list_nth(path, position);
	Level level = {nullptr, nullptr, 0, nullptr, outer, NIL};
	List *items = NIL;
	List *conditions = NIL;
	int on_path = step->kind == StepKind::kFrom ? step->index : 0;
	int point = 0;
	ListCell *lc;

	if (query->cteList != NIL)
		return nullptr;
	if (query->setOperations)
		return touch_arm(query, path, position, outer, building, known);
	keep_joins_of(query, on_path);
	if (!choose_items((Node *) query->jointree, query, on_path, &level, &items))
		return nullptr;
	choose_conditions((Node *) query->jointree, on_path, &level, &conditions);

	if (step->kind == StepKind::kSubLink)
	{
		SubLink *sublink = (SubLink *) list_nth(sublinks_of(query), step->index);

		on_path = add_lateral(query, sublink, is_plain_condition(query, sublink), path,
							  position + 1, &level, building, &conditions);
		if (on_path == 0)
			return nullptr;
		items = lappend_int(items, on_path);
	}
	else if (rt_fetch(on_path, query->rtable)->rtekind == RTE_SUBQUERY)
	{
		RangeTblEntry *rte = rt_fetch(on_path, query->rtable);
		Bitmapset *below = nullptr;

		rte->subquery = touch(rte->subquery, path, position + 1, &level, building, &below);
		if (!rte->subquery)
			return nullptr;
		/* Once more, now that it is known what is known of the subquery. */
		level.partial = on_path;
		level.known = below;
		level.unshown = nullptr;
		level.merged = NIL;
		conditions = NIL;
		choose_conditions((Node *) query->jointree, on_path, &level, &conditions);
	}
	else
		point = on_path;

	Bitmapset *connected = connected_with(on_path, query, conditions);
	List *refs = NIL;
	List *kept = NIL;
	foreach (lc, items)
	{
		RangeTblRef *ref = makeNode(RangeTblRef);

		if (!bms_is_member(lfirst_int(lc), connected))
		{
			level.absent = bms_add_member(level.absent, lfirst_int(lc));
			continue;
		}
		ref->rtindex = lfirst_int(lc);
		refs = lappend(refs, ref);
	}
	forget_absent(&level);
	foreach (lc, conditions)
		if (bms_is_subset(varnos_of((Node *) lfirst(lc)), connected))
			kept = lappend(kept, lfirst(lc));
	/* On the nullable side of an outer join even the point itself is not shown. */
	*known = reduce_targets(query, &level);
	strip(query);
	query->jointree = makeFromExpr(refs, kept ? (Node *) make_ands_explicit(kept) : nullptr);
	replace_tables(query, refs, point, building);
	return query;
}

} // namespace

List *
find_touch_points(Query *query)
{
	PointSearch search = {NIL, NIL, true};

	search_query(&search, query);
	return search.points;
}

Bitmapset *
columns_read(Query *query, Oid relid)
{
	Bitmapset *used = nullptr;
	ListCell *lc;

	foreach (lc, find_touch_points(query))
		if (((TouchPoint *) lfirst(lc))->relid == relid)
			used = bms_add_members(used, ((TouchPoint *) lfirst(lc))->used);
	return used;
}

/*
 * What a table held before and after is what it holds now and what its delta has. A
 * query over both would read the delta again for each row it looks up in the table;
 * so there is one query for each, as long as there are few.
 */
Query *
touch_query(Query *whole, const TouchPoint *point, List *changed, Bitmapset **known)
{
	constexpr int kMostApart = 3;
	Building building = {changed, point->relid, 0, false, 0};
	List *queries = NIL;

	*known = nullptr;
	if (point->path == NIL)
		return nullptr;

	Query *both = touch((Query *) copyObject(whole), point->path, 0, nullptr, &building, known);
	int nothers = building.nothers;
	if (!both || nothers == 0 || nothers > kMostApart)
		return both;
	for (uint32 as_delta = 0; as_delta < 1U << nothers; as_delta++)
	{
		Building variant = {changed, point->relid, 0, true, as_delta};

		queries = lappend(queries, touch((Query *) copyObject(whole), point->path, 0, nullptr,
										 &variant, known));
	}
	return union_all(queries);
}

} // namespace tw::analyze
