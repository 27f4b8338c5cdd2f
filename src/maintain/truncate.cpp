/*
 * truncate.cpp - the locks of TRUNCATE, taken so that it meets no writer half way.
 *
 * TRUNCATE has its tables for itself, and then reads the other inputs of the
 * views above to compute these anew. A writer locks the table it writes, and
 * then for reading the other inputs (guard.cpp). Neither must hold one table
 * and wait for another one that the other holds:
 *
 * - Of a view's inputs one command at a time is truncated.
 * - Several tables (named, by CASCADE, partitions) are locked all or none: it
 *   waits for one of them with nothing in its hands.
 */
#include "maintain/truncate.hpp"
#include "maintain/guard.hpp"
#include "maintain/reach.hpp"

namespace tw::maintain
{

namespace
{

/* The tables the statement names, with partitions and children; NIL where the server will refuse. */
List *
named_tables(const TruncateStmt *statement)
{
	List *tables = NIL;
	ListCell *lc;

	foreach (lc, statement->relations)
	{
		const RangeVar *name = lfirst_node(RangeVar, lc);
		Oid table = RangeVarGetRelid(name, NoLock, true);

		if (!OidIsValid(table) ||
			pg_class_aclcheck(table, GetUserId(), ACL_TRUNCATE) != ACLCHECK_OK)
			return NIL;
		tables = list_concat_unique_oid(tables, name->inh
													? find_all_inheritors(table, NoLock, nullptr)
													: list_make1_oid(table));
	}
	return tables;
}

/* Those that refer to the tables, too, at any distance. */
List *
with_referring(List *tables)
{
	List *more;

	while ((more = heap_truncate_find_FKs(tables)) != NIL)
	{
		int before = list_length(tables);

		tables = list_concat_unique_oid(tables, more);
		if (list_length(tables) == before)
			break;
	}
	return tables;
}

/* Locks all tables; never waits for one while it holds another one that it did not hold before. */
void
lock_together(List *tables)
{
	int first = 0;
	int n = list_length(tables);

	for (;;)
	{
		int busy = -1;
		int i;

		CHECK_FOR_INTERRUPTS();
		LockRelationOid(list_nth_oid(tables, first), AccessExclusiveLock);
		for (i = 0; i < n && busy < 0; i++)
			if (i != first &&
				!ConditionalLockRelationOid(list_nth_oid(tables, i), AccessExclusiveLock))
				busy = i;
		if (busy < 0)
			return;
		for (i = 0; i < busy; i++)
			if (i != first)
				UnlockRelationOid(list_nth_oid(tables, i), AccessExclusiveLock);
		UnlockRelationOid(list_nth_oid(tables, first), AccessExclusiveLock);
		first = busy;
	}
}

} // namespace

void
prepare_truncate(const TruncateStmt *statement)
{
	List *tables = named_tables(statement);

	if (statement->behavior == DROP_CASCADE)
		tables = with_referring(tables);
	if (tables == NIL)
		return;

	List *views = views_above(tables);
	if (views == NIL)
		return;
	guard_truncate(views);
	lock_together(tables);
}

} // namespace tw::maintain
