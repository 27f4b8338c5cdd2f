/*
 * connection.hpp - sockets, their subscriptions, and single reads over HTTP.
 */
#pragma once

#include "gateway/core/out_queue.hpp"
#include "gateway/core/view_feed.hpp"
#include "wire/frame.hpp"
#include "wire/message.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tw::gateway
{

class Connection;

/* Something that wants to read a view: a subscription or one GET. */
struct Reader
{
	enum class State
	{
		kRequested, /* the name is not looked up yet */
		kPrepared,  /* has its channel, waits for its first rows */
		kLive
	};

	static constexpr int64_t kFromSnapshot = -1;
	static constexpr int64_t kFromNow = -2;

	wire::Subscribe wish;
	uint32_t view_oid = 0; /* 0: to be looked up by the wish */
	State state = State::kRequested;
	Channel *channel = nullptr;
	int64_t from = kFromSnapshot; /* where prepared: the version to catch up from */
	bool ready = false;           /* its read is done */
	Unit unit;                    /* what was read for it; null: nothing */
	bool is_http = false;
};

struct Subscription : Reader
{
	Connection *connection = nullptr;
	int64_t at = 0;   /* version whose state it has been given; where live and not lagging: all */
	int64_t sent = 0; /* version of the last `pos` sent */
	size_t slot = 0;  /* index in channel->subscribers */
};

struct HttpRead : Reader
{
	void *host = nullptr;
	bool list_views = false; /* GET /v1/views */
	/* the answer */
	bool done = false;
	int status = 200;
	std::string body; /* where there are no rows */
	Unit rows;
	std::string position;
	std::string key;
};

class Connection
{
  public:
	uint64_t id = 0;
	void *host = nullptr;
	std::string endpoint; /* path of an endpoint socket; empty: /v1/stream */
	std::map<std::string, std::unique_ptr<Subscription>> subscriptions;
	OutQueue queue;
	bool lagging = false; /* gets no deltas until its queue is empty and it has caught up */
	bool listed = false;  /* in the hub's list of sockets with output */
	bool closing = false; /* to be closed once the queue is empty */
	uint16_t close_code = 0;
	std::string close_reason;
	int64_t progress_ms = 0; /* when the queue last moved or was empty */
	int64_t heard_ms = 0;    /* when the client was last heard */
	int64_t ping_ms = 0;     /* when the last ping was due */
	bool ping_due = false;

	/* the unit of the version at hand */
	std::vector<std::pair<Subscription *, Unit>> unit;
};

} // namespace tw::gateway
