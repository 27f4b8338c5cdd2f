# Live views come into being while their base tables are written: writers wait for a moment at most, the view is exact
# from the start, and a build that is cancelled or crashes leaves nothing behind.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(usleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('build');
# Computing a row takes about a tenth of a millisecond: a build takes seconds.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION slowly(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF x >= 0 AND x % 50 = 0 THEN PERFORM pg_sleep(0.005); END IF;
	RETURN x;
END $$;
CREATE TABLE t (id int PRIMARY KEY, g int, x int, pad text);
CREATE TABLE d (g int PRIMARY KEY, name text);
INSERT INTO d SELECT i, 'd' || i FROM generate_series(0, 99) i;
INSERT INTO t SELECT i, i % 100, i, repeat('p', 1000) FROM generate_series(1, 30000) i;
CREATE MATERIALIZED VIEW groups WITH (tailwater.maintain = immediate) AS SELECT g, count(*) AS n, sum(x) AS s FROM t GROUP BY g;
CREATE SEQUENCE ids START 100000;
CREATE PROCEDURE write(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz;
	k int;
BEGIN
	FOR i IN 1 .. rounds LOOP
		EXIT WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'stop');
		started := clock_timestamp();
		k := 1 + (random() * 29000)::int;
		UPDATE t SET x = -x, g = (g + 1) % 100 WHERE id = k;
		COMMIT;
		INSERT INTO t VALUES (nextval('ids'), k % 100, -k, 'new');
		COMMIT;
		DELETE FROM t WHERE id = k + 1;
		COMMIT;
		IF i % 50 = 0 THEN UPDATE d SET name = name || 'x' WHERE g = i % 100; END IF;
		COMMIT;
		INSERT INTO waits VALUES (extract(epoch FROM clock_timestamp() - started));
		PERFORM pg_sleep(0.002);
		COMMIT;
	END LOOP;
END $$;
CREATE TABLE waits (seconds float8);
CREATE VIEW traces AS SELECT
	(SELECT count(*) FROM tailwater_internal.build) + (SELECT count(*) FROM tailwater_internal.recording) AS builds,
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'tailwater_internal'::regnamespace AND relname ~ '^changes_') AS changes;
SQL

sub value { return $node->safe_psql('postgres', $_[0]); }

# Creates a view while two sessions write; returns the longest that a transaction of theirs took.
sub create_beside
{
	my ($name, @sql) = @_;
	value('DROP TABLE IF EXISTS stop; TRUNCATE waits');
	my @writers = map { start_psql($node, 'CALL write(1000000)') } 1, 2;
	until_true($node, 'SELECT count(*) > 20 FROM waits');
	my $start = time;
	foreach my $sql (@sql)
	{
		my $creation = start_psql($node, $sql);
		is(end_psql($creation), '', "$name: " . substr($sql, 0, 40));
	}
	my $took = time - $start;
	usleep(200_000);
	value('CREATE TABLE stop ()');
	is(end_psql($_), '', "$name: writer") foreach @writers;
	is(value("SELECT tailwater.verify('$name')"), 0, "$name is exact");
	my $longest = value('SELECT max(seconds) FROM waits');
	note("$name took $took s, writers at most $longest s");
	is(value('SELECT builds, changes FROM traces'), '0|0', "$name: no traces of the build");
	return ($took, $longest);
}

my ($took, $longest) = create_beside('linear',
	'CREATE MATERIALIZED VIEW linear WITH (tailwater.maintain = immediate) AS SELECT id, slowly(x) AS x FROM t');
cmp_ok($took, '>', 2, 'the build takes its time');
cmp_ok($longest, '<', $took / 2, 'writers wait for a moment only');
($took, $longest) = create_beside('joined',
	'CREATE MATERIALIZED VIEW joined AS SELECT d.name, count(*) AS n, sum(slowly(t.x)) AS s FROM t JOIN d USING (g) GROUP BY d.name',
	"SELECT tailwater.maintain('joined', 'immediate')");
cmp_ok($longest, '<', $took / 2, 'maintain() beside writers');
create_beside('keyed',
	'CREATE MATERIALIZED VIEW keyed AS SELECT id, g, row_number() OVER (PARTITION BY g ORDER BY slowly(x), id) AS place FROM t WITH DATA',
	'ALTER MATERIALIZED VIEW keyed SET (tailwater.maintain = immediate)');
create_beside('above', 'CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS '
	  . 'SELECT a.g, a.n, slowly((b.x / 1000)::int) AS x FROM groups a JOIN t b ON b.id = a.g + 1');
is(value('SELECT count(*) FROM tailwater.views WHERE attached'), 5, 'all are live');
value('UPDATE t SET x = x + 1 WHERE id % 100 = 0');
is(value('SELECT sum(tailwater.verify(view)) FROM tailwater.views'), 0, 'and stay exact');
value('DROP MATERIALIZED VIEW linear, joined, keyed, above');

# A transaction that has written and stays open is waited for, and others write on.
my $slow = "CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, slowly(x) AS x FROM t";
my $open = session_open($node);
session_run($open, 'BEGIN; UPDATE t SET x = 5 WHERE id = 5;');
my $creation = start_psql($node, $slow);
ok(until_true($node, "SELECT count(*) = 1 FROM tailwater.progress WHERE blocked_by IS NOT NULL AND phase = 'waiting to record changes'"), 'the blocker is shown');
my $begun = time;
value("INSERT INTO t VALUES (nextval('ids'), 1, -1, 'beside')") foreach 1 .. 20;
cmp_ok(time - $begun, '<', 5, 'others write meanwhile');
is(value("SELECT phase FROM tailwater.progress"), 'waiting to record changes', 'while it waits');
session_run($open, 'COMMIT;');
ok(until_true($node, "SELECT count(*) = 1 FROM tailwater.progress WHERE phase = 'computing' AND rows_computed > 0"), 'then it goes on');
session_run($open, 'BEGIN; UPDATE t SET x = 6 WHERE id = 5;');
ok(until_true($node, "SELECT count(*) = 1 FROM tailwater.progress WHERE phase = 'waiting to switch'"), 'waits again for the switch');
value("INSERT INTO t VALUES (nextval('ids'), 1, -2, 'beside')") foreach 1 .. 5;
my ($code, undef, $refused) = $node->psql('postgres', 'REFRESH MATERIALIZED VIEW v');
like($refused, qr/is being computed/, 'no REFRESH meanwhile');
session_run($open, 'COMMIT;');
is(end_psql($creation), '', 'done');
is(value("SELECT tailwater.verify('v')"), 0, 'exact');
value('DROP MATERIALIZED VIEW v');

# What alters a base table: beyond rows, and its columns.
changed_meanwhile($node, $slow);
value('UPDATE t SET more = 7, x = -x WHERE id < 200; DROP MATERIALIZED VIEW v');

# Cancelled, failing, dropped: nothing stays.
sub leaves_nothing
{
	my ($how) = @_;
	ok(until_true($node, "SELECT builds + changes = 0 AND to_regclass('v') IS NULL FROM traces"), "$how: nothing is left");
	is(value("SELECT count(*) FROM tailwater.views"), 1, "$how: not listed");
	value('UPDATE t SET x = x WHERE id < 100');
}
foreach my $how ('pg_cancel_backend(pid)', 'pg_terminate_backend(pid)', 'pg_cancel_backend(builder)', 'pg_terminate_backend(builder)')
{
	$creation = start_build($node, $slow);
	value("SELECT $how FROM tailwater.progress");
	isnt(end_psql($creation), '', "$how ends it");
	leaves_nothing($how);
}
# a row that no writer above deletes
$creation = start_psql($node, 'CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, slowly(x) / (id - 29999) AS x FROM t');
like(end_psql($creation), qr/22012.*division by zero/, 'its error is told');
leaves_nothing('an error');

# A crash in the middle.
$creation = start_build($node, $slow);
my $builder = value('SELECT builder FROM tailwater.progress');
kill 'KILL', $builder;
end_psql($creation);
foreach (1 .. 100) { last if $node->psql('postgres', 'SELECT 1') == 0; usleep(100_000); }
leaves_nothing('a crash');
is(value("SELECT tailwater.verify('groups')"), 0, 'other views are right');
is(value("SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid WHERE proname = 'capture' AND tgrelid = 't'::regclass"), 6, 'and keep their triggers');

$node->stop;
done_testing();
