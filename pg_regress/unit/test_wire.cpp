/*
 * test_wire.cpp - unit tests of the protocol's messages and frames.
 */
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <csetjmp>
extern "C"
{
#include <cmocka.h>
}

#include "wire/frame.hpp"
#include "wire/json.hpp"
#include "wire/message.hpp"

using namespace tw::wire;

static void
strings_are_escaped(void **)
{
	assert_string_equal(json_string("a\"b\\c\n\t\x01/").c_str(),
						"\"a\\\"b\\\\c\\u000a\\u0009\\u0001/\"");
	assert_string_equal(json_string("").c_str(), "\"\"");
	assert_string_equal(json_string("\xC3\xA9\xF0\x9F\x98\x80").c_str(),
						"\"\xC3\xA9\xF0\x9F\x98\x80\"");
}

static void
invalid_utf8_is_replaced(void **)
{
	/* a lone continuation, a cut sequence, an overlong form, a surrogate, a code point too large */
	for (const char *bad : {"\x80", "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"})
	{
		std::string out = json_string(std::string("a") + bad + "b");

		assert_true(out.find("\xEF\xBF\xBD") != std::string::npos);
		assert_true(out.front() == '"' && out.substr(out.size() - 2) == "b\"");
		for (size_t i = 0; i < out.size();)
		{
			size_t n = sequence_length(std::string_view(out).substr(i));
			assert_true(n > 0);
			i += n;
		}
	}
}

static bool
is_malformed(const char *text)
{
	try
	{
		parse_message(text);
	}
	catch (const Malformed &)
	{
		return true;
	}
	catch (const BadRequest &)
	{
	}
	return false;
}

/* Code of the refusal; empty: accepted. */
static std::string
refusal(const char *text)
{
	try
	{
		parse_message(text);
	}
	catch (const BadRequest &e)
	{
		return e.code();
	}
	return {};
}

static void
malformed_frames_are_told_from_bad_requests(void **)
{
	for (const char *text : {"", "{", "1", "[]", "null", "{}", "{\"type\":1}",
							 "{\"type\":\"ping\"} x", "{\"type\":\"p\xFFing\"}"})
		assert_true(is_malformed(text));
	assert_string_equal(refusal("{\"type\":\"nix\"}").c_str(), "unknown_type");
	assert_string_equal(refusal("{\"type\":\"auth\",\"token\":\"x\"}").c_str(), "unsupported");
	assert_string_equal(refusal("{\"type\":\"subscribe\"}").c_str(), "bad_request");
	assert_string_equal(refusal("{\"type\":\"subscribe\",\"id\":\"\",\"view\":\"v\"}").c_str(),
						"bad_request");
	assert_string_equal(refusal("{\"type\":\"subscribe\",\"id\":\"1\"}").c_str(), "bad_request");
	assert_string_equal(
		refusal("{\"type\":\"subscribe\",\"id\":\"1\",\"view\":\"v\",\"endpoint\":\"e\"}").c_str(),
		"bad_request");
	assert_string_equal(
		refusal("{\"type\":\"subscribe\",\"id\":\"1\",\"view\":\"v\",\"format\":\"patch\"}")
			.c_str(),
		"unsupported");
	assert_string_equal(
		refusal("{\"type\":\"subscribe\",\"id\":\"1\",\"view\":\"v\",\"filter\":[{\"col\":\"a\"}]}")
			.c_str(),
		"bad_filter");
	assert_string_equal(refusal("{\"type\":\"subscribe\",\"id\":\"1\",\"view\":\"v\",\"filter\":[{"
								"\"col\":\"a\",\"op\":\"lt\",\"val\":1}]}")
							.c_str(),
						"bad_filter");
	assert_string_equal(
		refusal("{\"type\":\"subscribe\",\"id\":\"1\",\"view\":\"v\",\"columns\":[]}").c_str(),
		"bad_columns");
	assert_string_equal(refusal("{\"type\":\"ping\"}").c_str(), "");
}

static void
a_subscription_is_read(void **)
{
	Message m = parse_message(
		"{\"type\":\"subscribe\",\"id\":\"7\",\"endpoint\":\"room\",\"params\":{\"a\":1,\"b\":null}"
		","
		"\"filter\":[{\"col\":\"x\",\"op\":\"eq\",\"val\":\"y\"},{\"col\":\"z\",\"val\":{\"k\":1}}]"
		","
		"\"columns\":[\"c\"],\"resume\":\"p\",\"snapshot\":false,\"future\":1}");

	assert_true(m.type == MessageType::kSubscribe);
	assert_string_equal(m.subscribe.endpoint.c_str(), "/room");
	assert_int_equal(m.subscribe.params.size(), 2);
	assert_string_equal(m.subscribe.params[0].value.text.c_str(), "1");
	assert_true(m.subscribe.params[1].value.is_null);
	assert_string_equal(m.subscribe.filter[0].value.text.c_str(), "y");
	assert_string_equal(m.subscribe.filter[0].value.json.c_str(), "\"y\"");
	assert_string_equal(m.subscribe.filter[1].value.json.c_str(), "{\"k\":1}");
	assert_string_equal(m.subscribe.resume.c_str(), "p");
	assert_false(m.subscribe.snapshot);
}

static void
endpoint_filters_have_two_forms(void **)
{
	auto a = parse_endpoint_filter("{\"x\": 1, \"y\": {\"param\": \"p\"}}");
	auto b = parse_endpoint_filter(
		"[{\"col\": \"x\", \"op\": \"eq\", \"val\": 1}, {\"col\": \"y\", \"param\": \"p\"}]");

	assert_int_equal(a.size(), 2);
	assert_int_equal(b.size(), 2);
	for (size_t i = 0; i < 2; i++)
	{
		assert_string_equal(a[i].condition.column.c_str(), b[i].condition.column.c_str());
		assert_string_equal(a[i].condition.value.json.c_str(), b[i].condition.value.json.c_str());
		assert_string_equal(a[i].param.c_str(), b[i].param.c_str());
	}
	bool refused = false;
	try
	{
		parse_endpoint_filter("[{\"col\": \"x\"}]");
	}
	catch (const tw::Error &)
	{
		refused = true;
	}
	assert_true(refused);
}

static void
frames_are_as_documented(void **)
{
	ErrorInfo info;

	assert_string_equal(
		(delta_head("1", "p2", "p1", "t") + "[\"-\",[1]]" + delta_tail(true)).c_str(),
		"{\"type\":\"delta\",\"id\":\"1\",\"pos\":\"p2\",\"prev\":\"p1\",\"ts\":\"t\","
		"\"changes\":[[\"-\",[1]]],\"more\":true}");
	assert_string_equal(
		(snapshot_head("1") + snapshot_tail("p", false)).c_str(),
		"{\"type\":\"snapshot\",\"id\":\"1\",\"rows\":[],\"pos\":\"p\",\"more\":false}");
	info.code = "internal";
	info.message = "a \"b\"";
	info.retryable = true;
	info.retry_after_ms = 1000;
	assert_string_equal(error({}, info).c_str(),
						"{\"type\":\"error\",\"code\":\"internal\",\"message\":\"a \\\"b\\\"\","
						"\"retryable\":true,\"retry_after_ms\":1000}");
	/* what the server writes, it can read */
	assert_string_equal(refusal(complete("x", "dropped").c_str()).c_str(), "unknown_type");
}

int
main()
{
	const CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(invalid_utf8_is_replaced),
		cmocka_unit_test(malformed_frames_are_told_from_bad_requests),
		cmocka_unit_test(a_subscription_is_read),
		cmocka_unit_test(endpoint_filters_have_two_forms),
		cmocka_unit_test(frames_are_as_documented),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
