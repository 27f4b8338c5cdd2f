/*
 * row.hpp - a row of a view as JSON values, and what the gateway knows of the view.
 */
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tw::gateway
{

/*
 * The JSON values of a row, one behind the other in one buffer. A column that
 * nobody needs is empty (no JSON value is).
 */
class Row
{
  public:
	Row() = default;
	Row(const char *values, const uint32_t *ends, size_t n) : values_(values, n ? ends[n - 1] : 0)
	{
		ends_.assign(ends, ends + n);
	}

	std::string_view at(size_t column) const
	{
		uint32_t start = column == 0 ? 0 : ends_[column - 1];

		return std::string_view(values_).substr(start, ends_[column] - start);
	}

	bool operator==(const Row &other) const
	{
		return values_ == other.values_ && ends_ == other.ends_;
	}

	size_t size() const { return ends_.size(); }
	size_t memory() const { return sizeof(Row) + values_.capacity() + ends_.capacity() * 4; }

	/* The listed values joined: equal exactly where the values are. */
	std::string key(const std::vector<int> &columns) const
	{
		std::string out;

		for (int column : columns)
		{
			if (!out.empty())
				out += ',';
			out += at(column);
		}
		return out;
	}

  private:
	std::string values_;
	std::vector<uint32_t> ends_;
};

struct Column
{
	std::string name;
	std::string type;      /* SQL name */
	std::string json_name; /* the name as JSON, with quotes */
};

struct ViewInfo
{
	uint32_t oid = 0;
	uint32_t log = 0; /* its change log table */
	int64_t epoch = 0;
	std::string fingerprint; /* changes with the view's rights */
	std::string name;        /* schema.name, quoted as SQL wants it */
	std::vector<Column> columns;
	std::vector<int> key; /* indexes into columns; empty: no key */

	/* True where rows of one are rows of the other: same columns, same key. */
	bool same_shape(const ViewInfo &other) const;
	int find_column(std::string_view name) const; /* -1: there is none */
};

} // namespace tw::gateway
