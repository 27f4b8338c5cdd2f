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
 * (time zone, date style, text search configuration); those that read the
 * clock, the catalogs or the session are told by their names. STABLE functions
 * of users may read tables, so they are refused.
 */
#include "analyze/refusal.hpp"

namespace tw::analyze
{

namespace
{

struct Search
{
	Refusal found;
	List *rtables; /* of the queries around the current node, innermost first */
};

bool
refuse(Search *search, const char *construct, int location, const char *hint)
{
	search->found.construct = construct;
	search->found.location = location;
	search->found.hint = hint;
	return true;
}

/* Names of STABLE functions of the server whose result is not a function of arguments and pinned settings. */
bool
depends_on_session(const char *name, int nargs)
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
										"regcollationout",
										"enum_first",
										"enum_last",
										"enum_range",
										"currtid2",
										"getdatabaseencoding",
										"version",
										"inet_client_addr"};

	if (nargs == 0)
		return true;
	if (strcmp(name, "pg_typeof") == 0)
		return false;
	for (const char *prefix : prefixes)
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			return true;
	for (const char *other : names)
		if (strcmp(name, other) == 0)
			return true;
	/* age(x) counts from the current date, age(x, y) does not. */
	return nargs == 1 && strcmp(name, "age") == 0;
}

constexpr const char kClockHint[] =
	"Compare with the current time when reading the view instead, or store the time in a table.";

bool
reads_clock(const char *name)
{
	return strcmp(name, "now") == 0 || strcmp(name, "age") == 0 || strstr(name, "timestamp");
}

bool
function_is_refused(Oid funcid, void *arg)
{
	Search *search = static_cast<Search *>(arg);
	char volatility = func_volatile(funcid);

	if (volatility == PROVOLATILE_IMMUTABLE)
		return false;

	char *name = get_func_name(funcid);

	if (volatility == PROVOLATILE_VOLATILE)
		return refuse(search, psprintf("volatile function %s()", name), -1,
					  "Only functions that always give the same result for the same arguments "
					  "can be kept up to date.");
	if (funcid >= FirstNormalObjectId)
		return refuse(search, psprintf("stable function %s()", name), -1,
					  "A stable function may read tables that cannot be followed. Declare it "
					  "IMMUTABLE if its result depends on its arguments alone.");
	if (depends_on_session(name, get_func_nargs(funcid)))
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
	bool found = search_walker((Node *) get_view_query(view), search);

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

bool
search_walker(Node *node, Search *search)
{
	if (node == nullptr)
		return false;

	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

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
		return false;
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

	if (check_functions_in_node(node, function_is_refused, search))
	{
		if (search->found.location < 0)
			search->found.location = exprLocation(node);
		return true;
	}
	return pg::walk_expression(node, search_walker, search);
}

} // namespace

Refusal
find_refusal(Query *query)
{
	Search search = {{nullptr, -1, nullptr, nullptr}, NIL};

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
