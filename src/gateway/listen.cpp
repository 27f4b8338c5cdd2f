/*
 * listen.cpp - the listening sockets.
 *
 * Opened here and not by libwebsockets, which can listen on one interface by
 * name only and says nothing useful where a port is taken.
 */
#include "gateway/host_private.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tw::gateway
{

static void
on_listener(uv_poll_t *poll, int, int)
{
	auto *listener = static_cast<Host::Listener *>(poll->data);

	listener->host->on_accept(listener);
}

static void
on_listener_closed(uv_handle_t *handle)
{
	delete static_cast<Host::Listener *>(handle->data);
}

void
Host::close_listeners()
{
	for (Listener *listener : listeners_)
	{
		uv_poll_stop(&listener->poll);
		close(listener->fd);
		uv_close(reinterpret_cast<uv_handle_t *>(&listener->poll), on_listener_closed);
	}
	listeners_.clear();
}

/* A socket that listens on the address; -1 with errno. */
static int
open_listener(const addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		(void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && ::listen(fd, 1024) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

bool
Host::listen(const HostSettings &wanted, std::vector<std::string> *problems)
{
	std::string port = std::to_string(wanted.port);

	close_listeners();
	service(); /* handles are closed in the loop */
	for (const std::string &name : wanted.addresses)
	{
		addrinfo hints;
		addrinfo *found = nullptr;

		memset(&hints, 0, sizeof(hints));
		hints.ai_family = AF_UNSPEC;
		hints.ai_socktype = SOCK_STREAM;
		hints.ai_flags = AI_PASSIVE;
		int result = getaddrinfo(name == "*" ? nullptr : name.c_str(), port.c_str(), &hints,
								 &found);
		if (result != 0)
		{
			problems->push_back("address \"" + name + "\": " + gai_strerror(result));
			continue;
		}
		for (addrinfo *address = found; address != nullptr; address = address->ai_next)
		{
			int fd = open_listener(address);

			if (fd < 0)
			{
				if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
					problems->push_back("address \"" + name + "\", port " + port + ": " +
										strerror(errno));
				continue;
			}
			auto *listener = new Listener;
			listener->host = this;
			listener->fd = fd;
			uv_poll_init(loop_, &listener->poll, fd);
			listener->poll.data = listener;
			uv_poll_start(&listener->poll, UV_READABLE, on_listener);
			listeners_.push_back(listener);
		}
		freeaddrinfo(found);
	}
	service();
	return listening();
}

void
Host::on_accept(Listener *listener)
{
	/* A bounded number a turn: the others are served in between. */
	mark_active();
	for (int i = 0; i < 64; i++)
	{
		int fd = accept4(listener->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int on = 1;

		if (fd < 0)
		{
			if (errno == EMFILE || errno == ENFILE)
			{
				log(std::string("gateway could not accept a connection: ") + strerror(errno));
				struct timespec pause = {0, 20 * 1000 * 1000};
				nanosleep(&pause, nullptr);
			}
			return;
		}
		(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void) lws_adopt_socket(context_, fd);
	}
}

} // namespace tw::gateway
