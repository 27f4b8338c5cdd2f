/*
 * settings.cpp - defines the configuration parameters of tailwater.
 *
 * All of them live here so that a DBA who reads one file knows them all. The
 * gateway, being another library, reads its values by GetConfigOption().
 */
#include "settings.hpp"

namespace tw::settings
{

bool tail_syntax = true;
int port = 8432;
char *listen_addresses = nullptr;
char *anon_role = nullptr;
char *origins = nullptr;
int max_connections = 10000;
char *static_directory = nullptr;
int retention = 24 * 60 * 60;
int retention_size = 1024 * 1024;
int max_lag = 10 * 1024;

void
init()
{
	DefineCustomBoolVariable("tailwater.tail_syntax",
							 "Accepts DECLARE ... CURSOR FOR TAIL and the other TAIL forms.",
							 "Where it is off, tailwater.exec() still understands them.",
							 &tail_syntax, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable(
		"tailwater.port", "TCP port of the WebSocket gateway of this database.",
		"0 starts no gateway. ALTER DATABASE ... SET gives each database its own.", &port, 8432, 0,
		65535, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("tailwater.listen_addresses",
							   "Addresses the gateway listens on, separated by commas.", nullptr,
							   &listen_addresses, "localhost", PGC_SUSET, GUC_LIST_INPUT, nullptr,
							   nullptr, nullptr);
	DefineCustomStringVariable("tailwater.anon_role",
							   "Role of WebSocket clients that present no token.",
							   "Empty refuses them.", &anon_role, "", PGC_SUSET, 0, nullptr,
							   nullptr, nullptr);
	DefineCustomStringVariable("tailwater.origins",
							   "Origins of other hosts whose pages may open WebSockets, separated "
							   "by commas.",
							   "Pages of the gateway's own host always may; * allows all.",
							   &origins, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("tailwater.max_connections",
							"WebSocket connections the gateway of a database accepts.", nullptr,
							&max_connections, 10000, 1, 1000000, PGC_SUSET, 0, nullptr, nullptr,
							nullptr);
	DefineCustomStringVariable("tailwater.static_directory",
							   "Directory of files the gateway serves over HTTP.",
							   "Empty serves none.", &static_directory, "", PGC_SUSET, 0, nullptr,
							   nullptr, nullptr);
	DefineCustomIntVariable("tailwater.retention", "How long the change log of a view is kept.",
							nullptr, &retention, 24 * 60 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S,
							nullptr, nullptr, nullptr);
	DefineCustomIntVariable("tailwater.retention_size",
							"Size of a view's change log above which its oldest part is removed.",
							nullptr, &retention_size, 1024 * 1024, 1024, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_KB, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("tailwater.max_lag_bytes",
							"Write-ahead log that deferred views may keep from being removed.",
							"Beyond it they are computed as a whole. 0 sets no limit.", &max_lag,
							10 * 1024, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MB, nullptr, nullptr,
							nullptr);
	MarkGUCPrefixReserved("tailwater");
}

} // namespace tw::settings
