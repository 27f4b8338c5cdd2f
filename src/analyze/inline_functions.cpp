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
 *
 * A body that is a string is analyzed each time. So that it has one meaning, its names are
 * looked up by the function's own search_path, else in its schema and in "public".
 */
#include "analyze/inline_functions.hpp"
#include "analyze/build.hpp"
#include "analyze/key.hpp"
#include "analyze/stage.hpp"
#include "analyze/target_sets.hpp"

namespace tw::analyze
{

namespace
{

/* A call whose body can be had. */
struct Call
{
	FuncExpr *expr; /* with all arguments, in order */
	HeapTuple proc;
	bool sets;
	bool strict;
	TupleDesc desc; /* of a composite result, else null */
	bool as_row;    /* the body gives such a result as one column */
};

struct Inlining
{
	List *active; /* functions in whose bodies we are */
	List **bodies;
	bool sublinks; /* the query around has got one */
};

struct BodyText
{
	const char *name;
	const char *source;
	const char *path; /* where its names are looked up; null: they are known */
};

bool
is_unknown_name(int sqlstate)
{
	return sqlstate == ERRCODE_UNDEFINED_TABLE || sqlstate == ERRCODE_UNDEFINED_FUNCTION ||
		   sqlstate == ERRCODE_UNDEFINED_OBJECT;
}

void
tell_function(void *arg)
{
	const BodyText *body = static_cast<const BodyText *>(arg);
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(body->source);
	}
	if (body->path && is_unknown_name(geterrcode()))
		errhint("Qualify the names in the function's body, write the body as BEGIN ATOMIC, or add "
				"SET search_path to the function.");
	if (body->path)
		errcontext("SQL function \"%s\", with names as they are found in %s", body->name,
				   body->path);
	else
		errcontext("SQL function \"%s\"", body->name);
}

/* The search_path of CREATE FUNCTION ... SET search_path; null if there is none. *other tells of other settings. */
const char *
own_search_path(HeapTuple proc, bool *other)
{
	bool isnull;
	Datum config = SysCacheGetAttr(PROCOID, proc, Anum_pg_proc_proconfig, &isnull);
	const char *path = nullptr;
	Datum *elements;
	int n;

	*other = false;
	if (isnull)
		return nullptr;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  nullptr, &n);
	for (int i = 0; i < n; i++)
	{
		const char *setting = TextDatumGetCString(elements[i]);

		if (strncmp(setting, "search_path=", strlen("search_path=")) == 0)
			path = setting + strlen("search_path=");
		else
			*other = true;
	}
	return path;
}

/* Where the names of a body are looked up. */
const char *
path_of_body(HeapTuple proc)
{
	bool other;
	const char *path = own_search_path(proc, &other);
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);

	return path ? path
				: psprintf("%s, public, pg_temp",
						   quote_identifier(get_namespace_name(form->pronamespace)));
}

/* CASE x WHEN ... passes x on by a node that means something else in the body's own CASE. */
bool
depends_on_place_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, CaseTestExpr) || IsA(node, WindowFunc))
		return true;
	if (IsA(node, CaseExpr) && ((CaseExpr *) node)->arg)
		return depends_on_place_walker((Node *) ((CaseExpr *) node)->arg, unused);
	if (IsA(node, ArrayCoerceExpr))
		return depends_on_place_walker((Node *) ((ArrayCoerceExpr *) node)->arg, unused);
	return pg::walk_expression(node, depends_on_place_walker, unused);
}

bool
may_inline(HeapTuple proc, const FuncExpr *expr)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(proc);
	bool other;

	if (form->prolang != SQLlanguageId || form->prokind != PROKIND_FUNCTION || form->prosecdef ||
		form->prorettype == VOIDOID || FmgrHookIsNeeded(form->oid))
		return false;
	(void) own_search_path(proc, &other);
	return !other && !depends_on_place_walker((Node *) expr->args, nullptr) &&
		   !expression_returns_set((Node *) expr->args);
}

FuncExpr *
as_function_call(Node *node)
{
	if (IsA(node, FuncExpr))
		return (FuncExpr *) node;
	if (!IsA(node, OpExpr))
		return nullptr;

	OpExpr *op = (OpExpr *) node;
	set_opfuncid(op);
	FuncExpr *expr = makeFuncExpr(op->opfuncid, op->opresulttype, op->args, op->opcollid,
								  op->inputcollid, COERCE_EXPLICIT_CALL);
	expr->funcretset = op->opretset;
	expr->location = op->location;
	return expr;
}

/* Looks at a call; the caller releases call->proc where true is returned. */
bool
find_call(Node *node, List *active, Call *call)
{
	FuncExpr *expr = as_function_call(node);

	if (!expr || expr->funcid < FirstNormalObjectId || list_member_oid(active, expr->funcid))
		return false;

	HeapTuple proc = SearchSysCache1(PROCOID, ObjectIdGetDatum(expr->funcid));
	if (!HeapTupleIsValid(proc))
		elog(ERROR, "cache lookup failed for function %u", expr->funcid);
	if (!may_inline(proc, expr))
	{
		ReleaseSysCache(proc);
		return false;
	}

	FuncExpr *whole = (FuncExpr *) copyObject(expr);
	whole->args = expand_function_arguments(whole->args, false, whole->funcresulttype, proc);
	call->expr = whole;
	call->proc = proc;
	call->sets = whole->funcretset;
	call->strict = ((Form_pg_proc) GETSTRUCT(proc))->proisstrict;
	call->desc = nullptr;
	(void) get_expr_result_type((Node *) whole, nullptr, &call->desc);
	return true;
}

/* The only statement of the body, analyzed; null if there is not just one. */
Query *
analyze_body(const Call &call)
{
	bool isnull;
	Datum stored = SysCacheGetAttr(PROCOID, call.proc, Anum_pg_proc_prosqlbody, &isnull);

	if (!isnull)
	{
		Node *node = (Node *) stringToNode(TextDatumGetCString(stored));
		List *queries = IsA(node, List) ? (List *) linitial((List *) node) : list_make1(node);

		if (list_length(queries) != 1)
			return nullptr;
		AcquireRewriteLocks(linitial_node(Query, queries), true, false);
		return linitial_node(Query, queries);
	}

	char *source = TextDatumGetCString(
		SysCacheGetAttr(PROCOID, call.proc, Anum_pg_proc_prosrc, &isnull));
	List *statements = pg_parse_query(source);
	if (list_length(statements) != 1)
		return nullptr;

	ParseState *pstate = make_parsestate(nullptr);
	pstate->p_sourcetext = source;
	sql_fn_parser_setup(pstate, prepare_sql_fn_parse_info(call.proc, (Node *) call.expr,
														  call.expr->inputcollid));
	Query *query = transformTopLevelStmt(pstate, linitial_node(RawStmt, statements));
	free_parsestate(pstate);
	return query;
}

/* True if the settings of the session decide what the names of the body are. */
bool
looks_up_names(const Call &call)
{
	bool other;

	return heap_attisnull(call.proc, Anum_pg_proc_prosqlbody, nullptr) &&
		   own_search_path(call.proc, &other) == nullptr;
}

/* The same with names looked up as they are wherever the view is maintained. */
Query *
analyze_body_pinned(const Call &call)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("search_path", path_of_body(call.proc), PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	Query *query = analyze_body(call);
	AtEOXact_GUC(true, level);
	return query;
}

/*
 * The rewritten body, with columns of the types that the function declares;
 * null if it is not a plain SELECT. A row of a composite type is given column by column,
 * unless the body itself has it as its only column.
 */
Query *
typed_body(Call *call, Query *query, List **bodies)
{
	TupleDesc desc = call->desc;

	if (!query || query->commandType != CMD_SELECT || query->utilityStmt || query->hasModifyingCTE)
		return nullptr;
	if (bodies)
		*bodies = lappend(*bodies, copyObject(query));

	List *queries = pg_rewrite_query(query);
	if (list_length(queries) != 1)
		return nullptr;
	bool whole_row = pg::check_function_result(queries, call->expr->funcresulttype, desc);
	call->as_row = desc && !whole_row;
	return whole_row && !desc ? nullptr : linitial_node(Query, queries);
}

/* True if the query is SELECT expressions [WHERE condition]. */
bool
reads_nothing(const Query *query)
{
	return query->rtable == NIL && query->jointree->fromlist == NIL && !query->hasAggs &&
		   !query->hasWindowFuncs && !query->hasTargetSRFs && query->cteList == NIL &&
		   query->groupClause == NIL && query->groupingSets == NIL && !query->havingQual &&
		   query->distinctClause == NIL && query->sortClause == NIL && !query->limitOffset &&
		   !query->limitCount && !query->setOperations;
}

/* Errors tell of the function from here on, until error_context_stack is set back. */
void
tell_of_body(const Call &call, BodyText *told, ErrorContextCallback *context)
{
	bool isnull;
	Datum source = SysCacheGetAttr(PROCOID, call.proc, Anum_pg_proc_prosrc, &isnull);

	told->name = NameStr(((Form_pg_proc) GETSTRUCT(call.proc))->proname);
	told->source = TextDatumGetCString(source);
	told->path = heap_attisnull(call.proc, Anum_pg_proc_prosqlbody, nullptr)
					 ? path_of_body(call.proc)
					 : nullptr;
	context->previous = error_context_stack;
	context->callback = tell_function;
	context->arg = told;
	error_context_stack = context;
}

/* What is declared IMMUTABLE is what it is declared; its names are looked up here, as those of others. */
bool
is_known_as_immutable(const Call &call, Query *body)
{
	return ((Form_pg_proc) GETSTRUCT(call.proc))->provolatile == PROVOLATILE_IMMUTABLE &&
		   (!reads_nothing(body) || body->hasSubLinks || contain_mutable_functions((Node *) body));
}

/* The body of a call, whose rights are those of the caller; null if it has none that can be put in its place. */
Query *
body_of(Call *call, List **bodies)
{
	BodyText told;
	ErrorContextCallback context;

	check_stack_depth();
	pg::check_may_execute(call->expr->funcid);
	if (type_is_rowtype(call->expr->funcresulttype) &&
		(!call->desc || get_typtype(call->expr->funcresulttype) == TYPTYPE_DOMAIN))
		return nullptr;
	tell_of_body(*call, &told, &context);
	Query *body = typed_body(call, analyze_body_pinned(*call), bodies);
	error_context_stack = context.previous;
	return body && is_known_as_immutable(*call, body) ? nullptr : body;
}

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

/* The only function of an item of FROM, null if it is more than that. */
RangeTblFunction *
only_function(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_FUNCTION && !rte->funcordinality && list_length(rte->functions) == 1
			   ? linitial_node(RangeTblFunction, rte->functions)
			   : nullptr;
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

/* The call of a function that gives a set, alone in FROM. */
Node *
set_call(const RangeTblEntry *rte)
{
	RangeTblFunction *function = only_function(rte);

	return function && IsA(function->funcexpr, FuncExpr) &&
				   ((FuncExpr *) function->funcexpr)->funcretset
			   ? function->funcexpr
			   : nullptr;
}

/* The columns of its rows may be stated in FROM. */
void
take_stated_columns(const RangeTblEntry *rte, Call *call)
{
	RangeTblFunction *function = only_function(rte);

	if (!call->desc && function->funccolnames != NIL)
		call->desc = BuildDescFromLists(function->funccolnames, function->funccoltypes,
										function->funccoltypmods, function->funccolcollations);
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

	Substitution s = {call.expr->args, 0, false};
	body = castNode(Query, parameter_mutator((Node *) body, &s));
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

bool
calls_sql_set_walker(Node *node, void *unused)
{
	Call call;

	if (node == nullptr)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcretset && find_call(node, NIL, &call))
	{
		ReleaseSysCache(call.proc);
		return true;
	}
	return pg::walk_expression(node, calls_sql_set_walker, unused);
}

} // namespace

Query *
inline_functions(Query *query, List **bodies)
{
	Inlining in = {NIL, bodies, false};

	return inline_query(query, &in);
}

Query *
body_of_call(Node *node, List *active, Oid *function)
{
	Call call;

	if (!find_call(node, active, &call))
		return nullptr;

	Query *body = call.sets ? nullptr : body_of(&call, nullptr);
	*function = call.expr->funcid;
	ReleaseSysCache(call.proc);
	return body;
}

Query *
body_of_item(RangeTblEntry *rte, List *active, Oid *function)
{
	Call call;

	if (!set_call(rte) || !find_call(set_call(rte), active, &call))
		return nullptr;
	take_stated_columns(rte, &call);

	Query *body = body_of(&call, nullptr);
	*function = call.expr->funcid;
	ReleaseSysCache(call.proc);
	return body;
}

void
move_sql_sets(Query *query)
{
	if (query->hasTargetSRFs && calls_sql_set_walker((Node *) query->targetList, nullptr))
		move_target_sets(query);
}

bool
has_one_meaning(Node *node)
{
	Call call;

	if (!find_call(node, NIL, &call))
		return true;

	BodyText told;
	ErrorContextCallback context;
	tell_of_body(call, &told, &context);
	bool same = !looks_up_names(call) || equal(analyze_body(call), analyze_body_pinned(call));
	error_context_stack = context.previous;
	ReleaseSysCache(call.proc);
	return same;
}

} // namespace tw::analyze
