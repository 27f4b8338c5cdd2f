/*
 * block.cpp - select-project-join blocks.
 *
 * A block is linear in each of its base tables: filters, projections, inner
 * joins, UNION ALL, and subqueries made of these. A partial block has outer joins
 * and subqueries in expressions beside these. It is linear in the tables that an
 * outer join preserves, and whose subqueries look at other tables; and how it changes
 * with a table that an outer join shows nulls for is known, too, as long as that
 * is the only one. delta_query.cpp makes their delta queries.
 */
#include "analyze/block.hpp"
#include "analyze/join_keys.hpp"
#include "analyze/outer_join.hpp"
#include "analyze/whole_row.hpp"

namespace tw::analyze
{

/* ---- linearity ---- */

namespace
{

void
collect_from(Node *node, List **refs)
{
	if (node == nullptr)
		return;
	if (IsA(node, RangeTblRef))
		*refs = lappend_int(*refs, ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, FromExpr))
	{
		ListCell *lc;

		foreach (lc, ((FromExpr *) node)->fromlist)
			collect_from((Node *) lfirst(lc), refs);
	}
	else if (IsA(node, JoinExpr))
	{
		collect_from(((JoinExpr *) node)->larg, refs);
		collect_from(((JoinExpr *) node)->rarg, refs);
	}
	else if (IsA(node, SetOperationStmt))
	{
		collect_from(((SetOperationStmt *) node)->larg, refs);
		collect_from(((SetOperationStmt *) node)->rarg, refs);
	}
}

bool
has_outer_join(Node *node)
{
	ListCell *lc;

	if (IsA(node, FromExpr))
	{
		foreach (lc, ((FromExpr *) node)->fromlist)
			if (has_outer_join((Node *) lfirst(lc)))
				return true;
		return false;
	}
	if (!IsA(node, JoinExpr))
		return false;

	JoinExpr *join = (JoinExpr *) node;
	return join->jointype != JOIN_INNER || has_outer_join(join->larg) || has_outer_join(join->rarg);
}

bool
all_union_all(Node *node)
{
	if (!IsA(node, SetOperationStmt))
		return true;

	SetOperationStmt *setop = (SetOperationStmt *) node;
	return setop->op == SETOP_UNION && setop->all && all_union_all(setop->larg) &&
		   all_union_all(setop->rarg);
}

bool
reads_tables_walker(Node *node, void *unused)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, reads_tables_walker, unused, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		return (rte->rtekind == RTE_RELATION && rte->inFromCl) || rte->rtekind == RTE_CTE;
	}
	return pg::walk_expression(node, reads_tables_walker, unused);
}

} // namespace

List *
from_relations(Query *query)
{
	List *refs = NIL;

	collect_from(query->setOperations ? query->setOperations : (Node *) query->jointree, &refs);
	return refs;
}

Bitmapset *
relations_in(Node *from)
{
	List *refs = NIL;
	Bitmapset *relations = nullptr;
	ListCell *lc;

	collect_from(from, &refs);
	foreach (lc, refs)
		relations = bms_add_member(relations, lfirst_int(lc));
	return relations;
}

bool
reads_tables(Query *query)
{
	return reads_tables_walker((Node *) query, nullptr);
}

const char *
not_linear_from(Query *query)
{
	ListCell *lc;

	if (query->cteList != NIL)
		return "a recursive query";
	if (query->setOperations && !all_union_all(query->setOperations))
		return "a set operation";
	if (query->hasSubLinks)
		return "a subquery in an expression";
	if (!query->setOperations && has_outer_join((Node *) query->jointree))
		return "an outer join";

	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		switch (rte->rtekind)
		{
			case RTE_RELATION:
			case RTE_RESULT:
			case RTE_VALUES:
			case RTE_FUNCTION:
			case RTE_TABLEFUNC:
				break;
			case RTE_SUBQUERY:
				if (reads_tables_walker((Node *) rte->subquery, nullptr))
				{
					const char *reason = not_linear(rte->subquery);

					if (reason)
						return reason;
				}
				break;
			default:
				return "a kind of FROM item that has no delta rule";
		}
	}
	return nullptr;
}

namespace
{

/* Why rows of the query's FROM and WHERE are not rows of its result, or null where they are. */
const char *
not_plain(Query *query)
{
	if (query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL ||
		query->havingQual)
		return "aggregation in a subquery";
	if (query->hasWindowFuncs)
		return "a window function";
	if (query->distinctClause != NIL)
		return "DISTINCT in a subquery";
	if (query->limitCount || query->limitOffset)
		return "LIMIT";
	return nullptr;
}

} // namespace

const char *
not_linear(Query *query)
{
	const char *reason = not_plain(query);

	return reason ? reason : not_linear_from(query);
}

bool
is_transparent(Query *query)
{
	ListCell *lc;

	if (!reads_tables(query) || not_plain(query) || query->cteList != NIL)
		return false;
	if (!query->setOperations)
		return true;
	if (!all_union_all(query->setOperations))
		return false;
	foreach (lc, from_relations(query))
	{
		Query *arm = rt_fetch(lfirst_int(lc), query->rtable)->subquery;

		if (reads_tables(arm) && !is_transparent(arm))
			return false;
	}
	return true;
}

/* ---- occurrences ---- */

namespace
{

struct UsedContext
{
	Index rti;
	int levels_up;
	Bitmapset *used;
};

bool
used_walker(Node *node, UsedContext *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->varno == context->rti && var->varlevelsup == context->levels_up)
			context->used = bms_add_member(context->used,
										   var->varattno - FirstLowInvalidHeapAttributeNumber);
		return false;
	}
	if (IsA(node, Query))
	{
		context->levels_up++;
		bool result = pg::walk_query((Query *) node, used_walker, context, QTW_IGNORE_JOINALIASES);
		context->levels_up--;
		return result;
	}
	return pg::walk_expression(node, used_walker, context);
}

} // namespace

Bitmapset *
columns_used(Query *query, int rti)
{
	UsedContext context = {(Index) rti, 0, nullptr};

	/* Alias variables were replaced; the aliases of a join name all columns. */
	(void) pg::walk_query(query, used_walker, &context, QTW_IGNORE_JOINALIASES);
	return context.used;
}

namespace
{

struct Occurrences
{
	List *relids;
	List *used;    /* Bitmapsets */
	List *reaches; /* integers: Reach */
};

/* How a change of the item reaches the result of the query. */
Reach
reach_of(Query *query, int rti, Reach above)
{
	List *joins = nulling_joins(query, rti);

	if (joins == NIL)
		return above;
	return above == Reach::kLinear && list_length(joins) == 1 &&
				   matches_by_equality((JoinExpr *) linitial(joins), rti)
			   ? Reach::kNulled
			   : Reach::kUnknown;
}

void
collect_occurrences(Query *query, Reach above, Occurrences *found)
{
	ListCell *lc;

	foreach (lc, from_relations(query))
	{
		int rti = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind == RTE_SUBQUERY && is_transparent(rte->subquery))
			collect_occurrences(rte->subquery, reach_of(query, rti, above), found);
		else if (rte->rtekind == RTE_RELATION)
		{
			found->relids = lappend_oid(found->relids, rte->relid);
			found->used = lappend(found->used, columns_used(query, rti));
			found->reaches = lappend_int(found->reaches, (int) reach_of(query, rti, above));
		}
	}
}

} // namespace

int
count_occurrences(Query *query)
{
	Occurrences found = {NIL, NIL, NIL};

	collect_occurrences(query, Reach::kLinear, &found);
	return list_length(found.relids);
}

namespace
{

/* The order of rows means nothing to a block; neither do columns that were there for ordering only. */
void
drop_ordering(Query *query)
{
	List *targets = NIL;
	ListCell *lc;

	query->sortClause = NIL;
	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		tle->ressortgroupref = 0;
		if (!tle->resjunk)
			targets = lappend(targets, tle);
	}
	query->targetList = targets;
	foreach (lc, from_relations(query))
	{
		RangeTblEntry *rte = rt_fetch(lfirst_int(lc), query->rtable);

		if (rte->rtekind == RTE_SUBQUERY && is_transparent(rte->subquery))
			drop_ordering(rte->subquery);
	}
}

/* The relation of a query that is nothing but one relation, or 0. */
Index
native_relation(Query *query)
{
	List *refs = from_relations(query);

	if (query->setOperations || query->hasTargetSRFs || list_length(refs) != 1)
		return 0;

	RangeTblEntry *rte = rt_fetch(linitial_int(refs), query->rtable);
	if (rte->rtekind != RTE_RELATION || rte->securityQuals != NIL)
		return 0;
	return linitial_int(refs);
}

Block *
begin_block(Query *query)
{
	Block *block = (Block *) palloc0(sizeof(Block));
	Occurrences found = {NIL, NIL, NIL};

	drop_ordering(query);
	collect_occurrences(query, Reach::kLinear, &found);

	block->query = query;
	block->noccurrences = list_length(found.relids);
	block->relids = (Oid *) palloc(sizeof(Oid) * Max(block->noccurrences, 1));
	block->used = (Bitmapset **) palloc(sizeof(Bitmapset *) * Max(block->noccurrences, 1));
	block->reaches = (Reach *) palloc(sizeof(Reach) * Max(block->noccurrences, 1));
	for (int i = 0; i < block->noccurrences; i++)
	{
		block->relids[i] = list_nth_oid(found.relids, i);
		block->used[i] = (Bitmapset *) list_nth(found.used, i);
		block->reaches[i] = (Reach) list_nth_int(found.reaches, i);
	}
	return block;
}

struct ReadsSearch
{
	Oid relid;
	int found;
};

bool
reads_walker(Node *node, ReadsSearch *search)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query((Query *) node, reads_walker, search, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		const RangeTblEntry *rte = (const RangeTblEntry *) node;

		search->found += rte->rtekind == RTE_RELATION && rte->inFromCl &&
						 rte->relid == search->relid;
		return false;
	}
	return pg::walk_expression(node, reads_walker, search);
}

int
count_reads(Query *query, Oid relid)
{
	ReadsSearch search = {relid, 0};

	(void) reads_walker((Node *) query, &search);
	return search.found;
}

int
count_of(const Block *block, Oid relid)
{
	int n = 0;

	for (int i = 0; i < block->noccurrences; i++)
		n += block->relids[i] == relid;
	return n;
}

} // namespace

Block *
make_block(Query *query)
{
	spell_out_all(query);

	Block *block = begin_block(query);
	block->native_rti = native_relation(query);
	find_join_keys(block);
	return block;
}

Block *
make_partial_block(Query *query)
{
	bool any = false;

	if (!is_transparent(query))
		return nullptr;

	Block *block = begin_block(query);
	for (int i = 0; i < block->noccurrences; i++)
	{
		/* It is read where occurrences are not looked for, too. */
		if (count_reads(query, block->relids[i]) > count_of(block, block->relids[i]))
			block->reaches[i] = Reach::kUnknown;
		any |= block->reaches[i] != Reach::kUnknown;
	}
	return any ? block : nullptr;
}

bool
follows(const Block *block, List *relids)
{
	int changed = 0;
	int nulled = 0;
	ListCell *lc;

	foreach (lc, relids)
		if (count_of(block, lfirst_oid(lc)) == 0)
			return false;
	for (int i = 0; i < block->noccurrences; i++)
	{
		if (!list_member_oid(relids, block->relids[i]))
			continue;
		if (block->reaches[i] == Reach::kUnknown)
			return false;
		changed++;
		nulled += block->reaches[i] == Reach::kNulled;
	}
	return nulled == 0 || changed == 1;
}

Block *
make_opaque_block(Query *query)
{
	Block *block = (Block *) palloc0(sizeof(Block));

	block->query = query;
	return block;
}

AttrNumber
find_target(List *targets, Node *expr)
{
	ListCell *lc;

	foreach (lc, targets)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (equal(tle->expr, expr))
			return tle->resno;
	}
	return InvalidAttrNumber;
}

/* ---- restriction to keys ---- */

namespace
{

Node *
key_matches(Node *expr, Oid opno, Var *key, NullKeys nulls)
{
	OpExpr *equal_keys = makeNode(OpExpr);

	equal_keys->opno = opno;
	equal_keys->opfuncid = get_opcode(opno);
	equal_keys->opresulttype = BOOLOID;
	equal_keys->inputcollid = exprCollation(expr);
	equal_keys->args = list_make2(copyObject(expr), key);
	equal_keys->location = -1;
	if (nulls == NullKeys::kNeverMatch)
		return (Node *) equal_keys;

	NullTest *left = makeNode(NullTest);
	NullTest *right = makeNode(NullTest);

	left->arg = (Expr *) copyObject(expr);
	right->arg = (Expr *) copyObject(key);
	left->nulltesttype = right->nulltesttype = IS_NULL;
	left->argisrow = right->argisrow = false;
	left->location = right->location = -1;
	return (Node *) makeBoolExpr(OR_EXPR,
								 list_make2(equal_keys,
											makeBoolExpr(AND_EXPR, list_make2(left, right), -1)),
								 -1);
}

} // namespace

int
read_keys(Query *query, List *exprs)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	TupleDesc desc = CreateTemplateTupleDesc(list_length(exprs));
	ListCell *lc;
	int i = 0;

	foreach (lc, exprs)
	{
		Node *expr = (Node *) lfirst(lc);

		i++;
		TupleDescInitEntry(desc, i, psprintf("k%d", i), exprType(expr), exprTypmod(expr), 0);
		TupleDescInitEntryCollation(desc, i, exprCollation(expr));
	}
	become_tuplestore(rte, kKeysName, desc);
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	ref->rtindex = list_length(query->rtable);
	query->jointree->fromlist = lappend(query->jointree->fromlist, ref);
	return ref->rtindex;
}

void
restrict_to_keys(Query *query, List *exprs, List *operators, NullKeys nulls)
{
	int rti = read_keys(query, exprs);
	List *quals = NIL;
	ListCell *lc;
	ListCell *lc2;
	int i = 0;

	forboth (lc, exprs, lc2, operators)
	{
		Node *expr = (Node *) lfirst(lc);
		Var *key;

		i++;
		key = makeVar(rti, i, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
		quals = lappend(quals, key_matches(expr, lfirst_oid(lc2), key, nulls));
	}
	if (query->jointree->quals)
		quals = lcons(query->jointree->quals, quals);
	query->jointree->quals = (Node *) make_ands_explicit(quals);
}

} // namespace tw::analyze
