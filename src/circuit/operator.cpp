/*
 * operator.cpp - names, summary and text form of a circuit.
 */
#include "circuit/operator.hpp"

#include <algorithm>

namespace tw::circuit
{

const char *
kind_name(Kind kind) noexcept
{
	switch (kind)
	{
		case Kind::kScan:
			return "scan";
		case Kind::kFilter:
			return "filter";
		case Kind::kProject:
			return "project";
		case Kind::kJoin:
			return "join";
		case Kind::kAggregate:
			return "aggregate";
		case Kind::kDistinct:
			return "distinct";
		case Kind::kSetOp:
			return "set_op";
		case Kind::kWindow:
			return "window";
		case Kind::kTopK:
			return "top_k";
		case Kind::kLateral:
			return "lateral";
		case Kind::kValues:
			return "values";
		case Kind::kRecursive:
			return "recursive";
		case Kind::kSubquery:
			return "subquery";
	}
	return "?";
}

const char *
class_name(Class cls) noexcept
{
	switch (cls)
	{
		case Class::kIncremental:
			return "incremental";
		case Class::kKeyed:
			return "keyed";
		case Class::kRecompute:
			return "recompute";
	}
	return "?";
}

Class
costliest(const Operator &root) noexcept
{
	Class cls = root.cls;

	for (const Operator &input : root.inputs)
		cls = std::max(cls, costliest(input));
	return cls;
}

static void
render_into(const Operator &op, std::size_t depth, std::vector<std::string> &lines)
{
	std::string line(depth * 2, ' ');

	line += kind_name(op.kind);
	line += " (";
	line += class_name(op.cls);
	line += ")";
	if (!op.detail.empty())
		line += " " + op.detail;
	if (!op.state.empty())
		line += "  [" + op.state + "]";
	lines.push_back(line);
	for (const Operator &input : op.inputs)
		render_into(input, depth + 1, lines);
}

std::vector<std::string>
render(const Operator &root)
{
	std::vector<std::string> lines;

	render_into(root, 0, lines);
	return lines;
}

} // namespace tw::circuit
