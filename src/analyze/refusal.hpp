/*
 * refusal.hpp - what cannot be maintained, as a value.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::analyze
{

/* The first construct of a query that no engine could keep up to date. */
struct Refusal
{
	const char *construct; /* null: nothing to refuse */
	int location;          /* byte offset in the query's text, -1 unknown */
	const char *
		words; /* where the tree has no location: what stands there, a name or keywords; else null */
	const char *hint;
};

/* Whether the bodies of SQL functions have taken the place of their calls where they can. */
enum class Functions
{
	kCalled,
	kInlined
};

/*
 * Looks through the query, with all it contains; of functions that are called
 * and will be inlined, through their bodies. The query is not changed.
 */
Refusal find_refusal(Query *query, Functions functions);

/* Raises 0A000 with construct, position and hint. source is the text that the location refers to, or null. */
[[noreturn]] void raise_refusal(const Refusal &refusal, const char *source);

} // namespace tw::analyze
