# Deferred views and the log they keep: tailwater.max_lag_bytes holds whatever the maintainer does, and a server that
# is started with a lower wal_level for a while. The views end exact, and the feed has no gap.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('deferred_log', conf => deferred_conf() . "tailwater.max_lag_bytes = 8MB\n");

sub sql { return $node->safe_psql('postgres', join(';', 'SET client_min_messages = warning', @_)); }

sql('CREATE TABLE owner (id int PRIMARY KEY, name text)',
	'CREATE TABLE account (id serial PRIMARY KEY, owner int, balance int)',
	"INSERT INTO owner SELECT i, 'o' || i FROM generate_series(1, 10) i",
	'INSERT INTO account (owner, balance) SELECT i % 10 + 1, 1000 FROM generate_series(1, 100) i',
	'CREATE MATERIALIZED VIEW by_owner WITH (tailwater.maintain = deferred) AS SELECT owner, count(*) AS n, sum(balance) AS balance FROM account GROUP BY owner',
	'CREATE MATERIALIZED VIEW named WITH (tailwater.maintain = deferred) AS SELECT a.id, o.name, a.balance FROM account a JOIN owner o ON o.id = a.owner',
	'CREATE TABLE filler (t text)', 'SELECT tailwater.sync()');

# What a follower held at the start of the feed.
my $start = sql('SELECT tailwater.version()');
sql('CREATE TABLE first AS SELECT * FROM named');

my $last_error = "SELECT coalesce(last_error, 'none') FROM tailwater.views WHERE view = 'named'::regclass";
my $slots = 'SELECT count(*) FROM pg_replication_slots';
my $behind = "$slots WHERE pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn) > 16 * 1024 * 1024";

sub change { sql(map { "UPDATE account SET balance = balance + 1 WHERE id = $_" } 1 .. 5); return; }
sub write_log { sql('INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 3000) i') for 1 .. $_[0]; return; }

sub is_exact
{
	my ($when) = @_;
	is(sql("SELECT tailwater.sync('60s')", "SELECT tailwater.verify('by_owner') || ' ' || tailwater.verify('named')") =~ s/^\n*//r, '0 0', "exact $when");
	is(sql($last_error), 'none', "no error $when");
	is(sql('SELECT count(*) FROM (SELECT r FROM (SELECT to_jsonb(f) AS r, 1 AS d FROM first f '
		  . "UNION ALL SELECT row, tw_diff FROM tailwater.changes('named', $start) "
		  . 'UNION ALL SELECT to_jsonb(v), -1 FROM named v) x GROUP BY r HAVING sum(d) <> 0) y'), '0', "no gap in the feed $when");
	return;
}

for (1 .. 4)
{
	change();
	write_log(4);
	sql('SELECT tailwater.sync()');
}
is_exact('where the maintainer keeps up');
sql('INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 10000) i');
change();
is_exact('after one transaction that is larger than the bound');
unlike(slurp_file($node->logfile), qr/dropped the replication slot/, 'its slot is kept');

# a maintainer that hangs
my $blocker = session_open($node);
session_run($blocker, 'BEGIN; LOCK TABLE owner');
change();
for my $round (1 .. 3)
{
	write_log(10);
	ok(wait_for(30, sub { return sql($behind) eq '0'; }), "a maintainer that hangs does not hold back the log, $round");
}
ok(wait_for(20, sub { return sql($last_error) =~ /max_lag_bytes/; }), 'the error is told');
like(slurp_file($node->logfile), qr/dropped the replication slot/, 'the slot was dropped');
session_run($blocker, 'COMMIT');
session_close($blocker);
is_exact('after it hung');

# a maintainer that is not there: the launcher makes a pause when it ends again and again
my $absent = sub { return worker_pid($node, 'maintainer') eq ''; };
for (1 .. 6)
{
	wait_for(20, sub { return !$absent->(); });
	kill 'TERM', worker_pid($node, 'maintainer');
	wait_for(5, $absent);
	last if !wait_for(2.5, sub { return !$absent->(); });
}
change();
# in another database, too
$node->safe_psql('template1', "CREATE TABLE filler AS SELECT repeat(md5(i::text), 30) FROM generate_series(1, 30000) i; DROP TABLE filler");
ok(wait_for(3, sub { return sql($slots) eq '0'; }), 'a maintainer that is not there does not hold back the log');
ok(wait_for(3, sub { return sql($last_error) =~ /max_lag_bytes/; }), 'the error is told');
is_exact('when it is there again');

# wal_level is lowered: the server refuses to start as long as there is the slot
sub set_wal_level { $node->adjust_conf('postgresql.conf', 'wal_level', $_[0]); return; }

$node->stop;
set_wal_level('replica');
my $log = -s $node->logfile;
ok(!$node->start(fail_ok => 1), 'no start with a lower wal_level');
my $refusal = substr(slurp_file($node->logfile), $log);
like($refusal, qr/logical replication slot "tailwater_\d+" exists, but wal_level < logical/, 'it says why');
like($refusal, qr/HINT:  Change wal_level to be logical or higher/, 'and what to do');
set_wal_level('logical');
$node->start;
change();
is_exact('after wal_level is as it was');

# without the slot, as in a base backup, it does start; the views stay as they are
$node->stop;
system('rm -rf ' . $node->data_dir . '/pg_replslot/tailwater_*');
set_wal_level('replica');
$node->start;
change();
ok(wait_for(20, sub { return sql($last_error) =~ /wal_level/; }), 'views tell that they are not kept up to date');
my ($code, $out, $err) = $node->psql('postgres', "SELECT tailwater.sync('1s')");
isnt($code, 0, 'sync() does not claim that they are');
isnt(sql("SELECT tailwater.verify('by_owner')"), '0', 'they are as they were');
set_wal_level('logical');
$node->restart;
is_exact('after wal_level was raised again');

# who has no deferred view any more may lower it
sql("SELECT tailwater.maintain('named', 'immediate')", "SELECT tailwater.maintain('by_owner', 'immediate')");
ok(wait_for(20, sub { return sql($slots) eq '0'; }), 'the slot goes with the last deferred view');
set_wal_level('replica');
$node->restart;
change();
is(sql("SELECT tailwater.verify('by_owner') || ' ' || tailwater.verify('named')"), '0 0', 'exact in immediate mode with a lower wal_level');

$node->stop;
done_testing();
