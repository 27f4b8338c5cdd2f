/*
 * explain.cpp - the circuit of a view as text.
 *
 * The tree follows the query: what the FROM clause reads, joined and filtered,
 * then grouped, projected and so on. Each operator shows the class in which it
 * is maintained; below the tree stand the delta terms of each base table.
 */
#include "analyze/explain.hpp"
#include "analyze/block.hpp"
#include "analyze/keyed.hpp"
#include "analyze/recursion.hpp"
#include "analyze/view_plan.hpp"
#include "catalog/inner_relation.hpp"
#include "circuit/operator.hpp"
#include "pg/guard.hpp"

namespace tw::analyze
{

using circuit::Class;
using circuit::Kind;

namespace
{

/* An operator in palloc'd memory: the backend side of circuit::Operator. */
struct Node_
{
	Kind kind;
	const char *detail;
	const char *state; /* name of the table that holds it, or null */
	Class cls;
	List *inputs; /* Node_ */
};

Node_ *
make_node(Kind kind, const char *detail, List *inputs)
{
	Node_ *node = (Node_ *) palloc0(sizeof(Node_));

	node->kind = kind;
	node->detail = detail;
	node->inputs = inputs;
	return node;
}

Node_ *describe_query(Query *query);
Node_ *describe_plan(const ViewPlan *plan);

/* WITH RECURSIVE: base and step below where it is read, and the reference to itself as it is. */
Node_ *
describe_cte(RangeTblEntry *rte, Query *query)
{
	ListCell *lc;

	foreach (lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (rte->ctelevelsup == 0 && strcmp(cte->ctename, rte->ctename) == 0)
			return make_node(Kind::kRecursive, rte->ctename,
							 list_make1(describe_query(castNode(Query, cte->ctequery))));
	}
	return make_node(Kind::kValues, psprintf("%s, the rows so far", rte->ctename), NIL);
}

Node_ *
describe_relation(RangeTblEntry *rte, Query *query)
{
	catalog::InnerRelation inner;

	switch (rte->rtekind)
	{
		case RTE_RELATION:
			if (catalog::find_inner_relation(rte->relid, &inner))
			{
				Node_ *node = make_node(Kind::kSubquery, "",
										list_make1(describe_plan(
											analyze_view(rte->relid, CurrentMemoryContext))));

				node->state = get_rel_name(rte->relid);
				return node;
			}
			return make_node(Kind::kScan,
							 psprintf("on %s",
									  quote_qualified_identifier(get_namespace_name(
																	 get_rel_namespace(rte->relid)),
																 get_rel_name(rte->relid))),
							 NIL);
		case RTE_SUBQUERY:
			return make_node(rte->lateral ? Kind::kLateral : Kind::kSubquery, rte->eref->aliasname,
							 list_make1(describe_query(rte->subquery)));
		case RTE_CTE:
			return describe_cte(rte, query);
		default:
			return make_node(Kind::kValues, rte->eref ? rte->eref->aliasname : "", NIL);
	}
}

const char *
join_name(JoinType type)
{
	switch (type)
	{
		case JOIN_LEFT:
			return "left";
		case JOIN_RIGHT:
			return "right";
		case JOIN_FULL:
			return "full";
		default:
			return "inner";
	}
}

bool
collect_sublinks(Node *node, List **found)
{
	if (node == nullptr || IsA(node, Query))
		return false;
	if (IsA(node, SubLink))
		*found = lappend(*found, node);
	return pg::walk_expression(node, collect_sublinks, found);
}

/* The subqueries of an expression, as further inputs of the operator that computes it. */
List *
describe_sublinks(Node *expr)
{
	List *sublinks = NIL;
	List *inputs = NIL;
	ListCell *lc;

	(void) collect_sublinks(expr, &sublinks);
	foreach (lc, sublinks)
	{
		Query *subquery = castNode(Query, lfirst_node(SubLink, lc)->subselect);

		inputs = lappend(inputs, make_node(Kind::kSubquery, "in an expression",
										   list_make1(describe_query(subquery))));
	}
	return inputs;
}

/* Name of the join that a condition is; null where it is not EXISTS, IN, NOT EXISTS or NOT IN. */
const char *
sublink_join(Node *condition, SubLink **sublink)
{
	bool is_negated = is_notclause(condition);

	*sublink = (SubLink *) (is_negated ? (Node *) get_notclausearg(condition) : condition);
	if (!IsA(*sublink, SubLink) ||
		((*sublink)->subLinkType != EXISTS_SUBLINK && (*sublink)->subLinkType != ANY_SUBLINK))
		return nullptr;
	return is_negated ? "anti" : "semi";
}

/* What the conditions do to rows: those that are subqueries join them, the others filter them. */
Node_ *
describe_conditions(Node_ *rows, Node *quals)
{
	List *joins = NIL;
	List *others = NIL;
	ListCell *lc;

	foreach (lc, make_ands_implicit((Expr *) quals))
	{
		SubLink *sublink;

		if (sublink_join((Node *) lfirst(lc), &sublink))
			joins = lappend(joins, lfirst(lc));
		else
			others = lappend(others, lfirst(lc));
	}
	if (others != NIL)
		rows = make_node(Kind::kFilter, "", lcons(rows, describe_sublinks((Node *) others)));
	foreach (lc, joins)
	{
		SubLink *sublink;
		const char *name = sublink_join((Node *) lfirst(lc), &sublink);

		rows = make_node(Kind::kJoin, name,
						 list_make2(rows, describe_query(castNode(Query, sublink->subselect))));
	}
	return rows;
}

Node_ *
describe_from(Node *node, Query *query)
{
	if (IsA(node, RangeTblRef))
		return describe_relation(rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable), query);
	if (IsA(node, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) node;

		return make_node(Kind::kJoin, join_name(join->jointype),
						 list_make2(describe_from(join->larg, query),
									describe_from(join->rarg, query)));
	}
	if (IsA(node, SetOperationStmt))
	{
		static const char *const names[] = {"", "union", "intersect", "except"};
		SetOperationStmt *setop = (SetOperationStmt *) node;

		return make_node(Kind::kSetOp, psprintf("%s%s", names[setop->op], setop->all ? " all" : ""),
						 list_make2(describe_from(setop->larg, query),
									describe_from(setop->rarg, query)));
	}

	FromExpr *from = castNode(FromExpr, node);
	Node_ *result = nullptr;
	ListCell *lc;

	foreach (lc, from->fromlist)
	{
		Node_ *item = describe_from((Node *) lfirst(lc), query);

		result = result ? make_node(Kind::kJoin, "inner", list_make2(result, item)) : item;
	}
	if (!result)
		result = make_node(Kind::kValues, "one row", NIL);
	return describe_conditions(result, from->quals);
}

Node_ *
describe_query(Query *query)
{
	Node_ *node = describe_from(query->setOperations ? query->setOperations
													 : (Node *) query->jointree,
								query);

	if (query->hasAggs || query->groupClause != NIL || query->havingQual)
		node = make_node(Kind::kAggregate,
						 query->groupClause == NIL
							 ? "one group"
							 : psprintf("by %d column(s)", list_length(query->groupClause)),
						 list_make1(node));
	if (query->hasWindowFuncs)
		node = make_node(Kind::kWindow, "", list_make1(node));
	if (query->havingQual)
		node = describe_conditions(node, query->havingQual);
	if (!query->setOperations)
		node = make_node(Kind::kProject, psprintf("%d column(s)", list_length(query->targetList)),
						 lcons(node, describe_sublinks((Node *) query->targetList)));
	if (query->distinctClause != NIL)
		node = make_node(Kind::kDistinct, query->hasDistinctOn ? "on" : "", list_make1(node));
	if (query->limitCount || query->limitOffset)
		node = make_node(Kind::kTopK, "", list_make1(node));
	return node;
}

void
convert(const Node_ *node, circuit::Operator *out)
{
	ListCell *lc;

	out->kind = node->kind;
	out->cls = node->cls;
	out->detail = node->detail ? node->detail : "";
	out->state = node->state ? node->state : "";
	foreach (lc, node->inputs)
	{
		out->inputs.emplace_back();
		convert((const Node_ *) lfirst(lc), &out->inputs.back());
	}
}

Class
class_of(const ViewPlan *plan)
{
	switch (plan->strategy)
	{
		case Strategy::kKeyed:
			return follows_each(plan) ? Class::kIncremental : Class::kKeyed;
		case Strategy::kRecompute:
			return plan->top_k || follows_each(plan) ? Class::kIncremental : Class::kRecompute;
		default:
			return Class::kIncremental;
	}
}

bool
is_groups(const Node_ *node)
{
	return node->kind == Kind::kAggregate || node->kind == Kind::kDistinct ||
		   node->kind == Kind::kSetOp;
}

/* True if the delta of a keyed plan flows through the operator as it is (touch.cpp), where it does through its inputs. */
bool
is_linear(const Node_ *node)
{
	int inputs = list_length(node->inputs);

	switch (node->kind)
	{
		case Kind::kFilter:
		case Kind::kProject:
		case Kind::kSubquery:
			return inputs == 1;
		case Kind::kJoin:
			return strcmp(node->detail, "inner") == 0;
		case Kind::kSetOp:
			return strcmp(node->detail, "union all") == 0;
		default:
			return false;
	}
}

bool
is_inner_relation(const Node_ *node)
{
	return node->kind == Kind::kSubquery && node->state;
}

/*
 * Marks the operators of one plan, down to its inner relations, whose operators
 * are marked by plans of their own. Where the input of groups is evaluated again,
 * what stands above the groups is kept in state. In a keyed plan the operators
 * below the first one that needs keys are linear: what changes there flows through.
 */
void
mark(Node_ *node, Class cls, Class below_groups)
{
	bool all_incremental = true;
	ListCell *lc;

	node->cls = cls;
	if (node->kind == Kind::kScan || node->kind == Kind::kValues)
		node->cls = Class::kIncremental;
	if (is_inner_relation(node))
	{
		node->cls = ((Node_ *) linitial(node->inputs))->cls;
		return;
	}
	foreach (lc, node->inputs)
	{
		Node_ *input = (Node_ *) lfirst(lc);
		/* Nested set operations are kept as one. */
		bool is_part = node->kind == Kind::kSetOp && input->kind == Kind::kSetOp;

		mark(input, is_groups(node) && !is_part ? below_groups : cls, below_groups);
		all_incremental &= input->cls == Class::kIncremental || is_inner_relation(input);
	}
	if (node->cls == Class::kKeyed && is_linear(node) && all_incremental)
		node->cls = Class::kIncremental;
}

Oid
state_table(Oid view)
{
	return get_relname_relid(psprintf("state_%u", view),
							 get_namespace_oid("tailwater_internal", true));
}

/* Name of a column by which touched rows are told. */
const char *
key_name(const ViewPlan *plan, int i)
{
	AttrNumber column = plan->restrict_columns[i];

	if (plan->stored)
		return get_attname(plan->view, column, false);

	Var *var = (Var *) list_nth_node(TargetEntry, plan->query->targetList, column - 1)->expr;
	if (!IsA(var, Var))
		return "an expression";
	RangeTblEntry *rte = rt_fetch(var->varno, plan->query->rtable);
	return psprintf("%s.%s", rte->eref->aliasname, get_rte_attribute_name(rte, var->varattno));
}

const char *
how_touched(const ViewPlan *plan, Oid relid, const char *reason)
{
	StringInfoData keys;

	for (int i = 0; i < plan->npoints; i++)
		if (plan->points[i].relid == relid && !plan->points[i].followed)
			return "where any row is touched, evaluate the query again and compare";
	initStringInfo(&keys);
	for (int i = 0; i < plan->nrestrict; i++)
		appendStringInfo(&keys, "%s%s", i > 0 ? ", " : "", key_name(plan, i));
	return psprintf("evaluate touched keys (%s) again%s (%s)", keys.data,
					plan->stored ? "" : ", before and after, and add what differs to the groups",
					reason);
}

/* A change of the table alone, where the block's delta is known for it. */
const char *
how_followed(const Block *block, Oid relid)
{
	int occurrences = 0;
	bool nulled = false;

	for (int i = 0; i < block->noccurrences; i++)
	{
		occurrences += block->relids[i] == relid;
		nulled |= block->relids[i] == relid && block->reaches[i] == Reach::kNulled;
	}
	return nulled ? "planned: rows that match, and rows whose last match goes or first match comes"
				  : psprintf("planned, %d term(s)", occurrences);
}

const char *
how_changed(const ViewPlan *plan, Oid relid)
{
	const ViewPlan *keyed = plan->keyed_input ? plan->keyed_input : plan;

	if (plan->limits && OidIsValid(plan->limits->index.index))
		return "compare with the boundary; where it moves, by index, rows enter or leave";
	if (plan->limits)
		return "compare with the boundary; where it moves, read the first rows again and compare";
	if (plan->top_k)
		return "read the first rows again and compare";
	if (keyed->partial && follows(keyed->partial, list_make1_oid(relid)))
		return how_followed(keyed->partial, relid);
	if (plan->strategy == Strategy::kRecompute)
		return psprintf("where any row is touched, evaluate the query again and compare (%s)",
						plan->reason);
	if (plan->strategy == Strategy::kRecursive)
		return plan->recursion->is_set ? "rounds over what changed: semi-naive for rows that come, "
										 "delete and rederive for rows that go"
									   : "rounds over what changed, by counts of derivations";
	if (keyed_part(plan))
		return how_touched(keyed_part(plan), relid, plan->reason);
	if (plan->input->native_rti)
		return "native, no query is run";
	return how_followed(plan->input, relid);
}

/* The node that holds the state of the plan's groups, and below it what feeds them. */
Node_ *
find_groups(Node_ *node)
{
	while (node && !is_groups(node))
		node = node->inputs != NIL && !node->state ? (Node_ *) linitial(node->inputs) : nullptr;
	return node;
}

Node_ *
describe_plan(const ViewPlan *plan)
{
	Node_ *root = describe_query(plan->query);
	Class cls = class_of(plan);
	Oid state = state_table(plan->view);

	bool keyed_input = plan->keyed_input && !follows_each(plan->keyed_input);
	mark(root, cls, keyed_input ? Class::kKeyed : cls);
	if (OidIsValid(state))
	{
		Node_ *groups = find_groups(root);

		(groups ? groups : root)->state = get_rel_name(state);
	}
	return root;
}

/* What a change of each input does to the plan, and before it to its inner relations. */
List *
describe_deltas(const ViewPlan *plan, const char *what)
{
	List *lines = NIL;
	ListCell *lc;

	foreach (lc, plan->inners)
	{
		ViewPlan *inner = analyze_view(lfirst_oid(lc), CurrentMemoryContext);

		lines = list_concat(lines, describe_deltas(inner, psprintf(" in %s",
																   get_rel_name(lfirst_oid(lc)))));
	}
	foreach (lc, plan->bases)
		lines = lappend(lines, psprintf("delta of %s%s: %s", get_rel_name(lfirst_oid(lc)), what,
										how_changed(plan, lfirst_oid(lc))));
	return lines;
}

} // namespace

List *
explain(Oid view)
{
	ViewPlan *plan = analyze_view(view, CurrentMemoryContext);
	Node_ *root = describe_plan(plan);
	List *lines = NIL;
	int nlines = 0;
	char **texts = nullptr;

	pg::call_pure(
		[&]()
		{
			circuit::Operator op{Kind::kScan, Class::kIncremental, "", "", {}};

			convert(root, &op);
			std::vector<std::string> rendered = circuit::render(op);
			texts = (char **) malloc(sizeof(char *) * rendered.size());
			for (const std::string &line : rendered)
				texts[nlines++] = strdup(line.c_str());
		});
	for (int i = 0; i < nlines; i++)
	{
		lines = lappend(lines, pstrdup(texts[i]));
		free(texts[i]);
	}
	free(texts);

	return list_concat(lines, describe_deltas(plan, ""));
}

const char *
strategy_name(const ViewPlan *plan)
{
	Node_ *root = describe_plan(plan);
	Class cls = Class::kIncremental;

	pg::call_pure(
		[&]()
		{
			circuit::Operator op{Kind::kScan, Class::kIncremental, "", "", {}};

			convert(root, &op);
			cls = circuit::costliest(op);
		});
	return circuit::class_name(cls);
}

} // namespace tw::analyze
