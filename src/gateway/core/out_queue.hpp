/*
 * out_queue.hpp - what one socket is still to be sent, in order.
 *
 * Ready messages count against the socket's limit. Paced ones (snapshots, long
 * units) are chunks of a spool that many sockets may share; a message of them
 * is made when the socket can take it, so they don't count.
 */
#pragma once

#include "gateway/core/spool.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <string>

namespace tw::gateway
{

class OutQueue
{
  public:
	bool empty() const { return items_.empty(); }
	size_t bytes() const { return bytes_; }

	void push(std::string message);
	/* One message per chunk: head + chunk + tail_more, the last one with tail_last. */
	void push_paced(std::shared_ptr<const Spool> spool, std::string head, std::string tail_more,
					std::string tail_last, const void *owner = nullptr);
	/* Drops what is left of the paced messages of this owner; never of others. */
	void cancel(const void *owner);
	/* Takes the next message; false: there is none. Throws where a spool cannot be read. */
	bool take(std::string *message);
	void clear();

  private:
	struct Item
	{
		std::string text;
		std::shared_ptr<const Spool> spool;
		size_t next = 0;
		const void *owner = nullptr;
		std::string tail_more;
		std::string tail_last;
	};

	std::deque<Item> items_;
	size_t bytes_ = 0;
};

} // namespace tw::gateway
