/*
 * frame.hpp - what the server sends, as text. docs/wire-protocol.md is the contract.
 *
 * Frames with a payload that many sockets share (rows, changes) are made of a
 * head, the payload and a tail; head and tail are a socket's own.
 */
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tw::wire
{

struct Limits
{
	uint32_t frame;
	uint32_t subscriptions;
	uint32_t queue;
};

struct ErrorInfo
{
	std::string code;
	std::string message;
	std::string sqlstate; /* empty: none */
	std::string hint;     /* empty: none */
	bool retryable = false;
	uint32_t retry_after_ms = 0;
};

std::string welcome(std::string_view session, std::string_view server, const Limits &limits,
					uint32_t ping_interval);

/* `shape` is the channel's part: "view":…,"schema":…,"key":… */
std::string subscribed(std::string_view id, std::string_view shape, bool resumed, bool recovered,
					   std::string_view pos);

std::string snapshot_head(std::string_view id);
std::string snapshot_tail(std::string_view pos, bool more);

std::string delta_head(std::string_view id, std::string_view pos, std::string_view prev,
					   std::string_view ts);
std::string delta_tail(bool more);

std::string progress(std::string_view id, std::string_view pos);
std::string reset(std::string_view id, std::string_view reason);
std::string error(std::string_view id, const ErrorInfo &info);
std::string complete(std::string_view id, std::string_view reason);
std::string pong();
std::string going_away(uint32_t retry_after_ms);

/* Body of an HTTP error. */
std::string http_error(const ErrorInfo &info);

} // namespace tw::wire
