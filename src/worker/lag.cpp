/*
 * lag.cpp - see lag.hpp.
 */
#include "worker/lag.hpp"
#include "worker/shared_state.hpp"
#include "catalog/inner_relation.hpp"
#include "catalog/view_list.hpp"
#include "decode/frontier.hpp"
#include "decode/reader.hpp"
#include "maintain/deferred.hpp"
#include "settings.hpp"

namespace tw::worker
{

void
watch_lag()
{
	if (XactLastCommitEnd < pg_atomic_read_u64(&shared->lag_alarm))
		return;
	/* Whoever comes first wakes the launcher, which sets the alarm anew. */
	if (pg_atomic_exchange_u64(&shared->lag_alarm, PG_UINT64_MAX) != PG_UINT64_MAX)
		request_review(InvalidOid, false);
}

XLogRecPtr
lag_limit(XLogRecPtr position)
{
	if (settings::max_lag == 0)
		return PG_UINT64_MAX;
	return position + (uint64) settings::max_lag * 1024 * 1024 + 1;
}

bool
lags_too_far(XLogRecPtr position)
{
	return !XLogRecPtrIsInvalid(position) && GetXLogInsertRecPtr() >= lag_limit(position);
}

XLogRecPtr
held_position(Oid database)
{
	XLogRecPtr position = decode::slot_position(database);

	if (XLogRecPtrIsInvalid(position))
		return InvalidXLogRecPtr;
	/* What the maintainer has read is confirmed soon, unless nothing is committed any more. */
	LWLockAcquire(shared->lock, LW_SHARED);
	DatabaseSlot *slot = find_slot(database);
	if (slot)
		position = Max(position, pg_atomic_read_u64(&slot->covered_lsn));
	LWLockRelease(shared->lock);
	return position;
}

void
tell_lost_log(DatabaseSlot *slot)
{
	List *views = maintain::deferred_views();
	ListCell *lc;

	foreach (lc, views)
		if (!ConditionalLockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock))
			return;
	/* Under the locks nobody else does it. */
	if (!slot->log_lost)
		return;
	foreach (lc, views)
	{
		catalog::put_error(catalog::view_of(lfirst_oid(lc)),
						   "the log yet to be read exceeded tailwater.max_lag_bytes");
		decode::mark_for_rebuild(lfirst_oid(lc));
	}
	slot->log_lost = false;
}

} // namespace tw::worker
