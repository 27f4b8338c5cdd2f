/*
 * retention.hpp - removes old versions and the log rows they cover.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::worker
{

enum class PruneResult
{
	kMore,       /* the batch was full: call again */
	kLater,      /* done for now; something will grow old */
	kNothingLeft /* only the newest version is left: nothing will grow old until the next */
};

/*
 * Removes a bounded number of versions and log rows that are older than
 * tailwater.retention or make a log larger than tailwater.retention_size. In
 * the caller's transaction, under its active snapshot; called by the sequencer only.
 */
PruneResult prune_batch();

/* Milliseconds between two looks at retention. */
int pruning_interval();

} // namespace tw::worker
