/*
 * position.cpp - the opaque `pos` of the protocol: base64url of a format byte
 * and three big-endian numbers.
 */
#include "gateway/core/position.hpp"

namespace tw::gateway
{

static constexpr uint8_t kFormat = 1;
static constexpr size_t kBytes = 1 + 3 * 8;
static constexpr size_t kChars = (kBytes * 8 + 5) / 6;
static const char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
put(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = static_cast<uint8_t>(value >> (56 - 8 * i));
}

static uint64_t
get(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = (value << 8) | in[i];
	return value;
}

static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

std::string
encode_position(const Position &position)
{
	uint8_t bytes[kBytes];
	std::string out;
	uint32_t bits = 0;
	int count = 0;

	bytes[0] = kFormat;
	put(bytes + 1, static_cast<uint64_t>(position.epoch));
	put(bytes + 9, static_cast<uint64_t>(position.version));
	put(bytes + 17, position.binding);

	out.reserve(kChars);
	for (uint8_t byte : bytes)
	{
		bits = (bits << 8) | byte;
		count += 8;
		while (count >= 6)
		{
			count -= 6;
			out += kAlphabet[(bits >> count) & 63];
		}
	}
	if (count > 0)
		out += kAlphabet[(bits << (6 - count)) & 63];
	return out;
}

std::optional<Position>
decode_position(std::string_view text)
{
	uint8_t bytes[kBytes] = {};
	uint32_t bits = 0;
	int count = 0;
	size_t n = 0;

	if (text.size() != kChars)
		return std::nullopt;
	for (char c : text)
	{
		int value = digit(c);

		if (value < 0)
			return std::nullopt;
		bits = (bits << 6) | static_cast<uint32_t>(value);
		count += 6;
		if (count >= 8 && n < kBytes)
		{
			count -= 8;
			bytes[n++] = static_cast<uint8_t>(bits >> count);
		}
	}
	if (n != kBytes || bytes[0] != kFormat)
		return std::nullopt;
	return Position{static_cast<int64_t>(get(bytes + 1)), static_cast<int64_t>(get(bytes + 9)),
					get(bytes + 17)};
}

uint64_t
bind_shape(std::string_view shape)
{
	uint64_t hash = 14695981039346656037ULL; /* FNV-1a */

	for (char c : shape)
		hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
	return hash;
}

} // namespace tw::gateway
