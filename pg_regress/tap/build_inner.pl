# Views that are more than one relation, that read themselves, or that follow a deferred view come into being beside
# writers, too: these run to completion while the content is computed, and the view is exact from the start.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(usleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('build_inner', conf => deferred_conf());
# Computing a row takes about a tenth of a millisecond: a build takes a second or more.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION slowly(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF x >= 0 AND x % 25 = 0 THEN PERFORM pg_sleep(0.005); END IF;
	RETURN x;
END $$;
CREATE TABLE t (id int PRIMARY KEY, g int, x int, boss int, pad text);
CREATE INDEX ON t (g);
CREATE INDEX ON t (boss);
CREATE TABLE d (g int PRIMARY KEY, name text, x int);
INSERT INTO d SELECT i, 'd' || i, i FROM generate_series(0, 99) i;
INSERT INTO t SELECT i, i % 100, i, CASE WHEN i > 20 THEN i / 20 END, repeat('p', 1600) FROM generate_series(1, 6000) i;
CREATE MATERIALIZED VIEW late WITH (tailwater.maintain = deferred) AS SELECT g, count(*) AS n, sum(x) AS s FROM t GROUP BY g;
CREATE SEQUENCE ids START 100000;
CREATE TABLE waits (seconds float8);
CREATE PROCEDURE write() LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz;
	k int;
BEGIN
	FOR i IN 1 .. 1000000 LOOP
		EXIT WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'stop');
		started := clock_timestamp();
		k := 1 + (random() * 5900)::int;
		UPDATE t SET x = -x, g = (g + 1) % 100 WHERE id = k;
		COMMIT;
		INSERT INTO t VALUES (nextval('ids'), k % 100, -k, k % 300, 'new');
		COMMIT;
		DELETE FROM t WHERE id = k + 1 AND id > 400;
		COMMIT;
		IF i % 50 = 0 THEN UPDATE d SET x = x + 1, name = name || 'x' WHERE g = i % 100; END IF;
		COMMIT;
		IF i % 20 = 0 THEN UPDATE t SET boss = 1 + k % 20 WHERE id = k AND id > 20; END IF;
		COMMIT;
		INSERT INTO waits VALUES (extract(epoch FROM clock_timestamp() - started));
		PERFORM pg_sleep(0.002);
		COMMIT;
	END LOOP;
END $$;
CREATE VIEW traces AS SELECT
	(SELECT count(*) FROM tailwater_internal.build) + (SELECT count(*) FROM tailwater_internal.recording) AS builds,
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'tailwater_internal'::regnamespace AND relname ~ '^(changes|inner|state)_') AS relations;
SQL

sub value { return $node->safe_psql('postgres', $_[0]); }

my $before = value('SELECT relations FROM traces');

# Runs the statement while two sessions write; they must not wait for longer than a part of it.
sub beside
{
	my ($name, $sql) = @_;
	value('DROP TABLE IF EXISTS stop; TRUNCATE waits');
	my @writers = map { start_psql($node, 'CALL write()') } 1, 2;
	until_true($node, 'SELECT count(*) > 20 FROM waits');
	my $start = time;
	my $creation = start_psql($node, $sql);
	my $rest = end_psql($creation) =~ s/^NOTICE:.*\n(DETAIL:.*\n)?(HINT:.*\n)?(LOCATION:.*\n)?//mgr;
	is($rest, '', "$name: " . substr($sql, 0, 40));
	my $took = time - $start;
	usleep(200_000);
	value('CREATE TABLE stop ()');
	is(end_psql($_), '', "$name: writer") foreach @writers;
	is(value("SELECT tailwater.sync(); SELECT tailwater.verify('$name')"), "\n0", "$name is exact");
	my $longest = value('SELECT max(seconds) FROM waits');
	note("$name took $took s, writers at most $longest s");
	cmp_ok($longest, '<', $took / 2, "$name: writers wait for a moment only") if $took > 1;
	is(value('SELECT builds FROM traces'), '0', "$name: no traces of the build");
}

my %query = (
	sets => 'SELECT g, x % 3 AS r, count(*) AS n, sum(slowly(x)) AS s FROM t GROUP BY GROUPING SETS ((g), (x % 3), ())',
	scalar => 'SELECT id, slowly(x) - (SELECT max(x) FROM d) AS x FROM t',
	topk => 'SELECT g, sum(slowly(x)) AS s FROM t GROUP BY g ORDER BY s DESC, g LIMIT 10',
	twice => 'SELECT n, count(*) AS c FROM (SELECT g, count(slowly(x)) AS n FROM t GROUP BY g) q GROUP BY n',
	windowed => 'SELECT g, s, rank() OVER (ORDER BY s) AS r FROM (SELECT g, sum(slowly(x)) AS s FROM t GROUP BY g) q',
	outer_groups => 'SELECT t.g, count(d.g) AS n, sum(slowly(t.x)) AS s FROM t LEFT JOIN d ON d.g = t.g AND d.x < 50 GROUP BY t.g',
	tree => 'WITH RECURSIVE r AS (SELECT id, slowly(x) AS x, 0 AS depth FROM t WHERE boss IS NULL UNION ALL '
	  . 'SELECT t.id, slowly(t.x), r.depth + 1 FROM r JOIN t ON t.boss = r.id) SELECT * FROM r',
	after => 'SELECT t.id, slowly(t.x) AS x, late.n FROM t JOIN late ON late.g = t.x % 100 AND t.id % 3 = 0');

foreach my $name (sort keys %query)
{
	beside($name, "CREATE MATERIALIZED VIEW $name WITH (tailwater.maintain = immediate) AS $query{$name}");
	value('UPDATE t SET x = x + 1 WHERE id % 1000 = 0; UPDATE d SET x = x + 1 WHERE g < 3; SELECT tailwater.sync()');
	is(value("SELECT tailwater.verify('$name')"), 0, "$name follows");
	value("DROP MATERIALIZED VIEW $name");
}
is(value('SELECT relations FROM traces'), $before, 'nothing is left of them');

# What goes wrong on the way leaves nothing.
value("INSERT INTO t SELECT nextval('ids'), i % 100, 1, NULL, repeat('p', 1600) FROM generate_series(1, 5000) i");
value('UPDATE t SET x = CASE WHEN id % 20 = 0 THEN 50 ELSE 1 END');
my $create = "CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS $query{twice}";
changed_meanwhile($node, $create);
value('UPDATE t SET x = -x WHERE id < 200');
is(value("SELECT tailwater.verify('v')"), 0, 'and follows');
value('DROP MATERIALIZED VIEW v');
foreach my $how ('pg_cancel_backend(pid)', 'pg_terminate_backend(builder)')
{
	my $creation = start_build($node, $create);
	value("SELECT $how FROM tailwater.progress");
	isnt(end_psql($creation), '', "$how ends it");
	ok(until_true($node, "SELECT builds = 0 AND relations = $before AND to_regclass('v') IS NULL FROM traces"), "$how: nothing is left");
	value('UPDATE t SET x = x WHERE id < 100');
}

$node->stop;
done_testing();
