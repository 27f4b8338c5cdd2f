/*
 * compat.hpp - differences between PostgreSQL 14 and 18, in one place.
 *
 * Nothing outside this file tests PG_VERSION_NUM. A difference is hidden
 * behind a function or alias with the newest server's meaning.
 */
#pragma once

#if PG_VERSION_NUM < 140000
#error "tailwater needs PostgreSQL 14 or later"
#endif

namespace tw::pg
{

/* Upper limit of the numbers proc_number() returns for ordinary backends and background workers. */
inline int
max_backends()
{
#if PG_VERSION_NUM >= 150000
	return MaxBackends;
#else
	/* Not computed yet while libraries are preloaded. */
	return MaxConnections + autovacuum_max_workers + 1 + max_worker_processes + max_wal_senders;
#endif
}

/* Index of this process in ProcGlobal->allProcs. */
inline int
proc_number()
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

#if PG_VERSION_NUM >= 150000
inline shmem_request_hook_type previous_shmem_request_hook = nullptr;
inline void (*shmem_request)() = nullptr;

inline void
run_shmem_request()
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	shmem_request();
}
#endif

/* To be called at preload: runs `request`, which asks for shared memory, when the server allows it. */
inline void
on_shmem_request(void (*request)())
{
#if PG_VERSION_NUM >= 150000
	shmem_request = request;
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = run_shmem_request;
#else
	request();
#endif
}

/* Wait event shown in pg_stat_activity; older servers know only "Extension". */
inline uint32
wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	return PG_WAIT_EXTENSION;
#endif
}

inline bool
owns_database(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

/* index_create() for a plain index without options. */
inline Oid
create_index(Relation heap, const char *name, IndexInfo *info, List *column_names, Oid access_method,
			 Oid *collations, Oid *opclasses, int16 *options)
{
#if PG_VERSION_NUM >= 170000
	return index_create(heap, name, InvalidOid, InvalidOid, InvalidOid, InvalidOid, info,
						column_names, access_method, InvalidOid, collations, opclasses, nullptr,
						options, nullptr, (Datum)0, 0, 0, true, true, nullptr);
#else
	return index_create(heap, name, InvalidOid, InvalidOid, InvalidOid, InvalidOid, info,
						column_names, access_method, InvalidOid, collations, opclasses, options,
						(Datum)0, 0, 0, true, true, nullptr);
#endif
}

/* Makes a set-returning function return a tuplestore: resultinfo->setResult and setDesc. */
inline void
init_materialized_srf(FunctionCallInfo fcinfo)
{
#if PG_VERSION_NUM >= 150000
	InitMaterializedSRF(fcinfo, 0);
#else
	ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
	TupleDesc desc;

	if (!result || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("set-valued function called in context that cannot accept a set"));
	MemoryContext old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result->returnMode = SFRM_Materialize;
	result->setResult =
		tuplestore_begin_heap(result->allowedModes & SFRM_Materialize_Random, false, work_mem);
	result->setDesc = desc;
	MemoryContextSwitchTo(old);
#endif
}

} // namespace tw::pg
