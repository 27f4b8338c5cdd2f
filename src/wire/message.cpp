/*
 * message.cpp - parses what clients send.
 *
 * The JSON parser is nlohmann's: iterative, strict about UTF-8, and with no
 * state. Nothing of it is seen outside this file, so that it can be changed.
 */
#include "wire/message.hpp"
#include "wire/json.hpp"

#include <nlohmann/json.hpp>

namespace tw::wire
{

using Json = nlohmann::ordered_json;

static constexpr size_t kMaxIdLength = 64;
static constexpr size_t kMaxConditions = 32;

static const Json *
member(const Json &object, const char *name)
{
	auto it = object.find(name);

	return it == object.end() || it->is_null() ? nullptr : &*it;
}

/* The id of a message for its error frames: never throws, cut to what an id may be. */
static std::string
id_of(const Json &object)
{
	const Json *id = member(object, "id");

	if (id == nullptr || !id->is_string())
		return {};
	const auto &text = id->get_ref<const std::string &>();
	return text.size() <= kMaxIdLength ? text : std::string();
}

[[noreturn]] static void
bad_request(const Json &object, const std::string &message, const char *code = "bad_request")
{
	throw BadRequest(code, id_of(object), message);
}

static std::string
optional_string(const Json &object, const char *name)
{
	const Json *value = member(object, name);

	if (value == nullptr)
		return {};
	if (!value->is_string())
		bad_request(object, std::string("\"") + name + "\" must be a string");
	return value->get<std::string>();
}

static std::string
required_id(const Json &object)
{
	std::string id = optional_string(object, "id");

	if (id.empty() || id.size() > kMaxIdLength)
		bad_request(object, "\"id\" must be a string of 1 to 64 characters");
	return id;
}

static Value
to_value(const Json &json)
{
	Value value;

	value.is_null = json.is_null();
	value.json = json.dump();
	value.text = json.is_string() ? json.get<std::string>() : value.json;
	return value;
}

static void
parse_params(const Json &object, Subscribe *out)
{
	const Json *params = member(object, "params");

	if (params == nullptr)
		return;
	if (!params->is_object())
		bad_request(object, "\"params\" must be an object");
	for (const auto &item : params->items())
		out->params.push_back({item.key(), to_value(item.value())});
}

static Condition
parse_condition(const Json &object, const Json &item)
{
	Condition condition;

	if (!item.is_object())
		bad_request(object, "each condition of \"filter\" must be an object", "bad_filter");
	const Json *column = member(item, "col");
	if (column == nullptr || !column->is_string())
		bad_request(object, "each condition of \"filter\" must name its column in \"col\"",
					"bad_filter");
	condition.column = column->get<std::string>();
	if (const Json *op = member(item, "op"))
		condition.op = op->is_string() ? op->get<std::string>() : op->dump();
	if (condition.op != "eq")
		bad_request(object, "operator " + json_string(condition.op) + " is not supported",
					"bad_filter");
	return condition;
}

static void
parse_filter(const Json &object, Subscribe *out)
{
	const Json *filter = member(object, "filter");

	if (filter == nullptr)
		return;
	if (!filter->is_array() || filter->size() > kMaxConditions)
		bad_request(object, "\"filter\" must be a list of at most 32 conditions", "bad_filter");
	for (const Json &item : *filter)
	{
		Condition condition = parse_condition(object, item);

		if (item.find("val") == item.end())
			bad_request(object, "each condition of \"filter\" must have a \"val\"", "bad_filter");
		condition.value = to_value(item["val"]);
		out->filter.push_back(std::move(condition));
	}
}

static void
parse_columns(const Json &object, Subscribe *out)
{
	const Json *columns = member(object, "columns");

	if (columns == nullptr)
		return;
	if (!columns->is_array() || columns->empty())
		bad_request(object, "\"columns\" must be a list of column names", "bad_columns");
	for (const Json &name : *columns)
	{
		if (!name.is_string())
			bad_request(object, "\"columns\" must be a list of column names", "bad_columns");
		out->columns.push_back(name.get<std::string>());
	}
}

static Subscribe
parse_subscribe(const Json &object)
{
	Subscribe out;

	out.id = required_id(object);
	out.view = optional_string(object, "view");
	out.endpoint = optional_string(object, "endpoint");
	if (out.view.empty() == out.endpoint.empty())
		bad_request(object, "exactly one of \"view\" and \"endpoint\" is needed");
	if (!out.endpoint.empty() && out.endpoint[0] != '/')
		out.endpoint.insert(0, "/");
	parse_params(object, &out);
	parse_filter(object, &out);
	parse_columns(object, &out);
	out.resume = optional_string(object, "resume");
	if (const Json *snapshot = member(object, "snapshot"))
	{
		if (!snapshot->is_boolean())
			bad_request(object, "\"snapshot\" must be true or false");
		out.snapshot = snapshot->get<bool>();
	}
	std::string format = optional_string(object, "format");
	if (format == "patch")
		bad_request(object, "format \"patch\" is not supported by this server", "unsupported");
	if (!format.empty() && format != "rows")
		bad_request(object, "\"format\" must be \"rows\" or \"patch\"");
	return out;
}

Message
parse_message(std::string_view frame)
{
	Json object = Json::parse(frame.begin(), frame.end(), nullptr, false);
	Message out;

	if (object.is_discarded())
		throw Malformed("frame is not JSON");
	if (!object.is_object())
		throw Malformed("frame is not a JSON object");
	const Json *type = member(object, "type");
	if (type == nullptr || !type->is_string())
		throw Malformed("frame has no \"type\"");

	const auto &name = type->get_ref<const std::string &>();
	if (name == "subscribe")
	{
		out.type = MessageType::kSubscribe;
		out.subscribe = parse_subscribe(object);
	}
	else if (name == "unsubscribe")
	{
		out.type = MessageType::kUnsubscribe;
		out.id = required_id(object);
	}
	else if (name == "ack")
	{
		out.type = MessageType::kAck;
		out.id = required_id(object);
	}
	else if (name == "ping")
		out.type = MessageType::kPing;
	else if (name == "auth")
		bad_request(object, "tokens are not supported by this server", "unsupported");
	else
		bad_request(object, "unknown message type " + json_string(name.substr(0, 64)),
					"unknown_type");
	return out;
}

[[noreturn]] static void
bad_endpoint_filter(const std::string &message)
{
	throw tw::Error("22023", message,
					"Use {\"column\": value} or {\"column\": {\"param\": \"name\"}}.");
}

static EndpointCondition
endpoint_condition(const std::string &column, const Json *value, const Json *param)
{
	EndpointCondition out;

	out.condition.column = column;
	if (param != nullptr)
	{
		if (!param->is_string() || param->get<std::string>().empty())
			bad_endpoint_filter("\"param\" must be the name of an argument");
		out.param = param->get<std::string>();
	}
	else if (value != nullptr)
		out.condition.value = to_value(*value);
	else
		bad_endpoint_filter("a condition needs a value or a \"param\"");
	return out;
}

std::vector<EndpointCondition>
parse_endpoint_filter(std::string_view text)
{
	Json json = Json::parse(text.begin(), text.end(), nullptr, false);
	std::vector<EndpointCondition> out;

	if (json.is_object())
	{
		for (const auto &item : json.items())
		{
			const Json &value = item.value();
			bool is_param = value.is_object() && value.size() == 1 && value.contains("param");

			out.push_back(
				endpoint_condition(item.key(), &value, is_param ? &value["param"] : nullptr));
		}
		return out;
	}
	if (!json.is_array())
		bad_endpoint_filter("filter of an endpoint must be an object or a list of conditions");
	for (const Json &item : json)
	{
		if (!item.is_object() || !item.contains("col") || !item["col"].is_string())
			bad_endpoint_filter("each condition must name its column in \"col\"");
		if (item.contains("op") && item["op"] != "eq")
			bad_endpoint_filter("operator " + item["op"].dump() + " is not supported");
		out.push_back(endpoint_condition(item["col"].get<std::string>(),
										 item.contains("val") ? &item["val"] : nullptr,
										 item.contains("param") ? &item["param"] : nullptr));
	}
	return out;
}

} // namespace tw::wire
