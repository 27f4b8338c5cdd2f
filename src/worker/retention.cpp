/*
 * retention.cpp - removes old versions and the log rows they cover.
 *
 * By age: of the versions older than tailwater.retention the newest one, c, is
 * kept as the oldest position; older ones are deleted, and of every log the
 * rows that snapshot(c) sees. The changes of the versions after c are exactly
 * rows that snapshot(c) does not see, so they all stay.
 *
 * By size: a log of more than tailwater.retention_size loses its oldest rows
 * up to a version of its own, which is remembered in
 * tailwater_internal.log_floor; the positions of other views stay valid. The
 * size is that of the rows that are left (an estimate), not of the file, which
 * does not shrink by deleting.
 *
 * Rows are deleted through the table access method, in index order and in
 * small transactions. A position disappears before, or together with, the rows
 * it needs: a reader whose snapshot still sees the position still sees the
 * rows. Space is reused after vacuum.
 */
#include "worker/retention.hpp"

#include "catalog/live_view.hpp"
#include "settings.hpp"
#include "feed/version.hpp"

namespace tw::worker
{

namespace
{

constexpr int kBatch = 2000;
/* Rows looked at to estimate the width of a log's rows. */
constexpr int kWidthSample = 200;
/* A log that is too large is brought down to this part of the limit. */
constexpr double kSizeTarget = 0.9;

/* Deletes the versions before the oldest position to keep; *oldest becomes that position. */
bool
prune_versions(int *budget, feed::Version *oldest, bool *only_one)
{
	TimestampTz cutoff = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 -(int64) settings::retention * 1000);
	feed::VersionScan scan;
	feed::Version next;

	if (!scan.open(1, RowExclusiveLock, GetActiveSnapshot()))
		return false;
	bool found = scan.next(ForwardScanDirection, oldest);
	*only_one = true;
	while (found && scan.next(ForwardScanDirection, &next))
	{
		if (next.committed_at >= cutoff || *budget <= 0)
		{
			*only_one = false;
			break;
		}
		simple_heap_delete(scan.rel, &oldest->tid);
		(*budget)--;
		*oldest = next;
	}
	scan.close();
	return found;
}

/* Deletes the rows of a log that the snapshot of a version sees. */
void
prune_log(Relation log, const feed::StoredSnapshot *covered, int *budget)
{
	feed::LogScan scan;
	HeapTuple tup;

	scan.open(log, GetActiveSnapshot(), 0, covered->xmax);
	while (*budget > 0 && HeapTupleIsValid(tup = scan.next()))
	{
		if (!covered->sees(feed::log_row_xid(tup, RelationGetDescr(log))))
			continue;
		simple_heap_delete(log, &tup->t_self);
		(*budget)--;
	}
	scan.close();
}

/* Remembers that positions of a log before this version are lost. */
void
set_log_floor(Oid log, int64 version)
{
	Datum values[] = {ObjectIdGetDatum(log), Int64GetDatum(version)};

	catalog::put_internal("log_floor", log, values);
}

/* Oldest version whose snapshot's xmax is beyond xid, by bisection; xmax grows with the version. */
bool
first_version_beyond(uint64 xid, int64 oldest, int64 newest, feed::Version *out)
{
	while (oldest < newest)
	{
		int64 middle = oldest + (newest - oldest) / 2;

		if (!feed::find_version_from(middle, GetActiveSnapshot(), out))
			return false;
		if (out->number > newest || out->snapshot->xmax > xid)
			newest = middle;
		else
			oldest = out->number + 1;
	}
	return feed::find_version_from(newest, GetActiveSnapshot(), out);
}

double
live_rows(Oid table)
{
	return DatumGetInt64(DirectFunctionCall1(pg_stat_get_live_tuples, ObjectIdGetDatum(table)));
}

/* What a row of a log takes in its table, and what it has outside of it. */
double
bytes_of(HeapTuple row)
{
	return MAXALIGN(row->t_len) + sizeof(ItemIdData);
}

double
bytes_outside(HeapTuple row, TupleDesc log)
{
	double size = 0;

	for (int i = 1; HeapTupleHasExternal(row) && i <= log->natts; i++)
	{
		bool isnull;
		Datum value = heap_getattr(row, i, log, &isnull);

		if (!isnull && TupleDescAttr(log, i - 1)->attlen == -1 &&
			VARATT_IS_EXTERNAL(DatumGetPointer(value)))
			size += toast_datum_size(value);
	}
	return size;
}

/* The bytes by which a log is too large; 0 also where that cannot be said. */
double
excess_bytes(Relation log)
{
	Oid outside = log->rd_rel->reltoastrelid;
	double limit = settings::retention_size * 1024.0;
	double size = OidIsValid(outside) ? live_rows(outside) * TOAST_MAX_CHUNK_SIZE : 0;
	double width = 0;
	int sampled = 0;
	feed::LogScan scan;
	HeapTuple tup;

	if ((double) RelationGetNumberOfBlocks(log) * BLCKSZ + size <= limit)
		return 0;
	scan.open(log, GetActiveSnapshot(), 0, PG_UINT64_MAX);
	while (sampled < kWidthSample && HeapTupleIsValid(tup = scan.next()))
	{
		width += bytes_of(tup);
		sampled++;
	}
	scan.close();
	if (sampled == 0)
		return 0;
	size += live_rows(RelationGetRelid(log)) * (width / sampled);
	return size <= limit ? 0 : size - kSizeTarget * limit;
}

/* Raises the floor of a log that has become too large; returns whether it did. */
bool
limit_size(Relation log, int64 floor_now)
{
	double excess = excess_bytes(log);
	uint64 xid = 0;
	feed::LogScan scan;
	HeapTuple tup;
	feed::Version newest, floor;

	if (excess <= 0 || !feed::find_newest(GetActiveSnapshot(), &newest))
		return false;
	scan.open(log, GetActiveSnapshot(), 0, newest.snapshot->xmax);
	while (excess > 0 && HeapTupleIsValid(tup = scan.next()))
	{
		excess -= bytes_of(tup) + bytes_outside(tup, RelationGetDescr(log));
		xid = feed::log_row_xid(tup, RelationGetDescr(log));
	}
	scan.close();
	if (!first_version_beyond(xid, floor_now, newest.number, &floor) || floor.number <= floor_now)
		return false;
	set_log_floor(RelationGetRelid(log), floor.number);
	return true;
}

/* Forgets the floors of logs that are no more. */
void
sweep_floors()
{
	catalog::InternalRows rows;

	rows.open("log_floor", RowExclusiveLock, GetActiveSnapshot());
	while (rows.next())
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(rows.oid(1))))
			simple_heap_delete(rows.table, &rows.row->t_self);
	rows.close();
}

/* Prunes one log to the oldest position, or to its own floor where that is newer. */
void
prune_one_log(Oid relid, const feed::Version *oldest, int *budget)
{
	/* A log that is being dropped is not waited for: that could end in a deadlock. */
	if (!ConditionalLockRelationOid(relid, RowExclusiveLock))
		return;
	Relation log = try_relation_open(relid, NoLock);
	feed::Version floor = *oldest;

	if (!log)
		return;
	int64 own = feed::log_floor(relid);
	if (own > oldest->number && !feed::find_version(own, GetActiveSnapshot(), &floor))
		floor = *oldest;
	prune_log(log, floor.snapshot, budget);
	/* The rows below a new floor go with the next batch, after the floor is committed. */
	if (*budget > 0 && limit_size(log, floor.number))
		*budget = 0;
	relation_close(log, NoLock);
}

} // namespace

PruneResult
prune_batch()
{
	int budget = kBatch;
	feed::Version oldest;
	bool only_one;

	if (!prune_versions(&budget, &oldest, &only_one))
		return PruneResult::kNothingLeft;
	if (budget <= 0)
		return PruneResult::kMore;

	catalog::InternalRows rows;

	rows.open("attachment", AccessShareLock, GetActiveSnapshot());
	while (budget > 0 && rows.next())
	{
		catalog::LiveView view = catalog::live_view_from_tuple(rows.row, rows.desc());

		if (OidIsValid(view.log))
			prune_one_log(view.log, &oldest, &budget);
	}
	rows.close();
	if (budget <= 0)
		return PruneResult::kMore;
	sweep_floors();
	return only_one ? PruneResult::kNothingLeft : PruneResult::kLater;
}

int
pruning_interval()
{
	return Min(Max(settings::retention / 10, 1), 300) * 1000;
}

} // namespace tw::worker
