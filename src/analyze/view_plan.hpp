/*
 * view_plan.hpp - what analysis finds out about a view: how it is maintained.
 *
 * A ViewPlan lives in a memory context of its own, below the session's cache,
 * and is made again when a relation it names changes. It holds Query trees,
 * never SQL text, and no plans: `exec` plans delta queries when they are needed.
 */
#pragma once

#include "pg/postgres.hpp"
#include "analyze/top_k.hpp"
#include "analyze/touch.hpp"

namespace tw::analyze
{

enum class Strategy : char
{
	kLinear,    /* select-project-join: the delta of the query is the delta of the view */
	kAggregate, /* groups over a select-project-join input, kept in state */
	kRecursive, /* the content of WITH RECURSIVE, by rounds over what changed */
	kKeyed,     /* touched keys are evaluated again */
	kRecompute  /* the query is evaluated again and compared */
};

/* A column by which rows of an occurrence find those of another one. */
struct JoinSide
{
	int occurrence;
	Oid relid;
	AttrNumber column;
	Oid hash; /* function; equal values of both sides hash alike */
};

/*
 * Rows of two occurrences meet only where these columns are equal; where the distance is 0,
 * never. At a distance of more than 1 the column of one side, the finder, is that of a query over
 * its delta and the tables between the two (analyze/places.cpp).
 */
struct JoinKey
{
	JoinSide sides[2]; /* the lower occurrence first */
	Oid collation;
	int distance; /* number of conditions on the way from one to the other */
	int finder;
	Query *lookup;
	List *between; /* OIDs of the tables that the lookup reads */
};

/* How a change of an occurrence reaches the result of a block. */
enum class Reach : char
{
	kLinear, /* row by row */
	kNulled, /* over one outer join that shows nulls where it has no match */
	kUnknown
};

/*
 * A query whose delta is linear in each of its base tables. Its occurrences
 * are the base tables in its FROM, in depth-first order through subqueries; a
 * table that is joined with itself occurs twice. A partial block (make_partial_block) is
 * linear in some of them only, and may read other tables elsewhere.
 */
struct Block
{
	Query *query;
	int noccurrences;
	Oid *relids;    /* by occurrence */
	Reach *reaches; /* by occurrence */
	Bitmapset *
		*used; /* by occurrence: columns read, as attnum - FirstLowInvalidHeapAttributeNumber */
	Index
		native_rti; /* range table index of the only relation of a flat query; 0: use the planner */

	/* At most one for each pair of occurrences, nearest first. */
	int njoin_keys;
	JoinKey *join_keys;
};

enum class AggregateKind : char
{
	kCount,      /* count(x), count(*) with FILTER */
	kCountStar,  /* count(*): the group's own count */
	kSumInt,     /* sum(int2, int4) */
	kAvgInt,     /* avg(int2, int4) */
	kSumNumeric, /* sum(int8, numeric) */
	kAvgNumeric, /* avg(int8, numeric) */
	kVarNumeric, /* variance and stddev of integers and numeric */
	kFloatSum,   /* sum(float4, float8) */
	kFloatOne,   /* avg, variance, stddev of float4 and float8 */
	kFloatTwo,   /* corr, covar, regr */
	kSumInterval,
	kAvgInterval,
	kSumMoney,
	kMin,
	kMax,
	kBoolAnd,
	kBoolOr,
	kBitAnd, /* of integers, as the two below */
	kBitOr,
	kBitXor
};

/* One distinct aggregate call of the query. */
struct AggregateSpec
{
	AggregateKind kind;
	Aggref *aggref;
	Oid function;        /* the server's aggregate */
	AttrNumber argument; /* column of the input block, 0: none */
	AttrNumber second;   /* another argument, 0: none */
	AttrNumber filter;   /* boolean column of the input block, 0: none */
	int distinct;        /* which of the plan's distinct inputs it takes, from 1; 0: all rows */
	AttrNumber state;    /* its first column in the state table */
	int nstate;          /* number of its state columns */
	Oid argtype;
	int16 typlen;
	bool typbyval;
	Oid compare;    /* min, max: btree comparison function of the argument */
	bool one_image; /* min, max: equal values look the same */
	Oid collation;
};

/*
 * The distinct values that some aggregates of a grouped view take: groups of
 * their own, by the view's group columns and the argument, kept in a state table of
 * their own.
 */
struct DistinctInput
{
	AttrNumber argument; /* columns of the input block */
	AttrNumber filter;   /* 0: none */
	struct ViewPlan *plan;
};

struct Recursion;

struct ViewPlan
{
	MemoryContext context;
	Oid view;
	Oid owner;
	Query *whole; /* the view's query, rewritten, CTEs inlined, sums of floats exact */
	Query *query; /* the same, or what is left of it over inner relations */
	List *inners; /* OIDs of the view's inner relations (catalog/inner_relation.hpp), in order */
	Strategy strategy;
	bool top_k;   /* a LIMIT of an inner relation, which has an index in its order */
	TopK *limits; /* of top_k; null: it is read again each time */
	bool may_tie; /* rows at the limit of top_k may tie, and the query choose one or the other */
	bool exact_floats;      /* sums of floats in `whole` are exact ones */
	const char *reason;     /* why it is not incremental, for people; null where it is */
	List *bases;            /* OIDs of the relations it reads, each once */
	List *only_bases;       /* those of them it reads without their descendants (FROM ONLY) */
	bool needs_environment; /* calls code that could see settings: pin them */

	/* The key of the view's rows: attribute numbers; none: rows are found by their whole image. */
	int nkey;
	AttrNumber *key;

	/* kLinear: gives the view's rows. kAggregate: gives keys, then arguments. Else null. */
	Block *input;

	/* Keyed: gives the query's delta where it follows() what changed; null: never does. */
	Block *partial;

	/*
	 * kAggregate, where the input is not linear: the plan by which its touched rows are evaluated, under
	 * the old and under the new snapshot. `query` has the input's columns, then key columns of its own;
	 * `restricted` has the input's columns only. `input` has no occurrences then.
	 */
	ViewPlan *keyed_input;

	Recursion *recursion; /* kRecursive */

	/* kAggregate */
	int ngroup; /* number of group columns, the first columns of the input */
	int naggregates;
	AggregateSpec *aggregates;
	int ndistinct;
	DistinctInput *distinct;
	List *finalize;     /* target list over (keys, aggregate results), varno OUTER_VAR */
	Node *having;       /* qual over the same, or null */
	Node *multiplicity; /* how many rows of the view a group is (int8), over the same; null: one */

	/*
	 * kAggregate: the input block restricted to touched groups. kKeyed: the whole query restricted to
	 * touched keys. Both read the keys from the named tuplestore kKeysName, column by column; the
	 * second form also matches NULL keys.
	 */
	int nrestrict;                /* kKeyed: number of key columns */
	AttrNumber *restrict_columns; /* kKeyed: view columns that hold the keys */
	Query *restricted;
	Query *restricted_nulls;

	/* kKeyed: the view's own rows of the touched keys (null: see keyed_input), and where base tables are read. */
	Query *stored;
	Query *stored_nulls;
	int npoints;
	TouchPoint *points;

	/*
	 * kKeyed: pairs of points (as occurrences) whose changes matter to each other only where these
	 * columns are equal, or not at all; nearest first.
	 */
	int npoint_keys;
	JoinKey *point_keys;
};

/* The plan, or the part of it, that evaluates touched keys again; null where there is none. */
inline const ViewPlan *
keyed_part(const ViewPlan *plan)
{
	return plan->strategy == Strategy::kKeyed ? plan : plan->keyed_input;
}

constexpr const char *kKeysName = "tailwater keys";
constexpr const char *kDeltaName = "tailwater delta %d";
constexpr const char *kWeightName = "tw_weight";

/*
 * Analyzes the query of a materialized view in a new memory context below
 * parent. Raises 0A000 for what cannot be maintained. Runs as the view's owner.
 */
ViewPlan *analyze_view(Oid view, MemoryContext parent);

/*
 * Makes the hidden relations that keep parts of the view's query, where that
 * makes it cheaper to follow; create makes one for a part, given its number and
 * columns. The view has none yet. They are filled by the caller, who asks
 * whether_inner_pays() when their keys are known.
 */
using CreateRelation = Oid (*)(Oid view, int number, TupleDesc desc);
void create_inner_relations(Oid view, CreateRelation create);

/* True if the view is followed at lower cost with its inner relations than without. */
bool whether_inner_pays(Oid view);

/* True if the view might show something else if it had another owner: by policies, or CURRENT_USER. */
bool depends_on_owner(Oid view);

/*
 * The view's query, rewritten under the owner's rights as REFRESH does, with SQL functions
 * inlined; relations are locked for reading.
 */
Query *rewritten_query(Relation view);

/* The relations and functions (ObjectAddress *) that the bodies of inlined functions name. */
List *objects_in_functions(Oid view);

} // namespace tw::analyze
