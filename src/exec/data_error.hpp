/*
 * data_error.hpp - queries of maintenance that may fail where the view's own query would not.
 *
 * They look at rows that the view's query leaves out, or evaluate expressions
 * before such rows are left out.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::exec
{

/*
 * True if evaluating the expressions of the node could raise an error.
 * Comparisons that order or equate values do not, nor do leakproof functions.
 */
bool can_fail(Node *node);

/* True for errors that the values of a row give rise to, in the server's functions or the user's. */
bool is_data_error(int sqlstate);

/* Runs fn() so that an error about data in it can be survived; returns false then. */
template <typename Fn>
bool
survive_data_errors(bool may_fail, Fn &&fn)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool succeeded = true;

	if (!may_fail)
	{
		fn();
		return true;
	}
	BeginInternalSubTransaction(nullptr);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		PushActiveSnapshot(GetActiveSnapshot());
		fn();
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();

		/* In any case: nobody above knows of the subtransaction. */
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!is_data_error(error->sqlerrcode))
			ReThrowError(error);
		FreeErrorData(error);
		succeeded = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return succeeded;
}

} // namespace tw::exec
