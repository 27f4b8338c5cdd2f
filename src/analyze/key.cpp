/*
 * key.cpp - which columns identify a row of a query's result.
 *
 * For grouped and distinct queries the answer is in the syntax. For joins it
 * follows from functional dependencies: a table is determined once the columns
 * of one of its unique keys are known or equated to something known; the key
 * of the result are the key columns of as few tables as determine all others.
 */
#include "analyze/key.hpp"
#include "analyze/block.hpp"
#include "analyze/build.hpp"
#include "analyze/recursion.hpp"
#include "analyze/scale.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/view_list.hpp"

namespace tw::analyze
{

namespace
{

/* left = right, usable to determine relations in the set `usable` (null: all). */
struct Equality
{
	Node *left;
	Node *right;
	Bitmapset *usable;
};

struct Dependencies
{
	Query *query;
	List *relations;  /* range table indexes */
	List *equalities; /* Equality */
	Bitmapset *determined;
};

void
add_equalities(List **equalities, Node *quals, Bitmapset *usable)
{
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) quals))
	{
		Node *node = (Node *) lfirst(lc);

		if (IsA(node, List))
		{
			ListCell *inner;

			foreach (inner, (List *) node)
				add_equalities(equalities, (Node *) lfirst(inner), usable);
			continue;
		}
		if (is_andclause(node))
		{
			ListCell *inner;

			foreach (inner, ((BoolExpr *) node)->args)
				add_equalities(equalities, (Node *) lfirst(inner), usable);
			continue;
		}
		if (!is_opclause(node) || list_length(((OpExpr *) node)->args) != 2)
			continue;

		OpExpr *op = (OpExpr *) node;
		if (!op_mergejoinable(op->opno, exprType((Node *) linitial(op->args))))
			continue;

		Equality *equality = (Equality *) palloc(sizeof(Equality));
		equality->left = strip_implicit_coercions((Node *) linitial(op->args));
		equality->right = strip_implicit_coercions((Node *) lsecond(op->args));
		equality->usable = usable;
		*equalities = lappend(*equalities, equality);
	}
}

void
walk_joins(Node *node, Dependencies *deps)
{
	if (IsA(node, FromExpr))
	{
		FromExpr *from = (FromExpr *) node;
		ListCell *lc;

		add_equalities(&deps->equalities, from->quals, nullptr);
		foreach (lc, from->fromlist)
			walk_joins((Node *) lfirst(lc), deps);
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) node;

		walk_joins(join->larg, deps);
		walk_joins(join->rarg, deps);
		if (join->jointype == JOIN_INNER)
			add_equalities(&deps->equalities, join->quals, nullptr);
		else if (join->jointype == JOIN_LEFT)
			add_equalities(&deps->equalities, join->quals, relations_in(join->rarg));
		else if (join->jointype == JOIN_RIGHT)
			add_equalities(&deps->equalities, join->quals, relations_in(join->larg));
	}
}

bool
has_full_join(Node *node)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
	{
		foreach (lc, ((FromExpr *) node)->fromlist)
			if (has_full_join((Node *) lfirst(lc)))
				return true;
		return false;
	}
	if (!IsA(node, JoinExpr))
		return false;

	JoinExpr *join = (JoinExpr *) node;
	return join->jointype == JOIN_FULL || has_full_join(join->larg) || has_full_join(join->rarg);
}

/* Unique keys of an ordinary table: each a list of attribute numbers, the primary key first. */
List *
table_keys(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	Oid primary = RelationGetPrimaryKeyIndex(rel);
	List *keys = NIL;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Oid indexoid = lfirst_oid(lc);
		HeapTuple tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexoid));

		if (!HeapTupleIsValid(tup))
			continue;

		Form_pg_index index = (Form_pg_index) GETSTRUCT(tup);
		List *columns = NIL;
		bool usable = index->indisunique && index->indisvalid && index->indimmediate &&
					  heap_attisnull(tup, Anum_pg_index_indpred, nullptr) &&
					  heap_attisnull(tup, Anum_pg_index_indexprs, nullptr);

		for (int i = 0; usable && i < index->indnkeyatts; i++)
		{
			AttrNumber attno = index->indkey.values[i];

			if (attno <= 0 || !TupleDescAttr(RelationGetDescr(rel), attno - 1)->attnotnull)
				usable = false;
			else
				columns = lappend_int(columns, attno);
		}
		ReleaseSysCache(tup);
		if (!usable)
			continue;
		keys = indexoid == primary ? lcons(columns, keys) : lappend(keys, columns);
	}
	table_close(rel, NoLock);
	return keys;
}

List *
relation_keys(Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	bool exists = false;
	List *key;

	switch (rte->rtekind)
	{
		case RTE_RELATION:
			if (catalog::is_maintained(rte->relid))
			{
				key = catalog::key_columns(rte->relid);
				return key ? list_make1(key) : NIL;
			}
			/* Inheritance children are not covered by the parent's indexes; partitions are. */
			if (rte->inh && rte->relkind != RELKIND_PARTITIONED_TABLE && has_subclass(rte->relid))
				return NIL;
			return table_keys(rte->relid);
		case RTE_SUBQUERY:
			key = derive_key(rte->subquery, &exists);
			return exists ? list_make1(key) : NIL;
		case RTE_RESULT:
			return list_make1(NIL);
		default:
			return NIL;
	}
}

bool
is_determined_value(Node *node, Dependencies *deps)
{
	if (IsA(node, Const) || IsA(node, Param))
		return true;
	return IsA(node, Var) && ((Var *) node)->varlevelsup == 0 &&
		   bms_is_member(((Var *) node)->varno, deps->determined);
}

bool
column_is_known(Dependencies *deps, int rti, AttrNumber attno)
{
	ListCell *lc;

	foreach (lc, deps->equalities)
	{
		Equality *equality = (Equality *) lfirst(lc);
		Node *sides[2] = {equality->left, equality->right};

		if (equality->usable && !bms_is_member(rti, equality->usable))
			continue;
		for (int i = 0; i < 2; i++)
		{
			Node *side = sides[i];

			if (IsA(side, Var) && ((Var *) side)->varlevelsup == 0 &&
				((Var *) side)->varno == rti && ((Var *) side)->varattno == attno &&
				is_determined_value(sides[1 - i], deps))
				return true;
		}
	}
	return false;
}

/* Adds to the determined relations all that follow; true if that is all of them. */
bool
close_dependencies(Dependencies *deps)
{
	bool progress = true;
	ListCell *lc;

	while (progress)
	{
		progress = false;
		foreach (lc, deps->relations)
		{
			int rti = lfirst_int(lc);
			ListCell *lk;

			if (bms_is_member(rti, deps->determined))
				continue;
			foreach (lk, relation_keys(deps->query, rti))
			{
				ListCell *la;
				bool known = true;

				foreach (la, (List *) lfirst(lk))
					known = known && column_is_known(deps, rti, lfirst_int(la));
				if (!known)
					continue;
				deps->determined = bms_add_member(deps->determined, rti);
				progress = true;
				break;
			}
		}
	}
	return bms_num_members(deps->determined) == list_length(deps->relations);
}

/* Result column that shows the column of a relation, itself or through an inner equality. */
AttrNumber
shown_column(Dependencies *deps, int rti, AttrNumber attno)
{
	ListCell *lc;

	foreach (lc, deps->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node *expr = strip_implicit_coercions((Node *) tle->expr);

		if (!tle->resjunk && IsA(expr, Var) && ((Var *) expr)->varlevelsup == 0 &&
			((Var *) expr)->varno == rti && ((Var *) expr)->varattno == attno)
			return tle->resno;
	}
	return InvalidAttrNumber;
}

List *
shown_key(Dependencies *deps, int rti)
{
	ListCell *lk;

	foreach (lk, relation_keys(deps->query, rti))
	{
		List *columns = NIL;
		ListCell *la;

		foreach (la, (List *) lfirst(lk))
		{
			AttrNumber shown = shown_column(deps, rti, lfirst_int(la));

			if (shown == InvalidAttrNumber)
			{
				columns = NIL;
				break;
			}
			columns = lappend_int(columns, shown);
		}
		if (columns != NIL)
			return columns;
	}
	return NIL;
}

List *
join_key(Query *query, bool *exists)
{
	Dependencies deps = {query, from_relations(query), NIL, nullptr};
	ListCell *lc;
	List *key = NIL;

	if (has_full_join((Node *) query->jointree))
		return NIL;
	walk_joins((Node *) query->jointree, &deps);

	/* One table that determines all others. */
	foreach (lc, deps.relations)
	{
		List *columns = shown_key(&deps, lfirst_int(lc));

		if (columns == NIL)
			continue;
		deps.determined = bms_make_singleton(lfirst_int(lc));
		if (close_dependencies(&deps))
		{
			*exists = true;
			return columns;
		}
	}

	/* Several: add the key of each one that is not yet determined. */
	deps.determined = nullptr;
	(void) close_dependencies(&deps);
	foreach (lc, deps.relations)
	{
		List *columns;

		if (bms_is_member(lfirst_int(lc), deps.determined))
			continue;
		columns = shown_key(&deps, lfirst_int(lc));
		if (columns == NIL)
			return NIL;
		key = list_concat_unique_int(key, columns);
		deps.determined = bms_add_member(deps.determined, lfirst_int(lc));
		(void) close_dependencies(&deps);
	}
	*exists = true;
	return key;
}

struct ShownGroup
{
	Node *expr;
	AttrNumber shown;
};

AttrNumber
shown_group(List *groups, Index rti, AttrNumber attno)
{
	ListCell *lc;

	foreach (lc, groups)
	{
		ShownGroup *group = (ShownGroup *) lfirst(lc);
		Node *expr = strip_implicit_coercions(group->expr);

		if (IsA(expr, Var) && ((Var *) expr)->varlevelsup == 0 &&
			((Var *) expr)->varno == (int) rti && ((Var *) expr)->varattno == attno)
			return group->shown;
	}
	return InvalidAttrNumber;
}

/* Result columns of a unique key of the relation that is among the groups; NIL where there is none. */
List *
grouped_key(Dependencies *deps, List *groups, int rti)
{
	ListCell *lk;

	foreach (lk, relation_keys(deps->query, rti))
	{
		List *columns = NIL;
		bool complete = lfirst(lk) != NIL;
		ListCell *la;

		foreach (la, (List *) lfirst(lk))
		{
			AttrNumber shown = shown_group(groups, rti, lfirst_int(la));

			complete = complete && shown != InvalidAttrNumber;
			columns = lappend_int(columns, shown);
		}
		if (complete)
			return columns;
	}
	return NIL;
}

bool
is_determined_expr(Node *expr, Dependencies *deps)
{
	ListCell *lc;

	/* Those in subqueries of the expression, too. */
	foreach (lc, pull_vars_of_level(expr, 0))
		if (!bms_is_member(((Var *) lfirst(lc))->varno, deps->determined))
			return false;
	return true;
}

/*
 * The group columns that determine all others: grouped by a table's key and
 * further columns of it, the key is enough.
 */
List *
reduce_groups(Query *query, List *groups)
{
	Dependencies deps = {query, from_relations(query), NIL, nullptr};
	List *key = NIL;
	ListCell *lc;

	if (!has_full_join((Node *) query->jointree))
	{
		walk_joins((Node *) query->jointree, &deps);
		foreach (lc, deps.relations)
		{
			List *columns;

			if (bms_is_member(lfirst_int(lc), deps.determined))
				continue;
			columns = grouped_key(&deps, groups, lfirst_int(lc));
			if (columns == NIL)
				continue;
			key = list_concat_unique_int(key, columns);
			deps.determined = bms_add_member(deps.determined, lfirst_int(lc));
			(void) close_dependencies(&deps);
		}
	}
	foreach (lc, groups)
	{
		ShownGroup *group = (ShownGroup *) lfirst(lc);

		if (!is_determined_expr(group->expr, &deps))
			key = list_append_unique_int(key, group->shown);
	}
	return key;
}

List *
sort_group_columns(List *clauses, List *targets, List **groups, bool *exists)
{
	List *key = NIL;
	ListCell *lc;

	foreach (lc, clauses)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst_node(SortGroupClause, lc), targets);
		AttrNumber shown = tle->resno;

		if (tle->resjunk)
		{
			/* Perhaps the expression is shown as another column. */
			ListCell *lt;

			shown = InvalidAttrNumber;
			foreach (lt, targets)
			{
				TargetEntry *other = lfirst_node(TargetEntry, lt);

				if (!other->resjunk && equal(other->expr, tle->expr))
					shown = other->resno;
			}
			if (shown == InvalidAttrNumber)
				return NIL;
		}
		key = list_append_unique_int(key, shown);
		if (groups)
		{
			ShownGroup *group = (ShownGroup *) palloc(sizeof(ShownGroup));

			group->expr = (Node *) tle->expr;
			group->shown = shown;
			*groups = lappend(*groups, group);
		}
	}
	*exists = true;
	return key;
}

List *
all_columns(Query *query, bool *exists)
{
	List *key = NIL;
	ListCell *lc;

	foreach (lc, shown_targets(query))
		key = lappend_int(key, lfirst_node(TargetEntry, lc)->resno);
	*exists = true;
	return key;
}

} // namespace

List *
derive_key(Query *query, bool *exists)
{
	*exists = false;
	if (is_recursive_set(query))
		return all_columns(query, exists);
	if (query->cteList != NIL || query->hasTargetSRFs)
		return NIL;
	if (query->setOperations)
	{
		SetOperationStmt *setop = (SetOperationStmt *) query->setOperations;
		return setop->all ? NIL : all_columns(query, exists);
	}
	if (query->distinctClause != NIL)
		return sort_group_columns(query->distinctClause, query->targetList, nullptr, exists);
	if (query->groupingSets != NIL)
		return NIL;
	if (query->groupClause != NIL)
	{
		List *groups = NIL;

		(void) sort_group_columns(query->groupClause, query->targetList, &groups, exists);
		return *exists ? reduce_groups(query, groups) : NIL;
	}
	if (query->hasAggs || query->havingQual)
	{
		*exists = true; /* one row */
		return NIL;
	}
	return join_key(query, exists);
}

namespace
{

/* EXTRACT of a field that is a whole number, which is always given without decimals. */
bool
extracts_whole_number(Node *expr)
{
	static const char *const fields[] = {"year",   "month",   "day",    "quarter",   "week",
										 "dow",    "isodow",  "doy",    "isoyear",   "hour",
										 "minute", "century", "decade", "millennium"};
	FuncExpr *call = (FuncExpr *) expr;

	if (!IsA(call, FuncExpr) ||
		(call->funcid != F_EXTRACT_TEXT_DATE && call->funcid != F_EXTRACT_TEXT_TIMESTAMP &&
		 call->funcid != F_EXTRACT_TEXT_TIMESTAMPTZ))
		return false;

	Const *field = (Const *) linitial(call->args);
	if (!IsA(field, Const) || field->constisnull)
		return false;

	char *name = TextDatumGetCString(field->constvalue);
	for (const char *whole : fields)
		if (pg_strcasecmp(name, whole) == 0)
			return true;
	return false;
}

/* A declared scale or length leaves one image for each value. */
bool
typmod_fixes_image(Oid type, int32 typmod, Oid collation)
{
	if (typmod < (int32) VARHDRSZ)
		return false;
	return type == NUMERICOID || (type == BPCHAROID && get_collation_isdeterministic(collation));
}

} // namespace

bool
equality_is_image(Node *expr)
{
	Oid type = exprType(expr);
	Oid base = getBaseType(type);
	Oid collation = exprCollation(expr);

	if (base == NUMERICOID || base == BPCHAROID)
		return typmod_fixes_image(type, exprTypmod(expr), collation) ||
			   extracts_whole_number(expr) || fixed_scale(expr) >= 0;
	/* 1 day is 24 hours. Catalogs made before 15.5 say that there is nothing to tell them apart by. */
	if (base == INTERVALOID)
		return false;

	TypeCacheEntry *entry = lookup_type_cache(base, TYPECACHE_BTREE_OPFAMILY);
	if (!OidIsValid(entry->btree_opf))
		return false;

	Oid proc = get_opfamily_proc(entry->btree_opf, entry->btree_opintype, entry->btree_opintype,
								 BTEQUALIMAGE_PROC);
	if (!OidIsValid(proc))
		return false;
	return DatumGetBool(
		OidFunctionCall1Coll(proc, collation, ObjectIdGetDatum(entry->btree_opintype)));
}

Node *
source_of(Query *query, Node *expr)
{
	for (;;)
	{
		Var *var = (Var *) expr;

		if (!IsA(var, Var) || var->varlevelsup > 0 || var->varattno <= 0)
			return expr;

		RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
		if (rte->rtekind != RTE_SUBQUERY || rte->subquery->setOperations)
			return expr;

		TargetEntry *tle = get_tle_by_resno(rte->subquery->targetList, var->varattno);
		if (!tle || tle->resjunk)
			return expr;
		query = rte->subquery;
		expr = (Node *) tle->expr;
	}
}

} // namespace tw::analyze
