/*
 * normalize.cpp - brings a query into the form that the rest of analysis expects.
 *
 * WITH queries are written where they are read, columns of joins become
 * columns of what is joined, and what EXISTS selects is forgotten, so that it
 * counts as read by nobody.
 */
#include "analyze/normalize.hpp"

namespace tw::analyze
{

namespace
{

struct InlineContext
{
	CommonTableExpr *cte;
	int levels_up;
};

bool
inline_cte_walker(Node *node, InlineContext *context)
{
	if (node == nullptr)
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
			Query *body = (Query *) copyObject(context->cte->ctequery);

			if (context->levels_up > 0)
				IncrementVarSublevelsUp((Node *) body, context->levels_up, 1);
			rte->rtekind = RTE_SUBQUERY;
			rte->subquery = body;
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

/* A CTE's body counts its levels from the query that owns the CTE; nothing volatile is in it. */
void
inline_ctes(Query *query)
{
	List *kept = NIL;
	ListCell *lc;

	foreach (lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (cte->cterecursive)
		{
			kept = lappend(kept, cte);
			continue;
		}

		InlineContext context = {cte, -1};
		(void) inline_cte_walker((Node *) query, &context);
	}
	query->cteList = kept;
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
