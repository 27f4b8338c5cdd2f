/*
 * normalize.cpp - the same query with less syntax.
 *
 * WITH queries become subqueries in FROM, and columns of a join those of the
 * relations it joins, so that all that follows sees tables and subqueries only.
 */
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/recursion.hpp"
#include "analyze/stage.hpp"
#include "analyze/target_sets.hpp"

namespace tw::analyze
{

namespace
{

struct InlineContext
{
	CommonTableExpr *cte;
	int levels_up;
};

/* WITH RECURSIVE cte SELECT the columns of the cte FROM cte, to stand `depth` levels below the query that owns it. */
Query *
recursive_subquery(CommonTableExpr *cte, int depth)
{
	CommonTableExpr *copy = (CommonTableExpr *) copyObject(cte);
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	/* References to itself stay; what is further out is further away. */
	IncrementVarSublevelsUp(copy->ctequery, depth, 2);
	rte->rtekind = RTE_CTE;
	rte->ctename = pstrdup(cte->ctename);
	rte->coltypes = list_copy(cte->ctecoltypes);
	rte->coltypmods = list_copy(cte->ctecoltypmods);
	rte->colcollations = list_copy(cte->ctecolcollations);
	rte->eref = makeAlias(cte->ctename, (List *) copyObject(cte->ctecolnames));
	rte->inFromCl = true;

	Query *query = select_from(rte);
	query->hasRecursive = true;
	query->cteList = list_make1(copy);
	for (int i = 0; i < list_length(cte->ctecoltypes); i++)
		query->targetList =
			lappend(query->targetList,
					makeTargetEntry((Expr *) makeVar(1, i + 1, list_nth_oid(cte->ctecoltypes, i),
													 list_nth_int(cte->ctecoltypmods, i),
													 list_nth_oid(cte->ctecolcollations, i), 0),
									i + 1, pstrdup(strVal(list_nth(cte->ctecolnames, i))), false));
	return query;
}

Query *
inlined_body(const InlineContext *context)
{
	CommonTableExpr *cte = context->cte;

	if (cte->cterecursive)
		return recursive_subquery(cte, context->levels_up + 1);

	Query *body = (Query *) copyObject(cte->ctequery);
	if (context->levels_up > 0)
		IncrementVarSublevelsUp((Node *) body, context->levels_up, 1);
	return body;
}

bool
inline_cte_walker(Node *node, InlineContext *context)
{
	/* A recursive query's references to itself stay. */
	if (node == nullptr || (node == (Node *) context->cte && context->cte->cterecursive))
		return false;
	if (IsA(node, Query))
	{
		context->levels_up++;
		(void) pg::walk_query((Query *) node, inline_cte_walker, context, QTW_EXAMINE_RTES_AFTER);
		context->levels_up--;
		return false;
	}
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_CTE && strcmp(rte->ctename, context->cte->ctename) == 0 &&
			rte->ctelevelsup == context->levels_up)
		{
			rte->subquery = inlined_body(context);
			rte->rtekind = RTE_SUBQUERY;
			rte->security_barrier = false;
			rte->ctename = nullptr;
			rte->ctelevelsup = 0;
			rte->self_reference = false;
			rte->coltypes = NIL;
			rte->coltypmods = NIL;
			rte->colcollations = NIL;
		}
		return false;
	}
	return pg::walk_expression(node, inline_cte_walker, context);
}

/* True if the node, `depth` levels below a query, refers to a recursion that is under way around that query. */
bool
joins_recursion_walker(Node *node, int *depth)
{
	if (node == nullptr)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_CTE && rte->self_reference && (int) rte->ctelevelsup >= *depth;
	}
	if (IsA(node, Query))
	{
		(*depth)++;
		bool found = pg::walk_query((Query *) node, joins_recursion_walker, depth,
									QTW_EXAMINE_RTES_BEFORE);
		(*depth)--;
		return found;
	}
	return pg::walk_expression(node, joins_recursion_walker, depth);
}

/* The executor reads the last round of a recursion in one place only. */
bool
must_stay(CommonTableExpr *cte)
{
	int depth = 0;

	return cte->cterefcount > 1 && joins_recursion_walker(cte->ctequery, &depth);
}

/*
 * A CTE's body counts its levels from the query that owns the CTE; nothing
 * volatile is in it. A recursive one becomes a subquery that owns it and gives
 * its content, unless the query is that already.
 */
void
inline_ctes(Query *query)
{
	ListCell *lc;

	foreach (lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);
		InlineContext context = {cte, -1};

		if (!cte->cterecursive && !must_stay(cte))
		{
			(void) inline_cte_walker((Node *) query, &context);
			query->cteList = foreach_delete_current (query->cteList, lc);
		}
	}
	if (is_recursive_content(query))
		return;
	foreach (lc, query->cteList)
	{
		InlineContext context = {lfirst_node(CommonTableExpr, lc), -1};

		if (context.cte->cterecursive)
		{
			(void) inline_cte_walker((Node *) query, &context);
			query->cteList = foreach_delete_current (query->cteList, lc);
		}
	}
	query->hasRecursive = false;
}

/* EXISTS (SELECT * ...) reads no column: what the query shows does not matter. */
void
forget_targets(Query *query)
{
	if (query->cteList != NIL || query->setOperations || query->hasAggs ||
		query->groupClause != NIL || query->groupingSets != NIL || query->havingQual ||
		query->hasWindowFuncs || query->hasTargetSRFs || query->distinctClause != NIL ||
		query->limitOffset || query->hasForUpdate)
		return;
	query->sortClause = NIL;
	query->targetList = list_make1(
		makeTargetEntry((Expr *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1),
										   false, true),
						1, pstrdup("one"), false));
}

/*
 * HAVING without groups or aggregates decides about one row, whatever the tables
 * hold: the server does not read them, and so doesn't meet their errors.
 */
void
forget_input(Query *query)
{
	if (!query->havingQual || query->hasAggs || query->groupClause != NIL ||
		query->groupingSets != NIL)
		return;
	query->jointree = makeFromExpr(NIL, query->havingQual);
	query->havingQual = nullptr;
	query->rtable = NIL;
}

/*
 * A set-returning function makes rows where it only sorts them, too. It is
 * computed by a subquery then, so that all that is not shown can be left out.
 */
void
show_sorting_sets(Query *query)
{
	bool hidden = false;
	ListCell *lc;

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		hidden |= tle->resjunk && expression_returns_set((Node *) tle->expr);
	}
	if (!hidden || query->distinctClause != NIL || query->setOperations)
		return;

	Query *inner = makeNode(Query);

	*inner = *query;
	inner->limitCount = inner->limitOffset = nullptr;
	inner->limitOption = LIMIT_OPTION_COUNT;

	Query *outer = sorted_over(inner);

	inner->sortClause = NIL;
	IncrementVarSublevelsUp((Node *) inner, 1, 1);
	outer->limitCount = query->limitCount;
	outer->limitOffset = query->limitOffset;
	outer->limitOption = query->limitOption;
	outer->hasSubLinks = checkExprHasSubLink(outer->limitCount) ||
						 checkExprHasSubLink(outer->limitOffset);
	*query = *outer;
}

bool
normalize_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == EXISTS_SUBLINK)
		forget_targets(castNode(Query, ((SubLink *) node)->subselect));
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		bool has_join = false;
		ListCell *lc;

		inline_ctes(query);
		forget_input(query);
		show_sorting_sets(query);
		move_target_sets(query);
		foreach (lc, query->rtable)
			has_join |= lfirst_node(RangeTblEntry, lc)->rtekind == RTE_JOIN;
		if (has_join)
		{
			query->targetList = (List *) pg::flatten_join_aliases(query,
																  (Node *) query->targetList);
			query->jointree = (FromExpr *) pg::flatten_join_aliases(query,
																	(Node *) query->jointree);
			query->havingQual = pg::flatten_join_aliases(query, query->havingQual);
			foreach (lc, query->rtable)
			{
				RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

				if (rte->rtekind == RTE_SUBQUERY && rte->lateral)
					rte->subquery = (Query *) pg::flatten_join_aliases(query,
																	   (Node *) rte->subquery);
				else if (rte->rtekind == RTE_FUNCTION)
					rte->functions = (List *) pg::flatten_join_aliases(query,
																	   (Node *) rte->functions);
				else if (rte->rtekind == RTE_VALUES)
					rte->values_lists = (List *)
						pg::flatten_join_aliases(query, (Node *) rte->values_lists);
			}
		}
		return pg::walk_query(query, normalize_walker, unused, 0);
	}
	return pg::walk_expression(node, normalize_walker, unused);
}

} // namespace

Query *
normalize(Query *query)
{
	(void) normalize_walker((Node *) query, nullptr);
	return query;
}

} // namespace tw::analyze
