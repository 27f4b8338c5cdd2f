/*
 * decompose.cpp - a query as a chain of queries, each over the results of those before.
 *
 * A query is split into stages (stage.cpp), subqueries in expressions become
 * items of FROM where that is the same (unnest.cpp), and then every item of FROM
 * that is not linear is cut out: the item becomes a table, the hidden inner
 * relation, and its query a part of its own. What remains of each query is one
 * thing - a join, a grouping, a window, a LIMIT - over tables, and each has a
 * strategy that follows it.
 *
 * Equal parts are cut out once, so a WITH query that is read twice is kept once.
 * An item stays where it is if its rows cannot be stored (a column of type
 * record), if whole rows of it are used, if it is lateral, if the order of its
 * rows might matter to what reads it, or if they depend on the order of others.
 */
#include "analyze/decompose.hpp"
#include "analyze/block.hpp"
#include "analyze/determinism.hpp"
#include "analyze/stage.hpp"
#include "analyze/unnest.hpp"

namespace tw::analyze
{

namespace
{

struct Chain
{
	Cutting *cutting;
	int place;    /* items met so far */
	List *parts;  /* Query */
	List *tables; /* OIDs */
};

Query *take_apart(Query *query, Chain *chain);

/* True if rows of the query can be stored in a table. */
bool
is_storable(Query *query)
{
	bool any = false;
	ListCell *lc;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		if (get_typtype(getBaseType(exprType((Node *) tle->expr))) == TYPTYPE_PSEUDO)
			return false;
		any = true;
	}
	return any;
}

bool
uses_whole_rows(Query *query, int rti)
{
	return bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber,
						 columns_used(query, rti));
}

/* A result column that is only there for ordering is not stored. */
void
drop_unshown(Query *query)
{
	List *targets = NIL;
	ListCell *lc;

	if (query->limitCount || query->limitOffset || query->distinctClause != NIL)
		return;
	query->sortClause = NIL;
	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		bool grouped = get_sortgroupref_clause_noerr(tle->ressortgroupref, query->groupClause);
		ListCell *lw;

		foreach (lw, query->windowClause)
			grouped |= get_sortgroupref_clause_noerr(
						   tle->ressortgroupref, lfirst_node(WindowClause, lw)->partitionClause) ||
					   get_sortgroupref_clause_noerr(tle->ressortgroupref,
													 lfirst_node(WindowClause, lw)->orderClause);
		if (!tle->resjunk || grouped)
			targets = lappend(targets, tle);
	}
	query->targetList = targets;
}

/* Number of the part that equals the query, which becomes one if there is none. */
int
part_number(Query *query, Chain *chain)
{
	int number = 0;
	ListCell *lc;

	foreach (lc, chain->parts)
	{
		if (equal(lfirst(lc), query))
			return number;
		number++;
	}
	chain->parts = lappend(chain->parts, query);
	chain->tables = lappend_oid(chain->tables,
								chain->cutting->find(chain->cutting->arg, number, query));
	return number;
}

/* The subquery becomes a part, and its place a table. */
void
cut_out(RangeTblEntry *rte, Chain *chain)
{
	drop_unshown(rte->subquery);

	int number = part_number(rte->subquery, chain);

	rte->rtekind = RTE_RELATION;
	rte->relid = list_nth_oid(chain->tables, number);
	rte->relkind = RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	rte->lateral = false;
	rte->security_barrier = false;
	rte->subquery = nullptr;
	pg::clear_permissions(rte);
}

struct OuterReads
{
	int depth;
};

bool
outer_reads_walker(Node *node, OuterReads *reads)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		reads->depth++;
		bool found = pg::walk_query((Query *) node, outer_reads_walker, reads,
									QTW_EXAMINE_RTES_BEFORE);
		reads->depth--;
		return found;
	}
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->rtekind == RTE_CTE &&
			   (int) ((RangeTblEntry *) node)->ctelevelsup > reads->depth;
	return pg::walk_expression(node, outer_reads_walker, reads);
}

/* True if the query is part of a recursive one and refers to that. */
bool
refers_to_recursion(Query *query)
{
	OuterReads reads = {-1};

	return outer_reads_walker((Node *) query, &reads);
}

/* True if the item may become a table: its rows do not depend on the order of others. */
bool
may_cut(Query *item, int place, Cutting *cutting)
{
	if (cutting->decided)
		return list_member_int(cutting->places, place);
	if (!is_order_independent(item))
		return false;
	cutting->places = lappend_int(cutting->places, place);
	return true;
}

/*
 * True if the query groups rows of the item as they are. Its rows are followed one by one then, by
 * the keys of what it reads (keyed.cpp), and need not be kept.
 */
bool
groups_plain_rows(Query *query, Query *item)
{
	return is_grouped(query) && !is_grouped(item) && !item->setOperations &&
		   !item->hasWindowFuncs && !item->hasTargetSRFs && item->distinctClause == NIL &&
		   !item->limitCount && !item->limitOffset && item->cteList == NIL;
}

/* Takes the items of FROM apart, and cuts out those that are not linear. */
void
cut_items(Query *query, Chain *chain)
{
	bool ordered = query_sees_order(query);
	bool top_k = is_top_k(query);
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		int rti = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind != RTE_SUBQUERY || rte->lateral || !reads_tables(rte->subquery) ||
			ordered || refers_to_recursion(rte->subquery) ||
			!may_cut(rte->subquery, chain->place++, chain->cutting))
			continue;
		rte->subquery = take_apart(rte->subquery, chain);
		if (!(top_k || not_linear(rte->subquery)) || groups_plain_rows(query, rte->subquery) ||
			!is_storable(rte->subquery) || uses_whole_rows(query, rti))
			continue;
		if (query->setOperations)
		{
			/* Its arms are queries. */
			rte->subquery = select_all_from(rte->subquery);
			rte = rt_fetch(1, rte->subquery->rtable);
		}
		cut_out(rte, chain);
	}
}

/*
 * The arms of a recursive query that do not refer to it are taken apart like any
 * other query; of those that do, only what they join it with.
 */
void
take_recursion_apart(Query *query, Chain *chain)
{
	Query *recursive = castNode(Query, linitial_node(CommonTableExpr, query->cteList)->ctequery);
	ListCell *lc;

	if (!recursive->setOperations)
		return;
	foreach (lc, from_relations(recursive))
	{
		RangeTblEntry *arm = rt_fetch(lfirst_int(lc), recursive->rtable);

		if (refers_to_recursion(arm->subquery))
		{
			if (!query_sees_order(arm->subquery))
				unnest(arm->subquery);
			cut_items(arm->subquery, chain);
			continue;
		}
		arm->subquery = take_apart(arm->subquery, chain);
		if (!reads_tables(arm->subquery) || !not_linear(arm->subquery) ||
			!is_storable(arm->subquery))
			continue;
		arm->subquery = select_all_from(arm->subquery);
		cut_out(rt_fetch(1, arm->subquery->rtable), chain);
	}
}

Query *
take_apart(Query *query, Chain *chain)
{
	if (query->cteList != NIL)
	{
		take_recursion_apart(query, chain);
		return query;
	}

	Query *top = split_stages(query);
	if (!top->setOperations && !query_sees_order(top))
		unnest(top);
	cut_items(top, chain);
	return top;
}

} // namespace

Query *
decompose(Query *query, Cutting *cutting, List **parts)
{
	Chain chain = {cutting, 0, NIL, NIL};
	Query *rest = take_apart(query, &chain);

	*parts = chain.parts;
	return rest;
}

namespace
{

struct LookupSearch
{
	Query *query;
	Oid table;
	List *columns;
};

void
add_lookup(LookupSearch *search, Node *side, Node *other)
{
	Var *var = (Var *) strip_implicit_coercions(side);

	if (!IsA(var, Var) || var->varlevelsup > 0 || var->varattno <= 0 ||
		var->varno > list_length(search->query->rtable) ||
		rt_fetch(var->varno, search->query->rtable)->relid != search->table ||
		bms_is_member(var->varno, pull_varnos(nullptr, other)))
		return;
	search->columns = list_append_unique_int(search->columns, var->varattno);
}

bool
lookup_walker(Node *node, LookupSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr *op = (OpExpr *) node;
		Node *left = (Node *) linitial(op->args);
		Node *right = (Node *) lsecond(op->args);

		if (op_mergejoinable(op->opno, exprType(left)) || op_hashjoinable(op->opno, exprType(left)))
		{
			add_lookup(search, left, right);
			add_lookup(search, right, left);
		}
	}
	if (IsA(node, Query))
	{
		Query *outer = search->query;

		search->query = (Query *) node;
		(void) pg::walk_query((Query *) node, lookup_walker, search, 0);
		search->query = outer;
		return false;
	}
	return pg::walk_expression(node, lookup_walker, search);
}

} // namespace

List *
lookup_columns(Query *query, Oid table)
{
	LookupSearch search = {query, table, NIL};

	(void) pg::walk_query(query, lookup_walker, &search, 0);
	return search.columns;
}

} // namespace tw::analyze
