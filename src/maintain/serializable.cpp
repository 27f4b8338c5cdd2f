/*
 * serializable.cpp - what a SERIALIZABLE transaction has read that reads a live view.
 *
 * The server takes no predicate locks on materialized views, since nobody
 * writes them beside REFRESH. A live view stands for its base tables: who reads
 * it has read them as a whole, and gets the server's own predicate lock on each.
 * Whoever writes one of them later finds it there.
 *
 * Who wrote before the view is read leaves no trace that would be cheap to find:
 * of a table that is read, the server looks at the row versions, of a view
 * that would mean all of it. So each transaction whose writes the snapshot does
 * not see counts as one that wrote what was read. That may fail a transaction
 * which could have gone on; it never lets one pass that must not.
 */
#include "maintain/serializable.hpp"
#include "maintain/session.hpp"

namespace tw::maintain
{

namespace
{

/* The transactions before this one were looked at, by the transaction in that slot of the lock table. */
TransactionId looked_at = InvalidTransactionId;
LocalTransactionId looked_at_by = InvalidLocalTransactionId;

void
lock_table(Oid relid, Snapshot snapshot)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (!rel)
		return;
	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		PredicateLockRelation(rel, snapshot);
	relation_close(rel, NoLock);
}

/* Takes the transactions that the snapshot does not see for writers of the table. */
void
conflict_with_unseen(Oid relid, Snapshot snapshot)
{
	Relation rel = try_relation_open(relid, AccessShareLock);
	TransactionId next = XidFromFullTransactionId(ReadNextFullTransactionId());
	bool again = looked_at_by == pg::local_transaction();

	if (!rel)
		return;
	for (uint32 i = 0; !again && i < snapshot->xcnt; i++)
		CheckForSerializableConflictOut(rel, snapshot->xip[i], snapshot);

	TransactionId xid = again ? looked_at : snapshot->xmax;
	while (TransactionIdPrecedes(xid, next))
	{
		CheckForSerializableConflictOut(rel, xid, snapshot);
		TransactionIdAdvance(xid);
	}
	looked_at = next;
	looked_at_by = pg::local_transaction();
	relation_close(rel, NoLock);
}

/* Adds the tables that a live view is computed from, through the views below it, with their partitions and children. */
List *
add_tables(List *tables, Oid view)
{
	const ViewRuntime *runtime = get_runtime(view);
	ListCell *lc;

	if (!runtime || runtime->info.mode != catalog::Mode::kImmediate)
		return tables;
	foreach (lc, list_copy(runtime->tables))
	{
		Oid base = lfirst_oid(lc);

		if (get_rel_relkind(base) == RELKIND_MATVIEW)
			tables = add_tables(tables, base);
		else
			tables = list_append_unique_oid(tables, base);
	}
	return tables;
}

} // namespace

void
note_reads(const PlannedStmt *statement, Snapshot snapshot)
{
	List *tables = NIL;
	ListCell *lc;

	if (!IsolationIsSerializable() || IsParallelWorker() || !snapshot || !IsMVCCSnapshot(snapshot))
		return;
	foreach (lc, statement->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_MATVIEW)
			tables = add_tables(tables, rte->relid);
	}
	foreach (lc, tables)
		lock_table(lfirst_oid(lc), snapshot);
	if (tables != NIL)
		conflict_with_unseen(linitial_oid(tables), snapshot);
}

} // namespace tw::maintain
