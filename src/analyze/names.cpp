/*
 * names.cpp - see names.hpp.
 *
 * The text of a regclass or regtype follows from the catalogs, not from the
 * tables of the view. Where the object is a constant the server records that the
 * query depends on it, so it is heard of when it gets another name; where it
 * comes from a table it could be any. The labels of an enum are asked for by
 * enum_range() and its like, and used wherever a value becomes text.
 */
#include "analyze/names.hpp"

namespace tw::analyze
{

namespace
{

bool
is_object_type(Oid type)
{
	switch (type)
	{
		case REGCLASSOID:
		case REGTYPEOID:
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCOLLATIONOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGNAMESPACEOID:
			return true;
		default:
			return false;
	}
}

struct NameSearch
{
	Oid object;
};

bool
name_walker(Node *node, NameSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, name_walker, search, 0);
	if (IsA(node, Const))
	{
		const Const *constant = (const Const *) node;

		return is_object_type(constant->consttype) && !constant->constisnull &&
			   DatumGetObjectId(constant->constvalue) == search->object;
	}
	return pg::walk_expression(node, name_walker, search);
}

struct LabelSearch
{
	Oid type;
	Labels change;
	bool has_type;   /* a value of the type, or of one that may hold it */
	bool has_labels; /* an expression that asks for labels */
};

/* True if values of the type may hold labels of the enum. */
bool
may_hold(Oid type, Oid enumeration)
{
	Oid base = getBaseType(type);
	Oid element = get_base_element_type(base);

	if (OidIsValid(element))
		base = getBaseType(element);
	return base == enumeration || type_is_rowtype(base);
}

bool
lists_labels(Oid function)
{
	return function == F_ENUM_FIRST || function == F_ENUM_LAST ||
		   function == F_ENUM_RANGE_ANYENUM || function == F_ENUM_RANGE_ANYENUM_ANYENUM;
}

/* What gives text for an enum is not IMMUTABLE; functions of users are what they are called. */
bool
asks_for_labels(Oid function, void *arg)
{
	const LabelSearch *search = static_cast<const LabelSearch *>(arg);

	return lists_labels(function) ||
		   (search->change == Labels::kRenamed &&
			(func_volatile(function) != PROVOLATILE_IMMUTABLE || function >= FirstNormalObjectId));
}

bool
label_walker(Node *node, LabelSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, label_walker, search, 0);
	search->has_labels |= check_functions_in_node(node, asks_for_labels, search);
	if (IsA(node, Var) || IsA(node, Const) || IsA(node, CoerceViaIO) || IsA(node, FuncExpr))
		search->has_type |= may_hold(exprType(node), search->type);
	if (search->has_type && search->has_labels)
		return true;
	return pg::walk_expression(node, label_walker, search);
}

} // namespace

bool
shows_known_name(Node *node)
{
	if (!IsA(node, CoerceViaIO))
		return false;

	Node *arg = strip_implicit_coercions((Node *) ((CoerceViaIO *) node)->arg);
	if (!is_object_type(exprType(arg)))
		return false;
	return IsA(arg, Const) || (IsA(arg, FuncExpr) && ((FuncExpr *) arg)->funcid == F_PG_TYPEOF);
}

bool
shows_name(Query *query, Oid object)
{
	NameSearch search = {object};

	return name_walker((Node *) query, &search);
}

bool
shows_labels(Query *query, Oid type, Labels change)
{
	LabelSearch search = {type, change, false, false};

	return label_walker((Node *) query, &search);
}

} // namespace tw::analyze
