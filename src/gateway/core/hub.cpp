/*
 * hub.cpp - connections, what they say, and how they end.
 */
#include "gateway/core/hub.hpp"

#include <algorithm>

namespace tw::gateway
{

static constexpr int64_t kStallMs = 30 * 1000;
static constexpr int64_t kSilenceMs = 3 * 1000 * static_cast<int64_t>(kPingSeconds);

template <typename T>
static void
erase_value(T &list, typename T::value_type value)
{
	list.erase(std::remove(list.begin(), list.end(), value), list.end());
}

static wire::ErrorInfo
error_info(const char *code, std::string message)
{
	wire::ErrorInfo info;

	info.code = code;
	info.message = std::move(message);
	return info;
}

void
Hub::list_ready(Connection *connection)
{
	if (connection->listed)
		return;
	connection->listed = true;
	ready_.push_back(connection);
}

std::vector<Connection *>
Hub::take_ready()
{
	for (Connection *connection : ready_)
		connection->listed = false;
	return std::exchange(ready_, {});
}

void
Hub::send(Connection *connection, std::string message)
{
	if (connection->closing)
		return;
	connection->queue.push(std::move(message));
	list_ready(connection);
	/* Deltas never get here (see send_unit): this client asks and does not read. */
	if (connection->queue.bytes() > 2 * static_cast<size_t>(kQueueLimit))
	{
		metrics.slow_consumers++;
		close_now(connection, kSlowConsumer, "slow consumer");
	}
}

void
Hub::close(Connection *connection, uint16_t code, std::string reason)
{
	if (connection->closing)
		return;
	connection->closing = true;
	connection->close_code = code;
	connection->close_reason = std::move(reason);
	list_ready(connection);
}

void
Hub::close_now(Connection *connection, uint16_t code, std::string reason)
{
	connection->queue.clear();
	close(connection, code, std::move(reason));
}

Connection *
Hub::open(void *host, int64_t now_ms)
{
	auto connection = std::make_unique<Connection>();
	Connection *result = connection.get();

	result->id = next_id_++;
	result->host = host;
	result->progress_ms = result->heard_ms = result->ping_ms = now_ms;
	connections_.emplace(result->id, std::move(connection));
	metrics.connections_total++;
	return result;
}

void
Hub::admit(Connection *connection, std::string endpoint, wire::Subscribe wish)
{
	send(connection, wire::welcome(session_prefix_ + "-" + std::to_string(connection->id), server_,
								   {kFrameLimit, kSubscriptionLimit, kQueueLimit}, kPingSeconds));
	connection->endpoint = std::move(endpoint);
	if (connection->endpoint.empty())
		return;
	wish.id = "0";
	wish.endpoint = connection->endpoint;
	subscribe(connection, std::move(wish));
}

void
Hub::gone(Connection *connection)
{
	for (auto &item : connection->subscriptions)
		leave(item.second.get());
	subscription_count_ -= connection->subscriptions.size();
	erase_value(ready_, connection);
	erase_value(catching_up_, connection);
	connections_.erase(connection->id);
}

void
Hub::received(Connection *connection, std::string_view frame, bool binary, int64_t now_ms)
{
	connection->heard_ms = now_ms;
	metrics.frames_in++;
	metrics.bytes_in += frame.size();
	if (connection->closing)
		return;
	if (binary)
		return close(connection, kMalformed, "binary message");
	try
	{
		on_message(connection, wire::parse_message(frame));
	}
	catch (const wire::Malformed &e)
	{
		close(connection, kMalformed, e.what());
	}
	catch (const wire::BadRequest &e)
	{
		metrics.errors++;
		send(connection, wire::error(e.id(), error_info(e.code().c_str(), e.what())));
	}
}

void
Hub::on_message(Connection *connection, const wire::Message &message)
{
	switch (message.type)
	{
		case wire::MessageType::kPing:
			return send(connection, wire::pong());
		case wire::MessageType::kAck:
			return;
		case wire::MessageType::kSubscribe:
			return subscribe(connection, message.subscribe);
		case wire::MessageType::kUnsubscribe:
		{
			auto it = connection->subscriptions.find(message.id);

			if (it == connection->subscriptions.end())
				throw wire::BadRequest("unknown_subscription", message.id,
									   "no subscription has this id");
			return end_subscription(it->second.get(), "unsubscribed");
		}
	}
}

void
Hub::subscribe(Connection *connection, wire::Subscribe wish)
{
	if (connection->subscriptions.count(wish.id) > 0)
		throw wire::BadRequest("duplicate_id", wish.id, "a subscription with this id is running");
	if (connection->subscriptions.size() >= kSubscriptionLimit)
		throw wire::BadRequest("too_many_subscriptions", wish.id,
							   "a connection may have " + std::to_string(kSubscriptionLimit) +
								   " subscriptions");
	auto subscription = std::make_unique<Subscription>();
	Subscription *result = subscription.get();

	result->connection = connection;
	result->wish = std::move(wish);
	connection->subscriptions.emplace(result->wish.id, std::move(subscription));
	subscription_count_++;
	metrics.subscriptions_total++;
	request(result);
}

void
Hub::request(Reader *reader)
{
	reader->state = Reader::State::kRequested;
	reader->ready = false;
	reader->unit.reset();
	requests_.push_back(reader);
}

/* Takes the reader out of everything that refers to it; its channel and view go with their last reader. */
void
Hub::leave(Reader *reader)
{
	Channel *channel = reader->channel;

	if (reader->state == Reader::State::kRequested)
		erase_value(requests_, reader);
	if (reader->state == Reader::State::kPrepared)
		erase_value(prepared_, reader);
	reader->unit.reset();
	reader->ready = false;
	if (channel == nullptr)
		return;

	reader->channel = nullptr;
	if (!reader->is_http)
	{
		auto *subscription = static_cast<Subscription *>(reader);
		auto &list = channel->subscribers;

		subscription->connection->queue.cancel(subscription);
		list[subscription->slot] = list.back();
		list[subscription->slot]->slot = subscription->slot;
		list.pop_back();
	}
	if (--channel->users > 0)
		return;
	ViewFeed &view = channel->view();
	view.remove(channel);
	if (view.empty())
		views_.erase(view.info().oid);
}

void
Hub::end_subscription(Subscription *subscription, const char *reason)
{
	Connection *connection = subscription->connection;
	std::string id = subscription->wish.id;

	leave(subscription);
	connection->subscriptions.erase(id);
	subscription_count_--;
	send(connection, wire::complete(id, reason));
	if (!connection->endpoint.empty())
		close(connection, 1000, reason);
}

/* The subscription begins anew, with the view it has, whatever its name is now. */
void
Hub::restart(Subscription *subscription, const char *reason)
{
	metrics.resets++;
	leave(subscription);
	send(subscription->connection, wire::reset(subscription->wish.id, reason));
	subscription->wish.resume.clear();
	subscription->wish.snapshot = true;
	request(subscription);
}

static uint16_t
close_code_of(const std::string &error)
{
	if (error == "not_found" || error == "not_live" || error == "feed_off")
		return kNotFound;
	if (error == "forbidden")
		return kForbidden;
	if (error == "internal" || error == "unavailable")
		return kServerError;
	return kMalformed;
}

static int
status_of(const std::string &error)
{
	if (error == "not_found" || error == "not_live" || error == "feed_off")
		return 404;
	if (error == "forbidden")
		return 403;
	if (error == "unauthenticated")
		return 401;
	if (error == "internal" || error == "unavailable")
		return 503;
	return 400;
}

void
Hub::fail(Reader *reader, wire::ErrorInfo error)
{
	metrics.errors++;
	leave(reader);
	if (reader->is_http)
	{
		auto *read = static_cast<HttpRead *>(reader);

		read->done = true;
		read->status = status_of(error.code);
		read->body = wire::http_error(error);
		answers_.push_back(read);
		return;
	}
	auto *subscription = static_cast<Subscription *>(reader);
	Connection *connection = subscription->connection;
	std::string id = subscription->wish.id;

	connection->subscriptions.erase(id);
	subscription_count_--;
	send(connection, wire::error(id, error));
	if (!connection->endpoint.empty())
		close(connection, close_code_of(error.code), error.message.substr(0, 100));
}

static std::vector<Subscription *>
subscriptions_of(ViewFeed *view)
{
	std::vector<Subscription *> out;

	view->for_each_channel(
		[&](Channel *channel)
		{ out.insert(out.end(), channel->subscribers.begin(), channel->subscribers.end()); });
	return out;
}

void
Hub::end_subscriptions(ViewFeed *view, const char *reason)
{
	for (Subscription *subscription : subscriptions_of(view))
		end_subscription(subscription, reason);
}

void
Hub::fail_view(ViewFeed *view, const wire::ErrorInfo &error)
{
	std::vector<Reader *> waiting;

	for (Reader *reader : prepared_)
		if (&reader->channel->view() == view && reader->is_http)
			waiting.push_back(reader);
	for (Subscription *subscription : subscriptions_of(view))
	{
		if (subscription->state != Reader::State::kLive)
		{
			waiting.push_back(subscription);
			continue;
		}
		metrics.errors++;
		send(subscription->connection, wire::error(subscription->wish.id, error));
		end_subscription(subscription, "error");
	}
	for (Reader *reader : waiting)
		fail(reader, error);
}

void
Hub::restart_view(ViewFeed *view, const char *reason)
{
	std::vector<Reader *> waiting;

	for (Reader *reader : prepared_)
		if (&reader->channel->view() == view)
			waiting.push_back(reader);
	for (Subscription *subscription : subscriptions_of(view))
		if (subscription->state == Reader::State::kLive)
			restart(subscription, reason);
	/* Those that have been sent nothing yet are looked up again. */
	for (Reader *reader : waiting)
	{
		leave(reader);
		request(reader);
	}
}

void
Hub::revoke(Channel *channel)
{
	std::vector<Subscription *> subscriptions = channel->subscribers;
	wire::ErrorInfo error = error_info("forbidden",
									   "permission denied for view " + channel->view().info().name);

	error.sqlstate = "42501";
	for (Subscription *subscription : subscriptions)
	{
		metrics.errors++;
		send(subscription->connection, wire::error(subscription->wish.id, error));
		end_subscription(subscription, "forbidden");
	}
}

void
Hub::close_anonymous()
{
	for (auto &item : connections_)
		close_now(item.second.get(), kUnauthenticated, "anonymous access is switched off");
}

void
Hub::drained(Connection *connection)
{
	if (connection->lagging && !connection->closing &&
		std::find(catching_up_.begin(), catching_up_.end(), connection) == catching_up_.end())
		catching_up_.push_back(connection);
}

bool
Hub::has_work() const
{
	return !requests_.empty() || !catching_up_.empty() || stale_;
}

void
Hub::heartbeat(int64_t now_ms)
{
	for (auto &item : connections_)
	{
		Connection *connection = item.second.get();

		if (connection->closing)
			continue;
		if (connection->queue.empty())
			connection->progress_ms = now_ms;
		else if (now_ms - connection->progress_ms > kStallMs)
		{
			metrics.slow_consumers++;
			close_now(connection, kSlowConsumer, "slow consumer");
			continue;
		}
		if (now_ms - connection->heard_ms > kSilenceMs)
		{
			close_now(connection, kHeartbeat, "no answer to pings");
			continue;
		}
		if (now_ms - connection->ping_ms < kPingSeconds * 1000)
			continue;
		connection->ping_ms = now_ms;
		connection->ping_due = true;
		list_ready(connection);
		if (connection->lagging)
			continue;
		for (auto &entry : connection->subscriptions)
		{
			Subscription *subscription = entry.second.get();

			if (subscription->state != Reader::State::kLive || subscription->sent >= version_)
				continue;
			send(connection,
				 wire::progress(subscription->wish.id, subscription->channel->position(version_)));
			subscription->sent = version_;
		}
	}
}

void
Hub::going_away()
{
	for (auto &item : connections_)
	{
		send(item.second.get(), wire::going_away(1000));
		close(item.second.get(), kGoingAway, "server shuts down");
	}
}

HttpRead *
Hub::http_read(void *host, wire::Subscribe wish)
{
	auto read = std::make_unique<HttpRead>();
	HttpRead *result = read.get();

	result->is_http = true;
	result->host = host;
	result->wish = std::move(wish);
	http_reads_.push_back(std::move(read));
	request(result);
	return result;
}

HttpRead *
Hub::http_list(void *host)
{
	HttpRead *read = http_read(host, {});

	read->list_views = true;
	return read;
}

void
Hub::forget(HttpRead *read)
{
	leave(read);
	erase_value(answers_, read);
	http_reads_.erase(std::find_if(http_reads_.begin(), http_reads_.end(),
								   [&](auto &item) { return item.get() == read; }));
}

std::vector<HttpRead *>
Hub::take_answers()
{
	return std::exchange(answers_, {});
}

ViewFeed *
Hub::find_view(uint32_t oid)
{
	auto it = views_.find(oid);

	return it == views_.end() ? nullptr : it->second.get();
}

void
Hub::mark_stale(uint32_t oid) noexcept
{
	for (auto &item : views_)
		if (oid == 0 || item.first == oid || item.second->info().log == oid)
			item.second->stale = stale_ = true;
}

size_t
Hub::channel_count() const
{
	size_t n = 0;

	for (auto &item : views_)
		n += item.second->channel_count();
	return n;
}

size_t
Hub::lagging_count() const
{
	size_t n = 0;

	for (auto &item : connections_)
		n += item.second->lagging ? 1 : 0;
	return n;
}

size_t
Hub::queued_bytes() const
{
	size_t n = 0;

	for (auto &item : connections_)
		n += item.second->queue.bytes();
	return n;
}

} // namespace tw::gateway
