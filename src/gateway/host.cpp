/*
 * host.cpp - WebSocket sockets: libwebsockets on libuv.
 *
 * A message is written in fragments, each only when the socket can take it,
 * so that neither libwebsockets nor the kernel collects what belongs into the
 * hub's bounded queue. See http_host.cpp for HTTP and listen.cpp for accepting.
 */
#include "gateway/host_private.hpp"
#include "gateway/core/http.hpp"

#include <cstring>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tw::gateway
{

static constexpr size_t kFragment = 64 * 1024;
/* Not in the public header, which leaves the number free for it. */
static constexpr lws_write_protocol kWriteClose = static_cast<lws_write_protocol>(4);
static Host *the_host = nullptr;

int64_t
now_ms()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

void
Host::log(std::string line) noexcept
{
	try
	{
		if (log_.size() < 100)
			log_.push_back(std::move(line));
	}
	catch (...)
	{
		/* Out of memory: nothing is logged. */
	}
}

std::vector<std::string>
Host::take_log()
{
	return std::exchange(log_, {});
}

static void
log_from_library(int, const char *line) noexcept
{
	std::string text = line;

	while (!text.empty() && text.back() == '\n')
		text.pop_back();
	if (the_host != nullptr)
		the_host->log("libwebsockets: " + text);
}

/* The one trampoline of all protocols: no exception leaves it. */
static int
callback(lws *wsi, lws_callback_reasons reason, void *user, void *in, size_t length) noexcept
{
	Host *host = the_host;

	if (host == nullptr)
		return 0;
	host->mark_active();
	try
	{
		switch (reason)
		{
			case LWS_CALLBACK_ESTABLISHED:
				return host->on_established(wsi, user);
			case LWS_CALLBACK_RECEIVE:
				return host->on_receive(wsi, user, static_cast<const char *>(in), length);
			case LWS_CALLBACK_SERVER_WRITEABLE:
				return host->on_writeable(wsi, user);
			case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
				return host->on_peer_close(user);
			case LWS_CALLBACK_RECEIVE_PONG:
				return host->on_pong(user);
			case LWS_CALLBACK_CLOSED:
				host->on_closed(user);
				return 0;
			case LWS_CALLBACK_HTTP:
				return host->on_http(wsi, user, static_cast<const char *>(in));
			case LWS_CALLBACK_HTTP_WRITEABLE:
				return host->on_http_writeable(wsi, user);
			case LWS_CALLBACK_HTTP_FILE_COMPLETION:
				return lws_http_transaction_completed(wsi) ? -1 : 0;
			case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
			case LWS_CALLBACK_CLOSED_HTTP:
				host->on_http_end(user);
				return 0;
			default:
				return 0;
		}
	}
	catch (const std::exception &e)
	{
		host->log(std::string("gateway closes a connection: ") + e.what());
	}
	catch (...)
	{
		host->log("gateway closes a connection: unexpected exception");
	}
	return -1;
}

static const lws_protocols protocols[] = {
	/* HTTP, and WebSocket clients that name no subprotocol */
	{"http", callback, sizeof(PerSocket), 4096, 0, nullptr, kFragment + 64},
	{"tailwater.v1", callback, sizeof(PerSocket), 4096, 0, nullptr, kFragment + 64},
	{nullptr, nullptr, 0, 0, 0, nullptr, 0}};

bool
Host::start()
{
	lws_context_creation_info info;
	void *loops[1];
	struct rlimit limit;

	/* Where the library lacks it, its way out of the failed start crashes (4.1.6). */
	if (access("/dev/urandom", R_OK) != 0)
		return false;
	the_host = this;
	loop_ = new uv_loop_t;
	if (uv_loop_init(loop_) != 0)
		return false;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max)
	{
		limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
		(void) setrlimit(RLIMIT_NOFILE, &limit);
	}
	lws_set_log_level(LLL_ERR, log_from_library);

	memset(&info, 0, sizeof(info));
	loops[0] = loop_;
	info.foreign_loops = loops;
	info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN;
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.gid = static_cast<gid_t>(-1);
	info.uid = static_cast<uid_t>(-1);
	info.pt_serv_buf_size = 128 * 1024;
	info.max_http_header_data = 16 * 1024;
	info.max_http_header_pool = 256;
	info.timeout_secs = 20;
	info.keepalive_timeout = 30;
	info.server_string = "tailwater";
	context_ = lws_create_context(&info);
	return context_ != nullptr;
}

int
Host::poll_fd() const
{
	return uv_backend_fd(loop_);
}

int
Host::timeout() const
{
	uv_update_time(loop_);
	return uv_backend_timeout(loop_);
}

/*
 * libuv tells epoll of new interests only at the start of a poll: it is run
 * again until nothing has happened any more.
 */
void
Host::service()
{
	for (int i = 0; i < 16; i++)
	{
		active_ = false;
		uv_run(loop_, UV_RUN_NOWAIT);
		if (!active_)
			return;
	}
}

static std::string
header(lws *wsi, lws_token_indexes token)
{
	int length = lws_hdr_total_length(wsi, token);
	std::string out;

	if (length <= 0)
		return out;
	out.resize(static_cast<size_t>(length) + 1);
	length = lws_hdr_copy(wsi, &out[0], length + 1, token);
	out.resize(length > 0 ? static_cast<size_t>(length) : 0);
	return out;
}

std::vector<wire::Argument>
url_arguments(lws *wsi)
{
	std::vector<wire::Argument> out;
	char piece[4096];

	for (int i = 0;; i++)
	{
		int length = lws_hdr_copy_fragment(wsi, piece, sizeof(piece), WSI_TOKEN_HTTP_URI_ARGS, i);

		if (length < 0)
			break;
		std::string text(piece, static_cast<size_t>(length));
		size_t equals = text.find('=');
		wire::Argument argument;
		argument.name = text.substr(0, equals);
		argument.value.is_null = false;
		argument.value.text = equals == std::string::npos ? "" : text.substr(equals + 1);
		argument.value.json = argument.value.text;
		if (!argument.name.empty())
			out.push_back(std::move(argument));
	}
	return out;
}

int
Host::on_established(lws *wsi, void *user)
{
	auto *slot = static_cast<PerSocket *>(user);
	auto socket = std::make_unique<Socket>();
	std::string path = header(wsi, WSI_TOKEN_GET_URI);
	wire::Subscribe wish;
	int on = 1;

	(void) setsockopt(lws_get_socket_fd(wsi), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	socket->wsi = wsi;
	socket->connection = hub_->open(socket.get(), now_ms());
	Connection *connection = socket->connection;
	slot->socket = socket.release();

	if (hub_->connection_count() > settings.max_connections)
		hub_->close(connection, kTooMany, "too many connections");
	else if (!origin_allowed(header(wsi, WSI_TOKEN_ORIGIN), header(wsi, WSI_TOKEN_HOST),
							 settings.origins))
		hub_->close(connection, kForbidden, "origin is not allowed");
	else if (!anonymous_allowed)
		hub_->close(connection, kUnauthenticated, "authentication is required");
	else
	{
		wish.params = url_arguments(wsi);
		for (auto it = wish.params.begin(); it != wish.params.end();)
		{
			if (it->name != "resume")
			{
				++it;
				continue;
			}
			wish.resume = it->value.text;
			it = wish.params.erase(it);
		}
		hub_->admit(connection, path == "/v1/stream" ? std::string() : path, std::move(wish));
	}
	flush();
	return 0;
}

int
Host::on_receive(lws *wsi, void *user, const char *data, size_t length)
{
	Socket *socket = static_cast<PerSocket *>(user)->socket;

	if (socket == nullptr)
		return -1;
	if (socket->inbound.size() + length > kFrameLimit)
	{
		socket->inbound.clear();
		hub_->close(socket->connection, kMalformed, "message is too large");
	}
	if (socket->connection->closing)
		return 0;
	socket->inbound.append(data, length);
	if (lws_remaining_packet_payload(wsi) > 0 || !lws_is_final_fragment(wsi))
		return 0;
	hub_->received(socket->connection, socket->inbound, lws_frame_is_binary(wsi) != 0, now_ms());
	socket->inbound.clear();
	return 0;
}

int
Host::on_pong(void *user)
{
	Socket *socket = static_cast<PerSocket *>(user)->socket;

	if (socket != nullptr)
		socket->connection->heard_ms = now_ms();
	return 0;
}

void
Host::on_closed(void *user)
{
	auto *slot = static_cast<PerSocket *>(user);

	if (slot == nullptr || slot->socket == nullptr)
		return;
	hub_->gone(slot->socket->connection);
	delete slot->socket;
	slot->socket = nullptr;
}

/* Writes the next fragment of the message at hand. False: the socket is broken. */
bool
Host::write_fragment(Socket *socket)
{
	size_t left = socket->message.size() - socket->offset;
	size_t size = left < kFragment ? left : kFragment;
	int flags = socket->offset == 0 ? LWS_WRITE_TEXT : LWS_WRITE_CONTINUATION;

	if (size < left)
		flags |= LWS_WRITE_NO_FIN;
	buffer_.resize(LWS_PRE + kFragment);
	memcpy(&buffer_[LWS_PRE], socket->message.data() + socket->offset, size);
	if (lws_write(socket->wsi, reinterpret_cast<unsigned char *>(&buffer_[LWS_PRE]), size,
				  static_cast<lws_write_protocol>(flags)) < 0)
		return false;
	socket->offset += size;
	socket->connection->progress_ms = now_ms();
	hub_->metrics.bytes_out += size;
	if (socket->offset < socket->message.size())
		return true;
	socket->message.clear();
	socket->offset = 0;
	hub_->metrics.frames_out++;
	return true;
}

/* Writes what the socket can take now and asks for the rest. False: the socket is broken. */
bool
Host::write_socket(Socket *socket)
{
	Connection *connection = socket->connection;

	while (!socket->close_sent)
	{
		if (lws_send_pipe_choked(socket->wsi))
		{
			lws_callback_on_writable(socket->wsi);
			return true;
		}
		if (connection->ping_due)
		{
			unsigned char ping[LWS_PRE + 1];

			connection->ping_due = false;
			if (lws_write(socket->wsi, ping + LWS_PRE, 0, LWS_WRITE_PING) < 0)
				return false;
			continue;
		}
		if (socket->message.empty() && !connection->queue.take(&socket->message))
			break;
		if (!write_fragment(socket))
			return false;
	}
	if (connection->closing)
		return socket->close_sent || write_close(socket);
	hub_->drained(connection);
	return true;
}

int
Host::on_writeable(lws *, void *user)
{
	Socket *socket = static_cast<PerSocket *>(user)->socket;

	return socket != nullptr && write_socket(socket) ? 0 : -1;
}

/*
 * The close frame is written here and not by lws_close_reason(): with libuv,
 * Debian's libwebsockets closes the TCP connection before it has sent its own.
 * The client's answer, or a timeout, ends the connection.
 */
bool
Host::write_close(Socket *socket)
{
	unsigned char frame[LWS_PRE + 125];
	Connection *connection = socket->connection;
	size_t length = connection->close_reason.size() < 120 ? connection->close_reason.size() : 120;

	/* Not in the middle of a character. */
	while (length > 0 && length < connection->close_reason.size() &&
		   (connection->close_reason[length] & 0xC0) == 0x80)
		length--;
	frame[LWS_PRE] = static_cast<unsigned char>(connection->close_code >> 8);
	frame[LWS_PRE + 1] = static_cast<unsigned char>(connection->close_code & 0xFF);
	memcpy(frame + LWS_PRE + 2, connection->close_reason.data(), length);
	socket->close_sent = true;
	return lws_write(socket->wsi, frame + LWS_PRE, length + 2, kWriteClose) >= 0;
}

int
Host::on_peer_close(void *user)
{
	Socket *socket = static_cast<PerSocket *>(user)->socket;

	return socket != nullptr && socket->close_sent ? -1 : 0;
}

void
Host::flush()
{
	for (Connection *connection : hub_->take_ready())
	{
		auto *socket = static_cast<Socket *>(connection->host);
		bool alive = true;

		try
		{
			alive = write_socket(socket);
		}
		catch (const std::exception &e)
		{
			log(std::string("gateway closes a connection: ") + e.what());
			alive = false;
		}
		if (!alive)
			lws_set_timeout(socket->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
		else if (connection->closing)
			/* Who does not read, or does not answer the close frame, is cut off. */
			lws_set_timeout(socket->wsi, PENDING_TIMEOUT_CLOSE_SEND, 5);
	}
	for (HttpRead *read : hub_->take_answers())
		finish_read(read);
}

void
Host::drain(int milliseconds)
{
	int64_t end = now_ms() + milliseconds;

	close_listeners();
	while (hub_->connection_count() > 0 && now_ms() < end)
	{
		flush();
		service();
		struct timespec pause = {0, 5 * 1000 * 1000};
		nanosleep(&pause, nullptr);
	}
}

} // namespace tw::gateway
