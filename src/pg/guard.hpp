/*
 * guard.hpp - the door between pure C++ and the backend.
 *
 * Pure code throws tw::Error and never knows the server; the backend regime
 * calls ereport and never throws. call_pure() runs pure code and turns an
 * exception into ereport(ERROR) after all C++ frames are gone: the message is
 * copied to palloc'd memory inside the catch, ereport is called outside it.
 * A guard costs a few nanoseconds: guard a batch, not a tuple.
 */
#pragma once

#include "pg/postgres.hpp"
#include "base/error.hpp"

#include <exception>
#include <new>

namespace tw::pg
{

/* Runs fn(); an exception that leaves it becomes ereport(ERROR) with its SQLSTATE. */
template <typename Fn>
void
call_pure(Fn &&fn)
{
	char sqlstate[6] = "XX000";
	char *message = nullptr;
	char *hint = nullptr;

	try
	{
		fn();
		return;
	}
	catch (const tw::Error &e)
	{
		for (int i = 0; i < 5; i++)
			sqlstate[i] = e.sqlstate()[i];
		message = strdup(e.what());
		hint = e.hint()[0] ? strdup(e.hint()) : nullptr;
	}
	catch (const std::bad_alloc &)
	{
		strcpy(sqlstate, "53200");
		message = strdup("out of memory");
	}
	catch (const std::exception &e)
	{
		message = strdup(e.what());
	}
	catch (...)
	{
		message = strdup("unexpected C++ exception");
	}

	char *copy = pstrdup(message ? message : "out of memory");
	char *hint_copy = hint ? pstrdup(hint) : nullptr;
	free(message);
	free(hint);
	ereport(ERROR,
			errcode(MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4])),
			errmsg("%s", copy), hint_copy ? errhint("%s", hint_copy) : 0);
}

} // namespace tw::pg
