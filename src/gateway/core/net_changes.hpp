/*
 * net_changes.hpp - the net difference of a view over one or more versions.
 *
 * Fed with the changes of a feed in order of version. For a view with a key it
 * gives for each key the row before and the row after; what ended as it began
 * is nothing. For a view without one it gives rows with their summed diff.
 */
#pragma once

#include "gateway/core/row.hpp"

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

namespace tw::gateway
{

class NetChanges
{
  public:
	struct Entry
	{
		Row before;
		Row after;
		int64_t diff = 0;  /* without key: copies of `after` */
		int64_t first = 0; /* version in which the key was seen first */
		int64_t last = 0;
		bool had = false; /* `before` is there */
		bool has = false; /* `after` is there */
	};

	explicit NetChanges(const ViewInfo &view) : key_(view.key) {}

	void add(int64_t version, int64_t diff, Row row);

	bool keyed() const { return !key_.empty(); }
	bool empty() const { return entries_.empty(); }
	size_t memory() const { return memory_; }

	/* Changes in order of first occurrence; entries that are net nothing are among them. */
	const std::vector<Entry> &entries() const { return entries_; }

  private:
	void add_keyed(Entry &entry, int64_t version, int64_t diff, Row row);

	std::vector<int> key_;
	std::vector<Entry> entries_;
	std::unordered_map<std::string, size_t> by_key_;
	size_t memory_ = 0;
};

} // namespace tw::gateway
