/*
 * host.hpp - sockets: libwebsockets on libuv, between clients and the hub.
 *
 * Knows nothing of the server (no postgres.h). Its callbacks are noexcept and
 * only move bytes to and from the hub; what they want to log is kept until the
 * worker takes it. One instance a process.
 *
 * The worker waits on poll_fd() beside its latch, then calls service(), which
 * runs all callbacks that are due, and after a round of the session flush(),
 * which writes at once what the sockets can take.
 */
#pragma once

#include "gateway/core/hub.hpp"

#include <string>
#include <vector>

struct lws;
struct lws_context;
struct uv_loop_s;

namespace tw::gateway
{

struct HostSettings
{
	std::vector<std::string> addresses;
	int port = 0;
	std::vector<std::string> origins;
	std::string static_directory;
	size_t max_connections = 0;
};

class Host
{
  public:
	explicit Host(Hub *hub) : hub_(hub) {}

	/* Creates loop and context; false: cannot. */
	bool start();
	/* Closes the listening sockets and opens those of the settings. True: at least one is open. */
	bool listen(const HostSettings &settings, std::vector<std::string> *problems);
	bool listening() const { return !listeners_.empty(); }

	int poll_fd() const;
	/* Milliseconds until a timer is due; -1: none. */
	int timeout() const;
	void service();
	void flush();
	/* Sends what is queued and closes, for at most so many milliseconds. */
	void drain(int milliseconds);

	std::vector<std::string> take_log();
	void log(std::string line) noexcept;

	/* set by the worker */
	HostSettings settings;
	bool anonymous_allowed = false;
	bool ready = false;

	/* ---- for the callbacks ---- */
	struct Socket;
	struct Exchange;
	struct Listener;

	int on_established(lws *wsi, void *user);
	int on_receive(lws *wsi, void *user, const char *data, size_t length);
	int on_writeable(lws *wsi, void *user);
	int on_pong(void *user);
	int on_peer_close(void *user);
	void on_closed(void *user);
	int on_http(lws *wsi, void *user, const char *path);
	int on_http_writeable(lws *wsi, void *user);
	void on_http_end(void *user);
	void on_accept(Listener *listener);
	void mark_active() { active_ = true; }

  private:
	bool write_socket(Socket *socket);
	bool write_fragment(Socket *socket);
	bool write_close(Socket *socket);
	int respond(Exchange *exchange);
	int respond_text(lws *wsi, void *user, int status, const char *type, std::string body);
	int respond_file(lws *wsi, void *user, const std::string &file);
	void finish_read(HttpRead *read);
	void close_listeners();

	Hub *hub_;
	uv_loop_s *loop_ = nullptr;
	lws_context *context_ = nullptr;
	std::vector<Listener *> listeners_;
	std::vector<std::string> log_;
	bool active_ = false;
	std::string buffer_; /* for one write, with room in front */
};

/* Monotonic clock, milliseconds. */
int64_t now_ms();

} // namespace tw::gateway
