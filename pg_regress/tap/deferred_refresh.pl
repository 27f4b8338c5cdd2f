# What may come in the middle of a batch of deferred views: REFRESH of one of them, and commits while a view fails, which join
# the batch when it is tried again. A view with a slow function holds the maintainer up.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(usleep);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('deferred_refresh', conf => deferred_conf());
sub sql { return $node->safe_psql('postgres', join(';', 'SET client_min_messages = warning', @_)); }
sub wrong { return sql('SELECT view FROM tailwater.views WHERE tailwater.verify(view) <> 0'); }

sub await_sleep
{
	return $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tailwater maintainer' AND wait_event = 'PgSleep'");
}

# The views are maintained in the order in which they were created.
sql('CREATE TABLE item (id int PRIMARY KEY, kind int, price int)',
	'CREATE TABLE kind (kind int PRIMARY KEY, name text)',
	'CREATE TABLE load (x int)',
	'INSERT INTO item SELECT i, i % 4, i FROM generate_series(1, 40) i',
	"INSERT INTO kind VALUES (0, 'zero'), (1, 'one')",
	'CREATE FUNCTION slow(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN 1 / x; END $$',
	map { "CREATE MATERIALIZED VIEW $_->[0] WITH (tailwater.maintain = deferred) AS $_->[1]" }
	  [ named => 'SELECT i.id, k.name FROM item i JOIN kind k USING (kind)' ],
	[ held_up => 'SELECT slow(x) AS y FROM load' ],
	[ groups => 'SELECT kind, count(*) AS n, sum(price) AS total FROM item GROUP BY kind' ],
	[ ranks => 'SELECT id, rank() OVER (PARTITION BY kind ORDER BY price) FROM item' ],
	[ above => 'SELECT n, count(*) AS c FROM groups GROUP BY n' ]);
sql('SELECT tailwater.sync()');

# REFRESH of a view that the batch under way is going to write
foreach my $view ('groups', 'ranks')
{
	sql('BEGIN', 'UPDATE item SET price = price + 1, kind = (kind + 1) % 4 WHERE id < 10', 'INSERT INTO load VALUES (1)', 'COMMIT');
	ok(await_sleep(), 'a batch is under way');
	sql('UPDATE item SET price = price - 2 WHERE id < 20', "REFRESH MATERIALIZED VIEW $view");
	sql("SELECT tailwater.sync('60s')", 'TRUNCATE load');
	sql("SELECT tailwater.sync('60s')");
	is(wrong(), '', "REFRESH of $view meanwhile");
}

# What a view saw nothing of when the batch failed, it may see when the batch is tried again with more in it
sql('BEGIN', 'UPDATE item SET price = price + 1 WHERE id = 1', 'INSERT INTO load VALUES (0)', 'COMMIT');
ok(await_sleep(), 'a batch is under way, and will fail');
sql('UPDATE item SET kind = 1 WHERE id = 8');
my (undef, undef, $error) = $node->psql('postgres', "SELECT tailwater.sync('60s')");
like($error, qr/division by zero/, 'a view cannot be maintained');
is(sql('SELECT name FROM named WHERE id = 8'), 'one', 'the others get what came meanwhile');
sql('TRUNCATE load', "SELECT tailwater.sync('60s')");
is(wrong(), '', 'all are right in the end');

$node->stop;
done_testing();
