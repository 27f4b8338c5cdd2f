/*
 * json.hpp - writes JSON strings. Parsing is nlohmann's (see message.cpp).
 *
 * What leaves here is valid UTF-8: a browser closes the connection at the first
 * invalid sequence, and a database with encoding SQL_ASCII can hold any bytes.
 */
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tw::wire
{

/* Length of the valid UTF-8 sequence at the start of text (not empty); 0: there is none. */
size_t sequence_length(std::string_view text) noexcept;

/*
 * Gives the JSON string of text, quotes included, to append(const char *, size_t)
 * in pieces; invalid UTF-8 becomes U+FFFD. Holds nothing that needs a
 * destructor: append may leave by longjmp.
 */
template <typename Append>
void
escape(std::string_view text, Append &&append)
{
	static const char hex[] = "0123456789abcdef";
	size_t start = 0;
	auto flush = [&](size_t end)
	{
		if (end > start)
			append(text.data() + start, end - start);
	};

	append("\"", 1);
	for (size_t i = 0; i < text.size();)
	{
		unsigned char c = static_cast<unsigned char>(text[i]);
		size_t length = c >= 0x80 ? sequence_length(text.substr(i)) : 1;

		if (c >= 0x20 && c != '"' && c != '\\' && length > 0)
		{
			i += length;
			continue;
		}
		flush(i);
		start = ++i;
		if (c >= 0x80)
			append("\xEF\xBF\xBD", 3);
		else if (c == '"' || c == '\\')
		{
			char pair[2] = {'\\', static_cast<char>(c)};
			append(pair, 2);
		}
		else
		{
			char code[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 0xF]};
			append(code, 6);
		}
	}
	flush(text.size());
	append("\"", 1);
}

/* Appends text as a JSON string. */
void append_string(std::string &out, std::string_view text);

/* The same as a value. */
std::string json_string(std::string_view text);

} // namespace tw::wire
