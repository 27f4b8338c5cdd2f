/*
 * syntax.hpp - the TAIL statements: their text, and the raw parse trees they become.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::tail
{

/*
 * A TAIL statement becomes a DeclareCursorStmt with kTail in its options. Its
 * query selects from the user's relation; before the user's columns stand those
 * that TAIL adds:
 *
 *     tw_version      expression of AS OF, or null
 *     tw_progressed   null; only with kTailProgress
 *     tw_diff         expression of UP TO, or null
 *
 * so that parse analysis gives names, types, parameters, permissions and error
 * positions without further ado. With kTailCopy a last column holds the options
 * of COPY as a string. The bits are far above those the server uses.
 */
constexpr int kTail = 1 << 24;
constexpr int kTailSnapshot = 1 << 25;
constexpr int kTailProgress = 1 << 26;
constexpr int kTailBare = 1 << 27; /* TAIL ... as a statement of its own; no portal name */
constexpr int kTailCopy = 1 << 28; /* COPY (TAIL ...) TO STDOUT; no portal name */

/* False if the text certainly has no TAIL syntax. Cheap. */
bool may_have_tail(const char *text);

/* What raw_parser() does, and TAIL. */
List *parse_with_tail(const char *text);

/*
 * FETCH ... WITH (TIMEOUT = ...) travels in FetchStmt.howMany, because a raw
 * tree is copied by the server and has no room for a field of ours: direction
 * forward and
 *
 *     howMany = -(2^62 + milliseconds * 2^31 + count)
 *
 * which no FETCH that the grammar reads can have (its counts are 32 bits
 * wide, or FETCH_ALL). Count 2^31 - 1 stands for ALL.
 */
struct FetchRequest
{
	int64 count;   /* rows wanted; PG_INT64_MAX: all */
	int64 timeout; /* milliseconds; -1: none */
};

long pack_fetch(const FetchRequest &request);
bool has_timeout(const FetchStmt *stmt);
FetchRequest unpack_fetch(const FetchStmt *stmt);

} // namespace tw::tail
