/*
 * host_private.hpp - what the files of the host share.
 */
#pragma once

#include "gateway/host.hpp"

#include <libwebsockets.h>
#include <uv.h>

#include <memory>
#include <string>
#include <vector>

namespace tw::gateway
{

struct Host::Socket
{
	lws *wsi = nullptr;
	Connection *connection = nullptr;
	std::string inbound; /* of a message that is not complete */
	std::string message; /* being written */
	size_t offset = 0;
	bool close_sent = false; /* nothing is written after it */
};

/* An HTTP request that is being answered. */
struct Host::Exchange
{
	lws *wsi = nullptr;
	HttpRead *read = nullptr; /* waits for the session */
	int status = 200;
	const char *type = "application/json";
	std::vector<std::pair<std::string, std::string>> headers;
	std::string body; /* next piece to be written */
	size_t offset = 0;
	Unit rows; /* what follows it: chunks from `chunk` on, then "]\n" */
	size_t chunk = 0;
	bool head_only = false;
};

struct Host::Listener
{
	uv_poll_t poll;
	Host *host = nullptr;
	int fd = -1;
};

/* libwebsockets keeps one per socket, zeroed. */
struct PerSocket
{
	Host::Socket *socket;
	Host::Exchange *exchange;
};

std::vector<wire::Argument> url_arguments(lws *wsi);

} // namespace tw::gateway
