/*
 * json.cpp - writes JSON strings.
 */
#include "wire/json.hpp"

#include <cstdint>

namespace tw::wire
{

size_t
sequence_length(std::string_view text) noexcept
{
	auto byte = [&](size_t i)
	{
		return static_cast<uint8_t>(text[i]);
	};
	auto continues = [&](size_t i)
	{
		return i < text.size() && (byte(i) & 0xC0) == 0x80;
	};
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

void
append_string(std::string &out, std::string_view text)
{
	escape(text, [&](const char *piece, size_t length) { out.append(piece, length); });
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
