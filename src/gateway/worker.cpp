/*
 * worker.cpp - the gateway's process: a background worker of one database.
 *
 * Started by the launcher. It waits for three things at once: its latch (new
 * versions, signals), libuv's poll descriptor (sockets), and time. A turn runs
 * the callbacks that are due, then a round of the session where there is
 * something to read, then writes. Callbacks never touch the database and the
 * session never runs callbacks.
 */
#include "gateway/host.hpp"
#include "gateway/session.hpp"
#include "gateway/core/http.hpp"
#include "pg/guard.hpp"

#include <sys/random.h>

extern "C"
{
	PG_MODULE_MAGIC;
	PGDLLEXPORT void tailwater_gateway_main(Datum database_oid);
}

namespace tw::gateway
{

using pg::call_pure;

/*
 * A port that is taken is tried again: soon at first, as the gateway of a
 * server that has just ended may still say goodbye, and then seldom.
 */
static constexpr int64 kListenFirstPauseMs = 200;
static constexpr int kListenFirstTries = 5;
static constexpr int64 kListenPauseMs = 10 * 1000;
/* How long to wait before reading a database again that could not be read. */
static constexpr int64 kFailurePauseMs = 1000;
static constexpr int kBeatMs = 1000;

using WaitForVersions = void (*)(bool);

static Hub *hub = nullptr;
static Host *host = nullptr;
static WaitForVersions wait_for_versions = nullptr;
static bool waiting = false;
static int64 listen_again_at = 0; /* 0: listening */
static int listen_failures = 0;
static char *database_name = nullptr;

static const char *
setting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value == nullptr ? "" : value;
}

/* Values whose text form the connected clients rely on; see docs/wire-protocol.md. */
static void
pin_settings()
{
	static const char *const pinned[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"TimeZone", "UTC"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		{"xmloption", "content"},
		{"row_security", "off"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_read_only", "on"},
		{"default_transaction_isolation", "read committed"},
		{"jit", "off"},
	};

	for (auto &pair : pinned)
		SetConfigOption(pair[0], pair[1], PGC_SUSET, PGC_S_OVERRIDE);
}

static void
flush_log()
{
	char *line = nullptr;

	for (;;)
	{
		line = nullptr;
		call_pure(
			[&]
			{
				static std::vector<std::string> *lines = new std::vector<std::string>();
				if (lines->empty())
					*lines = host->take_log();
				if (lines->empty())
					return;
				line = strdup(lines->front().c_str());
				lines->erase(lines->begin());
			});
		if (line == nullptr)
			return;
		ereport(LOG, errmsg_internal("%s", line));
		free(line);
	}
}

/* Reads the settings the host works with. True: the addresses or the port are others than before. */
static bool
read_settings()
{
	const char *addresses = setting("tailwater.listen_addresses");
	const char *origins = setting("tailwater.origins");
	const char *directory = setting("tailwater.static_directory");
	int port = atoi(setting("tailwater.port"));
	int connections = atoi(setting("tailwater.max_connections"));
	bool moved = false;

	call_pure(
		[&]
		{
			HostSettings &settings = host->settings;
			std::vector<std::string> list = split_list(addresses);

			moved = list != settings.addresses || port != settings.port;
			settings.addresses = std::move(list);
			settings.port = port;
			settings.origins = split_list(origins);
			settings.static_directory = directory;
			settings.max_connections = connections;
		});
	return moved;
}

/* Opens the listening sockets; where none can be opened, says why and tries again later. */
static void
listen_or_wait()
{
	char *problems = nullptr;
	bool open = false;

	call_pure(
		[&]
		{
			std::vector<std::string> list;
			std::string text;

			open = host->listen(host->settings, &list);
			for (const std::string &problem : list)
				text += (text.empty() ? "" : "; ") + problem;
			problems = text.empty() ? nullptr : strdup(text.c_str());
		});
	listen_failures = open ? 0 : listen_failures + 1;
	bool soon = listen_failures < kListenFirstTries;
	listen_again_at = open ? 0 : now_ms() + (soon ? kListenFirstPauseMs : kListenPauseMs);
	bool report = open || listen_failures == kListenFirstTries;
	if (problems != nullptr && report)
		ereport(WARNING, errcode(ERRCODE_CONFIG_FILE_ERROR),
				errmsg("the gateway of database \"%s\" could not listen on all its addresses",
					   database_name),
				errdetail("%s.", problems),
				errhint("Each database needs a port of its own: set it with ALTER DATABASE ... SET "
						"tailwater.port, or to 0 for no gateway."));
	else if (problems == nullptr && !open && report)
		ereport(WARNING, errcode(ERRCODE_CONFIG_FILE_ERROR),
				errmsg("the gateway has no address to listen on"),
				errhint("Set tailwater.listen_addresses."));
	if (open)
		ereport(LOG, errmsg("gateway listens on port %d", host->settings.port));
	free(problems);
}

static void
reload()
{
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	settings_changed();
	call_pure([] { hub->mark_stale(0); });
	if (!read_settings())
		return;
	listen_failures = 0;
	listen_or_wait();
}

/* New versions are waited for only while somebody is connected. */
static void
wait_as_needed()
{
	bool wanted = hub->in_use();

	if (wanted == waiting)
		return;
	wait_for_versions(wanted);
	waiting = wanted;
}

/* Says goodbye to the clients; called at every kind of exit but a crash. */
static void
at_exit(int, Datum)
{
	try
	{
		hub->going_away();
		host->drain(200);
	}
	catch (...)
	{
		/* The process ends anyway. */
	}
}

static void
make_hub()
{
	uint64 random = 0;
	char session[17];
	char *directory = psprintf("%s/base/pgsql_tmp", DataDir);

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = static_cast<uint64>(GetCurrentTimestamp());
	snprintf(session, sizeof(session), "%016llx", static_cast<unsigned long long>(random));
	bool started = false;
	call_pure(
		[&]
		{
			hub = new Hub("tailwater/0.1.0", session, directory);
			host = new Host(hub);
			started = host->start();
		});
	flush_log();
	if (!started)
		ereport(ERROR, errcode(ERRCODE_SYSTEM_ERROR),
				errmsg("could not start libwebsockets with its libuv event loop"),
				errhint("On Debian the package libwebsockets-evlib-uv must be installed."));
}

static void
connect(Oid database)
{
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	pin_settings();
	wait_for_versions = reinterpret_cast<WaitForVersions>(
		load_external_function("$libdir/tailwater", "tailwater_wait_for_versions", true, nullptr));
	StartTransactionCommand();
	database_name = MemoryContextStrdup(TopMemoryContext, get_database_name(database));
	CommitTransactionCommand();
}

/* How long to sleep at most, in ms; -1: until something happens. */
static long
sleep_time(bool failed)
{
	long timeout = host->timeout();
	auto at_most = [&](long limit)
	{
		if (timeout < 0 || timeout > limit)
			timeout = limit;
	};

	if (hub->in_use())
		at_most(kBeatMs);
	if (failed)
		at_most(kFailurePauseMs);
	if (listen_again_at != 0)
		at_most(Max(listen_again_at - now_ms(), 0));
	return timeout;
}

static void
beat(int64 now)
{
	static int64 next = 0;

	if (listen_again_at != 0 && now >= listen_again_at)
		listen_or_wait();
	if (now < next)
		return;
	next = now + kBeatMs;
	if (!hub->in_use())
		return;
	/* Revoked rights and dropped views are noticed without a new version. */
	AcceptInvalidationMessages();
	call_pure([&] { hub->heartbeat(now); });
}

static void
main_loop()
{
	WaitEventSet *events = pg::create_lasting_wait_event_set(3);
	bool wanted = true; /* a round of the session */
	bool failed = false;
	int64 retry_at = 0;

	AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
	AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
	AddWaitEventToSet(events, WL_SOCKET_READABLE, host->poll_fd(), nullptr, nullptr);
	for (;;)
	{
		WaitEvent occurred[3];
		long timeout = wanted && !failed ? 0 : sleep_time(failed);
		int n = WaitEventSetWait(events, timeout, occurred, 3, PG_WAIT_EXTENSION);

		for (int i = 0; i < n; i++)
			if (occurred[i].events & WL_LATCH_SET)
			{
				ResetLatch(MyLatch);
				wanted = true;
			}
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
			reload();

		int64 now = now_ms();
		call_pure([] { host->service(); });
		beat(now);
		wait_as_needed();
		wanted = wanted || hub->has_work();
		if (wanted && (!failed || now >= retry_at))
		{
			wanted = false;
			failed = !run_round();
			retry_at = now + kFailurePauseMs;
			wanted = failed;
			host->anonymous_allowed = anonymous_allowed();
			host->ready = !failed;
		}
		call_pure([] { host->flush(); });
		call_pure([] { host->service(); });
		flush_log();
		if (hub->has_work())
			wanted = true;
	}
}

} // namespace tw::gateway

using namespace tw::gateway;

void
tailwater_gateway_main(Datum database_oid)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	connect(DatumGetObjectId(database_oid));
	make_hub();
	on_proc_exit(at_exit, (Datum) 0);
	init_session(hub);
	(void) read_settings();
	listen_or_wait();
	main_loop();
}
