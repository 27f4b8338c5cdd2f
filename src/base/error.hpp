/*
 * error.hpp - the one exception type of the pure C++ regime.
 *
 * Carries an SQLSTATE, a message in the server's style (lower case, no full
 * stop) and an optional hint (whole sentences). src/pg/guard.hpp turns it into
 * ereport at the edge.
 */
#pragma once

#include <stdexcept>
#include <string>

namespace tw
{

class Error : public std::runtime_error
{
  public:
	Error(const char *sqlstate, const std::string &message, const std::string &hint = {})
		: std::runtime_error(message), sqlstate_(sqlstate), hint_(hint)
	{
	}

	const char *sqlstate() const noexcept { return sqlstate_.c_str(); }
	const char *hint() const noexcept { return hint_.c_str(); }

  private:
	std::string sqlstate_;
	std::string hint_;
};

} // namespace tw
