/*
 * http.cpp - what an HTTP request is for, and other small facts of HTTP.
 */
#include "gateway/core/http.hpp"

#include <cctype>
#include <climits>
#include <cstdlib>
#include <sys/stat.h>

namespace tw::gateway
{

Target
route_of(std::string_view path)
{
	static const std::string_view view_prefix = "/v1/view/";

	if (path.empty() || path == "/")
		return {Route::kRoot, {}};
	if (path == "/dashboard")
		return {Route::kDashboard, {}};
	if (path == "/healthz")
		return {Route::kHealth, {}};
	if (path == "/readyz")
		return {Route::kReady, {}};
	if (path == "/metrics")
		return {Route::kMetrics, {}};
	if (path == "/v1/views")
		return {Route::kViews, {}};
	if (path.size() > view_prefix.size() && path.substr(0, view_prefix.size()) == view_prefix)
		return {Route::kView, std::string(path.substr(view_prefix.size()))};
	return {Route::kFile, std::string(path.substr(1))};
}

const char *
content_type(std::string_view file)
{
	static const struct
	{
		std::string_view extension;
		const char *type;
	} types[] = {
		{"html", "text/html; charset=utf-8"},
		{"htm", "text/html; charset=utf-8"},
		{"js", "text/javascript; charset=utf-8"},
		{"mjs", "text/javascript; charset=utf-8"},
		{"css", "text/css; charset=utf-8"},
		{"json", "application/json"},
		{"map", "application/json"},
		{"webmanifest", "application/manifest+json"},
		{"txt", "text/plain; charset=utf-8"},
		{"md", "text/plain; charset=utf-8"},
		{"csv", "text/csv; charset=utf-8"},
		{"xml", "application/xml"},
		{"svg", "image/svg+xml"},
		{"png", "image/png"},
		{"jpg", "image/jpeg"},
		{"jpeg", "image/jpeg"},
		{"gif", "image/gif"},
		{"webp", "image/webp"},
		{"avif", "image/avif"},
		{"ico", "image/x-icon"},
		{"woff", "font/woff"},
		{"woff2", "font/woff2"},
		{"ttf", "font/ttf"},
		{"wasm", "application/wasm"},
		{"pdf", "application/pdf"},
		{"mp3", "audio/mpeg"},
		{"mp4", "video/mp4"},
		{"webm", "video/webm"},
	};
	size_t dot = file.rfind('.');
	std::string extension;

	if (dot == std::string_view::npos)
		return "application/octet-stream";
	for (char c : file.substr(dot + 1))
		extension += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
	for (auto &known : types)
		if (known.extension == extension)
			return known.type;
	return "application/octet-stream";
}

/* A part of a path that begins with a dot is hidden, or leads upwards. */
static bool
is_plain_name(std::string_view name)
{
	bool at_start = true;

	for (char c : name)
	{
		if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || (at_start && c == '.'))
			return false;
		at_start = c == '/';
	}
	return true;
}

std::string
file_below(const std::string &root, std::string_view name)
{
	char real_root[PATH_MAX];
	char real_file[PATH_MAX];
	struct stat st;

	if (root.empty() || !is_plain_name(name) || realpath(root.c_str(), real_root) == nullptr)
		return {};
	std::string path = std::string(real_root) + "/" + std::string(name);
	if (stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
		path += "/index.html";
	if (realpath(path.c_str(), real_file) == nullptr || stat(real_file, &st) != 0 ||
		!S_ISREG(st.st_mode))
		return {};
	std::string prefix = std::string(real_root) == "/" ? "/" : std::string(real_root) + "/";
	std::string file = real_file;
	return file.compare(0, prefix.size(), prefix) == 0 ? file : std::string();
}

std::string
host_name(std::string_view text)
{
	std::string out;
	size_t scheme = text.find("://");

	if (scheme != std::string_view::npos)
		text.remove_prefix(scheme + 3);
	text = text.substr(0, text.find('/'));
	if (!text.empty() && text[0] == '[')
		text = text.substr(0, text.find(']') + 1);
	else
		text = text.substr(0, text.find(':'));
	for (char c : text)
		out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
	return out;
}

bool
origin_allowed(std::string_view origin, std::string_view host,
			   const std::vector<std::string> &allowed)
{
	if (origin.empty())
		return true;
	for (const std::string &one : allowed)
		if (one == "*" || one == origin)
			return true;
	std::string name = host_name(origin);
	return origin != "null" && !name.empty() && name == host_name(host);
}

std::vector<std::string>
split_list(std::string_view text)
{
	std::vector<std::string> out;

	while (!text.empty())
	{
		size_t comma = text.find(',');
		std::string_view part = text.substr(0, comma);

		text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
		while (!part.empty() && (part.front() == ' ' || part.front() == '"'))
			part.remove_prefix(1);
		while (!part.empty() && (part.back() == ' ' || part.back() == '"'))
			part.remove_suffix(1);
		if (!part.empty())
			out.emplace_back(part);
	}
	return out;
}

} // namespace tw::gateway
