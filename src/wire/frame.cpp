/*
 * frame.cpp - writes the frames of the server.
 */
#include "wire/frame.hpp"
#include "wire/json.hpp"

namespace tw::wire
{

static std::string
begin(const char *type, std::string_view id)
{
	std::string out = "{\"type\":\"";

	out += type;
	out += '"';
	if (!id.empty())
	{
		out += ",\"id\":";
		append_string(out, id);
	}
	return out;
}

static void
add_string(std::string &out, const char *name, std::string_view value)
{
	out += ",\"";
	out += name;
	out += "\":";
	append_string(out, value);
}

std::string
welcome(std::string_view session, std::string_view server, const Limits &limits,
		uint32_t ping_interval)
{
	std::string out = begin("welcome", {});

	add_string(out, "session", session);
	add_string(out, "server", server);
	out += ",\"limits\":{\"frame\":" + std::to_string(limits.frame) +
		   ",\"subscriptions\":" + std::to_string(limits.subscriptions) +
		   ",\"queue\":" + std::to_string(limits.queue) +
		   "},\"ping_interval\":" + std::to_string(ping_interval) + "}";
	return out;
}

std::string
subscribed(std::string_view id, std::string_view shape, bool resumed, bool recovered,
		   std::string_view pos)
{
	std::string out = begin("subscribed", id);

	out += ',';
	out += shape;
	out += resumed ? ",\"mode\":\"resume\"" : ",\"mode\":\"snapshot\"";
	out += recovered ? ",\"recovered\":true" : ",\"recovered\":false";
	add_string(out, "pos", pos);
	return out + "}";
}

std::string
snapshot_head(std::string_view id)
{
	return begin("snapshot", id) + ",\"rows\":[";
}

std::string
snapshot_tail(std::string_view pos, bool more)
{
	std::string out = "]";

	add_string(out, "pos", pos);
	return out + (more ? ",\"more\":true}" : ",\"more\":false}");
}

std::string
delta_head(std::string_view id, std::string_view pos, std::string_view prev, std::string_view ts)
{
	std::string out = begin("delta", id);

	add_string(out, "pos", pos);
	add_string(out, "prev", prev);
	add_string(out, "ts", ts);
	return out + ",\"changes\":[";
}

std::string
delta_tail(bool more)
{
	return more ? "],\"more\":true}" : "]}";
}

std::string
progress(std::string_view id, std::string_view pos)
{
	std::string out = begin("progress", id);

	add_string(out, "pos", pos);
	return out + "}";
}

std::string
reset(std::string_view id, std::string_view reason)
{
	std::string out = begin("reset", id);

	add_string(out, "reason", reason);
	return out + "}";
}

static void
add_error(std::string &out, const ErrorInfo &info)
{
	add_string(out, "message", info.message);
	out += info.retryable ? ",\"retryable\":true" : ",\"retryable\":false";
	if (info.retry_after_ms > 0)
		out += ",\"retry_after_ms\":" + std::to_string(info.retry_after_ms);
	if (!info.sqlstate.empty())
		add_string(out, "sqlstate", info.sqlstate);
	if (!info.hint.empty())
		add_string(out, "hint", info.hint);
}

std::string
error(std::string_view id, const ErrorInfo &info)
{
	std::string out = begin("error", id);

	add_string(out, "code", info.code);
	add_error(out, info);
	return out + "}";
}

std::string
complete(std::string_view id, std::string_view reason)
{
	std::string out = begin("complete", id);

	add_string(out, "reason", reason);
	return out + "}";
}

std::string
pong()
{
	return "{\"type\":\"pong\"}";
}

std::string
going_away(uint32_t retry_after_ms)
{
	return "{\"type\":\"going_away\",\"retry_after_ms\":" + std::to_string(retry_after_ms) + "}";
}

std::string
http_error(const ErrorInfo &info)
{
	std::string out = "{\"code\":" + json_string(info.code);

	add_error(out, info);
	return out + "}\n";
}

} // namespace tw::wire
