/*
 * hub_reads.cpp - from a request to its first rows: channels, snapshots, catch-ups.
 */
#include "gateway/core/hub.hpp"

#include <algorithm>
#include <set>

namespace tw::gateway
{

static constexpr size_t kNetMemory = 64 * 1024 * 1024;
static constexpr size_t kSmall = 64 * 1024;

void
Hub::apply_endpoint(Reader *reader, std::string_view filter,
					const std::vector<std::string> &columns)
{
	wire::Subscribe &wish = reader->wish;
	std::set<std::string> used;
	std::vector<wire::Condition> fixed;

	for (wire::EndpointCondition &item : wire::parse_endpoint_filter(filter))
	{
		if (!item.param.empty())
		{
			auto argument = std::find_if(wish.params.begin(), wish.params.end(),
										 [&](const wire::Argument &a)
										 { return a.name == item.param; });

			if (argument == wish.params.end())
				throw wire::BadRequest("bad_params", wish.id,
									   "argument \"" + item.param + "\" is missing");
			item.condition.value = argument->value;
			used.insert(item.param);
		}
		fixed.push_back(item.condition);
	}
	for (const wire::Argument &argument : wish.params)
		if (used.count(argument.name) == 0)
			throw wire::BadRequest("bad_params", wish.id,
								   "endpoint has no argument \"" + argument.name + "\"");

	/* An endpoint shows what it was published with; a client may narrow that, not widen it. */
	for (const std::string &column : wish.columns)
		if (!columns.empty() && std::find(columns.begin(), columns.end(), column) == columns.end())
			throw wire::BadRequest("bad_columns", wish.id,
								   "endpoint has no column \"" + column + "\"");
	for (const wire::Condition &condition : wish.filter)
		if (!columns.empty() &&
			std::find(columns.begin(), columns.end(), condition.column) == columns.end())
			throw wire::BadRequest("bad_filter", wish.id,
								   "endpoint has no column \"" + condition.column + "\"");
	if (wish.columns.empty())
		wish.columns = columns;
	wish.filter.insert(wish.filter.end(), fixed.begin(), fixed.end());
	wish.params.clear();
	wish.endpoint.clear(); /* a restart begins with the wish as it is now */
}

void
Hub::prepare(Reader *reader, ViewInfo info, std::vector<int> columns,
			 std::vector<FilterTerm> filter)
{
	uint32_t oid = info.oid;
	ViewFeed *view = find_view(oid);

	requests_.pop_front();
	if (view != nullptr && (!view->info().same_shape(info) || view->info().epoch != info.epoch))
	{
		restart_view(view, view->info().epoch != info.epoch ? "epoch" : "definition");
		view = nullptr;
	}
	if (view == nullptr)
		view = views_.emplace(oid, std::make_unique<ViewFeed>(std::move(info), spool_directory_))
				   .first->second.get();

	Channel *channel = view->find_or_add(
		make_spec(view->info(), std::move(columns), std::move(filter)));
	channel->users++;
	reader->channel = channel;
	reader->view_oid = oid;
	reader->state = Reader::State::kPrepared;
	reader->from = reader->wish.snapshot ? Reader::kFromSnapshot : Reader::kFromNow;
	if (!reader->wish.resume.empty())
	{
		int64_t from = channel->understand(reader->wish.resume);

		if (from >= 0 && from <= version_)
			reader->from = from;
	}
	if (!reader->is_http)
	{
		auto *subscription = static_cast<Subscription *>(reader);

		subscription->slot = channel->subscribers.size();
		channel->subscribers.push_back(subscription);
	}
	prepared_.push_back(reader);
}

void
Hub::answer(HttpRead *read, std::string body)
{
	leave(read);
	read->done = true;
	read->body = std::move(body);
	answers_.push_back(read);
}

static void
add_to_jobs(std::vector<ReadJob> &jobs, Reader *reader, int64_t from)
{
	ViewFeed *view = &reader->channel->view();
	auto it = std::find_if(jobs.begin(), jobs.end(),
						   [&](const ReadJob &job)
						   { return job.view == view && job.from == from; });

	if (it == jobs.end())
	{
		jobs.emplace_back();
		it = std::prev(jobs.end());
		it->view = view;
		it->from = from;
	}
	it->readers.push_back(reader);
}

std::vector<ReadJob>
Hub::plan_reads()
{
	std::vector<ReadJob> jobs;

	for (Reader *reader : prepared_)
	{
		if (reader->ready)
			continue;
		if (reader->from == Reader::kFromNow || reader->from == version_)
			reader->ready = true;
		else
			add_to_jobs(jobs, reader, reader->from);
	}
	for (Connection *connection : catching_up_)
		for (auto &item : connection->subscriptions)
		{
			Subscription *subscription = item.second.get();

			if (subscription->state == Reader::State::kLive && !subscription->ready &&
				subscription->at < version_)
				add_to_jobs(jobs, subscription, subscription->at);
		}
	return jobs;
}

void
Hub::begin_read(ReadJob *job)
{
	job_ = job;
	too_many_ = false;
	net_.reset();
	std::vector<Channel *> channels;
	for (Reader *reader : job->readers)
		channels.push_back(reader->channel);
	if (job->from == Reader::kFromSnapshot)
		return job->view->begin_snapshot(channels);
	net_ = std::make_unique<NetChanges>(job->view->info());
	job->view->select_none();
	for (Channel *channel : channels)
		job->view->want(channel);
}

bool
Hub::add_row(int64_t version, int64_t diff, Row row)
{
	if (!net_)
	{
		job_->view->add_snapshot_row(row, diff);
		return true;
	}
	net_->add(version, diff, std::move(row));
	too_many_ = net_->memory() > kNetMemory;
	return !too_many_;
}

void
Hub::end_read()
{
	ReadJob *job = std::exchange(job_, nullptr);

	if (too_many_)
		return read_expired(job, "too_many_changes");
	Units units = net_ ? job->view->route(*net_) : job->view->finish_snapshot();
	net_.reset();
	std::unordered_map<Channel *, Unit> by_channel(units.begin(), units.end());
	for (Reader *reader : job->readers)
	{
		auto it = by_channel.find(reader->channel);

		reader->ready = true;
		if (it != by_channel.end())
			reader->unit = it->second;
	}
}

void
Hub::read_expired(ReadJob *job, const char *reason)
{
	net_.reset();
	for (Reader *reader : job->readers)
	{
		if (reader->state == Reader::State::kPrepared)
			reader->from = Reader::kFromSnapshot;
		else
			restart(static_cast<Subscription *>(reader), reason);
	}
}

void
Hub::activate()
{
	for (Reader *reader : std::exchange(prepared_, {}))
	{
		reader->state = Reader::State::kLive;
		if (reader->is_http)
			activate_http(static_cast<HttpRead *>(reader));
		else
			activate_subscription(static_cast<Subscription *>(reader));
		reader->unit.reset();
		reader->ready = false;
	}
	for (Connection *connection : std::exchange(catching_up_, {}))
		activate_lagging(connection);
}

void
Hub::activate_subscription(Subscription *subscription)
{
	Connection *connection = subscription->connection;
	Channel *channel = subscription->channel;
	const std::string &id = subscription->wish.id;
	std::string shape = channel->shape();

	subscription->at = version_;
	if (subscription->from != Reader::kFromSnapshot)
	{
		bool recovered = subscription->from >= 0;

		subscription->sent = recovered ? subscription->from : version_;
		send(connection,
			 wire::subscribed(id, shape, true, recovered, channel->position(subscription->sent)));
		metrics.recovered += recovered ? 1 : 0;
		if (subscription->unit)
		{
			metrics.catch_ups++;
			connection->unit.emplace_back(subscription, subscription->unit);
			send_catch_up(connection);
		}
		return;
	}
	std::string pos = channel->position(version_);
	metrics.snapshots++;
	subscription->sent = version_;
	send(connection, wire::subscribed(id, shape, false, false, pos));
	if (subscription->unit->chunks() == 1 && subscription->unit->bytes() <= kSmall)
	{
		std::string message = wire::snapshot_head(id);

		subscription->unit->read(0, &message);
		send(connection, message + wire::snapshot_tail(pos, false));
		return;
	}
	connection->queue.push_paced(subscription->unit, wire::snapshot_head(id),
								 wire::snapshot_tail(pos, true), wire::snapshot_tail(pos, false),
								 subscription);
	list_ready(connection);
}

void
Hub::activate_http(HttpRead *read)
{
	const ViewInfo &info = read->channel->view().info();

	read->done = true;
	read->position = read->channel->position(version_);
	for (int column : info.key)
		read->key += (read->key.empty() ? "[" : ",") + info.columns[column].json_name;
	read->key += info.key.empty() ? "null" : "]";
	read->state = Reader::State::kLive;
	read->rows = read->unit;
	leave(read);
	answers_.push_back(read);
}

/* All subscriptions of the socket move to version() in one unit. */
void
Hub::activate_lagging(Connection *connection)
{
	connection->lagging = false;
	for (auto &item : connection->subscriptions)
	{
		Subscription *subscription = item.second.get();

		if (subscription->state != Reader::State::kLive)
			continue;
		subscription->at = version_;
		subscription->ready = false;
		if (subscription->unit)
			connection->unit.emplace_back(subscription, std::exchange(subscription->unit, {}));
	}
	if (connection->unit.empty())
		return;
	metrics.catch_ups++;
	send_catch_up(connection);
}

} // namespace tw::gateway
