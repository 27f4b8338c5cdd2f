/*
 * query.cpp - the query of a TAIL: what it may be, before and after parse analysis.
 *
 * A TAIL filters and projects the changes of one live view; anything that
 * combines rows belongs in the view's definition. One message refuses all the
 * rest, naming the construct and its position.
 *
 * Parse analysis locks the relation until the end of the transaction. A TAIL
 * cursor must not: the transaction of one that is read for days would block
 * every DROP and ALTER of the view. So the hook gives the one lock back that
 * parse analysis has just taken, and hides the range table entry (as an
 * RTE_RESULT) from the plan cache, which would lock it again. That the view
 * is still there is checked by whoever reads it. The plan cache still learns of
 * the dependency, from a constant of type regclass in a junk column.
 */
#include "tail/query.hpp"

#include "tail/lexer.hpp"
#include "tail/syntax.hpp"

namespace tw::tail
{

namespace
{

post_parse_analyze_hook_type prev_post_parse_analyze = nullptr;

ResTarget *
column(const char *name, Node *value)
{
	ResTarget *target = makeNode(ResTarget);

	target->name = pstrdup(name);
	target->val = value;
	target->location = -1;
	return target;
}

Node *
typed_null(const char *type)
{
	return typed(pg::make_raw_null(-1), type, -1);
}

/* The one message for all that a TAIL cannot do. `errpos` is the result of an errposition function. */
#define refuse(construct, errpos)                                                \
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),                       \
			errmsg("%s not supported in TAIL", construct),                       \
			errdetail("TAIL can filter and project the rows of one live view."), \
			errhint("Make the query a live view, and TAIL that."), errpos)

int
list_location(List *nodes)
{
	return nodes == NIL ? -1 : exprLocation(reinterpret_cast<Node *>(nodes));
}

bool
is_volatile(Oid function, void *)
{
	return func_volatile(function) == PROVOLATILE_VOLATILE;
}

/* What is it about this node that a TAIL cannot do? Null: nothing. */
const char *
unsupported_construct(Node *node)
{
	if (IsA(node, Aggref) || IsA(node, GroupingFunc))
		return "aggregate functions are";
	if (IsA(node, WindowFunc))
		return "window functions are";
	if (IsA(node, SubLink))
		return "subqueries are";
	if ((IsA(node, FuncExpr) && reinterpret_cast<FuncExpr *>(node)->funcretset) ||
		(IsA(node, OpExpr) && reinterpret_cast<OpExpr *>(node)->opretset))
		return "set-returning functions are";
	if (IsA(node, Var) && reinterpret_cast<Var *>(node)->varattno < 0)
		return "system columns are";
	if (IsA(node, CurrentOfExpr))
		return "WHERE CURRENT OF is";
	if (IsA(node, NextValueExpr) || check_functions_in_node(node, is_volatile, nullptr))
		return "volatile functions are";
	return nullptr;
}

bool
refuse_unsupported_nodes(Node *node, ParseState *pstate)
{
	if (!node)
		return false;
	if (const char *construct = unsupported_construct(node))
		refuse(construct, parser_errposition(pstate, exprLocation(node)));
	return pg::walk_expression(node, refuse_unsupported_nodes, pstate);
}

void
refuse_relation(Oid relation)
{
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("\"%s\" is not a live view", get_rel_name(relation)),
			errhint("Create it with CREATE MATERIALIZED VIEW ... WITH (tailwater.maintain = "
					"immediate) or call tailwater.maintain()."));
}

/* Checks an analyzed TAIL, gives its lock back, and hides its range table entry. */
void
adopt_query(ParseState *pstate, DeclareCursorStmt *stmt)
{
	Query *query = castNode(Query, stmt->query);

	refuse_unsupported_nodes(reinterpret_cast<Node *>(query->targetList), pstate);
	refuse_unsupported_nodes(query->jointree->quals, pstate);

	RangeTblEntry *view = linitial_node(RangeTblEntry, query->rtable);
	if (list_length(query->rtable) != 1 || view->rtekind != RTE_RELATION)
		refuse("anything but one live view is", 0);
	if (view->relkind != RELKIND_MATVIEW)
		refuse_relation(view->relid);

	query->targetList = lappend(query->targetList,
								makeTargetEntry(reinterpret_cast<Expr *>(makeConst(
													REGCLASSOID, -1, InvalidOid, sizeof(Oid),
													ObjectIdGetDatum(view->relid), false, true)),
												list_length(query->targetList) + 1, nullptr, true));
	UnlockRelationOid(view->relid, view->rellockmode);
	view->rtekind = RTE_RESULT;
}

void
post_parse_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (query->commandType == CMD_UTILITY && IsA(query->utilityStmt, DeclareCursorStmt))
	{
		DeclareCursorStmt *stmt = reinterpret_cast<DeclareCursorStmt *>(query->utilityStmt);
		if (stmt->options & kTail)
			adopt_query(pstate, stmt);
	}
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
}

} // namespace

SelectStmt *
select_all_from(RangeVar *relation)
{
	SelectStmt *select = makeNode(SelectStmt);
	ColumnRef *star = makeNode(ColumnRef);
	ResTarget *target = makeNode(ResTarget);

	star->fields = list_make1(makeNode(A_Star));
	star->location = relation->location;
	target->val = reinterpret_cast<Node *>(star);
	target->location = relation->location;
	select->targetList = list_make1(target);
	select->fromClause = list_make1(relation);
	return select;
}

Node *
typed(Node *expression, const char *type, int location)
{
	TypeCast *cast = makeNode(TypeCast);

	cast->arg = expression;
	cast->typeName = makeTypeNameFromNameList(
		list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup(type))));
	cast->location = location;
	return reinterpret_cast<Node *>(cast);
}

List *
add_tail_columns(List *columns, Node *as_of, Node *up_to, Progress progress)
{
	columns = lcons(column("tw_diff", up_to ? up_to : typed_null("int8")), columns);
	if (progress == kWithProgress)
		columns = lcons(column("tw_progressed", typed_null("bool")), columns);
	return lcons(column("tw_version", as_of ? as_of : typed_null("int8")), columns);
}

Node *
copy_options_column(List *options, const char *text, int location)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst_node(DefElem, cell);
		if (option->arg && (IsA(option->arg, List) || IsA(option->arg, A_Star)))
			ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("COPY option \"%s\" is not supported with TAIL", option->defname),
					position(text, option->location));
	}
	return reinterpret_cast<Node *>(
		column("tw_copy", typed(pg::make_raw_string(nodeToString(options), -1), "text", location)));
}

void
refuse_unsupported_clauses(const SelectStmt *select, const char *text, int location)
{
	Node *from = list_length(select->fromClause) == 1
					 ? static_cast<Node *>(linitial(select->fromClause))
					 : nullptr;
	const struct
	{
		bool present;
		const char *construct;
		int location;
	} clauses[] = {
		{select->op != SETOP_NONE, "UNION, INTERSECT and EXCEPT are", -1},
		{select->valuesLists != NIL, "VALUES is", list_location(select->valuesLists)},
		{select->withClause != nullptr, "WITH is",
		 select->withClause ? select->withClause->location : -1},
		{select->intoClause != nullptr, "INTO is", -1},
		{select->distinctClause != NIL, "DISTINCT is", -1},
		{!from || !IsA(from, RangeVar), "anything but one live view in FROM is",
		 list_location(select->fromClause)},
		{select->groupClause != NIL, "GROUP BY is", list_location(select->groupClause)},
		{select->havingClause != nullptr, "HAVING is",
		 select->havingClause ? exprLocation(select->havingClause) : -1},
		{select->windowClause != NIL, "WINDOW is", list_location(select->windowClause)},
		{select->sortClause != NIL, "ORDER BY is", list_location(select->sortClause)},
		{select->limitOffset != nullptr, "OFFSET is",
		 select->limitOffset ? exprLocation(select->limitOffset) : -1},
		{select->limitCount != nullptr, "LIMIT is",
		 select->limitCount ? exprLocation(select->limitCount) : -1},
		{select->lockingClause != NIL, "FOR UPDATE and FOR SHARE are", -1},
	};

	for (const auto &clause : clauses)
		if (clause.present)
			refuse(clause.construct,
				   position(text, clause.location >= 0 ? clause.location : location));
}

void
init_query_hook()
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
}

TailQuery
open_query(const DeclareCursorStmt *stmt)
{
	Query *query = castNode(Query, stmt->query);
	TailQuery tail = {};
	ListCell *cell;

	tail.view = copyObject(linitial_node(RangeTblEntry, query->rtable));
	tail.view->rtekind = RTE_RELATION;
	tail.permissions = pg::permissions_of(query);
	tail.filter = query->jointree->quals;
	tail.tail_columns = stmt->options & kTailProgress ? 3 : 2;
	tail.as_of = linitial_node(TargetEntry, query->targetList)->expr;
	tail.up_to = list_nth_node(TargetEntry, query->targetList, tail.tail_columns - 1)->expr;

	foreach (cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resjunk)
			continue;
		tail.columns = lappend(tail.columns, entry);
	}
	if (stmt->options & kTailCopy)
	{
		Const *options = castNode(Const, llast_node(TargetEntry, tail.columns)->expr);
		tail.copy_options = static_cast<List *>(
			stringToNode(TextDatumGetCString(options->constvalue)));
		tail.columns = list_delete_last(tail.columns);
	}
	return tail;
}

} // namespace tw::tail
