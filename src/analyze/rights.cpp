/*
 * rights.cpp - see rights.hpp.
 *
 * The executor checks what it runs. What is computed without it, from changed
 * rows and state, must not show a view's owner what he could not select.
 */
#include "analyze/rights.hpp"

namespace tw::analyze
{

namespace
{

void
look_at(RangeTblEntry *entry, List *permissions, Rights *rights)
{
	if (entry->rtekind != RTE_RELATION || !pg::needs_permission(entry))
		return;
	rights->relations = list_append_unique_oid(rights->relations, entry->relid);
	if (!OidIsValid(rights->denied) && !pg::is_permitted(entry, permissions))
		rights->denied = entry->relid;
}

bool
rights_walker(Node *node, Rights *rights)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_expression(node, rights_walker, rights);

	Query *query = castNode(Query, node);
	ListCell *lc;

	foreach (lc, query->rtable)
		look_at(lfirst_node(RangeTblEntry, lc), pg::permissions_of(query), rights);
	return pg::walk_query(query, rights_walker, rights, 0);
}

} // namespace

Rights
find_rights(Query *query)
{
	Rights rights = {NIL, InvalidOid};

	(void) rights_walker((Node *) query, &rights);
	return rights;
}

} // namespace tw::analyze
