/*
 * position.hpp - the opaque `pos` of the protocol.
 *
 * A position names the epoch of a view's feed and a version, and is bound to
 * the shape of one subscription (view, filter, columns) by a hash: given to
 * another subscription it is not understood. It is no secret and grants no
 * right; whoever forges one gets rows he may read anyway.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tw::gateway
{

struct Position
{
	int64_t epoch;
	int64_t version;
	uint64_t binding;
};

std::string encode_position(const Position &position);

/* Nothing where text is not a position. */
std::optional<Position> decode_position(std::string_view text);

/* Hash of the shape of a subscription; the same in every process and release of format 1. */
uint64_t bind_shape(std::string_view shape);

} // namespace tw::gateway
