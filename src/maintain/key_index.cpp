/*
 * key_index.cpp - the indexes by which rows of a view are found.
 *
 * Rows are found by their key, which follows from the query and from the
 * constraints of the base tables, or by their image. Where these constraints
 * change, so does the index.
 */
#include "maintain/attach_steps.hpp"
#include "analyze/recursion.hpp"
#include "capture/image.hpp"
#include "catalog/internal_table.hpp"
#include "catalog/view_list.hpp"
#include "state/writer.hpp"

namespace tw::maintain
{

using analyze::Strategy;
using analyze::ViewPlan;

List *
key_list(const ViewPlan *plan)
{
	List *columns = NIL;

	for (int i = 0; i < plan->nkey; i++)
		columns = lappend_int(columns, plan->key[i]);
	return columns;
}

namespace
{

bool
same_columns(List *a, List *b)
{
	return list_length(a) == list_length(b) && list_difference_int(a, b) == NIL;
}

/* Indexes that a dump brought back are ours by their names: it knows nothing else of them. */
void
adopt_indexes(Oid view)
{
	Relation rel = table_open(view, AccessShareLock);
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		const char *name = get_rel_name(lfirst_oid(lc));

		if ((strstr(name, "_tw_key") || strstr(name, "_tw_touch")) &&
			!catalog::is_own_index(lfirst_oid(lc)))
			catalog::own_index(lfirst_oid(lc));
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

} // namespace

Oid
find_key_index(const ViewPlan *plan)
{
	Relation rel = table_open(plan->view, ShareLock);
	List *key = key_list(plan);
	Oid index = InvalidOid;
	ListCell *lc;

	List *in_hash = catalog::hashed_columns(RelationGetDescr(rel), key);
	foreach (lc, RelationGetIndexList(rel))
	{
		Relation candidate = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = candidate->rd_index;
		state::IndexForm kind;
		List *columns = state::index_columns(candidate, &kind);
		bool hashed = kind == state::IndexForm::kRowHash || kind == state::IndexForm::kRecordHash;

		if (form->indisvalid && candidate->rd_rel->relam == BTREE_AM_OID &&
			RelationGetIndexPredicate(candidate) == NIL &&
			((kind == state::IndexForm::kColumns && form->indisunique && key != NIL &&
			  same_columns(columns, key)) ||
			 (hashed && same_columns(columns, in_hash))))
			index = lfirst_oid(lc);
		index_close(candidate, NoLock);
	}

	char *name = ChooseRelationName(RelationGetRelationName(rel), nullptr, "tw_key",
									RelationGetNamespace(rel), false);
	bool scalar = plan->strategy == Strategy::kAggregate && plan->ngroup == 0;
	table_close(rel, NoLock);
	if (!OidIsValid(index) && !scalar)
		index = catalog::create_lookup_index(plan->view, name, key, catalog::Uniqueness::kUnique);
	adopt_indexes(plan->view);
	return index;
}

void
ensure_touch_index(const ViewPlan *plan)
{
	List *columns = NIL;

	if (plan->strategy == Strategy::kRecursive)
		columns = plan->recursion->joined;
	else if (plan->strategy != Strategy::kKeyed)
		return;
	for (int i = 0; i < plan->nrestrict; i++)
		columns = lappend_int(columns, plan->restrict_columns[i]);
	if (columns == NIL)
		return;
	catalog::ensure_planner_index(plan->view,
								  ChooseRelationName(get_rel_name(plan->view), nullptr, "tw_touch",
													 get_rel_namespace(plan->view), false),
								  columns);
}

bool
follow_key(const ViewPlan *plan, const catalog::LiveView *info)
{
	Oid index = find_key_index(plan);

	if (index == info->key_index)
		return false;
	catalog::set_key(plan->view, index, key_list(plan));
	CommandCounterIncrement();
	if (OidIsValid(info->key_index) && catalog::is_own_index(info->key_index))
	{
		ObjectAddress address;

		ObjectAddressSet(address, RelationRelationId, info->key_index);
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	CommandCounterIncrement();
	return true;
}

void
rebuild_key_index(const ViewRuntime *view)
{
	bool composite = false;

	for (int i = 0; i < view->desc->natts; i++)
		composite |= capture::holds_composite(TupleDescAttr(view->desc, i)->atttypid);
	if (!composite || !OidIsValid(view->info.key_index))
		return;
	pg::rebuild_index(view->info.key_index, get_rel_persistence(view->info.view));
	CommandCounterIncrement();
}

} // namespace tw::maintain
