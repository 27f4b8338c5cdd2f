/*
 * view_feed.hpp - routes the changes of one view to the channels that want them.
 *
 * A channel is what subscriptions with equal filter and equal columns share: a
 * change is encoded once per distinct column set and put together once per
 * channel, never per socket. Channels are found through a hash index per set
 * of filter columns, so that a changed row costs as much as there are channels
 * it concerns, however many others there are.
 */
#pragma once

#include "gateway/core/net_changes.hpp"
#include "gateway/core/position.hpp"
#include "gateway/core/row.hpp"
#include "gateway/core/spool.hpp"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tw::gateway
{

struct Subscription;
class Channel;
class ViewFeed;

/* A column must have this value: JSON as rows have it. */
struct FilterTerm
{
	int column;
	std::string json;
};

/* What a subscription wants of a view. */
struct ChannelSpec
{
	std::vector<int> columns;       /* ascending; the key's are among them */
	std::vector<FilterTerm> filter; /* ascending by column, each column once */
	bool nothing = false;           /* filter that contradicts itself: no row passes */
};

/* Brings a list of wanted columns and conditions into the one form that equal wishes share. */
ChannelSpec make_spec(const ViewInfo &view, std::vector<int> columns,
					  std::vector<FilterTerm> filter);

/* Channels that filter by the same columns, by the values they want. */
struct FilterIndex
{
	std::vector<int> columns;
	std::unordered_map<std::string, std::vector<Channel *>> channels;
};

/* Encodes changes for one set of columns; keeps the text of the change at hand. */
class ColumnSet
{
  public:
	explicit ColumnSet(std::vector<int> columns) : columns_(std::move(columns)) {}

	const std::vector<int> &columns() const { return columns_; }

	/* Texts of the change with this serial number; `changed` is empty where nothing visible changed. */
	const std::string &added(const ViewInfo &view, const Row &row, uint64_t serial);
	const std::string &changed(const ViewInfo &view, const NetChanges::Entry &entry,
							   uint64_t serial);
	/* The bare row as a JSON object. */
	const std::string &object(const ViewInfo &view, const Row &row, uint64_t serial);

	uint32_t users = 0; /* channels */

  private:
	std::vector<int> columns_;
	std::string added_, changed_, object_;
	uint64_t added_serial_ = 0, changed_serial_ = 0, object_serial_ = 0;
};

class Channel
{
  public:
	Channel(ViewFeed *view, ColumnSet *columns, ChannelSpec spec);

	ViewFeed &view() const { return *view_; }
	ColumnSet &columns() const { return *columns_; }
	const ChannelSpec &spec() const { return spec_; }
	/* "view":…,"schema":…,"key":… of the `subscribed` frame */
	std::string shape() const;
	/* `pos` of a version; valid until another one is asked for. */
	const std::string &position(int64_t version);
	/* The version of a client's `pos`; -1 where it is not one of this channel and epoch. */
	int64_t understand(std::string_view pos) const;

	std::vector<Subscription *> subscribers;
	uint32_t users = 0;  /* readers, live or not */
	uint64_t wanted = 0; /* number of the last read it takes part in */

  private:
	friend class ViewFeed;

	ViewFeed *view_;
	ColumnSet *columns_;
	ChannelSpec spec_;
	std::string text_;             /* by which the view finds it */
	FilterIndex *index_ = nullptr; /* null: nothing passes */
	std::string index_key_;
	uint64_t binding_;
	std::string position_;
	int64_t position_version_ = -1;
	int64_t position_epoch_ = -1;
};

using Unit = std::shared_ptr<Spool>;
using Units = std::vector<std::pair<Channel *, Unit>>;

class ViewFeed
{
  public:
	ViewFeed(ViewInfo info, std::string spool_directory)
		: info_(std::move(info)), spool_directory_(std::move(spool_directory))
	{
	}

	const ViewInfo &info() const { return info_; }
	/* Only with the same shape; epoch, name and log may differ. */
	void update(ViewInfo info);

	Channel *find_or_add(ChannelSpec spec);
	/* Forgets a channel without subscribers. */
	void remove(Channel *channel);
	bool empty() const { return channels_.empty(); }
	size_t channel_count() const { return channels_.size(); }

	template <typename Fn> void for_each_channel(Fn &&fn)
	{
		for (auto &item : channels_)
			fn(item.second.get());
	}

	/* needed[i]: some channel needs column i, for its rows, its filter or the key. */
	std::vector<bool> needed_columns() const;

	/* Reads that follow are for all channels, or for those that want() names. */
	void select_all() { selected_ = 0; }
	void select_none() { selected_ = ++reads_; }
	void want(Channel *channel) { channel->wanted = selected_; }

	/* The units that the changes make for the selected channels; channels they don't concern have none. */
	Units route(const NetChanges &changes);

	/* Rows of a snapshot, for the given channels, which are selected: begin, any number of rows, finish. */
	void begin_snapshot(const std::vector<Channel *> &channels);
	void add_snapshot_row(const Row &row, int64_t copies);
	Units finish_snapshot();

	bool stale = false; /* catalogs changed: look at definition and rights again */

  private:
	using UnitMap = std::unordered_map<Channel *, size_t>;

	void add_to_index(Channel *channel);
	Spool &unit_of(Channel *channel);
	Units take_units();
	void route_keyed(const NetChanges::Entry &entry);
	void route_unkeyed(const NetChanges::Entry &entry);
	void finish_unkeyed();
	template <typename Fn>
	void for_each_match(const FilterIndex &index, const std::string &key, Fn &&fn);

	ViewInfo info_;
	std::string spool_directory_;
	std::vector<std::unique_ptr<ColumnSet>> column_sets_;
	std::map<std::string, std::unique_ptr<Channel>> channels_;
	std::vector<std::unique_ptr<FilterIndex>> indexes_;
	uint64_t serial_ = 0;
	uint64_t reads_ = 0;
	uint64_t selected_ = 0; /* 0: all channels */

	/* of the read at hand */
	Units units_;
	UnitMap unit_index_;
	struct RowDiff
	{
		int64_t diff = 0;
		size_t order = 0;
	};
	std::unordered_map<Channel *, std::unordered_map<std::string, RowDiff>> row_diffs_;
};

} // namespace tw::gateway
