/*
 * refusal.cpp - finds what cannot be maintained in principle.
 *
 * A view is maintainable if its content is a function of its base tables:
 * everything is accepted but functions that answer differently at another
 * time, for another user or in another session, columns that name a place in
 * storage, and relations whose changes cannot be seen.
 *
 * STABLE functions of the server are accepted where they depend on nothing but
 * their arguments and on settings that are pinned while a view is maintained
 * (time zone, date style, text search configuration) or on facts that commands
 * change which are watched (the labels of an enum); those that read the
 * clock, the catalogs or the session are told by their names. Functions of users
 * that are not IMMUTABLE may read tables: those in SQL are judged by their
 * bodies, which take the place of the calls (inline_functions.hpp), others are refused.
 */
#include "analyze/refusal.hpp"
#include "analyze/function_body.hpp"
#include "analyze/names.hpp"

namespace tw::analyze
{

namespace
{

struct Search
{
	Refusal found;
	List *rtables; /* of the queries around the current node, innermost first */
	Functions functions;
	List *active;   /* functions in whose bodies we are */
	List *replaced; /* calls whose bodies have been looked at */
};

bool
refuse(Search *search, const char *construct, int location, const char *hint)
{
	search->found.construct = construct;
	search->found.location = location;
	search->found.hint = hint;
	return true;
}

/* Of the functions whose names begin like those that depend on the session, what does not. */
bool
depends_on_arguments_only(const char *name)
{
	static const char *const names[] = {"pg_typeof",           "pg_collation_for",
										"pg_char_to_encoding", "pg_encoding_to_char",
										"pg_options_to_table", "pg_mcv_list_items"};

	for (const char *other : names)
		if (strcmp(name, other) == 0)
			return true;
	return false;
}

/* Without arguments: constants of the database and of pinned settings, and empty documents. */
bool
is_constant(const char *name)
{
	static const char *const names[] = {"getdatabaseencoding", "get_current_ts_config",
										"json_build_array",    "json_build_object",
										"jsonb_build_array",   "jsonb_build_object"};

	for (const char *other : names)
		if (strcmp(name, other) == 0)
			return true;
	return false;
}

/* True of STABLE functions of the server whose result is not a function of arguments and pinned settings. */
bool
depends_on_session(Oid funcid, const char *name)
{
	static const char *const prefixes[] = {"pg_",         "has_",      "txid_",     "to_reg",
										   "inet_c",      "inet_s",    "current_",  "query_to_",
										   "table_to_",   "cursor_to", "schema_to", "database_to",
										   "row_security"};
	static const char *const names[] = {"now",
										"statement_timestamp",
										"transaction_timestamp",
										"format_type",
										"obj_description",
										"col_description",
										"shobj_description",
										"session_user",
										"mxid_age",
										"regclass",
										"regclassin",
										"regprocin",
										"regtypein",
										"regrolein",
										"regnamespacein",
										"regprocedurein",
										"regoperin",
										"regoperatorin",
										"regconfigin",
										"regdictionaryin",
										"regcollationin",
										"regclassout",
										"regprocout",
										"regprocedureout",
										"regtypeout",
										"regroleout",
										"regnamespaceout",
										"regoperout",
										"regoperatorout",
										"regconfigout",
										"regdictionaryout",
										"regcollationout"};

	if (depends_on_arguments_only(name))
		return false;
	if (get_func_nargs(funcid) == 0)
		return !is_constant(name);
	for (const char *prefix : prefixes)
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			return true;
	for (const char *other : names)
		if (strcmp(name, other) == 0)
			return true;
	/* age(x) counts from the current date, age(x, y) does not; a time without a date is in summer or not. */
	return funcid == F_TIMETZ_TIME || funcid == F_TIMEZONE_TEXT_TIMETZ ||
		   (get_func_nargs(funcid) == 1 && strcmp(name, "age") == 0);
}

constexpr const char kClockHint[] =
	"Compare with the current time when reading the view instead, or store the time in a table.";

bool
reads_clock(const char *name)
{
	return strcmp(name, "now") == 0 || strcmp(name, "age") == 0 || strncmp(name, "time", 4) == 0 ||
		   strstr(name, "timestamp");
}

bool
is_sql_function(Oid funcid)
{
	HeapTuple tup = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	bool is = HeapTupleIsValid(tup) && ((Form_pg_proc) GETSTRUCT(tup))->prolang == SQLlanguageId;

	if (HeapTupleIsValid(tup))
		ReleaseSysCache(tup);
	return is;
}

bool
function_is_refused(Oid funcid, void *arg)
{
	Search *search = static_cast<Search *>(arg);
	char volatility = func_volatile(funcid);

	if (volatility == PROVOLATILE_IMMUTABLE)
		return false;

	char *name = get_func_name(funcid);

	if (funcid >= FirstNormalObjectId)
		return refuse(search,
					  psprintf("%s function %s()",
							   volatility == PROVOLATILE_VOLATILE ? "volatile" : "stable", name),
					  -1,
					  is_sql_function(funcid)
						  ? "A SQL function is followed if its body is one SELECT, it is called "
							"on its own where it is in FROM, and runs as its caller without "
							"settings other than search_path. Declare it IMMUTABLE if its result "
							"depends on its arguments alone."
						  : "It may read tables, which cannot be followed. Declare it IMMUTABLE "
							"if its result depends on its arguments alone, or write it in SQL.");
	if (volatility == PROVOLATILE_VOLATILE)
		return refuse(search, psprintf("volatile function %s()", name), -1,
					  "Only functions that always give the same result for the same arguments "
					  "can be kept up to date.");
	if (depends_on_session(funcid, name))
		return refuse(search, psprintf("function %s(), which depends on time or session", name), -1,
					  reads_clock(name) ? kClockHint
										: "Call it when reading the view instead, or store its "
										  "result in a table.");
	return false;
}

/* CURRENT_DATE and its like. A view is evaluated as its owner, so that CURRENT_USER has one value. */
bool
value_function_is_refused(Search *search, SQLValueFunction *function)
{
	const char *name;

	switch (function->op)
	{
		case SVFOP_CURRENT_ROLE:
		case SVFOP_CURRENT_USER:
		case SVFOP_USER:
			return false;
		case SVFOP_SESSION_USER:
			return refuse(search, "SESSION_USER", function->location,
						  "CURRENT_USER is the owner of the view, whoever changes its tables.");
		case SVFOP_CURRENT_CATALOG:
			return refuse(search, "CURRENT_CATALOG", function->location,
						  "Call it when reading the view instead.");
		case SVFOP_CURRENT_SCHEMA:
			return refuse(search, "CURRENT_SCHEMA", function->location,
						  "Call it when reading the view instead.");
		case SVFOP_CURRENT_DATE:
			name = "CURRENT_DATE";
			break;
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
			name = "CURRENT_TIME";
			break;
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
			name = "LOCALTIME";
			break;
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			name = "LOCALTIMESTAMP";
			break;
		default:
			name = "CURRENT_TIMESTAMP";
			break;
	}
	return refuse(search, name, function->location, kClockHint);
}

bool search_walker(Node *node, Search *search);

/* Looks into an ordinary view; what is found there stands in the text at the view's name. */
bool
view_is_refused(Search *search, RangeTblEntry *rte)
{
	Relation view = table_open(rte->relid, AccessShareLock);
	bool found = search_walker((Node *) copyObject(get_view_query(view)), search);

	table_close(view, NoLock);
	if (found)
	{
		search->found.location = -1;
		search->found.words = get_rel_name(rte->relid);
	}
	return found;
}

bool
relation_is_refused(Search *search, RangeTblEntry *rte)
{
	if (rte->relkind == RELKIND_VIEW)
		return view_is_refused(search, rte);
	search->found.words = rte->tablesample ? "tablesample" : get_rel_name(rte->relid);
	if (rte->tablesample != nullptr)
		return refuse(search, "TABLESAMPLE", -1, "A sample is another one at each execution.");
	if (rte->relkind == RELKIND_FOREIGN_TABLE)
		return refuse(search, psprintf("foreign table \"%s\"", get_rel_name(rte->relid)), -1,
					  "Changes of a foreign table cannot be seen here. Replicate it into a table, "
					  "or use a plain materialized view with REFRESH.");
	if (rte->relkind == RELKIND_SEQUENCE)
		return refuse(search, psprintf("sequence \"%s\"", get_rel_name(rte->relid)), -1,
					  "Changes of a sequence cannot be seen, and are not undone by a rollback.");
	if (IsCatalogRelationOid(rte->relid))
		return refuse(search, psprintf("system catalog \"%s\"", get_rel_name(rte->relid)), -1,
					  "Changes of system catalogs cannot be seen.");
	search->found.words = nullptr;
	return false;
}

const char *
words_of(LockClauseStrength strength)
{
	switch (strength)
	{
		case LCS_FORKEYSHARE:
			return "for key share";
		case LCS_FORSHARE:
			return "for share";
		case LCS_FORNOKEYUPDATE:
			return "for no key update";
		default:
			return "for update";
	}
}

/* The first locking clause that the query itself has. */
const RowMarkClause *
own_row_mark(const Query *query)
{
	ListCell *lc;

	foreach (lc, query->rowMarks)
		if (!lfirst_node(RowMarkClause, lc)->pushedDown)
			return lfirst_node(RowMarkClause, lc);
	return nullptr;
}

/* A body whose names are looked up when it runs must not depend on who runs it. */
bool
meaning_is_refused(Search *search, Node *call, Oid function)
{
	return !has_one_meaning(call) &&
		   refuse(search,
				  psprintf("function %s(), whose body depends on search_path",
						   get_func_name(function)),
				  exprLocation(call),
				  "Qualify the names in its body, write the body as BEGIN ATOMIC, or add SET "
				  "search_path to the function.");
}

/* Looks into the body of a function, whose text is not that of the query. */
bool
body_is_refused(Search *search, Query *body, Oid function, int location)
{
	search->active = lcons_oid(function, search->active);
	bool found = search_walker((Node *) body, search);
	search->active = list_delete_first(search->active);
	if (!found)
		return false;
	search->found.construct = psprintf("%s in function %s()", search->found.construct,
									   get_func_name(function));
	search->found.location = location;
	search->found.words = nullptr;
	return true;
}

/* Looks into the function that an item of FROM is, if its body takes the item's place. */
bool
item_is_refused(Search *search, RangeTblEntry *rte)
{
	Oid function;
	Query *body = search->functions == Functions::kCalled
					  ? body_of_item(rte, search->active, &function)
					  : nullptr;

	if (!body)
		return false;

	Node *call = linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	search->replaced = lappend(search->replaced, call);
	return meaning_is_refused(search, call, function) ||
		   body_is_refused(search, body, function, exprLocation(call));
}

/* The same of a call in an expression; *found is the answer where true is returned. */
bool
replaces_call(Search *search, Node *call, bool *found)
{
	Oid function;

	*found = false;
	if (list_member_ptr(search->replaced, call))
		return true;
	if (search->functions != Functions::kCalled || !(IsA(call, FuncExpr) || IsA(call, OpExpr)))
		return false;

	Query *body = body_of_call(call, search->active, &function);
	if (!body)
		return false;
	*found = meaning_is_refused(search, call, function) ||
			 body_is_refused(search, body, function, exprLocation(call));
	return true;
}

bool
search_walker(Node *node, Search *search)
{
	if (node == nullptr)
		return false;

	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		if (search->functions == Functions::kCalled)
			move_sql_sets(query);

		if (query->commandType != CMD_SELECT || query->hasModifyingCTE)
			return refuse(search, "a data-modifying statement", -1,
						  "A view can only be defined by a SELECT.");
		const RowMarkClause *mark = own_row_mark(query);
		if (mark)
		{
			search->found.words = words_of(mark->strength);
			return refuse(search, "FOR UPDATE or FOR SHARE", -1,
						  "Remove the locking clause: reading a materialized view locks nothing.");
		}
		search->rtables = lcons(query->rtable, search->rtables);
		bool found = pg::walk_query(query, search_walker, search, QTW_EXAMINE_RTES_BEFORE);
		search->rtables = list_delete_first(search->rtables);
		return found;
	}

	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		/* A view's own OLD and NEW entries are not in its FROM. */
		if (rte->rtekind == RTE_RELATION && rte->inFromCl)
			return relation_is_refused(search, rte);
		return rte->rtekind == RTE_FUNCTION && item_is_refused(search, rte);
	}

	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->varattno < 0)
		{
			List *rtable = (List *) list_nth(search->rtables, var->varlevelsup);
			RangeTblEntry *rte = rt_fetch(var->varno, rtable);

			if (rte->rtekind == RTE_RELATION)
				return refuse(search,
							  psprintf("system column \"%s\"",
									   NameStr(SystemAttributeDefinition(var->varattno)->attname)),
							  var->location,
							  "System columns tell where and by whom a row was stored, and change "
							  "without any change of the data.");
		}
		return false;
	}

	if (IsA(node, SQLValueFunction))
		return value_function_is_refused(search, (SQLValueFunction *) node);
	if (IsA(node, NextValueExpr))
		return refuse(search, "nextval()", -1, "A sequence gives another value at each call.");

	bool found;
	if (replaces_call(search, node, &found))
		return found || pg::walk_expression(node, search_walker, search);
	if (!shows_known_name(node) && check_functions_in_node(node, function_is_refused, search))
	{
		if (search->found.location < 0)
			search->found.location = exprLocation(node);
		return true;
	}
	return pg::walk_expression(node, search_walker, search);
}

} // namespace

Refusal
find_refusal(Query *query, Functions functions)
{
	Search search = {{nullptr, -1, nullptr, nullptr}, NIL, functions, NIL, NIL};

	/* Looking for calls moves them. */
	if (functions == Functions::kCalled)
		query = (Query *) copyObject(query);
	search_walker((Node *) query, &search);
	return search.found;
}

void
raise_refusal(const Refusal &refusal, const char *source)
{
	ParseState *pstate = make_parsestate(nullptr);

	pstate->p_sourcetext = source;
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("cannot keep a query with %s up to date", refusal.construct),
			errhint("%s", refusal.hint), parser_errposition(pstate, refusal.location));
	pg_unreachable();
}

} // namespace tw::analyze
