/*
 * view_feed.cpp - routes the changes of one view to the channels that want them.
 */
#include "gateway/core/view_feed.hpp"
#include "wire/json.hpp"

#include <algorithm>

namespace tw::gateway
{

static constexpr size_t kUnitMemory = 1024 * 1024;

ChannelSpec
make_spec(const ViewInfo &view, std::vector<int> columns, std::vector<FilterTerm> filter)
{
	ChannelSpec spec;

	if (columns.empty())
		for (size_t i = 0; i < view.columns.size(); i++)
			columns.push_back(static_cast<int>(i));
	columns.insert(columns.end(), view.key.begin(), view.key.end());
	std::sort(columns.begin(), columns.end());
	columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
	spec.columns = std::move(columns);

	std::stable_sort(filter.begin(), filter.end(),
					 [](const FilterTerm &a, const FilterTerm &b) { return a.column < b.column; });
	for (FilterTerm &term : filter)
	{
		if (spec.filter.empty() || spec.filter.back().column != term.column)
			spec.filter.push_back(std::move(term));
		else if (spec.filter.back().json != term.json)
			spec.nothing = true;
	}
	return spec;
}

static void
append_object(std::string &out, const ViewInfo &view, const std::vector<int> &columns,
			  const Row &row)
{
	bool first = true;

	out += '{';
	for (int column : columns)
	{
		if (!first)
			out += ',';
		first = false;
		out += view.columns[column].json_name;
		out += ':';
		out += row.at(column);
	}
	out += '}';
}

const std::string &
ColumnSet::object(const ViewInfo &view, const Row &row, uint64_t serial)
{
	if (object_serial_ != serial)
	{
		object_.clear();
		append_object(object_, view, columns_, row);
		object_serial_ = serial;
	}
	return object_;
}

const std::string &
ColumnSet::added(const ViewInfo &view, const Row &row, uint64_t serial)
{
	if (added_serial_ != serial)
	{
		added_ = "[\"+\",";
		append_object(added_, view, columns_, row);
		added_ += ']';
		added_serial_ = serial;
	}
	return added_;
}

const std::string &
ColumnSet::changed(const ViewInfo &view, const NetChanges::Entry &entry, uint64_t serial)
{
	if (changed_serial_ == serial)
		return changed_;

	bool first = true;

	changed_ = "[\"~\",[" + entry.after.key(view.key) + "],{";
	for (int column : columns_)
	{
		if (entry.before.at(column) == entry.after.at(column))
			continue;
		if (!first)
			changed_ += ',';
		first = false;
		changed_ += view.columns[column].json_name;
		changed_ += ':';
		changed_ += entry.after.at(column);
	}
	changed_ += "}]";
	if (first)
		changed_.clear();
	changed_serial_ = serial;
	return changed_;
}

/* What a position is bound to, beside the epoch: the same text for the same wish, in every process. */
static std::string
spec_text(const ViewInfo &view, const ChannelSpec &spec)
{
	std::string out = std::to_string(view.oid);

	for (int column : spec.columns)
		out += "," + view.columns[column].json_name + ":" + view.columns[column].type;
	out += spec.nothing ? "|never" : "|";
	for (const FilterTerm &term : spec.filter)
		out += view.columns[term.column].json_name + "=" + term.json + "&";
	out += "|";
	for (int column : view.key)
		out += view.columns[column].json_name + ",";
	return out;
}

Channel::Channel(ViewFeed *view, ColumnSet *columns, ChannelSpec spec)
	: view_(view), columns_(columns), spec_(std::move(spec)),
	  binding_(bind_shape(spec_text(view->info(), spec_)))
{
}

std::string
Channel::shape() const
{
	const ViewInfo &info = view_->info();
	std::string out = "\"view\":" + wire::json_string(info.name) + ",\"schema\":[";
	bool first = true;

	for (int column : spec_.columns)
	{
		out += first ? "" : ",";
		first = false;
		out += "{\"name\":" + info.columns[column].json_name +
			   ",\"type\":" + wire::json_string(info.columns[column].type) + "}";
	}
	out += "],\"key\":";
	if (info.key.empty())
		return out + "null";
	first = true;
	for (int column : info.key)
	{
		out += first ? "[" : ",";
		first = false;
		out += info.columns[column].json_name;
	}
	return out + "]";
}

const std::string &
Channel::position(int64_t version)
{
	if (position_version_ != version || position_epoch_ != view_->info().epoch)
	{
		position_ = encode_position({view_->info().epoch, version, binding_});
		position_version_ = version;
		position_epoch_ = view_->info().epoch;
	}
	return position_;
}

int64_t
Channel::understand(std::string_view pos) const
{
	auto position = decode_position(pos);

	if (!position || position->epoch != view_->info().epoch || position->binding != binding_ ||
		position->version < 0)
		return -1;
	return position->version;
}

void
ViewFeed::update(ViewInfo info)
{
	info_ = std::move(info);
}

Channel *
ViewFeed::find_or_add(ChannelSpec spec)
{
	std::string text = spec_text(info_, spec);
	auto it = channels_.find(text);

	if (it != channels_.end())
		return it->second.get();

	ColumnSet *set = nullptr;
	for (auto &candidate : column_sets_)
		if (candidate->columns() == spec.columns)
			set = candidate.get();
	if (set == nullptr)
	{
		column_sets_.push_back(std::make_unique<ColumnSet>(spec.columns));
		set = column_sets_.back().get();
	}

	auto channel = std::make_unique<Channel>(this, set, std::move(spec));
	Channel *result = channel.get();
	result->text_ = text;
	set->users++;
	if (!result->spec().nothing)
		add_to_index(result);
	channels_.emplace(std::move(text), std::move(channel));
	return result;
}

void
ViewFeed::add_to_index(Channel *channel)
{
	std::vector<int> columns;

	for (const FilterTerm &term : channel->spec().filter)
	{
		columns.push_back(term.column);
		channel->index_key_ += (channel->index_key_.empty() ? "" : ",") + term.json;
	}
	auto it = std::find_if(indexes_.begin(), indexes_.end(),
						   [&](auto &index) { return index->columns == columns; });
	if (it == indexes_.end())
	{
		indexes_.push_back(std::make_unique<FilterIndex>());
		it = std::prev(indexes_.end());
		(*it)->columns = std::move(columns);
	}
	channel->index_ = it->get();
	channel->index_->channels[channel->index_key_].push_back(channel);
}

void
ViewFeed::remove(Channel *channel)
{
	if (FilterIndex *index = channel->index_)
	{
		auto it = index->channels.find(channel->index_key_);
		auto &list = it->second;

		list.erase(std::remove(list.begin(), list.end(), channel), list.end());
		if (list.empty())
			index->channels.erase(it);
		if (index->channels.empty())
			indexes_.erase(std::find_if(indexes_.begin(), indexes_.end(),
										[&](auto &item) { return item.get() == index; }));
	}
	ColumnSet *set = &channel->columns();
	channels_.erase(channels_.find(channel->text_));
	if (--set->users == 0)
		column_sets_.erase(std::find_if(column_sets_.begin(), column_sets_.end(),
										[&](auto &item) { return item.get() == set; }));
}

std::vector<bool>
ViewFeed::needed_columns() const
{
	std::vector<bool> needed(info_.columns.size(), false);

	for (int column : info_.key)
		needed[column] = true;
	for (auto &set : column_sets_)
		for (int column : set->columns())
			needed[column] = true;
	for (auto &index : indexes_)
		for (int column : index->columns)
			needed[column] = true;
	return needed;
}

Spool &
ViewFeed::unit_of(Channel *channel)
{
	auto [it, inserted] = unit_index_.emplace(channel, units_.size());

	if (inserted)
		units_.emplace_back(channel, std::make_shared<Spool>(spool_directory_, kUnitMemory));
	return *units_[it->second].second;
}

Units
ViewFeed::take_units()
{
	for (auto &unit : units_)
		unit.second->finish();
	unit_index_.clear();
	row_diffs_.clear();
	return std::exchange(units_, {});
}

template <typename Fn>
void
ViewFeed::for_each_match(const FilterIndex &index, const std::string &key, Fn &&fn)
{
	auto it = index.channels.find(key);

	if (it == index.channels.end())
		return;
	for (Channel *channel : it->second)
		if (selected_ == 0 || channel->wanted == selected_)
			fn(channel);
}

void
ViewFeed::route_keyed(const NetChanges::Entry &entry)
{
	if (!entry.had && !entry.has)
		return;
	if (entry.had && entry.has && entry.before == entry.after)
		return;
	serial_++;

	std::string removed;
	auto add = [&](Channel *channel)
	{
		unit_of(channel).add(channel->columns().added(info_, entry.after, serial_));
	};
	auto remove = [&](Channel *channel)
	{
		if (removed.empty())
			removed = "[\"-\",[" + entry.before.key(info_.key) + "]]";
		unit_of(channel).add(removed);
	};
	auto change = [&](Channel *channel)
	{
		const std::string &text = channel->columns().changed(info_, entry, serial_);
		if (!text.empty())
			unit_of(channel).add(text);
	};

	for (auto &index : indexes_)
	{
		std::string before = entry.had ? entry.before.key(index->columns) : std::string();
		std::string after = entry.has ? entry.after.key(index->columns) : std::string();

		if (entry.had && entry.has && before == after)
			for_each_match(*index, after, change);
		else
		{
			if (entry.had)
				for_each_match(*index, before, remove);
			if (entry.has)
				for_each_match(*index, after, add);
		}
	}
}

/* Rows that differ only in columns a channel does not have are equal to it: summed per channel. */
void
ViewFeed::route_unkeyed(const NetChanges::Entry &entry)
{
	if (entry.diff == 0)
		return;
	serial_++;
	for (auto &index : indexes_)
		for_each_match(*index, entry.after.key(index->columns),
					   [&](Channel *channel)
					   {
						   auto &rows = row_diffs_[channel];
						   auto [it, inserted] = rows.emplace(channel->columns().object(info_,
																						entry.after,
																						serial_),
															  RowDiff());
						   if (inserted)
							   it->second.order = rows.size();
						   it->second.diff += entry.diff;
					   });
}

void
ViewFeed::finish_unkeyed()
{
	for (auto &item : row_diffs_)
	{
		std::vector<std::pair<const std::string *, RowDiff>> rows;

		for (auto &row : item.second)
			if (row.second.diff != 0)
				rows.emplace_back(&row.first, row.second);
		std::sort(rows.begin(), rows.end(),
				  [](auto &a, auto &b) { return a.second.order < b.second.order; });
		for (auto &row : rows)
			unit_of(item.first).add("[" + std::to_string(row.second.diff) + "," + *row.first + "]");
	}
}

Units
ViewFeed::route(const NetChanges &changes)
{
	units_.clear();
	unit_index_.clear();
	row_diffs_.clear();
	for (const NetChanges::Entry &entry : changes.entries())
	{
		if (changes.keyed())
			route_keyed(entry);
		else
			route_unkeyed(entry);
	}
	finish_unkeyed();
	return take_units();
}

void
ViewFeed::begin_snapshot(const std::vector<Channel *> &channels)
{
	units_.clear();
	unit_index_.clear();
	row_diffs_.clear();
	select_none();
	for (Channel *channel : channels)
	{
		want(channel);
		unit_of(channel);
	}
}

void
ViewFeed::add_snapshot_row(const Row &row, int64_t copies)
{
	serial_++;
	for (auto &index : indexes_)
		for_each_match(*index, row.key(index->columns),
					   [&](Channel *channel)
					   {
						   Spool &unit = unit_of(channel);
						   for (int64_t i = 0; i < copies; i++)
							   unit.add(channel->columns().object(info_, row, serial_));
					   });
}

Units
ViewFeed::finish_snapshot()
{
	return take_units();
}

} // namespace tw::gateway
