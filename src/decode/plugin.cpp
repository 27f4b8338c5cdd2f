/*
 * plugin.cpp - tailwater's output plugin.
 *
 * It writes nothing: what the server decodes is gathered in this process
 * (gather.hpp), which is always the maintainer of the database. So a slot of
 * this plugin is of no use to anybody else, and reading it elsewhere is refused.
 */
#include "decode/gather.hpp"
#include "decode/reader.hpp"

extern "C" PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);

namespace tw::decode
{

namespace
{

void
startup(LogicalDecodingContext *context, OutputPluginOptions *options, bool is_init)
{
	if (!is_reader())
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("output plugin \"tailwater\" can be used by tailwater's workers only"),
				errhint("Read changes of live views with DECLARE ... CURSOR FOR TAIL."));
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
}

void
begin_transaction(LogicalDecodingContext *context, ReorderBufferTXN *txn)
{
	gather_begin(txn);
}

void
change_row(LogicalDecodingContext *context, ReorderBufferTXN *txn, Relation rel,
		   ReorderBufferChange *change)
{
	gather_row(rel, change);
}

void
truncate_relations(LogicalDecodingContext *context, ReorderBufferTXN *txn, int n,
				   Relation *relations, ReorderBufferChange *change)
{
	gather_truncate(n, relations);
}

void
commit_transaction(LogicalDecodingContext *context, ReorderBufferTXN *txn, XLogRecPtr commit)
{
}

/* What the maintainer itself wrote, where no deferred view depends on it in turn. */
bool
is_filtered(LogicalDecodingContext *context, RepOriginId origin)
{
	return origin == DoNotReplicateId;
}

} // namespace

} // namespace tw::decode

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = tw::decode::startup;
	callbacks->begin_cb = tw::decode::begin_transaction;
	callbacks->change_cb = tw::decode::change_row;
	callbacks->truncate_cb = tw::decode::truncate_relations;
	callbacks->commit_cb = tw::decode::commit_transaction;
	callbacks->filter_by_origin_cb = tw::decode::is_filtered;
}
