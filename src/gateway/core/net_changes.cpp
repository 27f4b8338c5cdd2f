/*
 * net_changes.cpp - the net difference of a view over one or more versions.
 */
#include "gateway/core/net_changes.hpp"

namespace tw::gateway
{

bool
ViewInfo::same_shape(const ViewInfo &other) const
{
	if (columns.size() != other.columns.size() || key != other.key)
		return false;
	for (size_t i = 0; i < columns.size(); i++)
		if (columns[i].name != other.columns[i].name || columns[i].type != other.columns[i].type)
			return false;
	return true;
}

int
ViewInfo::find_column(std::string_view wanted) const
{
	for (size_t i = 0; i < columns.size(); i++)
		if (columns[i].name == wanted)
			return static_cast<int>(i);
	return -1;
}

static std::string
whole_row(const Row &row)
{
	std::string out;

	for (size_t i = 0; i < row.size(); i++)
	{
		out += row.at(i);
		out += ',';
	}
	return out;
}

void
NetChanges::add(int64_t version, int64_t diff, Row row)
{
	std::string key = keyed() ? row.key(key_) : whole_row(row);
	size_t key_size = key.size();
	auto [it, inserted] = by_key_.emplace(std::move(key), entries_.size());

	if (inserted)
	{
		entries_.emplace_back();
		entries_.back().first = version;
		entries_.back().last = version;
		memory_ += sizeof(Entry) + key_size + 64;
	}
	memory_ += row.memory();
	Entry &entry = entries_[it->second];
	if (keyed())
		return add_keyed(entry, version, diff, std::move(row));
	entry.diff += diff;
	if (inserted)
		entry.after = std::move(row);
}

/*
 * Within a version the removed and the added row of a key come in either
 * order. The row before is the one removed in the version in which the key
 * first occurs; the row after is the one added in the version in which it last
 * occurs.
 */
void
NetChanges::add_keyed(Entry &entry, int64_t version, int64_t diff, Row row)
{
	if (entry.last != version)
	{
		entry.last = version;
		entry.has = false;
		/* A later version: its removed row is the one that was there until now. */
	}
	if (diff < 0)
	{
		if (entry.first == version)
		{
			entry.before = std::move(row);
			entry.had = true;
		}
		return;
	}
	entry.after = std::move(row);
	entry.has = true;
}

} // namespace tw::gateway
