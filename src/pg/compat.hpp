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

/* PID of a virtual transaction's backend; 0: it has ended, or is prepared. */
inline int
pid_of(VirtualTransactionId id)
{
#if PG_VERSION_NUM >= 170000
	PGPROC *proc = ProcNumberGetProc(id.procNumber);
#else
	PGPROC *proc = BackendIdGetProc(id.backendId);
#endif
	return proc ? proc->pid : 0;
}

#if PG_VERSION_NUM >= 150000
inline shmem_request_hook_type previous_shmem_request_hook = nullptr;
inline void (*shmem_requests[4])() = {};

inline void
run_shmem_requests()
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	for (auto request : shmem_requests)
		if (request)
			request();
}
#endif

/* To be called at preload: runs `request`, which asks for shared memory, when the server allows it. */
inline void
on_shmem_request(void (*request)())
{
#if PG_VERSION_NUM >= 150000
	int n = 0;

	while (shmem_requests[n])
		n++;
	shmem_requests[n] = request;
	if (n > 0)
		return;
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = run_shmem_requests;
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

/* PostgreSQL 16 made one function of those that there were for each catalog. */
#if PG_VERSION_NUM < 160000
inline bool
object_ownercheck(Oid class_id, Oid object, Oid role)
{
	return class_id == DatabaseRelationId ? pg_database_ownercheck(object, role)
										  : pg_class_ownercheck(object, role);
}

inline AclResult
object_aclcheck(Oid class_id, Oid object, Oid role, AclMode mode)
{
	return class_id == ProcedureRelationId ? pg_proc_aclcheck(object, role, mode)
										   : pg_namespace_aclcheck(object, role, mode);
}
#endif

/* The timeline to which this server writes its log; not during recovery. */
inline TimeLineID
timeline()
{
#if PG_VERSION_NUM >= 150000
	return GetWALInsertionTimeLine();
#else
	return ThisTimeLineID;
#endif
}

inline bool
owns_database(Oid database, Oid role)
{
	return object_ownercheck(DatabaseRelationId, database, role);
}

inline bool
owns_relation(Oid relation, Oid role)
{
	return object_ownercheck(RelationRelationId, relation, role);
}

/* Whether the role may look up names in the schema. */
inline bool
may_use_schema(Oid schema, Oid role)
{
	return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
}

/* Raises 42501 unless the current user may call the function. */
inline void
check_may_execute(Oid function)
{
	AclResult result = object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
}

/*
 * Checks and coerces what the last query of a SQL function's body gives; true if
 * it is a row, column by column, of which dropped ones are added.
 */
inline bool
check_function_result(List *queries, Oid type, TupleDesc desc)
{
#if PG_VERSION_NUM >= 180000
	return check_sql_fn_retval(list_make1(queries), type, desc, PROKIND_FUNCTION, true);
#elif PG_VERSION_NUM >= 170000
	return check_sql_fn_retval(list_make1(queries), type, desc, PROKIND_FUNCTION, true, nullptr);
#else
	return check_sql_fn_retval(list_make1(queries), type, desc, true, nullptr);
#endif
}

/* Look-up callback of REFRESH: who may run it on the relation. */
inline void
check_may_refresh(const RangeVar *name, Oid relation, Oid previous, void *arg)
{
#if PG_VERSION_NUM >= 170000
	RangeVarCallbackMaintainsTable(name, relation, previous, arg);
#else
	RangeVarCallbackOwnsTable(name, relation, previous, arg);
#endif
}

/* index_create() for a plain index without options. */
inline Oid
create_index(Relation heap, const char *name, IndexInfo *info, List *column_names,
			 Oid access_method, Oid *collations, Oid *opclasses, int16 *options)
{
#if PG_VERSION_NUM >= 170000
	return index_create(heap, name, InvalidOid, InvalidOid, InvalidOid, InvalidOid, info,
						column_names, access_method, InvalidOid, collations, opclasses, nullptr,
						options, nullptr, (Datum) 0, 0, 0, true, true, nullptr);
#else
	return index_create(heap, name, InvalidOid, InvalidOid, InvalidOid, InvalidOid, info,
						column_names, access_method, InvalidOid, collations, opclasses, options,
						(Datum) 0, 0, 0, true, true, nullptr);
#endif
}

/* Makes a set-returning function return a tuplestore: resultinfo->setResult and setDesc. */
inline void
init_materialized_srf(FunctionCallInfo fcinfo)
{
#if PG_VERSION_NUM >= 150000
	InitMaterializedSRF(fcinfo, 0);
#else
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TupleDesc desc;

	if (!result || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("set-valued function called in context that cannot accept a set"));
	MemoryContext old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap(result->allowedModes & SFRM_Materialize_Random, false,
											  work_mem);
	result->setDesc = desc;
	MemoryContextSwitchTo(old);
#endif
}

} // namespace tw::pg

namespace tw::pg
{

/*
 * Permissions of a range table entry: since 16 they are in Query.rteperminfos.
 * An entry that no longer names a relation must not carry any.
 */
inline void
clear_permissions(RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	rte->perminfoindex = 0;
#else
	rte->requiredPerms = 0;
	rte->checkAsUser = InvalidOid;
	rte->selectedCols = nullptr;
#endif
}

/* A relation of a query may be read in the columns, too, in which one of another query that is like it may. */
inline void
add_permissions(Query *to, RangeTblEntry *rte, Query *from, RangeTblEntry *like)
{
#if PG_VERSION_NUM >= 160000
	if (rte->perminfoindex == 0 || like->perminfoindex == 0)
		return;
	RTEPermissionInfo *info = getRTEPermissionInfo(to->rteperminfos, rte);
	info->selectedCols = bms_union(info->selectedCols,
								   getRTEPermissionInfo(from->rteperminfos, like)->selectedCols);
#else
	(void) to;
	(void) from;
	rte->selectedCols = bms_union(rte->selectedCols, like->selectedCols);
#endif
}

/* Gives `to` the permission entry its relation `rte` has in the query `from`. */
inline void
copy_permissions(Query *to, RangeTblEntry *rte, Query *from)
{
#if PG_VERSION_NUM >= 160000
	if (rte->perminfoindex == 0)
		return;
	to->rteperminfos = lappend(to->rteperminfos,
							   copyObject(list_nth(from->rteperminfos, rte->perminfoindex - 1)));
	rte->perminfoindex = list_length(to->rteperminfos);
#else
	(void) to;
	(void) rte;
	(void) from;
#endif
}

} // namespace tw::pg

namespace tw::pg
{

/*
 * Tree walkers with a typed context. The server declares the callbacks without
 * parameters up to 15 and with (Node *, void *) since 16.
 */
#if PG_VERSION_NUM >= 160000
using WalkerCallback = bool (*)(Node *, void *);
using MutatorCallback = Node *(*) (Node *, void *);
#else
using WalkerCallback = bool (*)();
using MutatorCallback = Node *(*) ();
#endif

template <typename Context>
WalkerCallback
walker_callback(bool (*walker)(Node *, Context *))
{
	return reinterpret_cast<WalkerCallback>(reinterpret_cast<void *>(walker));
}

template <typename Context>
bool
walk_expression(Node *node, bool (*walker)(Node *, Context *), Context *context)
{
	return expression_tree_walker(node, walker_callback(walker), context);
}

template <typename Context>
bool
walk_query(Query *query, bool (*walker)(Node *, Context *), Context *context, int flags)
{
	return query_tree_walker(query, walker_callback(walker), context, flags);
}

template <typename Context>
Node *
mutate_expression(Node *node, Node *(*mutator)(Node *, Context *), Context *context)
{
	return expression_tree_mutator(node,
								   reinterpret_cast<MutatorCallback>(
									   reinterpret_cast<void *>(mutator)),
								   context);
}

template <typename Context>
Query *
mutate_query(Query *query, Node *(*mutator)(Node *, Context *), Context *context, int flags)
{
	return query_tree_mutator(query,
							  reinterpret_cast<MutatorCallback>(reinterpret_cast<void *>(mutator)),
							  context, flags);
}

} // namespace tw::pg

namespace tw::pg
{

/* What table_tuple_update() says about indexes: a flag up to 15, an enumeration since 16. */
#if PG_VERSION_NUM >= 160000
using UpdateIndexes = TU_UpdateIndexes;
#else
using UpdateIndexes = bool;
#endif

inline void
insert_index_tuples(ResultRelInfo *result, TupleTableSlot *row, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	ExecInsertIndexTuples(result, row, estate, false, false, nullptr, NIL, false);
#else
	ExecInsertIndexTuples(result, row, estate, false, false, nullptr, NIL);
#endif
}

/* After table_tuple_update() of a row: nothing to do for a heap-only update. */
inline void
update_index_tuples(ResultRelInfo *result, TupleTableSlot *row, EState *estate,
					UpdateIndexes needed)
{
#if PG_VERSION_NUM >= 160000
	if (result->ri_NumIndices > 0 && needed != TU_None)
		ExecInsertIndexTuples(result, row, estate, true, false, nullptr, NIL,
							  needed == TU_Summarizing);
#else
	if (result->ri_NumIndices > 0 && needed)
		ExecInsertIndexTuples(result, row, estate, true, false, nullptr, NIL);
#endif
}

} // namespace tw::pg

namespace tw::pg
{

/*
 * Fourth field of the advisory lock tags tailwater uses; 1 and 2 are the
 * server's own pg_advisory_lock() forms.
 */
/* Before 17 an interval is always finite, so that what was added can be subtracted. */
constexpr bool kIntervalsAreFinite = PG_VERSION_NUM < 170000;

constexpr uint16 kGroupLock = 0x7477;
constexpr uint16 kGuardLock = 0x7478;
constexpr uint16 kKeyLock = 0x7479;
constexpr uint16 kAllKeysLock = 0x7480;
constexpr uint16 kJoinKeyLock = 0x747f;

} // namespace tw::pg

namespace tw::pg
{

/* Builds an index anew, within the transaction. */
inline void
rebuild_index(Oid index, char persistence)
{
	ReindexParams params = {};

#if PG_VERSION_NUM >= 170000
	reindex_index(nullptr, index, false, persistence, &params);
#else
	reindex_index(index, false, persistence, &params);
#endif
}

/* CREATE TRIGGER of an internal trigger that fires always, or in replica sessions only (TRIGGER_FIRES_...). */
inline void
create_internal_trigger(CreateTrigStmt *stmt, Oid table, Oid function, char fires_when)
{
#if PG_VERSION_NUM >= 150000
	(void) CreateTriggerFiringOn(stmt, nullptr, table, InvalidOid, InvalidOid, InvalidOid, function,
								 InvalidOid, nullptr, true, false, fires_when);
#else
	ObjectAddress trigger = CreateTrigger(stmt, nullptr, table, InvalidOid, InvalidOid, InvalidOid,
										  function, InvalidOid, nullptr, true, false);
	Relation rel = table_open(TriggerRelationId, RowExclusiveLock);
	ScanKeyData key;

	CommandCounterIncrement();
	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger.objectId));
	SysScanDesc scan = systable_beginscan(rel, TriggerOidIndexId, true, nullptr, 1, &key);
	HeapTuple tup = heap_copytuple(systable_getnext(scan));
	((Form_pg_trigger) GETSTRUCT(tup))->tgenabled = fires_when;
	CatalogTupleUpdate(rel, &tup->t_self, tup);
	systable_endscan(scan);
	table_close(rel, RowExclusiveLock);
#endif
}

} // namespace tw::pg

namespace tw::pg
{

/* A string constant, and a null, of the raw grammar. */
inline Node *
make_raw_string(char *value, int location)
{
	A_Const *node = makeNode(A_Const);

#if PG_VERSION_NUM >= 150000
	node->val.sval.type = T_String;
	node->val.sval.sval = value;
#else
	node->val.type = T_String;
	node->val.val.str = value;
#endif
	node->location = location;
	return reinterpret_cast<Node *>(node);
}

inline Node *
make_raw_null(int location)
{
	A_Const *node = makeNode(A_Const);

#if PG_VERSION_NUM >= 150000
	node->isnull = true;
#else
	node->val.type = T_Null;
#endif
	node->location = location;
	return reinterpret_cast<Node *>(node);
}

/* The permission entries of a query, where the server keeps them apart from the range table. */
inline List *
permissions_of(const Query *query)
{
#if PG_VERSION_NUM >= 160000
	return query->rteperminfos;
#else
	(void) query;
	return NIL;
#endif
}

/* Raises 42501 unless the user named in the entry may do what the entry says. */
inline void
check_permissions(RangeTblEntry *entry, List *permissions)
{
#if PG_VERSION_NUM >= 160000
	ExecCheckPermissions(list_make1(entry), permissions, true);
#else
	(void) permissions;
	ExecCheckRTPerms(list_make1(entry), true);
#endif
}

/* True if reading the entry takes a right. */
inline bool
needs_permission(const RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	return entry->perminfoindex != 0;
#else
	return entry->requiredPerms != 0;
#endif
}

/* True if the user named in the entry may do what the entry says. */
inline bool
is_permitted(RangeTblEntry *entry, List *permissions)
{
#if PG_VERSION_NUM >= 160000
	return ExecCheckPermissions(list_make1(entry),
								list_make1(getRTEPermissionInfo(permissions, entry)), false);
#else
	(void) permissions;
	return ExecCheckRTPerms(list_make1(entry), false);
#endif
}

/* From now on the entry (permissions: those of its query) is checked for this user. */
inline void
set_checked_user(RangeTblEntry *entry, List *permissions, Oid user)
{
#if PG_VERSION_NUM >= 160000
	(void) entry;
	static_cast<RTEPermissionInfo *>(linitial(permissions))->checkAsUser = user;
#else
	(void) permissions;
	entry->checkAsUser = user;
#endif
}

/* Event bit of a socket whose peer has gone; 0 where the server cannot tell. */
#ifdef WL_SOCKET_CLOSED
constexpr int kSocketClosed = WL_SOCKET_CLOSED;
#else
constexpr int kSocketClosed = 0;
#endif

} // namespace tw::pg

namespace tw::pg
{

/* Adds an empty block to the relation's main fork and returns its number. */
inline BlockNumber
extend_relation(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	Buffer buffer = ExtendBufferedRel(BMR_REL(rel), MAIN_FORKNUM, nullptr, 0);
#else
	LockRelationForExtension(rel, ExclusiveLock);
	Buffer buffer = ReadBufferExtended(rel, MAIN_FORKNUM, P_NEW, RBM_NORMAL, nullptr);
	UnlockRelationForExtension(rel, ExclusiveLock);
#endif
	BlockNumber block = BufferGetBlockNumber(buffer);

	ReleaseBuffer(buffer);
	return block;
}

/* Replaces Vars of join relations by what they stand for. */
inline Node *
flatten_join_aliases(Query *query, Node *node)
{
#if PG_VERSION_NUM >= 160000
	return flatten_join_alias_vars(nullptr, query, node);
#else
	return flatten_join_alias_vars(query, node);
#endif
}

/* A set of wait events that lasts as long as the process. */
inline WaitEventSet *
create_lasting_wait_event_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(nullptr, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/* The number of this backend's transaction among those it has had. */
inline LocalTransactionId
local_transaction()
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/* MERGE and what it takes that all its statement triggers fire if it updates rows; servers before 15 have none. */
#if PG_VERSION_NUM >= 150000
constexpr CmdType kMerge = CMD_MERGE;

inline void
fire_triggers_of_moves(ModifyTableState *node)
{
	if (node->mt_merge_subcommands & MERGE_UPDATE)
		node->mt_merge_subcommands |= MERGE_INSERT | MERGE_DELETE;
}
#else
constexpr CmdType kMerge = CMD_UNKNOWN;

inline void
fire_triggers_of_moves(ModifyTableState *)
{
}
#endif

} // namespace tw::pg

namespace tw::pg
{

/* ---- logical decoding ---- */

inline void
create_ephemeral_slot(const char *name)
{
#if PG_VERSION_NUM >= 170000
	ReplicationSlotCreate(name, true, RS_EPHEMERAL, false, false, false);
#else
	ReplicationSlotCreate(name, true, RS_EPHEMERAL, false);
#endif
}

inline void
acquire_slot(const char *name)
{
#if PG_VERSION_NUM >= 180000
	ReplicationSlotAcquire(name, false, false);
#else
	ReplicationSlotAcquire(name, false);
#endif
}

/* True if the server has removed WAL that the slot needs, or had to give it up for another reason. */
inline bool
slot_is_invalidated(const ReplicationSlotPersistentData *slot)
{
#if PG_VERSION_NUM >= 160000
	return slot->invalidated != RS_INVAL_NONE || XLogRecPtrIsInvalid(slot->restart_lsn);
#else
	return XLogRecPtrIsInvalid(slot->restart_lsn);
#endif
}

/* The old and the new row of a decoded change; null where there is none. */
inline HeapTuple
decoded_old_tuple(const ReorderBufferChange *change)
{
#if PG_VERSION_NUM >= 170000
	return change->data.tp.oldtuple;
#else
	return change->data.tp.oldtuple ? &change->data.tp.oldtuple->tuple : nullptr;
#endif
}

inline HeapTuple
decoded_new_tuple(const ReorderBufferChange *change)
{
#if PG_VERSION_NUM >= 170000
	return change->data.tp.newtuple;
#else
	return change->data.tp.newtuple ? &change->data.tp.newtuple->tuple : nullptr;
#endif
}

} // namespace tw::pg
