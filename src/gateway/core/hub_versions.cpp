/*
 * hub_versions.cpp - cuts the changes of new versions into units and queues them.
 */
#include "gateway/core/hub.hpp"

namespace tw::gateway
{

/* Above this a difference is not held in memory: its readers get snapshots, which are not either. */
static constexpr size_t kNetMemory = 64 * 1024 * 1024;

void
Hub::begin_versions()
{
	stamps_.clear();
	staged_.clear();
	overflowed_.clear();
	net_.reset();
	reading_ = nullptr;
	job_ = nullptr;
	/* What an earlier, failed round has read is of an older version. */
	auto forget_read = [](Reader *reader)
	{
		reader->ready = false;
		reader->unit.reset();
	};
	for (Reader *reader : prepared_)
		forget_read(reader);
	for (Connection *connection : catching_up_)
		for (auto &item : connection->subscriptions)
			forget_read(item.second.get());
}

void
Hub::add_version(int64_t version, std::string ts)
{
	stamps_.emplace(version, std::move(ts));
}

std::vector<ViewFeed *>
Hub::views_in_use()
{
	std::vector<ViewFeed *> out;

	for (auto &item : views_)
		out.push_back(item.second.get());
	return out;
}

void
Hub::begin_view(ViewFeed *view)
{
	reading_ = view;
	too_many_ = false;
	net_.reset();
	view->select_all();
}

bool
Hub::add_change(int64_t version, int64_t diff, Row row)
{
	if (net_ && net_version_ != version)
		flush_version();
	if (!net_)
	{
		net_ = std::make_unique<NetChanges>(reading_->info());
		net_version_ = version;
	}
	net_->add(version, diff, std::move(row));
	metrics.changes++;
	too_many_ = net_->memory() > kNetMemory;
	return !too_many_;
}

void
Hub::flush_version()
{
	Units units = reading_->route(*net_);
	Units &staged = staged_[net_version_];

	staged.insert(staged.end(), units.begin(), units.end());
	net_.reset();
}

void
Hub::end_view()
{
	if (too_many_)
		overflowed_.push_back(reading_);
	else if (net_)
		flush_version();
	net_.reset();
	reading_ = nullptr;
}

void
Hub::publish(double lag_seconds)
{
	for (auto &item : stamps_)
	{
		auto units = staged_.find(item.first);

		if (units != staged_.end())
			deliver(item.first, item.second, units->second);
	}
	staged_.clear();
	if (stamps_.empty())
		return;
	version_ = stamps_.rbegin()->first;
	newest_ts_ = stamps_.rbegin()->second;
	metrics.versions += stamps_.size();
	metrics.lag_seconds = lag_seconds;
	metrics.lag_sum += lag_seconds * static_cast<double>(stamps_.size());
	stamps_.clear();
	for (ViewFeed *view : std::exchange(overflowed_, {}))
		restart_view(view, "too_many_changes");
}

/* Gathers what the version brings for each socket, then queues it as one unit per socket. */
void
Hub::deliver(int64_t version, const std::string &ts, const Units &units)
{
	std::vector<Connection *> touched;

	for (auto &item : units)
	{
		bool overflowed = false;

		for (ViewFeed *view : overflowed_)
			overflowed = overflowed || view == &item.first->view();
		if (overflowed)
			continue;
		for (Subscription *subscription : item.first->subscribers)
		{
			Connection *connection = subscription->connection;

			if (subscription->state != Reader::State::kLive || connection->lagging ||
				connection->closing || subscription->at >= version)
				continue;
			if (connection->unit.empty())
				touched.push_back(connection);
			connection->unit.emplace_back(subscription, item.second);
		}
	}
	for (Connection *connection : touched)
		send_unit(connection, version, ts);
}

/*
 * Queues connection->unit. A unit for which there is no room in the queue makes
 * the socket lag: nothing more is queued until it has read what it has, then it
 * gets the net difference. A unit larger than the whole queue is sent chunk by
 * chunk where nothing else waits.
 */
void
Hub::send_unit(Connection *connection, int64_t version, const std::string &ts)
{
	size_t size = connection->queue.bytes();

	for (auto &item : connection->unit)
		size += item.second->bytes() + 256 * item.second->chunks();
	bool paced = size > kQueueLimit;
	if (!paced || connection->queue.empty())
		return queue_unit(connection, version, ts, paced);
	connection->unit.clear();
	start_lagging(connection, version);
}

/* A net difference up to version(): never refused, as it is not sent before the queue is empty. */
void
Hub::send_catch_up(Connection *connection)
{
	size_t size = connection->queue.bytes();

	for (auto &item : connection->unit)
		size += item.second->bytes() + 256 * item.second->chunks();
	queue_unit(connection, version_, newest_ts_, size > kQueueLimit);
}

void
Hub::queue_unit(Connection *connection, int64_t version, const std::string &ts, bool paced)
{
	auto unit = std::exchange(connection->unit, {});

	for (size_t i = 0; i < unit.size(); i++)
	{
		Subscription *subscription = unit[i].first;
		const Unit &spool = unit[i].second;
		std::string prev = subscription->channel->position(subscription->sent);
		std::string head = wire::delta_head(subscription->wish.id,
											subscription->channel->position(version), prev, ts);
		bool last_of_unit = i + 1 == unit.size();

		subscription->sent = version;
		if (paced)
		{
			connection->queue.push_paced(spool, std::move(head), wire::delta_tail(true),
										 wire::delta_tail(!last_of_unit));
			continue;
		}
		for (size_t chunk = 0; chunk < spool->chunks(); chunk++)
		{
			std::string message = head;

			spool->read(chunk, &message);
			message += wire::delta_tail(!last_of_unit || chunk + 1 < spool->chunks());
			connection->queue.push(std::move(message));
		}
	}
	list_ready(connection);
}

void
Hub::start_lagging(Connection *connection, int64_t version)
{
	auto stamp = stamps_.find(version);
	int64_t before = stamp == stamps_.begin() ? version_ : std::prev(stamp)->first;

	connection->lagging = true;
	for (auto &item : connection->subscriptions)
		if (item.second->state == Reader::State::kLive && item.second->at < before)
			item.second->at = before;
}

} // namespace tw::gateway
