/*
 * json.hpp - writes JSON strings. Parsing is nlohmann's (see message.cpp).
 *
 * What leaves here is valid UTF-8: a browser closes the connection at the first
 * invalid sequence, and a database with encoding SQL_ASCII can hold any bytes.
 */
#pragma once

#include <string>
#include <string_view>

namespace tw::wire
{

/* Appends text as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void append_string(std::string &out, std::string_view text);

/* The same as a value. */
std::string json_string(std::string_view text);

} // namespace tw::wire
