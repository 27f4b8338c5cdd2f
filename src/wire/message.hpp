/*
 * message.hpp - what clients send: parsed and checked, with no knowledge of
 * connections or views. docs/wire-protocol.md is the contract.
 */
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace tw::wire
{

/* A frame after which the socket is closed with 4400: not JSON, not an object, no type. */
class Malformed : public tw::Error
{
  public:
	explicit Malformed(const std::string &message) : tw::Error("08P01", message) {}
};

/* A message that is answered with an error frame and ends nothing. */
class BadRequest : public tw::Error
{
  public:
	BadRequest(std::string code, std::string id, const std::string &message)
		: tw::Error("22023", message), code_(std::move(code)), id_(std::move(id))
	{
	}

	const std::string &code() const noexcept { return code_; }
	const std::string &id() const noexcept { return id_; } /* empty: the message had none */

  private:
	std::string code_;
	std::string id_;
};

/* A scalar of JSON as a type's input function and as the json types want it. */
struct Value
{
	bool is_null = true;
	std::string text; /* a string's content, any other value as it is written */
	std::string json; /* the value as JSON */
};

struct Condition
{
	std::string column;
	std::string op = "eq";
	Value value;
};

struct Argument
{
	std::string name;
	Value value;
};

struct Subscribe
{
	std::string id;
	std::string view;     /* as written by the client; empty: by endpoint */
	std::string endpoint; /* with its leading slash; empty: by view */
	std::vector<Argument> params;
	std::vector<Condition> filter;
	std::vector<std::string> columns; /* empty: all */
	std::string resume;               /* empty: none */
	bool snapshot = true;
};

enum class MessageType
{
	kSubscribe,
	kUnsubscribe,
	kAck,
	kPing
};

struct Message
{
	MessageType type = MessageType::kPing;
	std::string id; /* of unsubscribe and ack */
	Subscribe subscribe;
};

/* Parses one text frame. Throws Malformed or BadRequest. */
Message parse_message(std::string_view frame);

/*
 * One condition of an endpoint: a column must equal a fixed value, or the
 * argument `param` that the client gives.
 */
struct EndpointCondition
{
	Condition condition;
	std::string param; /* empty: fixed */
};

/*
 * The filter of tailwater.publish(): a list as in `subscribe`, where "param"
 * may stand in place of "val", or the short form {"column": value, "column":
 * {"param": "name"}}. Throws tw::Error 22023.
 */
std::vector<EndpointCondition> parse_endpoint_filter(std::string_view json);

} // namespace tw::wire
