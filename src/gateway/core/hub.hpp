/*
 * hub.hpp - the heart of the gateway: who is connected, what they subscribed
 * to, and which version they have.
 *
 * The hub knows neither sockets nor the server. The host (libwebsockets) tells
 * it what arrives and takes what is to be sent; the session (SPI) asks it what
 * must be read and gives it the rows. Everything runs in one thread, and the
 * host never calls it while the session is in a transaction.
 *
 * One round of the session:
 *	1. versions: begin_versions, add_version…, for each view in use begin_view,
 *	   add_change…, end_view; then publish() cuts the changes into units and
 *	   queues them. Until publish() nothing has happened: a round that fails
 *	   is begun again.
 *	2. requests: next_request, then prepare or fail.
 *	3. reads: plan_reads, for each one begin_read, add_row…, end_read; then
 *	   activate() queues snapshots and catch-ups.
 *
 * Invariant: a live subscription whose socket does not lag has been sent, or
 * has queued, everything up to version().
 */
#pragma once

#include "gateway/core/connection.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace tw::gateway
{

constexpr uint32_t kFrameLimit = 64 * 1024;
constexpr uint32_t kSubscriptionLimit = 128;
constexpr uint32_t kQueueLimit = 1024 * 1024;
constexpr uint32_t kPingSeconds = 25;

enum CloseCode : uint16_t
{
	kGoingAway = 1001,
	kMalformed = 4400,
	kUnauthenticated = 4401,
	kForbidden = 4403,
	kNotFound = 4404,
	kTooMany = 4429,
	kServerError = 4500,
	kSlowConsumer = 4508,
	kHeartbeat = 4512
};

struct Metrics
{
	uint64_t connections_total = 0;
	uint64_t subscriptions_total = 0;
	uint64_t frames_in = 0;
	uint64_t frames_out = 0;
	uint64_t bytes_in = 0;
	uint64_t bytes_out = 0;
	uint64_t versions = 0;
	uint64_t changes = 0;
	uint64_t snapshots = 0;
	uint64_t catch_ups = 0;
	uint64_t recovered = 0;
	uint64_t resets = 0;
	uint64_t errors = 0;
	uint64_t http_requests = 0;
	uint64_t slow_consumers = 0;
	double lag_seconds = 0; /* commit to queue, newest version */
	double lag_sum = 0;
};

/* A read of one view, for all that want the same of it. */
struct ReadJob
{
	ViewFeed *view = nullptr;
	int64_t from = Reader::kFromSnapshot; /* or the version to catch up from */
	std::vector<Reader *> readers;
};

class Hub
{
  public:
	Hub(std::string server, std::string session_prefix, std::string spool_directory)
		: server_(std::move(server)), session_prefix_(std::move(session_prefix)),
		  spool_directory_(std::move(spool_directory))
	{
	}

	/* ---- for the host ---- */

	/* A new socket; either admit() or close() follows. */
	Connection *open(void *host, int64_t now_ms);
	/* Greets the client and subscribes it to the endpoint of its URL, if that names one. */
	void admit(Connection *connection, std::string endpoint, wire::Subscribe wish);
	void received(Connection *connection, std::string_view frame, bool binary, int64_t now_ms);
	void gone(Connection *connection);
	/* Asks for the socket to be closed, after what is queued or at once. */
	void close(Connection *connection, uint16_t code, std::string reason);
	void close_now(Connection *connection, uint16_t code, std::string reason);
	/* Sockets that have got something to send since the last call. */
	std::vector<Connection *> take_ready();
	/* The queue of the socket has been written out. */
	void drained(Connection *connection);
	/* Pings, progress, dead and slow sockets; about once a second. */
	void heartbeat(int64_t now_ms);
	void going_away();

	HttpRead *http_read(void *host, wire::Subscribe wish);
	HttpRead *http_list(void *host);
	void forget(HttpRead *read);
	/* Finished reads since the last call. */
	std::vector<HttpRead *> take_answers();

	/* ---- for the session ---- */

	int64_t version() const { return version_; }
	/* Where no client has seen anything yet: start here. */
	void start_at(int64_t version, std::string ts)
	{
		version_ = version;
		newest_ts_ = std::move(ts);
	}
	/* Newest of the versions added in this round. */
	int64_t newest_listed() const { return stamps_.empty() ? version_ : stamps_.rbegin()->first; }
	bool has_work() const;
	bool in_use() const { return !connections_.empty(); }

	void begin_versions();
	void add_version(int64_t version, std::string ts);
	/* Views with readers, in a stable order. */
	std::vector<ViewFeed *> views_in_use();
	void begin_view(ViewFeed *view);
	/* False: more changes than are held in memory; stop reading. */
	bool add_change(int64_t version, int64_t diff, Row row);
	void end_view();
	void publish(double lag_seconds);

	Reader *next_request() { return requests_.empty() ? nullptr : requests_.front(); }
	/* Adds the endpoint's view, filter and columns to the wish. Throws wire::BadRequest. */
	void apply_endpoint(Reader *reader, std::string_view filter,
						const std::vector<std::string> &columns);
	/* The first request is understood: reader joins the channel of its wish. */
	void prepare(Reader *reader, ViewInfo info, std::vector<int> columns,
				 std::vector<FilterTerm> filter);
	/* The first request is answered by this text (GET /v1/views). */
	void answer(HttpRead *read, std::string body);
	void fail(Reader *reader, wire::ErrorInfo error);

	/* What is still to be read; again after each round of reads, until there is nothing. */
	std::vector<ReadJob> plan_reads();
	void begin_read(ReadJob *job);
	bool add_row(int64_t version, int64_t diff, Row row);
	void end_read();
	/* The changes after job->from cannot be had: its readers get snapshots. */
	void read_expired(ReadJob *job, const char *reason);
	void activate();

	ViewFeed *find_view(uint32_t oid);
	template <typename Fn> void for_each_view(Fn &&fn)
	{
		for (auto &item : views_)
			fn(item.second.get());
	}
	/* Views whose catalogs or rights may have changed; 0: all. */
	void mark_stale(uint32_t oid) noexcept;
	bool stale() const { return stale_; }
	void clear_stale() { stale_ = false; }
	/* Subscriptions of the view end. */
	void end_subscriptions(ViewFeed *view, const char *reason);
	void fail_view(ViewFeed *view, const wire::ErrorInfo &error);
	/* Subscriptions of the view begin anew with what the catalogs say now. */
	void restart_view(ViewFeed *view, const char *reason);
	/* The role lost its right to this channel. */
	void revoke(Channel *channel);
	void close_anonymous();

	Metrics metrics;
	size_t connection_count() const { return connections_.size(); }
	size_t subscription_count() const { return subscription_count_; }
	size_t view_count() const { return views_.size(); }
	size_t channel_count() const;
	size_t lagging_count() const;
	size_t queued_bytes() const;

  private:
	void send(Connection *connection, std::string message);
	void list_ready(Connection *connection);
	void request(Reader *reader);
	void on_message(Connection *connection, const wire::Message &message);
	void subscribe(Connection *connection, wire::Subscribe wish);
	void leave(Reader *reader);
	void end_subscription(Subscription *subscription, const char *reason);
	void restart(Subscription *subscription, const char *reason);
	void flush_version();
	void deliver(int64_t version, const std::string &ts, const Units &units);
	void send_unit(Connection *connection, int64_t version, const std::string &ts);
	void send_catch_up(Connection *connection);
	void queue_unit(Connection *connection, int64_t version, const std::string &ts, bool paced);
	void start_lagging(Connection *connection, int64_t version);
	void activate_subscription(Subscription *subscription);
	void activate_http(HttpRead *read);
	void activate_lagging(Connection *connection);

	std::string server_;
	std::string session_prefix_;
	std::string spool_directory_;
	uint64_t next_id_ = 1;
	std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
	std::map<uint32_t, std::unique_ptr<ViewFeed>> views_;
	std::vector<std::unique_ptr<HttpRead>> http_reads_;
	std::deque<Reader *> requests_;
	std::vector<Reader *> prepared_;
	std::vector<Connection *> ready_;
	std::vector<HttpRead *> answers_;
	size_t subscription_count_ = 0;
	bool stale_ = false;

	int64_t version_ = -1;
	std::map<int64_t, std::string> stamps_; /* versions of this round and their commit times */
	std::map<int64_t, Units> staged_;
	std::vector<ViewFeed *> overflowed_;

	/* the read at hand */
	ViewFeed *reading_ = nullptr;
	ReadJob *job_ = nullptr;
	std::unique_ptr<NetChanges> net_;
	int64_t net_version_ = 0;
	bool too_many_ = false;
	std::vector<Connection *> catching_up_;
	std::string newest_ts_;
};

} // namespace tw::gateway
