# Deferred views under load: kill -9 of the maintainer and of everything, immediate stops, modes that are switched,
# slots that are lost. Every view ends exact, two views never contradict each other, and the feed has no gap.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(usleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('deferred', conf => deferred_conf() . "max_connections = 40\ndeadlock_timeout = 20ms\nautovacuum = on\nautovacuum_naptime = 1s\n");
my %views = (
	by_owner => 'SELECT owner, count(*) AS n, sum(balance) AS balance FROM account GROUP BY owner',
	by_kind => 'SELECT kind, sum(balance) AS balance, max(balance) AS top FROM account GROUP BY kind',
	named => 'SELECT a.id, o.name, a.balance FROM account a JOIN owner o ON o.id = a.owner',
	lists => "SELECT o.name, string_agg(a.id || ':' || a.balance, ',' ORDER BY a.id) AS accounts FROM owner o LEFT JOIN account a ON a.owner = o.id GROUP BY o.name",
	above => 'SELECT n, sum(balance) AS balance FROM by_owner GROUP BY n');
my @order = qw(by_owner by_kind named lists above);

sub sql { return $node->safe_psql('postgres', join(';', 'SET client_min_messages = warning', @_)); }

sql('CREATE TABLE owner (id int PRIMARY KEY, name text)',
	'CREATE TABLE account (id serial PRIMARY KEY, owner int, kind int, balance int)',
	"INSERT INTO owner SELECT i, 'o' || i FROM generate_series(1, 10) i",
	'INSERT INTO account (owner, kind, balance) SELECT i % 10 + 1, i % 3, 1000 FROM generate_series(1, 100) i',
	(map { "CREATE MATERIALIZED VIEW $_ WITH (tailwater.maintain = deferred) AS $views{$_}" } @order));
sql('SELECT tailwater.sync()');

# What a follower held at the start of the feed.
my $start = sql('SELECT tailwater.version()');
sql((map { "CREATE TABLE first_$_ AS SELECT * FROM $_" } @order));

# Transfers keep the sum; some transactions are rolled back, some are long.
my $transfer = $node->basedir . '/transfer.sql';
append_to_file($transfer, <<'SQL');
\set a random(1, 100)
\set b random(1, 100)
\set amount random(1, 50)
\set o random(1, 10)
BEGIN;
UPDATE account SET balance = balance - :amount WHERE id = least(:a, :b);
SAVEPOINT s;
INSERT INTO account (owner, kind, balance) VALUES (:o, 1, 12345);
ROLLBACK TO s;
UPDATE account SET balance = balance + :amount WHERE id = greatest(:a, :b);
INSERT INTO account (owner, kind, balance) VALUES (:o, :a % 3, 0);
DELETE FROM account WHERE id = (SELECT max(id) FROM account WHERE balance = 0 AND id > 100 AND id % 2 = :a % 2);
UPDATE owner SET name = name || '' WHERE id = :o;
COMMIT;
SQL

my $bench;
my $noise = '';

sub start_load
{
	my ($clients) = @_;
	$noise = '';
	$bench = IPC::Run::start([ 'pgbench', '-n', '--max-tries=20', '-c', $clients, '-j', 1, '-T', 600, '-f', $transfer, $node->connstr('postgres') ],
		'>', \$noise, '2>', \$noise);
	return;
}

sub stop_load
{
	$bench->signal('TERM');
	eval { $bench->finish; };
	return;
}

sub wrong
{
	my @parts = map {
		"SELECT '$_' FROM ((SELECT x::text FROM ($views{$_}) x EXCEPT ALL SELECT x::text FROM $_ x) "
		  . "UNION ALL (SELECT x::text FROM $_ x EXCEPT ALL SELECT x::text FROM ($views{$_}) x)) d GROUP BY 1"
	} @order;
	return sql('SELECT tailwater.sync(' . "'60s'" . ')', join(' UNION ALL ', @parts)) =~ s/^\n*//r;
}

# Rows of the feed since the start, on top of what was there, against the view.
sub gaps
{
	my $found = '';
	foreach my $v (@order)
	{
		$found .= "$v " if sql(
			"SELECT count(*) FROM (SELECT r, sum(d) FROM (SELECT to_jsonb(f) AS r, 1 AS d FROM first_$v f "
			  . "UNION ALL SELECT row, tw_diff FROM tailwater.changes('$v', $start) "
			  . "UNION ALL SELECT to_jsonb(v), -1 FROM $v v) x GROUP BY r HAVING sum(d) <> 0) y") ne '0';
	}
	return $found;
}

# Two deferred views in one snapshot.
sub contradictions
{
	return sql('SELECT count(*) FROM (SELECT (SELECT sum(balance) FROM by_owner) AS a, (SELECT sum(balance) FROM by_kind) AS b, '
		  . '(SELECT sum(balance) FROM named) AS c, (SELECT sum(balance) FROM above) AS d) x '
		  . 'WHERE (a, b, c, d) <> (100000, 100000, 100000, 100000)');
}

sub wait_until_up
{
	for (1 .. 300)
	{
		my ($code) = $node->psql('postgres', 'SELECT 1');
		return if $code == 0;
		usleep(100_000);
	}
	die 'the server does not come back';
}

is(wrong(), '', 'exact at the start');
start_load(4);
my $seen = 0;
for (1 .. 20)
{
	$seen += contradictions();
	usleep(100_000);
}
is($seen, 0, 'views agree with each other under load');
stop_load();
is(wrong(), '', 'exact after load');
is(gaps(), '', 'no gap in the feed');

# kill -9 of the maintainer: the server restarts
for my $round (1 .. 4)
{
	start_load(3);
	usleep(300_000 + int(rand(700_000)));
	my $pid = worker_pid($node, 'maintainer');
	kill 'KILL', $pid if $pid;
	usleep(300_000);
	wait_until_up();
	stop_load();
	is(wrong(), '', "exact after kill -9 of the maintainer, $round");
	is(contradictions(), '0', 'and no contradiction');
}
is(gaps(), '', 'no gap in the feed');

# SIGTERM and SIGINT
start_load(2);
for my $signal (qw(INT TERM INT TERM))
{
	my $pid = worker_pid($node, 'maintainer');
	kill $signal, $pid if $pid;
	usleep(300_000);
}
stop_load();
is(wrong(), '', 'exact after the maintainer was asked to end');

# the whole server
for my $round (1 .. 3)
{
	start_load(3);
	usleep(500_000 + int(rand(500_000)));
	$node->stop('immediate');
	eval { $bench->finish; };
	$node->start;
	is(wrong(), '', "exact after an immediate stop, $round");
}
is(gaps(), '', 'no gap in the feed');

# a long transaction delays nobody else
my $long = session_open($node);
session_run($long, 'BEGIN; UPDATE account SET balance = balance + 0 WHERE id = 1; INSERT INTO account VALUES (-1, 1, 1, 0)');
sql('INSERT INTO account VALUES (-2, 2, 2, 0)');
sql("SELECT tailwater.sync('10s')");
is(sql('SELECT string_agg(id::text, \',\') FROM named WHERE id < 0'), '-2', 'the other one is there');
session_run($long, 'COMMIT');
is(wrong(), '', 'exact after the long transaction');
session_close($long);

# one large transaction
sql('SET logical_decoding_work_mem = 64', 'INSERT INTO account (owner, kind, balance) SELECT i % 10 + 1, i % 3, 0 FROM generate_series(1, 20000) i');
is(wrong(), '', 'exact after a large transaction');
sql('DELETE FROM account WHERE balance = 0 AND id > 100');
is(wrong(), '', 'exact after its removal');

# modes that are switched under load
start_load(2);
for my $mode (qw(immediate deferred immediate deferred))
{
	my ($code, $out, $err);
	for (1 .. 20)
	{
		($code, $out, $err) = $node->psql('postgres', "SELECT tailwater.maintain('named', '$mode')");
		last if $code == 0;
	}
	is($code, 0, "named becomes $mode");
	usleep(200_000);
}
stop_load();
is(wrong(), '', 'exact after switching');

# an immediate view beside them: in every version of the feed the sums of both kinds are what they always were
sql('CREATE MATERIALIZED VIEW present WITH (tailwater.maintain = immediate) AS SELECT kind, sum(balance) AS balance FROM account GROUP BY kind',
	'SELECT tailwater.sync()');
my $first = sql('SELECT tailwater.sync()', 'SELECT tailwater.version()') =~ s/^\n*//r;
start_load(3);
usleep(3_000_000);
stop_load();
is(wrong(), '', 'exact beside an immediate view');
is(sql('SELECT count(*) FROM (SELECT v, tw_version FROM (' . join(' UNION ALL ',
		  map { "SELECT '$_' AS v, tw_version, tw_diff * (row->>'balance')::numeric AS d FROM tailwater.changes('$_', $first)" } qw(present by_owner by_kind named above))
		  . ') c GROUP BY 1, 2 HAVING sum(d) <> 0) x'), '0', 'in every version all views have the same sum');
cmp_ok(sql("SELECT count(DISTINCT tw_version) FROM tailwater.changes('present', $first)"), '>', 10, 'there were versions');
sql('DROP MATERIALIZED VIEW present');

# lost slots: the views are computed anew, and publish the difference
my $before = sql('SELECT tailwater.version()');
$node->stop;
my $slots = $node->data_dir . '/pg_replslot';
system("rm -rf $slots/tailwater_*");
$node->start;
sql('UPDATE account SET balance = balance + 1 WHERE id = 1', 'UPDATE account SET balance = balance - 1 WHERE id = 2');
is(wrong(), '', 'exact after the slot was lost');

# max_slot_wal_keep_size
$node->append_conf('postgresql.conf', "max_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB\n");
$node->reload;
my $pid = worker_pid($node, 'maintainer');
kill 'STOP', $pid;
sql('CREATE TABLE filler AS SELECT repeat(md5(i::text), 30) AS t FROM generate_series(1, 80000) i');
# the checkpointer ends the maintainer, which has to be able to hear of it
my $checkpoint = session_open($node);
$checkpoint->{in} .= "CHECKPOINT;\n";
$checkpoint->{run}->pump_nb for 1 .. 5;
usleep(1_000_000);
kill 'CONT', $pid;
session_run($checkpoint, 'SELECT 1');
session_close($checkpoint);
sql('UPDATE account SET balance = balance + 1 WHERE id = 3', 'UPDATE account SET balance = balance - 1 WHERE id = 4');
is(wrong(), '', 'exact after the slot was invalidated');

# an error in one view does not stop the others, and is over when its cause is
sql('CREATE MATERIALIZED VIEW quotient WITH (tailwater.maintain = deferred) AS SELECT id, 10 / (balance - 777777) AS q FROM account');
sql('SELECT tailwater.sync()', 'INSERT INTO account VALUES (-9, 1, 1, 777777)');
usleep(500_000);
is(sql('SELECT count(*) FROM named WHERE id = -9'), '1', 'other views go on');
like(sql("SELECT last_error FROM tailwater.views WHERE view = 'quotient'::regclass"), qr/division by zero/, 'the error is told');
my $asked = time;
my ($failed, undef, $why) = $node->psql('postgres', "SELECT tailwater.sync('60s')");
isnt($failed, 0, 'sync() does not wait for what cannot be');
like($why, qr/do not cover the latest commits: division by zero.*Materialized view "quotient"/s, 'and says why');
cmp_ok(time - $asked, '<', 20, 'at once');
$node->safe_psql('postgres', 'CREATE ROLE nobody');
(undef, undef, $why) = $node->psql('postgres', "SET ROLE nobody; SELECT tailwater.sync('60s')");
like($why, qr/do not cover the latest commits\n/, 'without details to those who may not read the view');
sql('DELETE FROM account WHERE id = -9');
is(wrong(), '', 'exact again');
is(sql("SELECT coalesce(last_error, 'none') FROM tailwater.views WHERE view = 'quotient'::regclass"), 'none', 'the error is forgotten');

# a request that comes while the maintainer waits for a lock in a round that finds nothing to do: that wait must not swallow it
sql('SELECT tailwater.sync()', 'CHECKPOINT');
usleep(1_500_000);
my $holder = session_open($node);
session_run($holder, 'BEGIN; CREATE INDEX held ON named ((1))');
my @syncs = start_psql($node, "SELECT tailwater.sync('10 s')");
my $waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tailwater maintainer' AND datname = current_database() AND wait_event_type = 'Lock'";
ok(until_true($node, $waits), 'the maintainer waits for a lock');
push @syncs, start_psql($node, "SELECT tailwater.sync('10 s')");
ok(until_true($node, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE 'SELECT tailwater.sync(''10%' AND wait_event_type = 'Extension'}), 'somebody else asks it meanwhile');
session_run($holder, 'ROLLBACK');
session_close($holder);
is(end_psql($_), '', 'gets an answer') foreach @syncs;

# idle: no WAL of our own, nor of the server's own workers, nor of a slot that a checkpoint invalidates
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_slot_wal_keep_size = -1\n");
$node->reload;
wait_for(20, sub { return sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'") eq '0'; });
sql('SELECT tailwater.sync()', 'CHECKPOINT');
usleep(1_500_000);
my $lsn = sql('SELECT pg_current_wal_insert_lsn()');
usleep(2_000_000);
my $end = sql('SELECT pg_current_wal_insert_lsn()');
cmp_ok(sql("SELECT pg_wal_lsn_diff('$end', '$lsn')"), '<=', 400, 'no log is written while idle')
  or diag(scalar(readpipe('pg_waldump -p ' . $node->data_dir . "/pg_wal -s $lsn -e $end 2>&1")));
is(sql("SELECT lag_bytes || ' ' || lag_transactions FROM tailwater.views WHERE view = 'named'::regclass"), '0 0', 'no lag while idle');

# DROP DATABASE with its slot
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION tailwater; CREATE TABLE t (a int); CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = deferred) AS SELECT a FROM t');
$node->safe_psql('other', 'SELECT tailwater.sync()');
$node->safe_psql('postgres', 'DROP DATABASE other');
is(sql("SELECT count(*) FROM pg_replication_slots"), '1', 'its slot went with the database');

# DROP EXTENSION
sql('DROP EXTENSION tailwater CASCADE');
ok(wait_for(20, sub { return sql('SELECT count(*) FROM pg_replication_slots') eq '0'; }), 'its slot goes with the extension');
$node->stop;
done_testing();
