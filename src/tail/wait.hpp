/*
 * wait.hpp - gives out what a TAIL has, and waits for more.
 */
#pragma once

#include "pg/postgres.hpp"
#include "tail/cursor.hpp"
#include "tail/syntax.hpp"

namespace tw::tail
{

/*
 * Gives rows to dest until the request is met, and then advances the cursor:
 * without timeout when something was given, with one when the count is reached
 * or the time is over; always at the cursor's end. Returns the rows given.
 */
uint64 wait_and_deliver(Cursor *cursor, const FetchRequest &request, DestReceiver *dest);

} // namespace tw::tail
