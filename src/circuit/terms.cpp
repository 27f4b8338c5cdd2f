/*
 * terms.cpp - the delta of an inner join as a sum of terms.
 */
#include "circuit/terms.hpp"

namespace tw::circuit
{

std::vector<Term>
delta_terms(const std::vector<bool> &changed)
{
	std::vector<Term> terms;

	for (std::size_t i = 0; i < changed.size(); i++)
	{
		if (!changed[i])
			continue;

		Term term;
		for (std::size_t j = 0; j < changed.size(); j++)
		{
			Part part = Part::kNew;

			if (j == i)
				part = Part::kDelta;
			else if (j > i && changed[j])
				part = Part::kOld;
			term.parts.push_back(part);
		}
		terms.push_back(std::move(term));
	}
	return terms;
}

} // namespace tw::circuit
