/*
 * json.cpp - writes JSON strings.
 */
#include "wire/json.hpp"

#include <cstddef>
#include <cstdint>

namespace tw::wire
{

/* Length of the valid UTF-8 sequence at the start of text; 0: there is none. */
static size_t
sequence_length(std::string_view text)
{
	auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
	auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
	uint8_t first = byte(0);

	if (first < 0x80)
		return 1;
	if (first >= 0xC2 && first <= 0xDF)
		return continues(1) ? 2 : 0;
	if (first >= 0xE0 && first <= 0xEF)
	{
		if (!continues(1) || !continues(2))
			return 0;
		/* overlong forms and surrogates */
		if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F))
			return 0;
		return 3;
	}
	if (first >= 0xF0 && first <= 0xF4)
	{
		if (!continues(1) || !continues(2) || !continues(3))
			return 0;
		if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F))
			return 0;
		return 4;
	}
	return 0;
}

static void
append_control(std::string &out, char c)
{
	static const char hex[] = "0123456789abcdef";

	switch (c)
	{
		case '\b':
			out += "\\b";
			return;
		case '\f':
			out += "\\f";
			return;
		case '\n':
			out += "\\n";
			return;
		case '\r':
			out += "\\r";
			return;
		case '\t':
			out += "\\t";
			return;
		default:
			out += "\\u00";
			out += hex[(c >> 4) & 0xF];
			out += hex[c & 0xF];
	}
}

void
append_string(std::string &out, std::string_view text)
{
	out += '"';
	for (size_t i = 0; i < text.size();)
	{
		char c = text[i];

		if (c == '"' || c == '\\')
		{
			out += '\\';
			out += c;
			i++;
		}
		else if (static_cast<unsigned char>(c) < 0x20)
		{
			append_control(out, c);
			i++;
		}
		else if (static_cast<unsigned char>(c) < 0x80)
		{
			out += c;
			i++;
		}
		else if (size_t n = sequence_length(text.substr(i)); n > 0)
		{
			out.append(text.data() + i, n);
			i += n;
		}
		else
		{
			out += "\xEF\xBF\xBD";
			i++;
		}
	}
	out += '"';
}

std::string
json_string(std::string_view text)
{
	std::string out;

	out.reserve(text.size() + 2);
	append_string(out, text);
	return out;
}

} // namespace tw::wire
