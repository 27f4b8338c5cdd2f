/*
 * inline_functions.cpp - see inline_functions.hpp.
 *
 * A SQL function that is not IMMUTABLE may read tables. Its body, put in place
 * of the call, makes these tables base tables of the view. The server does the
 * same when it plans, but only for expressions that read nothing and for
 * functions in FROM that are neither strict nor VOLATILE, which is what a function is
 * called if nobody says otherwise. Here the body is judged instead of the label: what is
 * volatile in it is refused like anything else. Only IMMUTABLE is believed: such functions
 * are taken in where the server would do it, and called where it would not.
 *
 * A function that gives one value gives that of the first row, and null if there is none:
 * its body becomes the expression it consists of, or a scalar subquery with
 * LIMIT 1 unless a key tells that there is one row. A function that gives a set becomes a
 * subquery in FROM. Arguments take the place of parameters; nothing of what
 * is accepted gives another value the second time it is evaluated.
 */
#include "analyze/inline_functions.hpp"
#include "analyze/build.hpp"
#include "analyze/function_body.hpp"
#include "analyze/key.hpp"
#include "analyze/stage.hpp"

namespace tw::analyze
{

namespace
{

struct Inlining
{
	List *active; /* functions in whose bodies we are */
	List **bodies;
	bool sublinks; /* the query around has got one */
};

struct Substitution
{
	List *args;
	int levels_up;
	bool sublinks; /* the query around has got one */
};

Node *
parameter_mutator(Node *node, Substitution *s)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
	{
		bool around = s->sublinks;

		s->sublinks = false;
		s->levels_up++;
		Query *query = pg::mutate_query((Query *) node, parameter_mutator, s, 0);
		s->levels_up--;
		query->hasSubLinks |= s->sublinks;
		s->sublinks = around;
		return (Node *) query;
	}
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN)
	{
		int number = ((Param *) node)->paramid - 1;

		if (number < 0 || number >= list_length(s->args))
			elog(ERROR, "invalid parameter number");
		Node *arg = (Node *) copyObject(list_nth(s->args, number));
		if (s->levels_up > 0)
			IncrementVarSublevelsUp(arg, s->levels_up, 0);
		s->sublinks |= checkExprHasSubLink(arg);
		return arg;
	}
	return pg::mutate_expression(node, parameter_mutator, s);
}

/* The node of a body, which comes to stand where the arguments are, or some levels below. */
Node *
substitute(Node *node, List *args)
{
	Substitution s = {args, 0, false};

	return parameter_mutator(node, &s);
}

/* True unless an argument is null; null if none can be. */
Node *
no_argument_is_null(List *args)
{
	List *tests = NIL;
	ListCell *lc;

	foreach (lc, args)
	{
		Node *arg = (Node *) lfirst(lc);
		NullTest *test = makeNode(NullTest);

		if (IsA(arg, Const) && !((Const *) arg)->constisnull)
			continue;
		test->arg = (Expr *) copyObject(arg);
		test->nulltesttype = IS_NOT_NULL;
		test->argisrow = false; /* of a row, that there is one */
		test->location = -1;
		tests = lappend(tests, test);
	}
	return tests == NIL ? nullptr : (Node *) make_ands_explicit(tests);
}

/* CASE WHEN condition THEN value END. */
Node *
value_if(Node *condition, Node *value)
{
	CaseExpr *choice = makeNode(CaseExpr);
	CaseWhen *when = makeNode(CaseWhen);

	when->expr = (Expr *) condition;
	when->result = (Expr *) value;
	when->location = -1;
	choice->casetype = exprType(value);
	choice->casecollid = exprCollation(value);
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeNullConst(exprType(value), exprTypmod(value),
											   exprCollation(value));
	choice->location = -1;
	return (Node *) choice;
}

/* True if a query that has been rewritten gives one row at most, whatever its parameters are. */
bool
gives_one_row(Query *query)
{
	Query *rows = (Query *) copyObject(query);
	bool exists = false;

	if (query->limitCount && IsA(query->limitCount, Const) &&
		query->limitOption == LIMIT_OPTION_COUNT && !((Const *) query->limitCount)->constisnull &&
		DatumGetInt64(((Const *) query->limitCount)->constvalue) <= 1)
		return true;
	if (query->cteList != NIL || query->setOperations || query->hasTargetSRFs)
		return false;
	if (!is_grouped(query) && query->distinctClause == NIL)
	{
		/* So that no column of a key is shown: it has to follow from the conditions. */
		rows->sortClause = NIL;
		rows->hasWindowFuncs = false;
		rows->windowClause = NIL;
		rows->targetList = list_make1(
			makeTargetEntry((Expr *) makeBoolConst(true, false), 1, nullptr, false));
		rows->jointree = (FromExpr *) pg::flatten_join_aliases(rows, (Node *) rows->jointree);
	}
	return derive_key(rows, &exists) == NIL && exists;
}

/* The first row of the query. */
Query *
first_row(Query *query)
{
	if (gives_one_row(query))
		return query;
	if (query->limitCount || query->limitOffset)
		query = select_all_from(query);
	query->limitCount = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(1),
										   false, FLOAT8PASSBYVAL);
	query->limitOption = LIMIT_OPTION_COUNT;
	return query;
}

/* The columns, which are those of the descriptor, as one row of the type. */
Node *
row_of(List *columns, Oid type, TupleDesc desc)
{
	RowExpr *row = makeNode(RowExpr);

	row->args = columns;
	row->row_typeid = type;
	row->row_format = COERCE_IMPLICIT_CAST;
	for (int i = 0; i < desc->natts; i++)
		row->colnames = lappend(row->colnames,
								makeString(pstrdup(NameStr(TupleDescAttr(desc, i)->attname))));
	row->location = -1;
	return (Node *) row;
}

/* Columns of the first item in FROM. */
List *
item_columns(Query *query)
{
	RangeTblEntry *rte = linitial_node(RangeTblEntry, query->rtable);
	List *columns = NIL;
	ListCell *lc;

	foreach (lc, shown_targets(rte->subquery))
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node *expr = (Node *) tle->expr;

		columns = lappend(columns, makeVar(1, tle->resno, exprType(expr), exprTypmod(expr),
										   exprCollation(expr), 0));
	}
	return columns;
}

/* SELECT a row of the type FROM body. */
Query *
rows_of(Query *body, Oid type, TupleDesc desc)
{
	Query *query = select_from(from_item(body, "body"));

	query->targetList = list_make1(makeTargetEntry((Expr *) row_of(item_columns(query), type, desc),
												   1, pstrdup("row"), false));
	return query;
}

List *
expressions_of(List *targets)
{
	List *exprs = NIL;
	ListCell *lc;

	foreach (lc, targets)
		exprs = lappend(exprs, lfirst_node(TargetEntry, lc)->expr);
	return exprs;
}

/* What a call that gives one value stands for; its body has been through inline_mutator(). */
Node *
value_of(const Call &call, Query *body, Inlining *in)
{
	FuncExpr *expr = call.expr;
	Node *value;

	if (reads_nothing(body))
	{
		List *columns = expressions_of(shown_targets(body));

		value = call.desc && !call.as_row ? row_of(columns, expr->funcresulttype, call.desc)
										  : (Node *) linitial(columns);
		if (body->jointree->quals)
			value = value_if(body->jointree->quals, value);
		value = substitute(value, expr->args);
	}
	else
	{
		SubLink *sublink = makeNode(SubLink);

		body = first_row(body);
		if (call.desc && !call.as_row)
			body = rows_of(body, expr->funcresulttype, call.desc);
		sublink->subLinkType = EXPR_SUBLINK;
		sublink->subselect = substitute((Node *) body, expr->args);
		sublink->location = expr->location;
		value = (Node *) sublink;
	}
	if (call.strict)
	{
		Node *condition = no_argument_is_null(expr->args);

		value = condition ? value_if(condition, value) : value;
	}
	in->sublinks |= checkExprHasSubLink(value);
	if (OidIsValid(expr->funccollid) && OidIsValid(exprCollation(value)) &&
		exprCollation(value) != expr->funccollid)
	{
		CollateExpr *collate = makeNode(CollateExpr);

		collate->arg = (Expr *) value;
		collate->collOid = expr->funccollid;
		collate->location = -1;
		value = (Node *) collate;
	}
	return value;
}

/* Beyond this, arguments of arguments that are used more than once would make an endless expression. */
constexpr int kMaxNodes = 5000;

bool
count_walker(Node *node, int *count)
{
	if (node == nullptr)
		return false;
	if (++*count > kMaxNodes)
		return true;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, count_walker, count, 0);
	return pg::walk_expression(node, count_walker, count);
}

Query *inline_query(Query *query, Inlining *in);
Node *inline_mutator(Node *node, Inlining *in);

/* The same as find_call(), with calls in the defaults of arguments replaced as well; those in others have been. */
bool
find_call_to_replace(Node *node, Inlining *in, Call *call)
{
	if (!find_call(node, in->active, call))
		return false;
	if (list_length(call->expr->args) != list_length(as_function_call(node)->args))
		call->expr->args = (List *) inline_mutator((Node *) call->expr->args, in);
	return true;
}

/* The body of a call with the calls in it replaced; null if it has none. */
Query *
replaced_body(Call *call, Inlining *in)
{
	Query *body = body_of(call, in->bodies);

	if (!body)
		return nullptr;

	List *around = in->active;
	in->active = lappend_oid(list_copy(around), call->expr->funcid);
	body = inline_query(body, in);
	in->active = around;
	return body;
}

/* The call, whose arguments have been seen to, or what takes its place. */
Node *
inline_call(Node *node, Inlining *in)
{
	Call call;

	if (!find_call_to_replace(node, in, &call))
		return node;

	Query *body = call.sets ? nullptr : replaced_body(&call, in);
	ReleaseSysCache(call.proc);
	if (!body)
		return node;

	Node *value = value_of(call, body, in);
	int nodes = 0;
	return count_walker(value, &nodes) ? node : value;
}

Node *
inline_mutator(Node *node, Inlining *in)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
		return (Node *) inline_query((Query *) node, in);
	Node *result = pg::mutate_expression(node, inline_mutator, in);
	return IsA(result, FuncExpr) || IsA(result, OpExpr) ? inline_call(result, in) : result;
}

/* Makes the item of FROM a subquery. */
void
become_subquery(RangeTblEntry *rte, Query *query)
{
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->security_barrier = false;
	rte->functions = NIL;
}

/* SELECT the fields of the row that is the only column of the query FROM the query. */
Query *
fields_of(Query *query, TupleDesc desc)
{
	Query *fields = select_from(from_item(query, "row"));
	Node *row = (Node *) linitial(item_columns(fields));

	IncrementVarSublevelsUp((Node *) query, 1, 1);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		FieldSelect *field = makeNode(FieldSelect);

		field->arg = (Expr *) copyObject(row);
		field->fieldnum = i + 1;
		field->resulttype = att->atttypid;
		field->resulttypmod = att->atttypmod;
		field->resultcollid = att->attcollation;
		Expr *expr = att->attisdropped ? (Expr *) makeNullConst(INT4OID, -1, InvalidOid)
									   : (Expr *) field;
		fields->targetList = lappend(fields->targetList,
									 makeTargetEntry(expr, i + 1, pstrdup(NameStr(att->attname)),
													 false));
	}
	return fields;
}

/* SELECT value, or its fields if it is a row. */
Query *
select_value(Node *value, TupleDesc desc)
{
	Query *query = makeNode(Query);

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, nullptr);
	query->hasSubLinks = checkExprHasSubLink(value);
	query->targetList = list_make1(makeTargetEntry((Expr *) value, 1, pstrdup("value"), false));
	return desc ? fields_of(query, desc) : query;
}

/* The rows of a call that gives a set. */
void
inline_set(RangeTblEntry *rte, Inlining *in)
{
	Call call;

	if (!set_call(rte) || !find_call_to_replace(set_call(rte), in, &call))
		return;
	take_stated_columns(rte, &call);

	Query *body = replaced_body(&call, in);
	ReleaseSysCache(call.proc);
	if (!body)
		return;
	if (call.as_row)
		body = fields_of(body, call.desc);

	Node *condition = call.strict ? no_argument_is_null(call.expr->args) : nullptr;
	/* Over it, since it may be grouped or limited. */
	if (condition)
		body = select_all_from(body);

	body = castNode(Query, substitute((Node *) body, call.expr->args));
	if (condition)
	{
		IncrementVarSublevelsUp(condition, 1, 0);
		body->jointree->quals = make_and_qual(body->jointree->quals, condition);
		body->hasSubLinks |= checkExprHasSubLink(condition);
	}
	become_subquery(rte, body);
}

/* An item of FROM that gave one value by a call, which is another expression by now. */
void
inline_value(RangeTblEntry *rte, const RangeTblEntry *before)
{
	RangeTblFunction *function = only_function(rte);
	TupleDesc desc = nullptr;

	if (!function || !IsA(only_function(before)->funcexpr, FuncExpr) ||
		IsA(function->funcexpr, FuncExpr))
		return;
	(void) get_expr_result_type(only_function(before)->funcexpr, nullptr, &desc);
	if (!desc && function->funccolnames != NIL)
		return;

	Node *value = function->funcexpr;
	IncrementVarSublevelsUp(value, 1, 0);
	become_subquery(rte, select_value(value, desc));
}

Query *
inline_query(Query *query, Inlining *in)
{
	bool around = in->sublinks;
	ListCell *lc;
	ListCell *lb;

	in->sublinks = false;
	move_sql_sets(query);
	Query *result = pg::mutate_query(query, inline_mutator, in, 0);
	forboth (lc, result->rtable, lb, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		inline_value(rte, lfirst_node(RangeTblEntry, lb));
		inline_set(rte, in);
	}
	result->hasSubLinks |= in->sublinks;
	in->sublinks = around;
	return result;
}

} // namespace

Query *
inline_functions(Query *query, List **bodies)
{
	Inlining in = {NIL, bodies, false};

	return inline_query(query, &in);
}

} // namespace tw::analyze
