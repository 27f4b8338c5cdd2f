/*
 * terms.hpp - the delta of an inner join as a sum of terms.
 *
 * With inputs R1 ... Rn of which some changed,
 *
 *     delta(R1 x ... x Rn) = sum over changed i of
 *         new(R1) x ... x new(Ri-1) x delta(Ri) x old(Ri+1) x ... x old(Rn)
 *
 * The sum telescopes: every pair of changed inputs is counted once. old = new
 * for an input that did not change. (Griffin and Libkin, "Incremental
 * maintenance of views with duplicates", SIGMOD 1995.)
 */
#pragma once

#include <cstdint>
#include <vector>

namespace tw::circuit
{

/* The part of an input a term reads. */
enum class Part : std::uint8_t
{
	kNew,
	kDelta,
	kOld,
	/* Of recursive queries, which see rows go before others come (see state/recursion.cpp). */
	kGone,  /* what went, as positive weights; delta is what came */
	kFormer /* before both */
};

/* parts[i]: what the term reads of input i. */
struct Term
{
	std::vector<Part> parts;
};

/* The terms for the inputs of a join; changed[i] says whether input i has a delta. */
std::vector<Term> delta_terms(const std::vector<bool> &changed);

} // namespace tw::circuit
