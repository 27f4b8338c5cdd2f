/*
 * operator.hpp - the circuit: a view's query as a tree of operators.
 *
 * Pure algebra: an operator knows its kind, how it is maintained and its
 * inputs; what it means to the server (expressions, relations) stays with
 * `analyze`, which builds the tree. The tree is what tailwater.explain shows.
 */
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace tw::circuit
{

enum class Kind
{
	kScan,
	kFilter,
	kProject,
	kJoin,
	kAggregate,
	kDistinct,
	kSetOp,
	kWindow,
	kTopK,
	kLateral,
	kValues,
	kRecursive,
	kSubquery
};

/* How the delta of an operator is computed, from cheap to costly. */
enum class Class
{
	kIncremental, /* from the delta of its inputs, and its state */
	kKeyed,       /* touched keys are evaluated again */
	kRecompute    /* everything is evaluated again and compared */
};

struct Operator
{
	Kind kind;
	Class cls = Class::kIncremental;
	std::string detail; /* names, conditions: for people */
	std::string state;  /* name of its state table, or empty */
	std::vector<Operator> inputs;
};

const char *kind_name(Kind kind) noexcept;
const char *class_name(Class cls) noexcept;

/* The costliest class in the tree: what a view as a whole is. */
Class costliest(const Operator &root) noexcept;

/* The tree as indented lines, root first: "aggregate (incremental) by region  [state_16400_1]". */
std::vector<std::string> render(const Operator &root);

} // namespace tw::circuit
