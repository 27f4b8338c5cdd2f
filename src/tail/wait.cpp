/*
 * wait.cpp - gives out what a TAIL has, and waits for more.
 *
 * While waiting, the process has no snapshot of its own (in READ COMMITTED,
 * and unless another cursor or a calling query has one), so its backend_xmin is
 * null and an open TAIL does not hold back vacuum. The sequencer of the
 * database sets the latch of those who wait after each new version; the flag
 * is raised before the log is read, so a version that comes between the look
 * and the sleep is not missed. The wait also ends with any interrupt, with the
 * client's socket, and with the postmaster.
 *
 * On a standby the sequencer runs elsewhere and nothing sets latches; there the
 * log is looked at every kStandbyPeriod.
 */
#include "tail/wait.hpp"

#include "worker/shmem.hpp"

namespace tw::tail
{

namespace
{

constexpr int64 kProgressPeriod = 1000; /* ms between progress rows while idle */
constexpr int64 kStandbyPeriod = 100;   /* ms */

int64
milliseconds_until(TimestampTz time)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), time);
}

uint32
wait_event()
{
	static uint32 event = 0;

	if (event == 0)
		event = pg::wait_event("TailwaterTail");
	return event;
}

/* Sleeps until the latch is set, at most this long (-1: no limit). */
void
sleep(int64 timeout)
{
	if (RecoveryInProgress())
		timeout = timeout < 0 ? kStandbyPeriod : Min(timeout, kStandbyPeriod);

	/* Nothing that is looked up while asleep may keep a snapshot. */
	InvalidateCatalogSnapshot();

	bool client = MyProcPort != nullptr && pg::kSocketClosed != 0 && WaitEventSetCanReportClosed();
	int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0) |
				 (client ? pg::kSocketClosed : 0);
	int happened = WaitLatchOrSocket(MyLatch, events, client ? MyProcPort->sock : PGINVALID_SOCKET,
									 static_cast<long>(timeout), wait_event());

	if (happened & pg::kSocketClosed)
	{
		ClientConnectionLost = 1;
		InterruptPending = 1;
	}
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Is there nothing more to be waited for? Gives out the progress row that is due while idle. */
bool
is_met(Delivery *d, const FetchRequest &request, TimestampTz deadline)
{
	if (d->given >= d->limit || at_end(d))
		return true;
	if (d->cursor->progress &&
		TimestampDifferenceExceeds(d->at.progress_at, GetCurrentTimestamp(), kProgressPeriod))
	{
		deliver_progress(d);
		if (d->given >= d->limit)
			return true;
	}
	return request.timeout < 0 ? d->given > 0 : GetCurrentTimestamp() >= deadline;
}

int64
time_to_sleep(const Delivery *d, const FetchRequest &request, TimestampTz deadline)
{
	int64 time = request.timeout < 0 ? -1 : milliseconds_until(deadline);

	if (d->cursor->progress)
	{
		int64 due = milliseconds_until(
			TimestampTzPlusMilliseconds(d->at.progress_at, kProgressPeriod));
		time = time < 0 ? due : Min(time, due);
	}
	return time;
}

void
deliver_until_met(Delivery *d, const FetchRequest &request)
{
	TimestampTz deadline = request.timeout < 0 ? DT_NOEND
											   : TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
																			 request.timeout);

	deliver_ready(d);
	if (is_met(d, request, deadline))
		return;

	/* The flag first, then another look: what was committed in between must not be slept over. */
	worker::wait_for_versions(true);
	for (;;)
	{
		deliver_ready(d);
		if (is_met(d, request, deadline))
			return;
		sleep(time_to_sleep(d, request, deadline));
	}
}

} // namespace

uint64
wait_and_deliver(Cursor *cursor, const FetchRequest &request, DestReceiver *dest)
{
	Delivery d;

	if (request.count == 0)
		return 0;

	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tailwater fetch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	begin_delivery(&d, cursor, dest, request.count);
	PG_TRY();
	{
		deliver_until_met(&d, request);
	}
	PG_FINALLY();
	{
		worker::wait_for_versions(false);
	}
	PG_END_TRY();
	end_delivery(&d);
	advance(&d);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return d.given;
}

} // namespace tw::tail
