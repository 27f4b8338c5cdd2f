/*
 * http_host.cpp - HTTP: the small pages, files, and single reads of a view.
 */
#include "gateway/host_private.hpp"
#include "gateway/core/http.hpp"
#include "gateway/core/metrics.hpp"
#include "gateway/dashboard.hpp"
#include "wire/frame.hpp"

#include <cstring>

namespace tw::gateway
{

static constexpr size_t kPiece = 64 * 1024;

static std::string
error_body(const char *code, const char *message)
{
	wire::ErrorInfo info;

	info.code = code;
	info.message = message;
	return wire::http_error(info);
}

static bool
add_header(lws *wsi, const std::string &name, const std::string &value, unsigned char **p,
		   unsigned char *end)
{
	return lws_add_http_header_by_name(wsi,
									   reinterpret_cast<const unsigned char *>(
										   (name + ":").c_str()),
									   reinterpret_cast<const unsigned char *>(value.c_str()),
									   static_cast<int>(value.size()), p, end) == 0;
}

/* Writes the head of the answer; the body follows with the callbacks. */
int
Host::respond(Exchange *exchange)
{
	unsigned char buffer[LWS_PRE + 4096];
	unsigned char *start = buffer + LWS_PRE;
	unsigned char *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;
	lws *wsi = exchange->wsi;
	uint64_t length = exchange->body.size();

	if (exchange->rows)
		length += exchange->rows->bytes() + exchange->rows->chunks() - 1 + 2;
	if (lws_add_http_common_headers(wsi, static_cast<unsigned>(exchange->status), exchange->type,
									length, &p, end) != 0 ||
		!add_header(wsi, "cache-control", "no-store", &p, end) ||
		!add_header(wsi, "x-content-type-options", "nosniff", &p, end))
		return -1;
	for (auto &item : exchange->headers)
		if (!add_header(wsi, item.first, item.second, &p, end))
			return -1;
	if (lws_finalize_write_http_header(wsi, start, &p, end) != 0)
		return -1;
	lws_callback_on_writable(wsi);
	return 0;
}

static bool
is_head(lws *wsi)
{
	return lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
}

static Host::Exchange *
new_exchange(lws *wsi, void *user)
{
	auto *slot = static_cast<PerSocket *>(user);

	slot->exchange = new Host::Exchange;
	slot->exchange->wsi = wsi;
	slot->exchange->head_only = is_head(wsi);
	return slot->exchange;
}

int
Host::respond_text(lws *wsi, void *user, int status, const char *type, std::string body)
{
	Exchange *exchange = new_exchange(wsi, user);

	exchange->status = status;
	exchange->type = type;
	exchange->body = std::move(body);
	return respond(exchange);
}

int
Host::respond_file(lws *wsi, void *user, const std::string &file)
{
	static const char headers[] = "x-content-type-options: nosniff\x0d\x0a"
								  "cache-control: no-cache\x0d\x0a";

	if (file.empty())
		return respond_text(wsi, user, 404, "application/json",
							error_body("not_found", "there is nothing at this address"));
	int result = lws_serve_http_file(wsi, file.c_str(), content_type(file), headers,
									 sizeof(headers) - 1);
	if (result < 0 || (result > 0 && lws_http_transaction_completed(wsi)))
		return -1;
	return 0;
}

int
Host::on_http(lws *wsi, void *user, const char *path)
{
	Target target = route_of(path);
	wire::Subscribe wish;

	hub_->metrics.http_requests++;
	on_http_end(user);
	if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0 && !is_head(wsi))
		return respond_text(wsi, user, 405, "application/json",
							error_body("bad_request", "only GET and HEAD are accepted"));
	switch (target.route)
	{
		case Route::kHealth:
			return respond_text(wsi, user, 200, "text/plain", "ok\n");
		case Route::kReady:
			return ready ? respond_text(wsi, user, 200, "text/plain", "ready\n")
						 : respond_text(wsi, user, 503, "text/plain", "not ready\n");
		case Route::kMetrics:
			return respond_text(wsi, user, 200, "text/plain; version=0.0.4", write_metrics(*hub_));
		case Route::kRoot:
		{
			std::string index = file_below(settings.static_directory, "index.html");

			if (!index.empty())
				return respond_file(wsi, user, index);
			[[fallthrough]];
		}
		case Route::kDashboard:
			return respond_text(wsi, user, 200, "text/html; charset=utf-8", dashboard_page());
		case Route::kFile:
			return respond_file(wsi, user, file_below(settings.static_directory, target.name));
		case Route::kViews:
		case Route::kView:
			break;
	}

	if (!anonymous_allowed)
		return respond_text(wsi, user, 401, "application/json",
							error_body("unauthenticated", "authentication is required"));
	Exchange *exchange = new_exchange(wsi, user);
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, 60);
	if (target.route == Route::kViews)
	{
		exchange->read = hub_->http_list(exchange);
		return 0;
	}
	wish.view = target.name;
	wish.endpoint = "/" + target.name;
	wish.params = url_arguments(wsi);
	exchange->read = hub_->http_read(exchange, std::move(wish));
	return 0;
}

/* The session has answered. */
void
Host::finish_read(HttpRead *read)
{
	auto *exchange = static_cast<Exchange *>(read->host);

	exchange->status = read->status;
	exchange->rows = std::move(read->rows);
	exchange->body = exchange->rows ? "[" : std::move(read->body);
	if (!read->position.empty())
	{
		exchange->headers.emplace_back("tailwater-pos", read->position);
		exchange->headers.emplace_back("tailwater-key", read->key);
	}
	exchange->read = nullptr;
	hub_->forget(read);
	if (respond(exchange) != 0)
		lws_set_timeout(exchange->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
}

/* The next piece of the body. False: there is none. */
static bool
next_piece(Host::Exchange *exchange)
{
	if (exchange->offset < exchange->body.size())
		return true;
	if (!exchange->rows || exchange->chunk > exchange->rows->chunks())
		return false;
	exchange->body.clear();
	exchange->offset = 0;
	if (exchange->chunk == exchange->rows->chunks())
		exchange->body = "]\n";
	else
	{
		if (exchange->chunk > 0)
			exchange->body = ",";
		exchange->rows->read(exchange->chunk, &exchange->body);
	}
	exchange->chunk++;
	return true;
}

int
Host::on_http_writeable(lws *wsi, void *user)
{
	Exchange *exchange = static_cast<PerSocket *>(user)->exchange;

	if (exchange == nullptr || exchange->read != nullptr)
		return 0;
	if (exchange->head_only)
	{
		on_http_end(user);
		return lws_http_transaction_completed(wsi) ? -1 : 0;
	}
	bool more = next_piece(exchange);
	while (more && exchange->offset == exchange->body.size())
		more = next_piece(exchange); /* an empty chunk */
	size_t left = exchange->body.size() - exchange->offset;
	size_t size = left < kPiece ? left : kPiece;
	bool last = size == left && (!exchange->rows || exchange->chunk > exchange->rows->chunks());

	buffer_.resize(LWS_PRE + kPiece);
	memcpy(&buffer_[LWS_PRE], exchange->body.data() + exchange->offset, size);
	exchange->offset += size;
	if (lws_write(wsi, reinterpret_cast<unsigned char *>(&buffer_[LWS_PRE]), size,
				  last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
		return -1;
	if (!last)
	{
		lws_callback_on_writable(wsi);
		return 0;
	}
	on_http_end(user);
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

void
Host::on_http_end(void *user)
{
	auto *slot = static_cast<PerSocket *>(user);

	if (slot == nullptr || slot->exchange == nullptr)
		return;
	if (slot->exchange->read != nullptr)
		hub_->forget(slot->exchange->read);
	delete slot->exchange;
	slot->exchange = nullptr;
}

} // namespace tw::gateway
