/*
 * aside.cpp - has a view attached without keeping writers from its base tables.
 *
 * The session that asks for it commits what it has done so far (the view, its
 * place on the list), as CREATE INDEX CONCURRENTLY does, lets a background
 * worker build the view (maintain/build.cpp), and waits. A cancel of the session
 * is handed on; the worker cleans up before it ends. If the session is gone, the
 * worker gives up, too.
 */
#include "ddl/aside.hpp"

#include "catalog/view_list.hpp"
#include "ddl/conduct.hpp"
#include "maintain/build.hpp"

extern "C" PGDLLEXPORT void tailwater_builder_main(Datum arg);

namespace tw::ddl
{

using maintain::Build;
using maintain::BuildState;

namespace
{

BackgroundWorkerHandle *
start_builder(int number, Oid view)
{
	BackgroundWorker worker = {};
	BackgroundWorkerHandle *handle;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum(number);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "tailwater", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "tailwater_builder_main", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "tailwater builder", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "tailwater builder for view %u", view);

	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	MemoryContextSwitchTo(old);
	return registered ? handle : nullptr;
}

/* A build this session waits for. */
struct Waiting
{
	int number;
	BackgroundWorkerHandle *handle;
};

/* The session does not want the build any more: it failed, was cancelled, or ends. */
void
call_off(int code, Datum arg)
{
	const Waiting *waiting = reinterpret_cast<Waiting *>(DatumGetPointer(arg));
	Build *build = maintain::build_slot(waiting->number);
	int builder = build->builder;

	if (build->state == BuildState::kReserved)
		maintain::set_build_state(waiting->number, BuildState::kCalledOff);
	else if (build->state == BuildState::kBegun && builder != 0)
		kill(builder, SIGINT);
	build->caller = 0; /* the worker frees the slot */
}

/* Waits until the worker has cleaned up. */
void
await_end(const Waiting *waiting)
{
	pid_t pid;

	while (GetBackgroundWorkerPid(waiting->handle, &pid) != BGWH_STOPPED)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100,
						 pg::wait_event("TailwaterBuild"));
		ResetLatch(MyLatch);
		if (ProcDiePending)
			return;
	}
}

/*
 * Waits for the worker; and for those whom the worker waits for, so that
 * everybody can see who holds this session up.
 */
void
await_worker(const Waiting *waiting)
{
	pid_t pid;

	while (GetBackgroundWorkerPid(waiting->handle, &pid) != BGWH_STOPPED)
	{
		VirtualTransactionId blocker = maintain::blocker_of(waiting->number);

		if (VirtualTransactionIdIsValid(blocker))
			(void) VirtualXactLock(blocker, true);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100,
						 pg::wait_event("TailwaterBuild"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

} // namespace

void
commit_and_begin()
{
	MemoryContext old = CurrentMemoryContext;

	while (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
	MemoryContextSwitchTo(old);
}

namespace
{

[[noreturn]] void
raise_failure(const Build &build)
{
	if (build.state != BuildState::kFailed)
		ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("the background worker that computed the materialized view ended "
					   "unexpectedly"),
				errhint("See the server log."));
	ereport(ERROR, errcode(build.sqlstate), errmsg_internal("%s", build.message),
			build.detail[0] ? errdetail_internal("%s", build.detail) : 0,
			build.hint[0] ? errhint("%s", build.hint) : 0);
	pg_unreachable();
}

/* Lets the worker begin, and waits for its end. */
int64
await_build(Waiting *waiting, Caller caller)
{
	Build *build = maintain::build_slot(waiting->number);
	Build outcome;

	PG_ENSURE_ERROR_CLEANUP(call_off, PointerGetDatum(waiting));
	{
		PG_TRY();
		{
			if (caller == Caller::kUtility)
			{
				maintain::announce_build(build->view, build);
				commit_and_begin();
			}
			maintain::set_build_state(waiting->number, BuildState::kBegun);
			await_worker(waiting);
		}
		PG_CATCH();
		{
			call_off(0, PointerGetDatum(waiting));
			await_end(waiting);
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	PG_END_ENSURE_ERROR_CLEANUP(call_off, PointerGetDatum(waiting));
	outcome = *build;
	maintain::release_build(waiting->number);
	AcceptInvalidationMessages();
	if (outcome.state != BuildState::kDone)
		raise_failure(outcome);
	return outcome.result;
}

/* ---- the worker ---- */

void
copy_text(char *to, const char *from)
{
	strlcpy(to, from ? from : "", maintain::kBuildText);
}

/* Removes what is left of the build of a view; what goes wrong is reported. */
void
try_clean_up(Oid view)
{
	PG_TRY();
	{
		maintain::clean_up_build(view);
	}
	PG_CATCH();
	{
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
	}
	PG_END_TRY();
}

BuildState
build_and_report(Build *build)
{
	volatile BuildState state = BuildState::kDone;

	PG_TRY();
	{
		maintain::run_build(build);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);

		ErrorData *error = CopyErrorData();
		build->sqlstate = error->sqlerrcode;
		copy_text(build->message, error->message);
		copy_text(build->detail, error->detail);
		copy_text(build->hint, error->hint);
		FlushErrorState();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		state = BuildState::kFailed;
	}
	PG_END_TRY();
	QueryCancelPending = false;
	if (state == BuildState::kFailed)
		try_clean_up(build->view);
	return state;
}

void
builder_main(int number)
{
	Build *build = maintain::build_slot(number);

	/* Both ways of ending it end in cleaning up. */
	pqsignal(SIGINT, StatementCancelHandler);
	pqsignal(SIGTERM, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	maintain::claim_build(number);
	BackgroundWorkerInitializeConnectionByOid(build->database, InvalidOid, 0);
	if (maintain::await_beginning(number))
	{
		pgstat_report_activity(STATE_RUNNING, "computing a materialized view");
		begin_conducting();
		maintain::set_build_state(number, build_and_report(build));
	}
	build->builder = 0;
	if (build->caller == 0)
		maintain::release_build(number);
}

} // namespace

int64
attach_aside(const Build &wanted, Caller caller)
{
	if (caller == Caller::kUtility && (wanted.mode != catalog::Mode::kImmediate ||
									   way_to_attach(wanted.view) != maintain::Way::kBeside))
		return attach_listed(wanted.view);

	Waiting waiting = {maintain::reserve_build(&wanted), nullptr};
	if (waiting.number >= 0)
		waiting.handle = start_builder(waiting.number, wanted.view);
	if (!waiting.handle)
	{
		if (waiting.number >= 0)
			maintain::release_build(waiting.number);
		ereport(NOTICE,
				errmsg("writers of the base tables wait until \"%s\" is computed",
					   get_rel_name(wanted.view)),
				errdetail("There is no background worker to be had that could do it beside them."),
				errhint("Consider increasing the configuration parameter "
						"\"max_worker_processes\"."));
		return caller == Caller::kUtility ? attach_listed(wanted.view) : -1;
	}

	int64 rows = await_build(&waiting, caller);
	announce_built(wanted.view);
	return rows;
}

void
check_not_being_built(Oid view)
{
	if (catalog::has_build(view) && !conducting())
		ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("the content of materialized view \"%s\" is being computed",
					   get_rel_name(view)),
				errhint("See tailwater.progress."));
}

void
clean_up_builds()
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tailwater unfinished builds",
												  ALLOCSET_SMALL_SIZES);
	List *views = NIL;
	ListCell *lc;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (catalog::extension_present())
	{
		List *unfinished = maintain::unfinished_builds();
		MemoryContext old = MemoryContextSwitchTo(context);

		views = list_copy(unfinished);
		MemoryContextSwitchTo(old);
	}
	CommitTransactionCommand();
	begin_conducting();
	foreach (lc, views)
		if (!maintain::is_being_built(lfirst_oid(lc)))
			try_clean_up(lfirst_oid(lc));
	end_conducting();
	MemoryContextDelete(context);
}

} // namespace tw::ddl

void
tailwater_builder_main(Datum arg)
{
	tw::ddl::builder_main(DatumGetInt32(arg));
}
