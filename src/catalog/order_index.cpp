/*
 * order_index.cpp - finds the index along which a table is read in a given order.
 */
#include "catalog/internal_table.hpp"

namespace tw::catalog
{

namespace
{

bool
sorts_by(Relation index, int i, const OrderColumn *column)
{
	Oid opfamily, opcintype;
	int16 strategy;

	if (!get_ordering_op_properties(column->op, &opfamily, &opcintype, &strategy))
		return false;
	return index->rd_index->indkey.values[i] == column->column &&
		   index->rd_opfamily[i] == opfamily && index->rd_opcintype[i] == opcintype &&
		   index->rd_indcollation[i] == column->collation &&
		   ((index->rd_indoption[i] & INDOPTION_DESC) != 0) ==
			   (strategy == BTGreaterStrategyNumber) &&
		   ((index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0) == column->nulls_first;
}

bool
is_in_order(Relation index, const OrderColumn *columns, int n)
{
	bool sorted = index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
				  index->rd_index->indnkeyatts >= n;

	for (int i = 0; sorted && i < n; i++)
		sorted = sorts_by(index, i, &columns[i]);
	return sorted;
}

} // namespace

bool
is_index_of_ours(Relation index)
{
	return RelationGetNamespace(index) == internal_namespace();
}

OrderIndex
find_order_index(Oid table, const OrderColumn *columns, int n)
{
	Relation rel = table_open(table, AccessShareLock);
	OrderIndex found = {InvalidOid, InvalidOid};
	bool partial = false;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		bool has_predicate = RelationGetIndexPredicate(index) != NIL;

		/* There are two with a predicate at most, see create_order_index(). */
		if (has_predicate && RelationGetIndexExpressions(index) != NIL)
			found.rest = lfirst_oid(lc);
		else if (is_in_order(index, columns, n) && (!OidIsValid(found.index) || partial))
		{
			found.index = lfirst_oid(lc);
			partial = has_predicate;
		}
		index_close(index, NoLock);
	}
	table_close(rel, NoLock);
	if (!partial)
		found.rest = InvalidOid;
	return found;
}

} // namespace tw::catalog
