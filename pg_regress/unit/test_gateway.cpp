/*
 * test_gateway.cpp - unit tests of positions, net changes, routing, queues and the hub.
 */
/* before cmocka.h, which defines a macro fail() */
#include "gateway/core/http.hpp"
#include "gateway/core/hub.hpp"
#include "gateway/core/position.hpp"

#include <random>
#include <set>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <csetjmp>
extern "C"
{
#include <cmocka.h>
}

using namespace tw::gateway;

static Row
make_row(const std::vector<std::string> &values)
{
	std::string text;
	std::vector<uint32_t> ends;

	for (const std::string &value : values)
	{
		text += value;
		ends.push_back(static_cast<uint32_t>(text.size()));
	}
	return Row(text.data(), ends.data(), ends.size());
}

/* id, room, text; key id where keyed */
static ViewInfo
make_view(bool keyed)
{
	ViewInfo info;

	info.oid = 42;
	info.log = 43;
	info.epoch = 7;
	info.name = "public.v";
	for (const char *name : {"id", "room", "text"})
		info.columns.push_back({name, "text", "\"" + std::string(name) + "\""});
	if (keyed)
		info.key = {0};
	return info;
}

static Row
item(int id, int room, const std::string &text)
{
	return make_row({std::to_string(id), std::to_string(room), "\"" + text + "\""});
}

static std::string
read_all(const Unit &unit)
{
	std::string out;

	for (size_t i = 0; i < unit->chunks(); i++)
	{
		out += i > 0 ? "|" : "";
		unit->read(i, &out);
	}
	return out;
}

static void
positions_go_round(void **)
{
	Position p{-5, INT64_MAX, 0xFEDCBA9876543210ULL};
	std::string text = encode_position(p);
	auto back = decode_position(text);

	assert_true(back.has_value());
	assert_true(back->epoch == p.epoch && back->version == p.version && back->binding == p.binding);
	assert_false(decode_position("").has_value());
	assert_false(decode_position(text + "A").has_value());
	assert_false(decode_position(std::string(text.size(), '!')).has_value());
	assert_false(decode_position(std::string(text.size(), 'z')).has_value());
}

static void
net_changes_pair_by_key(void **)
{
	ViewInfo view = make_view(true);
	NetChanges net(view);

	net.add(1, 1, item(1, 0, "new")); /* + before - in one version */
	net.add(1, -1, item(1, 0, "old"));
	net.add(1, 1, item(2, 0, "a"));
	net.add(2, -1, item(2, 0, "a")); /* there and gone again */
	net.add(2, -1, item(3, 0, "x"));
	net.add(3, 1, item(3, 0, "x")); /* gone and back */
	net.add(3, -1, item(1, 0, "new"));
	net.add(3, 1, item(1, 0, "newest"));
	auto &e = net.entries();
	assert_int_equal(e.size(), 3);
	assert_true(e[0].had && e[0].has);
	assert_true(e[0].before == item(1, 0, "old") && e[0].after == item(1, 0, "newest"));
	assert_false(e[1].had || e[1].has);
	assert_true(e[2].before == e[2].after);
}

static void
routing_enters_changes_and_leaves(void **)
{
	ViewFeed feed(make_view(true), "/tmp");
	Channel *all = feed.find_or_add(make_spec(feed.info(), {}, {}));
	Channel *one = feed.find_or_add(make_spec(feed.info(), {2}, {{1, "1"}}));
	Channel *two = feed.find_or_add(make_spec(feed.info(), {}, {{1, "2"}}));
	Channel *never = feed.find_or_add(make_spec(feed.info(), {}, {{1, "1"}, {1, "2"}}));
	NetChanges net(feed.info());
	std::map<Channel *, std::string> got;

	net.add(1, -1, item(5, 1, "t"));
	net.add(1, 1, item(5, 2, "t"));
	net.add(1, -1, item(6, 1, "t"));
	net.add(1, 1, item(6, 1, "u"));
	feed.select_all();
	for (auto &unit : feed.route(net))
		got[unit.first] = read_all(unit.second);
	assert_string_equal(got[all].c_str(), "[\"~\",[5],{\"room\":2}],[\"~\",[6],{\"text\":\"u\"}]");
	assert_string_equal(got[one].c_str(), "[\"-\",[5]],[\"~\",[6],{\"text\":\"u\"}]");
	assert_string_equal(got[two].c_str(), "[\"+\",{\"id\":5,\"room\":2,\"text\":\"t\"}]");
	assert_int_equal(got.count(never), 0);
	/* the same wish is the same channel */
	assert_ptr_equal(one, feed.find_or_add(make_spec(feed.info(), {0, 2}, {{1, "1"}, {1, "1"}})));
	for (Channel *channel : {all, one, two, never})
		feed.remove(channel);
	assert_true(feed.empty());
}

static void
bags_are_summed_per_channel(void **)
{
	ViewFeed feed(make_view(false), "/tmp");
	Channel *rooms = feed.find_or_add(make_spec(feed.info(), {1}, {}));
	NetChanges net(feed.info());

	net.add(1, -1, item(1, 1, "a"));
	net.add(1, 1, item(2, 1, "b"));
	net.add(1, 3, item(3, 2, "c"));
	feed.select_all();
	Units units = feed.route(net);
	assert_int_equal(units.size(), 1);
	assert_ptr_equal(units[0].first, rooms);
	assert_string_equal(read_all(units[0].second).c_str(), "[3,{\"room\":2}]");
}

static void
positions_are_bound_to_the_channel(void **)
{
	ViewFeed feed(make_view(true), "/tmp");
	Channel *a = feed.find_or_add(make_spec(feed.info(), {}, {{1, "1"}}));
	Channel *b = feed.find_or_add(make_spec(feed.info(), {}, {{1, "2"}}));
	std::string pos = a->position(99);

	assert_int_equal(a->understand(pos), 99);
	assert_int_equal(b->understand(pos), -1);
	ViewInfo next = make_view(true);
	next.epoch = 8;
	feed.update(next);
	assert_int_equal(a->understand(pos), -1);
}

static void
a_spool_spills(void **)
{
	Spool spool("/tmp", 300 * 1024);
	std::string item(100 * 1024, 'x');
	std::string out;

	for (int i = 0; i < 10; i++)
		spool.add(item + std::to_string(i));
	spool.add(std::string(kChunkSize * 3, 'y'));
	spool.finish();
	assert_int_equal(spool.items(), 11);
	for (size_t i = 0; i < spool.chunks(); i++)
	{
		std::string chunk;

		spool.read(i, &chunk);
		assert_true(chunk.size() <= kChunkSize || chunk[0] == 'y');
		out += chunk + ",";
	}
	assert_true(out.find(item + "9,yyy") != std::string::npos);
	Spool none("/tmp", 10);
	none.finish();
	assert_int_equal(none.chunks(), 1);
}

/* ---- the hub, with a session made of maps ---- */

struct Bench
{
	Hub hub{"test", "s", "/tmp"};
	std::map<int, Row> rows;
	std::map<int64_t, std::vector<std::pair<int, Row>>> log;
	int64_t version = 1;

	Bench() { hub.start_at(1, "t"); }

	/* Serves what the hub wants, like session.cpp. */
	void round()
	{
		hub.begin_versions();
		int64_t from = hub.version();
		for (int64_t v = from + 1; v <= version; v++)
			hub.add_version(v, "t");
		for (ViewFeed *view : hub.views_in_use())
		{
			hub.begin_view(view);
			for (int64_t v = from + 1; v <= version; v++)
				for (auto &change : log[v])
					hub.add_change(v, change.first, change.second);
			hub.end_view();
		}
		hub.publish(0);
		while (Reader *reader = hub.next_request())
		{
			std::vector<FilterTerm> filter;
			for (auto &condition : reader->wish.filter)
				filter.push_back({1, condition.value.text});
			hub.prepare(reader, make_view(true), {}, filter);
		}
		for (auto jobs = hub.plan_reads(); !jobs.empty(); jobs = hub.plan_reads())
			for (ReadJob &job : jobs)
			{
				hub.begin_read(&job);
				if (job.from == Reader::kFromSnapshot)
					for (auto &row : rows)
						hub.add_row(version, 1, row.second);
				for (int64_t v = job.from + 1; job.from >= 0 && v <= version; v++)
					for (auto &change : log[v])
						hub.add_row(v, change.first, change.second);
				hub.end_read();
			}
		hub.activate();
	}

	void put(int id, const Row *row)
	{
		auto it = rows.find(id);

		if (it != rows.end())
		{
			log[version + 1].emplace_back(-1, it->second);
			rows.erase(it);
		}
		if (row != nullptr)
		{
			log[version + 1].emplace_back(1, *row);
			rows.emplace(id, *row);
		}
	}
};

static std::string
drain(Connection *connection)
{
	std::string message;
	std::string out;

	while (connection->queue.take(&message))
		out += message + "\n";
	return out;
}

static Connection *
connect(Bench &bench)
{
	Connection *connection = bench.hub.open(nullptr, 0);

	bench.hub.admit(connection, "", {});
	drain(connection);
	return connection;
}

static void
the_hub_serves_a_subscription(void **)
{
	Bench bench;
	Connection *c = connect(bench);
	Row row = item(1, 1, "a");

	bench.put(1, &row);
	bench.version++;
	bench.hub.received(c, "{\"type\":\"subscribe\",\"id\":\"x\",\"view\":\"v\"}", false, 0);
	bench.round();
	std::string out = drain(c);
	assert_true(out.find("\"mode\":\"snapshot\"") != std::string::npos);
	assert_true(out.find("\"rows\":[{\"id\":1,") != std::string::npos);
	row = item(1, 1, "b");
	bench.put(1, &row);
	bench.version++;
	bench.round();
	out = drain(c);
	assert_true(out.find("\"changes\":[[\"~\",[1],{\"text\":\"b\"}]]}") != std::string::npos);
	bench.hub.received(c, "{\"type\":\"unsubscribe\",\"id\":\"x\"}", false, 0);
	assert_true(drain(c).find("\"complete\"") != std::string::npos);
	assert_int_equal(bench.hub.view_count(), 0);
	bench.hub.received(c, "{", false, 0);
	assert_int_equal(c->close_code, kMalformed);
	bench.hub.gone(c);
	assert_false(bench.hub.in_use());
}

static void
a_slow_socket_lags_and_catches_up(void **)
{
	Bench bench;
	Connection *c = connect(bench);
	Row row = item(1, 1, "a");

	bench.hub.received(c, "{\"type\":\"subscribe\",\"id\":\"x\",\"view\":\"v\"}", false, 0);
	bench.round();
	for (int i = 0; i < 40; i++)
	{
		row = item(1, 1, std::string(100 * 1024, static_cast<char>('a' + i % 26)));
		bench.put(1, &row);
		bench.version++;
		bench.round();
		assert_true(c->queue.bytes() <= kQueueLimit);
	}
	assert_true(c->lagging);
	drain(c);
	bench.hub.drained(c);
	assert_true(bench.hub.has_work());
	row = item(1, 1, "last");
	bench.put(1, &row);
	bench.version++;
	bench.round();
	assert_false(c->lagging);
	std::string out = drain(c);
	assert_true(out.find("{\"text\":\"last\"}") != std::string::npos);
	assert_true(out.find('\n') == out.size() - 1); /* one unit */
	bench.hub.gone(c);
}

/* Random changes, filters, resumes and pauses: what a client has is what passes its filter. */
static void
random_histories_converge(void **)
{
	std::mt19937 random(20240101);

	for (int run = 0; run < 30; run++)
	{
		Bench bench;
		Connection *c = connect(bench);
		int room = static_cast<int>(random() % 3);
		std::string filter = ",\"filter\":[{\"col\":\"room\",\"val\":" + std::to_string(room) +
							 "}]";
		std::set<std::string> expected;
		std::map<int, Row> at_resume;
		std::string pos;

		auto change = [&]
		{
			/* each key once: the feed is consolidated per version */
			for (int id = 0; id < 8; id++)
			{
				if (random() % 3 != 0)
					continue;
				Row row = item(id, static_cast<int>(random() % 3), std::to_string(random() % 3));
				bench.put(id, random() % 3 == 0 ? nullptr : &row);
			}
			bench.version++;
		};
		for (int i = 0; i < 5; i++)
			change();
		bench.hub.received(c, "{\"type\":\"subscribe\",\"id\":\"x\",\"view\":\"v\"" + filter + "}",
						   false, 0);
		bench.round();
		std::string out = drain(c);
		pos = out.substr(out.find("\"pos\":\"") + 7, 34);
		at_resume = bench.rows;
		bench.hub.gone(c);

		for (int i = 0; i < 6; i++)
			change();
		c = connect(bench);
		bench.hub.received(c,
						   "{\"type\":\"subscribe\",\"id\":\"x\",\"view\":\"v\"" + filter +
							   ",\"resume\":\"" + pos + "\"}",
						   false, 0);
		bench.round();
		out = drain(c);
		assert_true(out.find("\"recovered\":true") != std::string::npos);

		/* exactly the changes between the two states, as seen through the filter */
		auto inside = [&](const std::map<int, Row> &state, int id)
		{
			auto it = state.find(id);
			return it != state.end() && it->second.at(1) == std::to_string(room) ? &it->second
																				 : nullptr;
		};
		size_t changes = 0;
		for (int id = 0; id < 8; id++)
		{
			const Row *before = inside(at_resume, id);
			const Row *after = inside(bench.rows, id);
			std::string wanted;

			if (before != nullptr && after == nullptr)
				wanted = "[\"-\",[" + std::to_string(id) + "]]";
			else if (before == nullptr && after != nullptr)
				wanted = "[\"+\",{\"id\":" + std::to_string(id) + ",";
			else if (before != nullptr && !(*before == *after))
				wanted = "[\"~\",[" + std::to_string(id) + "],{\"text\":";
			changes += wanted.empty() ? 0 : 1;
			assert_true(wanted.empty() || out.find(wanted) != std::string::npos);
		}
		size_t sent = 0;
		for (const char *op : {"[\"+\"", "[\"-\"", "[\"~\""})
			for (size_t at = out.find(op); at != std::string::npos; at = out.find(op, at + 1))
				sent++;
		assert_int_equal(sent, changes);
		bench.hub.gone(c);
	}
}

static void
http_facts(void **)
{
	assert_string_equal(content_type("a/b.MJS"), "text/javascript; charset=utf-8");
	assert_string_equal(content_type("x.svg"), "image/svg+xml");
	assert_string_equal(content_type("x"), "application/octet-stream");
	assert_true(route_of("/v1/view/a/b").route == Route::kView);
	assert_true(route_of("/v1/view/").route == Route::kFile);
	assert_string_equal(file_below("/etc", "passwd").c_str(), "/etc/passwd");
	for (const char *name : {"../etc/passwd", "a/../passwd", ".hidden", "a/.git/x", "..\\x", "."})
		assert_string_equal(file_below("/etc", name).c_str(), "");
	assert_string_equal(file_below("", "passwd").c_str(), "");
	assert_true(origin_allowed("", "h", {}));
	assert_true(origin_allowed("https://Example.com:9", "example.com:8432", {}));
	assert_false(origin_allowed("https://evil.com", "example.com", {}));
	assert_false(origin_allowed("null", "null", {}));
	assert_true(origin_allowed("https://app.com", "example.com", {"https://app.com"}));
	assert_true(origin_allowed("http://[::1]:3", "[::1]:8432", {}));
	assert_int_equal(split_list(" a, \"b\" ,,c").size(), 3);
}

int
main()
{
	const CMUnitTest tests[] = {
		cmocka_unit_test(positions_go_round),
		cmocka_unit_test(net_changes_pair_by_key),
		cmocka_unit_test(routing_enters_changes_and_leaves),
		cmocka_unit_test(bags_are_summed_per_channel),
		cmocka_unit_test(positions_are_bound_to_the_channel),
		cmocka_unit_test(a_spool_spills),
		cmocka_unit_test(the_hub_serves_a_subscription),
		cmocka_unit_test(a_slow_socket_lags_and_catches_up),
		cmocka_unit_test(random_histories_converge),
		cmocka_unit_test(http_facts),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
