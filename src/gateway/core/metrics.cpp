/*
 * metrics.cpp - the gateway's numbers in Prometheus' text format.
 *
 * Only counts and sizes: no name of a view, no value of a row.
 */
#include "gateway/core/metrics.hpp"
#include "gateway/core/hub.hpp"

#include <cstdio>

namespace tw::gateway
{

static void
add(std::string &out, const char *name, const char *type, const char *help, double value)
{
	char line[64];

	out += std::string("# HELP tailwater_gateway_") + name + " " + help + "\n";
	out += std::string("# TYPE tailwater_gateway_") + name + " " + type + "\n";
	snprintf(line, sizeof(line), " %.10g\n", value);
	out += std::string("tailwater_gateway_") + name + line;
}

std::string
write_metrics(const Hub &hub)
{
	const Metrics &m = hub.metrics;
	std::string out;
	auto counter = [&](const char *name, const char *help, double value)
	{
		add(out, name, "counter", help, value);
	};
	auto gauge = [&](const char *name, const char *help, double value)
	{
		add(out, name, "gauge", help, value);
	};

	gauge("connections", "Open WebSocket connections.", hub.connection_count());
	counter("connections_total", "WebSocket connections since start.", m.connections_total);
	gauge("subscriptions", "Running subscriptions.", hub.subscription_count());
	counter("subscriptions_total", "Subscriptions since start.", m.subscriptions_total);
	gauge("views", "Views with subscriptions.", hub.view_count());
	gauge("channels", "Distinct combinations of view, filter and columns.", hub.channel_count());
	gauge("lagging_connections", "Connections that wait for a net catch-up.", hub.lagging_count());
	gauge("queued_bytes", "Bytes queued for all connections.", hub.queued_bytes());
	counter("frames_received_total", "Messages received.", m.frames_in);
	counter("frames_sent_total", "Messages sent.", m.frames_out);
	counter("bytes_received_total", "Bytes of messages received.", m.bytes_in);
	counter("bytes_sent_total", "Bytes of messages sent.", m.bytes_out);
	gauge("version", "Newest version that was delivered.", static_cast<double>(hub.version()));
	counter("versions_total", "Versions delivered.", m.versions);
	counter("changes_total", "Changed rows read.", m.changes);
	counter("snapshots_total", "Snapshots sent.", m.snapshots);
	counter("catch_ups_total", "Net differences sent.", m.catch_ups);
	counter("recovered_total", "Subscriptions resumed without a snapshot.", m.recovered);
	counter("resets_total", "Subscriptions begun anew by the server.", m.resets);
	counter("errors_total", "Error frames sent.", m.errors);
	counter("slow_consumers_total", "Connections closed because they did not read.",
			m.slow_consumers);
	counter("http_requests_total", "HTTP requests.", m.http_requests);
	gauge("lag_seconds", "From the commit of the newest version to its delivery.", m.lag_seconds);
	counter("lag_seconds_total", "Sum of lag_seconds over versions.", m.lag_sum);
	return out;
}

} // namespace tw::gateway
