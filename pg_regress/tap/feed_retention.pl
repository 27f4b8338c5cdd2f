# Retention: old versions and log rows go, the changes of versions that stay do not.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(sleep);
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('retention', conf => "tailwater.retention = '1h'\n");
make_view($node);
my $log = log_of($node, 'v');
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub versions { return sql('SELECT min(version), max(version) FROM tailwater.versions'); }

# Versions 2 to 11, and a transaction that lasts longer than all of them.
my $long = session_open($node);
session_run($long, 'BEGIN;' . change(1, 0, 'long'));
sql(change(1, $_, 'old') . 'SELECT tailwater.sync()') for 2 .. 11;
is(versions(), '1|11', 'eleven versions');
sql('UPDATE tailwater_internal.version SET committed_at = committed_at - interval \'2h\' WHERE version <= 8');
my $kept = sql("SELECT * FROM tailwater.changes('v', 8)");
$node->reload;
ok(wait_for(20, sub { versions() eq '8|11' }), 'what is older goes, but for the newest of it: the oldest position');
ok(wait_for(20, sub { sql("SELECT count(*) FROM $log") == 3 }), 'and the log rows it covers');
is(sql("SELECT * FROM tailwater.changes('v', 8)"), $kept, 'the changes of versions that stay are untouched');
session_run($long, 'COMMIT');
sql('SELECT tailwater.sync()');
is(sql(q{SELECT tw_version, "row"->>'t' FROM tailwater.changes('v', 11)}), '12|long',
	'the long transaction, older than all that went, has its version');
my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM tailwater.changes('v', 7)");
like($err, qr/72000.*position 7 .*no longer retained.*oldest position is 8.*HINT:\s+Take a new snapshot/s,
	'a position below is refused');

# Everything old: the newest version stays, and nothing is left to do.
sql('UPDATE tailwater_internal.version SET committed_at = committed_at - interval \'2h\'');
$node->reload;
ok(wait_for(20, sub { versions() eq '12|12' && sql("SELECT count(*) FROM $log") == 0 }),
	'the newest version stays');
is(sql("SELECT count(*) FROM tailwater.changes('v', 12)"), '0', 'and is a position');
is(sql(q{SELECT sum(d) FROM tailwater_internal.feed_snapshot('v'::regclass) AS s(v bigint, d bigint, a int, t text)}),
	sql('SELECT count(*) FROM v'), 'as is the snapshot');
my $pid = worker_pid($node, 'sequencer', 'postgres');
sleep 0.5;
my $before = wakeups($pid);
sleep 3;
cmp_ok(wakeups($pid) - $before, '<=', 1, 'no timer is left');

# By itself, with a short retention.
$node->append_conf('postgresql.conf', "tailwater.retention = '1s'\n");
$node->reload;
sql(change(1, 50, 'short') . 'SELECT tailwater.sync()');
sql(change(1, 51, 'short') . 'SELECT tailwater.sync()');
ok(wait_for(20, sub { versions() eq '14|14' }), 'a short retention prunes by itself');
ok(wait_for(20, sub { sql("SELECT count(*) FROM $log") == 0 }), 'log rows too');

# By size: this log is cut, positions of another view stay.
sql(<<'SQL');
CREATE TABLE w_base (a int);
CREATE MATERIALIZED VIEW w WITH (tailwater.maintain = immediate) AS SELECT a FROM w_base;
SQL
$node->append_conf('postgresql.conf', "tailwater.retention = '1h'\ntailwater.retention_size = '1MB'\n");
$node->reload;
sql('SELECT tailwater.sync()');
my $first = sql('SELECT tailwater.version()');
for my $i (1 .. 10)
{
	sql("INSERT INTO base SELECT g, $i || repeat('x', 200) FROM generate_series(1, 1000) g");
	sql("INSERT INTO w_base VALUES ($i)");
	sql('SELECT tailwater.sync()');
}
sql('SELECT pg_stat_force_next_flush()');
$node->reload;
ok(wait_for(20, sub { sql('SELECT count(*) FROM tailwater_internal.log_floor') == 1 }), 'a log that is too large is cut');
my $rows;
ok(wait_for(20, sub { my $last = $rows // -1; $rows = sql("SELECT count(*) FROM $log"); sleep 0.3; $rows == $last }),
	'until it fits');
my $floor = sql('SELECT version FROM tailwater_internal.log_floor');
my $changes = sql("SELECT sum(tw_diff) FROM tailwater.changes('v', $floor)");
cmp_ok($changes, '>', 2000, "but not more ($changes changes)");
cmp_ok($changes, '<', 5500, 'by much');
is($changes % 1000, 0, 'above it nothing is missing');
cmp_ok($floor, '>', $first, 'it has an oldest position of its own');
($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM tailwater.changes('v', $first)");
like($err, qr/72000.*oldest position is $floor/s, 'below which it refuses');
is(sql("SELECT count(*) FROM tailwater.changes('w', $first)"), '10', 'the other view keeps its positions');
session_close($long);
$node->stop;
done_testing();
