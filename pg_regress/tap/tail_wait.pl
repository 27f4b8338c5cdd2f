# TAIL between sessions: waiting and waking, cancel, disconnect, DROP and REVOKE
# while a cursor is open, and exactness under concurrent writers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use TailTest;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tailwater'\ntailwater.port = 0\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION tailwater;
	CREATE TABLE item (id int PRIMARY KEY, n int);
	INSERT INTO item SELECT i, 0 FROM generate_series(1, 3) i;
	CREATE MATERIALIZED VIEW items WITH (tailwater.maintain = immediate) AS SELECT id, n FROM item;
	CREATE MATERIALIZED VIEW doomed WITH (tailwater.maintain = immediate) AS SELECT id FROM item WHERE id < 0;
	CREATE ROLE reader;
	GRANT SELECT ON items TO reader;
});
synced();

# All that is committed has a version.
sub synced
{
	$node->safe_psql('postgres', 'SELECT tailwater.sync()');
	return $node->safe_psql('postgres', 'SELECT tailwater.version()');
}

sub rows { return map { /^row \d+\|(.*)/ ? $1 : () } @_; }
sub rest { return grep { !/^(row|columns)/ } @_; }

# Until a session that runs this query waits for changes; returns its pid.
sub waiting
{
	my ($query) = @_;
	$node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE query = '$query' AND state = 'active' AND wait_event_type = 'Extension'}) or die "not waiting: $query";
	return $node->safe_psql('postgres',
		qq{SELECT pid FROM pg_stat_activity WHERE query = '$query' AND state = 'active'});
}

my $c = TailTest->connect($node);

# ---- wake on commit ----
$c->query('BEGIN');
$c->query('DECLARE c CURSOR FOR TAIL items');
is(scalar(rows($c->query('FETCH ALL c'))), 3, 'snapshot');
is(join(' ', rest($c->query('FETCH 0 c'))), 'tag FETCH 0', 'FETCH 0 returns at once');
my $began = time;
is(join(' ', rest($c->query(q{FETCH ALL c WITH (TIMEOUT = '0s')}))), 'tag FETCH 0', 'TIMEOUT 0 with nothing ready');
cmp_ok(time - $began, '<', 0.5, 'TIMEOUT 0 never waits');
$began = time;
$c->query(q{FETCH ALL c WITH (TIMEOUT = '300ms')});
cmp_ok(time - $began, '>=', 0.3, 'TIMEOUT waits its time');

$c->send('Q', "FETCH ALL c\0");
my $pid = waiting('FETCH ALL c');
is($node->safe_psql('postgres', "SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $pid"), 't',
	'a waiting FETCH holds no snapshot');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype = 'relation'"), '0',
	'nor a lock');
my $writer = TailTest->connect($node);
my @latencies;
for my $n (1 .. 20)
{
	$began = time;
	$writer->query("UPDATE item SET n = $n WHERE id = 1");
	my @got = $c->until_ready;
	push @latencies, time - $began;
	is(join(' ', sort(rows(@got))), '-1|1|' . ($n - 1) . " 1|1|$n", 'wakes on commit') if $n <= 2;
	$c->send('Q', "FETCH ALL c\0");
}
@latencies = sort { $a <=> $b } @latencies;
note(sprintf('from the start of an update to its rows: median %.1f ms, worst %.1f ms', $latencies[10] * 1e3, $latencies[-1] * 1e3));
cmp_ok($latencies[10], '<', 0.5, 'the wait ends with the commit, not with a period');

# ---- cancel ----
waiting('FETCH ALL c');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
is(join(' ', $c->until_ready), 'error 57014', 'cancel ends the wait');
$c->query('ROLLBACK');

$c->query('BEGIN; DECLARE c CURSOR FOR TAIL items; SAVEPOINT s');
$c->send('Q', "FETCH 5 c WITH (TIMEOUT = 60)\0");
$pid = waiting('FETCH 5 c WITH (TIMEOUT = 60)');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
is(join(' ', $c->until_ready), 'error 57014', 'cancel while collecting');
$c->query('ROLLBACK TO s');
is(scalar(rows($c->query('FETCH 5 c WITH (TIMEOUT = 0)'))), 3, 'no row is lost by a cancelled FETCH');

$c->query(q{DO $$BEGIN
	PERFORM tailwater.exec('DECLARE d CURSOR FOR TAIL items');
	BEGIN
		PERFORM tailwater.exec('FETCH 2 d');
		RAISE EXCEPTION 'after the fetch';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	CREATE TEMP TABLE again AS SELECT * FROM tailwater.exec('FETCH 2 d');
	BEGIN
		RAISE EXCEPTION 'elsewhere';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	INSERT INTO again SELECT * FROM tailwater.exec('FETCH ALL d WITH (TIMEOUT = 0)');
END$$});
is(join(' ', rows($c->query("SELECT 0, count(*), count(DISTINCT exec->>'id') FROM again"))), '3|3',
	'a FETCH whose subtransaction fails within the statement gives its rows again, another does not');

$c->query('SAVEPOINT s2');
$c->query('DECLARE inner_cursor CURSOR FOR TAIL items');
$c->query('ROLLBACK TO s2');
is(join(' ', rest($c->query('FETCH inner_cursor'))), 'error 34000', 'ROLLBACK TO removes a cursor declared after it');
$c->query('ROLLBACK');

# ---- disconnect ----
my $gone = TailTest->connect($node);
$gone->query('BEGIN; DECLARE c CURSOR FOR TAIL items WITH (SNAPSHOT = false)');
$gone->send('Q', "FETCH NEXT FROM c\0");
$pid = waiting('FETCH NEXT FROM c');
$gone->close;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"),
	'the wait ends with the client');

# ---- DROP, REVOKE ----
$c->query('BEGIN; DECLARE c CURSOR FOR TAIL doomed');
$c->send('Q', "FETCH ALL c\0");
waiting('FETCH ALL c');
$node->safe_psql('postgres', q{SET lock_timeout = '5s'; DROP MATERIALIZED VIEW doomed});
is(join(' ', $c->until_ready), 'error 55000', 'an open TAIL does not block DROP, which ends it');
$c->query('ROLLBACK');

$c->query('SET ROLE reader');
$c->query('BEGIN; DECLARE c CURSOR FOR TAIL items; RESET ROLE');
is(scalar(rows($c->query('FETCH 1 c'))), 1, 'the role that declared the cursor counts');
$node->safe_psql('postgres', 'REVOKE SELECT ON items FROM reader');
is(join(' ', grep { /error/ } $c->query('FETCH ALL c')), 'error 42501', 'REVOKE ends it');
$c->query('ROLLBACK');
$c->query('RESET ROLE');
$c->query('BEGIN; SET LOCAL ROLE reader');
is(join(' ', grep { /error/ } $c->query('DECLARE c CURSOR FOR TAIL items')), 'error 42501', 'and is checked at DECLARE');
$c->query('ROLLBACK');

# ---- isolation ----
$c->query('BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE c CURSOR FOR TAIL items; FETCH ALL c');
$node->safe_psql('postgres', 'UPDATE item SET n = 100 WHERE id = 3');
is(join(' ', sort(rows($c->query('FETCH ALL c')))), '-1|3|0 1|3|100', 'the feed moves on in REPEATABLE READ');
$c->query('COMMIT');

# ---- concurrent writers: snapshot + changes = view, in every version ----
my $script = $node->basedir . '/writes.sql';
append_to_file($script, q{
\set id random(1, 40)
\set what random(1, 4)
\if :what = 1
DELETE FROM item WHERE id = :id;
\elif :what = 2
BEGIN;
INSERT INTO item VALUES (:id, 1) ON CONFLICT (id) DO UPDATE SET n = item.n + 1;
SAVEPOINT s;
DELETE FROM item WHERE id = :id;
ROLLBACK TO s;
COMMIT;
\else
INSERT INTO item VALUES (:id, 1) ON CONFLICT (id) DO UPDATE SET n = item.n + 1;
\endif
});
my $errors;
my $bench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-j', 1, '-T', 4, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $output, '2>', \$errors);

sub apply
{
	my ($state, @lines) = @_;
	for (@lines)
	{
		next unless /^row (\d+)\|(?:f\|)?(-?\d+)\|(.*)/;
		die "version $1 after $state->{version}" if $1 < $state->{version};
		$state->{version} = $1;
		$state->{row}{$3} += $2;
		delete $state->{row}{$3} if $state->{row}{$3} == 0;
	}
}

# Consumers begin while writers are at work: one takes few rows at a time, one all.
my %consumer;
for my $take (1, 7, 'ALL')
{
	my $client = TailTest->connect($node);
	sleep(0.4);
	$client->query('BEGIN; DECLARE c CURSOR FOR TAIL items');
	$consumer{$take} = { client => $client, version => 0, row => {} };
}
my $finished = 0;
while (!$finished)
{
	$finished = !$bench->pumpable;
	$bench->pump_nb unless $finished;
	apply($consumer{$_}, $consumer{$_}{client}->query("FETCH $_ c WITH (TIMEOUT = '20ms')")) for keys %consumer;
}
$bench->finish;
is($errors =~ /ERROR|FATAL/ ? $errors : '', '', 'writers met no error');
my $last = synced();
my @view = map { s/^row 0\|//r } grep { /^row/ } $c->query('SELECT 0, id, n FROM items ORDER BY id');
for my $take (sort keys %consumer)
{
	my $state = $consumer{$take};
	my $n = $take eq 'ALL' ? 'ALL' : 1000;
	my @lines;
	do
	{
		@lines = $state->{client}->query("FETCH $n c WITH (TIMEOUT = 0)");
		apply($state, @lines);
	} while (rows(@lines));
	is(join(' ', grep { $_ != 1 } values %{ $state->{row} }), '', "FETCH $take: no row twice, none negative");
	is(join(' ', sort keys %{ $state->{row} }), join(' ', sort @view), "FETCH $take: snapshot and changes give the view");
	$state->{client}->query('COMMIT');
}

# a snapshot of the past, for a position in the middle of it all
my $middle = int($last / 2) + 1;
my $past = { version => 0, row => {} };
$c->query("BEGIN; DECLARE c CURSOR FOR TAIL items AS OF $middle UP TO $last");
do { @view = $c->query('FETCH 100 c'); apply($past, @view) } while (rows(@view));
is(join(' ', sort keys %{ $past->{row} }),
	join(' ', sort map { s/^row 0\|//r } grep { /^row/ } $c->query('SELECT 0, id, n FROM items')),
	'a snapshot of the past and the changes since give the view');
$c->query('COMMIT');

# ---- a projection that makes rows equal is summed up again ----
$node->safe_psql('postgres', 'TRUNCATE item; INSERT INTO item SELECT i, 0 FROM generate_series(1, 5) i');
$last = synced();
$c->query("BEGIN; DECLARE c CURSOR FOR TAIL (SELECT n FROM items) WITH (PROGRESS)");
is(join(' ', rows($c->query('FETCH ALL c'))), 'f|5|0 t|null|null', 'equal rows of a snapshot are one row');
$node->safe_psql('postgres', 'UPDATE item SET id = id + 10 WHERE id = 1');
$node->safe_psql('postgres', 'UPDATE item SET n = 1 WHERE id IN (2, 3)');
synced();
is(join(' ', rows($c->query('FETCH ALL c WITH (TIMEOUT = 0)'))), 't|null|null f|-2|0 f|2|1 t|null|null',
	'a change that the projection hides gives no row but the progress');
$c->query('ROLLBACK');

$node->stop;
done_testing();
