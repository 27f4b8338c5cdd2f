/*
 * http.hpp - what an HTTP request is for, and other small facts of HTTP.
 */
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tw::gateway
{

enum class Route
{
	kRoot, /* index.html of the static directory, or the dashboard */
	kDashboard,
	kHealth,
	kReady,
	kMetrics,
	kViews, /* GET /v1/views */
	kView,  /* GET /v1/view/<name> */
	kFile
};

struct Target
{
	Route route;
	std::string name; /* of kView and kFile: without the leading slash */
};

/* path: decoded, with its leading slash. */
Target route_of(std::string_view path);

/* Content type by the name's extension; application/octet-stream where it is not known. */
const char *content_type(std::string_view file);

/*
 * Path of a file below root, or nothing: names with "..", backslashes, control
 * characters or hidden parts are refused, and so is what symbolic links lead
 * out of root. A directory stands for its index.html.
 */
std::string file_below(const std::string &root, std::string_view name);

/* Host name of "host:port", "[::1]:port" or an origin "https://host:port", in lower case. */
std::string host_name(std::string_view text);

/*
 * Whether a browser's origin may connect: the same host as the request's Host
 * header, or one of the allowed origins ("https://app.example.com", or "*").
 * No origin: not a browser.
 */
bool origin_allowed(std::string_view origin, std::string_view host,
					const std::vector<std::string> &allowed);

/* Parts of a comma-separated list, trimmed, without empty ones. */
std::vector<std::string> split_list(std::string_view text);

} // namespace tw::gateway
