/*
 * function_body.cpp - see function_body.hpp.
 *
 * A body that is a string is analyzed each time. So that it has one meaning, its names are
 * looked up by the function's own search_path, else in its schema and in "public".
 */
#include "analyze/function_body.hpp"
#include "analyze/target_sets.hpp"

namespace tw::analyze
{

namespace
{

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

} // namespace

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

bool
reads_nothing(const Query *query)
{
	return query->rtable == NIL && query->jointree->fromlist == NIL && !query->hasAggs &&
		   !query->hasWindowFuncs && !query->hasTargetSRFs && query->cteList == NIL &&
		   query->groupClause == NIL && query->groupingSets == NIL && !query->havingQual &&
		   query->distinctClause == NIL && query->sortClause == NIL && !query->limitOffset &&
		   !query->limitCount && !query->setOperations;
}

RangeTblFunction *
only_function(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_FUNCTION && !rte->funcordinality && list_length(rte->functions) == 1
			   ? linitial_node(RangeTblFunction, rte->functions)
			   : nullptr;
}

Node *
set_call(const RangeTblEntry *rte)
{
	RangeTblFunction *function = only_function(rte);

	return function && IsA(function->funcexpr, FuncExpr) &&
				   ((FuncExpr *) function->funcexpr)->funcretset
			   ? function->funcexpr
			   : nullptr;
}

void
take_stated_columns(const RangeTblEntry *rte, Call *call)
{
	RangeTblFunction *function = only_function(rte);

	if (!call->desc && function->funccolnames != NIL)
		call->desc = BuildDescFromLists(function->funccolnames, function->funccoltypes,
										function->funccoltypmods, function->funccolcollations);
}

namespace
{

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

} // namespace

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

namespace
{

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
