/*
 * out_queue.cpp - what one socket is still to be sent, in order.
 */
#include "gateway/core/out_queue.hpp"

#include <algorithm>

namespace tw::gateway
{

void
OutQueue::push(std::string message)
{
	bytes_ += message.size();
	items_.emplace_back();
	items_.back().text = std::move(message);
}

void
OutQueue::push_paced(std::shared_ptr<const Spool> spool, std::string head, std::string tail_more,
					 std::string tail_last, const void *owner)
{
	items_.emplace_back();
	Item &item = items_.back();
	item.text = std::move(head);
	item.spool = std::move(spool);
	item.tail_more = std::move(tail_more);
	item.tail_last = std::move(tail_last);
	item.owner = owner;
}

void
OutQueue::cancel(const void *owner)
{
	items_.erase(std::remove_if(items_.begin(), items_.end(),
								[&](const Item &item)
								{ return item.spool && item.owner == owner; }),
				 items_.end());
}

bool
OutQueue::take(std::string *message)
{
	if (items_.empty())
		return false;

	Item &item = items_.front();
	if (!item.spool)
	{
		bytes_ -= item.text.size();
		*message = std::move(item.text);
		items_.pop_front();
		return true;
	}
	*message = item.text;
	item.spool->read(item.next++, message);
	if (item.next < item.spool->chunks())
		*message += item.tail_more;
	else
	{
		*message += item.tail_last;
		items_.pop_front();
	}
	return true;
}

void
OutQueue::clear()
{
	items_.clear();
	bytes_ = 0;
}

} // namespace tw::gateway
