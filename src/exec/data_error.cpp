/*
 * data_error.cpp - queries of maintenance that may fail where the view's own query would not.
 */
#include "exec/data_error.hpp"

namespace tw::exec
{

namespace
{

bool
may_fail(Oid function, void *unused)
{
	return !get_func_leakproof(function);
}

bool
may_fail_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, may_fail_walker, unused, 0);
	if (IsA(node, OpExpr) && get_op_btree_interpretation(((OpExpr *) node)->opno) != NIL)
		return may_fail_walker((Node *) ((OpExpr *) node)->args, unused);
	if (check_functions_in_node(node, may_fail, nullptr))
		return true;
	return pg::walk_expression(node, may_fail_walker, unused);
}

} // namespace

bool
can_fail(Node *node)
{
	return may_fail_walker(node, nullptr);
}

bool
is_data_error(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case MAKE_SQLSTATE('2', '2', '0', '0', '0'): /* data exception */
		case MAKE_SQLSTATE('2', '1', '0', '0', '0'): /* cardinality violation */
		case MAKE_SQLSTATE('2', '3', '0', '0', '0'): /* a domain's constraint */
		case MAKE_SQLSTATE('P', '0', '0', '0', '0'): /* RAISE */
			return true;
		default:
			return false;
	}
}

} // namespace tw::exec
