# Crashes in the middle of writes: kill -9 of backends and of everything, immediate stops. After each, every view
# equals its query, and whoever followed the feed before goes on without a gap.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(usleep);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('crash', conf => "deadlock_timeout = 10ms\nmax_connections = 40\ncheckpoint_timeout = 30s\nwal_level = minimal\nmax_wal_senders = 0\n");
my %views = (
	linear => 'SELECT id, g, x FROM t WHERE x > 0',
	copies => 'SELECT g FROM t',
	groups => 'SELECT g, count(*) AS n, sum(x) AS s, max(x) AS m FROM t GROUP BY g',
	joined => 'SELECT t.id, d.name FROM t JOIN d USING (g)',
	padded => 'SELECT d.g, t.id FROM d LEFT JOIN t USING (g)',
	above => 'SELECT n, count(*) AS c FROM groups GROUP BY n');
my @order = qw(linear copies groups joined padded above);

$node->safe_psql('postgres', 'SET client_min_messages = warning;'
	  . 'CREATE TABLE t (id int PRIMARY KEY, g int, x numeric);'
	  . 'CREATE TABLE d (g int PRIMARY KEY, name text);'
	  . 'INSERT INTO t SELECT i, i % 7, i FROM generate_series(1, 200) i;'
	  . "INSERT INTO d SELECT i, 'd' || i FROM generate_series(0, 6) i;"
	  . join('', map { "CREATE MATERIALIZED VIEW $_ WITH (tailwater.maintain = immediate) AS $views{$_};" } @order)
	  . 'CREATE TABLE done (n bigserial)');
# What a follower of the feed holds: a copy of each view and the position it is at.
$node->safe_psql('postgres', join('', map { "CREATE TABLE copy_$_ AS SELECT 0::bigint AS w, v.* FROM $_ v LIMIT 0;" } @order)
	  . 'CREATE TABLE position (view text PRIMARY KEY, version bigint)');

# The columns of feed rows of a view.
sub columns
{
	my ($view) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) "
		  . "FROM pg_attribute WHERE attrelid = '$view'::regclass AND attnum > 0");
}
my %columns = map { $_ => columns($_) } @order;

# Starts to follow, or goes on from the position that was reached.
sub follow
{
	my $sql = 'BEGIN ISOLATION LEVEL REPEATABLE READ;';
	foreach my $v (@order)
	{
		my $as = "AS f (tw_version bigint, tw_diff bigint, $columns{$v})";
		my $list = join(', ', map { (split ' ')[0] } split(/, /, $columns{$v}));
		$sql .= "INSERT INTO copy_$v SELECT tw_diff, $list FROM tailwater_internal.feed_read('$v'::regclass, "
		  . "(SELECT version FROM position WHERE view = '$v'), tailwater.version()) $as WHERE EXISTS (SELECT FROM position WHERE view = '$v');"
		  . "INSERT INTO copy_$v SELECT tw_diff, $list FROM tailwater_internal.feed_snapshot('$v'::regclass) $as "
		  . "WHERE NOT EXISTS (SELECT FROM position WHERE view = '$v');"
		  . "INSERT INTO position VALUES ('$v', tailwater.version()) ON CONFLICT (view) DO UPDATE SET version = excluded.version;";
	}
	$node->safe_psql('postgres', "$sql COMMIT");
	return;
}

# Rows by which what a follower holds differs from the view.
sub replay_differs
{
	my ($v) = @_;
	my $list = join(', ', map { (split ' ')[0] } split(/, /, $columns{$v}));
	return $node->safe_psql('postgres', "SELECT count(*) FROM ((SELECT ROW($list)::text AS r, sum(w) AS w FROM copy_$v GROUP BY 1 HAVING sum(w) <> 0) "
		  . "EXCEPT (SELECT ROW($list)::text, count(*) FROM $v GROUP BY 1)) a, (SELECT 1) b")
	  + $node->safe_psql('postgres', "SELECT count(*) FROM ((SELECT ROW($list)::text AS r, count(*)::numeric AS w FROM $v GROUP BY 1) "
		  . "EXCEPT (SELECT ROW($list)::text, sum(w) FROM copy_$v GROUP BY 1)) a");
}

sub check_everything
{
	my ($what) = @_;
	$node->safe_psql('postgres', 'SELECT tailwater.sync()');
	follow();
	is($node->safe_psql('postgres', "SELECT string_agg(view::regclass::text, ',') FROM tailwater.views WHERE tailwater.verify(view) <> 0"),
		'', "$what: every view equals its query");
	is(join(',', grep { replay_differs($_) != 0 } @order), '', "$what: so does what was followed");
	return;
}

# Writers that go on until their connection is lost.
my $script = $node->basedir . '/writes.sql';
PostgreSQL::Test::Utils::append_to_file($script, <<'SQL');
\set id random(1, 400)
\set g random(0, 9)
\set what random(1, 8)
\set is1 :what = 1
\set is2 :what = 2
\set is3 :what = 3
BEGIN;
\if :is1
UPDATE t SET g = :g, x = x + 0.5 WHERE id = :id;
\endif
INSERT INTO t VALUES (:id, :g, :id) ON CONFLICT (id) DO UPDATE SET x = t.x + 1.25, g = excluded.g;
SAVEPOINT a;
DELETE FROM t WHERE id = (:id + :what) % 400;
\if :is2
ROLLBACK TO a;
\endif
\if :is3
UPDATE d SET name = name || '.' WHERE g = :g;
\endif
INSERT INTO done DEFAULT VALUES;
COMMIT;
SQL
sub start_writers
{
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'pgbench', '-n', '-c', '4', '-T', '60', '--max-tries=100', '-f', $script, $node->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	return { run => $run, out => \$out, err => \$err };
}

sub progress { return $node->safe_psql('postgres', 'SELECT count(*) FROM done'); }

sub write_for_a_while
{
	my $before = progress();
	my $writers = start_writers();
	ok(wait_for(30, sub { progress() > $before + 50 }), 'writers write');
	follow();
	return $writers;
}

sub answers { return wait_for(60, sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }); }

follow();
check_everything('before');
foreach my $round (1 .. 2)
{
	my $writers = write_for_a_while();
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid LIMIT 1");
	kill 'KILL', $pid;
	IPC::Run::finish($writers->{run});
	ok(answers(), 'the server is back');
	check_everything("backend killed, round $round");
}

my $writers = write_for_a_while();
$node->stop('immediate');
IPC::Run::finish($writers->{run});
$node->start;
check_everything('immediate stop');

$writers = write_for_a_while();
my $postmaster = $node->{_pid};
$node->kill9;
IPC::Run::finish($writers->{run});
# its children may hold the shared memory for a moment
ok(wait_for(60, sub { !-d "/proc/$postmaster" }), 'it is gone');
usleep(2_000_000);
$node->start;
check_everything('postmaster killed');

# a sequencer that dies alone restarts the server, and versions go on
$writers = write_for_a_while();
kill 'KILL', worker_pid($node, 'sequencer', 'postgres');
IPC::Run::finish($writers->{run});
ok(answers(), 'the server is back');
check_everything('sequencer killed');

# prepared before a crash, decided after it
$node->safe_psql('postgres', "BEGIN; INSERT INTO t VALUES (1000, 3, 1); UPDATE d SET name = 'p' WHERE g = 5; PREPARE TRANSACTION 'p'");
$node->stop('immediate');
$node->start;
check_everything('prepared');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
check_everything('prepared and committed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM joined WHERE id = 1000'), '1', 'and it is there');
$node->stop;
done_testing();
