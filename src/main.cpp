/*
 * main.cpp - entry point of tailwater.so.
 *
 * Each folder that hooks into the server has one init(); they are called here
 * in the order in which data flows. The library must be preloaded: its hooks,
 * its shared memory and the TAIL syntax belong to the whole server.
 */
#include "pg/postgres.hpp"
#include "settings.hpp"
#include "catalog/label.hpp"
#include "capture/statement.hpp"
#include "decode/reader.hpp"
#include "maintain/environment.hpp"
#include "maintain/progress.hpp"
#include "maintain/session.hpp"
#include "maintain/trigger.hpp"
#include "ddl/ddl.hpp"
#include "tail/tail.hpp"
#include "worker/worker.hpp"

extern "C"
{
	PG_MODULE_MAGIC;
	PGDLLEXPORT void _PG_init(void);
}

void
_PG_init(void)
{
	/* CREATE EXTENSION without preloading gets its message from the install script. */
	if (!process_shared_preload_libraries_in_progress)
		return;

	tw::settings::init();
	tw::capture::init();
	tw::decode::init();
	tw::catalog::init_labels();
	tw::maintain::init_environment();
	tw::maintain::init_session();
	tw::maintain::init_triggers();
	tw::maintain::init_progress();
	tw::ddl::init();
	tw::tail::init();
	tw::worker::init();
}
