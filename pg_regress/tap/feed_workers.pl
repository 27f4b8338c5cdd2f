# Launcher and sequencers: they start, restart, stop and stay idle as they should.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Time::HiRes qw(sleep time);
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('workers', plain => 1, conf => "checkpoint_timeout = 1h\n");

sub sequencer { return worker_pid($node, 'sequencer', $_[0] // 'postgres'); }
sub runs { my ($db) = @_; return wait_for(15, sub { sequencer($db) ne '' }); }
sub gone { my ($db) = @_; return wait_for(15, sub { sequencer($db) eq '' }); }
sub version { return $node->safe_psql('postgres', 'SELECT tailwater.version()'); }
sub answers { return wait_for(60, sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }); }
# Runs SQL that must succeed, and quickly: it waits for no worker.
sub quickly
{
	my ($sql, $name) = @_;
	my $start = time();
	my ($code, $out, $err) = $node->psql('postgres', $sql);
	is($err, '', $name);
	cmp_ok(time() - $start, '<', 4, "$name: at once");
	return;
}

# ---- the extension comes and goes ----
ok(wait_for(15, sub { worker_pid($node, 'launcher') ne '' }), 'the launcher runs');
is(sequencer(), '', 'no sequencer without the extension');
$node->safe_psql('postgres', 'BEGIN; CREATE EXTENSION tailwater; ROLLBACK');
$node->safe_psql('postgres', 'CREATE EXTENSION tailwater');
ok(wait_for(3, sub { sequencer() ne '' }), 'CREATE EXTENSION starts a sequencer at once');
$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION tailwater; ROLLBACK');
sleep 0.3;
isnt(sequencer(), '', 'a rolled back DROP EXTENSION does not end it');
$node->safe_psql('postgres', 'DROP EXTENSION tailwater');
ok(gone(), 'DROP EXTENSION ends it');
$node->safe_psql('postgres', 'DROP EXTENSION IF EXISTS tailwater; CREATE EXTENSION tailwater');
ok(runs(), 'and CREATE EXTENSION starts it again');
$node->safe_psql('postgres', 'DROP EXTENSION tailwater; ');
$node->safe_psql('postgres', 'CREATE EXTENSION tailwater');
ok(runs(), 'also right after a DROP');
make_view($node);
is($node->safe_psql('postgres',
	"SELECT DISTINCT wait_event_type FROM pg_stat_activity WHERE backend_type LIKE 'tailwater%'"),
	'Extension', 'workers show a wait event');

# ---- cancelled, terminated ----
my $pid = sequencer();
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'tailwater%'");
sleep 0.3;
is(sequencer(), $pid, 'pg_cancel_backend does not end the sequencer');
isnt(worker_pid($node, 'launcher'), '', 'nor the launcher');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok(wait_for(15, sub { my $new = sequencer(); $new ne '' && $new ne $pid }), 'a terminated sequencer is replaced');
my $launcher = worker_pid($node, 'launcher');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
ok(wait_for(15, sub { my $new = worker_pid($node, 'launcher'); $new ne '' && $new ne $launcher }),
	'a terminated launcher is replaced');
ok(runs(), 'and looks after the sequencer');
$node->safe_psql('postgres', change(1, 1, 'after') . 'SELECT tailwater.sync()');
is(version(), 2, 'which works');

# ---- databases ----
$node->safe_psql('postgres', 'CREATE DATABASE d1');
$node->safe_psql('d1', 'CREATE EXTENSION tailwater');
ok(runs('d1'), 'a sequencer for a second database');
quickly('CREATE DATABASE d2 TEMPLATE d1', 'CREATE DATABASE copies a database with workers');
ok(runs('d2'), 'the copy has its sequencer');
ok(runs('d1'), 'and the original again');
quickly('ALTER DATABASE d2 RENAME TO d3', 'ALTER DATABASE RENAME');
ok(runs('d3'), 'a sequencer after it');
quickly('DROP DATABASE d3', 'DROP DATABASE');
quickly('DROP DATABASE d1 WITH (FORCE)', 'DROP DATABASE WITH (FORCE)');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'tailwater sequencer'}),
	1, 'one sequencer is left');
$node->safe_psql('postgres', 'CREATE DATABASE d4');
$node->safe_psql('d4', 'CREATE EXTENSION tailwater');
ok(runs('d4'), 'a sequencer to be disturbed');
my $busy = session_open($node, 'd4');
session_run($busy, 'SELECT 1');
my ($code) = $node->psql('postgres', 'DROP DATABASE d4');
isnt($code, 0, 'DROP DATABASE fails because of a session');
ok(runs('d4'), 'the sequencer comes back');
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
$pid = sequencer('d4');
$node->psql('postgres', 'SET ROLE stranger; DROP DATABASE d4');
is(sequencer('d4'), $pid, 'who may not drop the database does not disturb it');
$node->safe_psql('postgres', "ALTER DATABASE d4 SET tailwater.port = 0");
ok(wait_for(15, sub { my $new = sequencer('d4'); $new ne '' && $new ne $pid }),
	'ALTER DATABASE SET tailwater.port reaches the workers');
session_close($busy);
$node->safe_psql('postgres', 'ALTER DATABASE d4 ALLOW_CONNECTIONS false');
ok(gone('d4'), 'a database that accepts no connections has no workers');
$node->safe_psql('postgres', 'ALTER DATABASE d4 ALLOW_CONNECTIONS true');
ok(runs('d4'), 'until it does again');
$node->safe_psql('postgres', 'ALTER DATABASE d4 IS_TEMPLATE true');
ok(gone('d4'), 'nor has a template');

# ---- crashes: a commit without a version gets one by itself ----
my $before = version();
for my $kind (qw(sequencer launcher))
{
	# The sequencer is stopped, so it cannot make the version before it dies.
	my $stopped = sequencer();
	kill 'STOP', $stopped;
	$node->safe_psql('postgres', change(1, 2, "before kill -9 of the $kind"));
	kill 'KILL', worker_pid($node, $kind, $kind eq 'sequencer' ? 'postgres' : undef);
	kill 'CONT', $stopped;
	sleep 0.5;
	ok(answers(), "the server is back after kill -9 of the $kind");
	ok(wait_for(30, sub { version() eq $before + 1 }), 'the commit before it has a version');
	ok(runs(), 'the sequencer runs');
	$before++;
}
my $stopped = sequencer();
kill 'STOP', $stopped;
$node->safe_psql('postgres', change(1, 2, 'before the crash of the server'));
kill 'KILL', $stopped;
$node->stop('immediate');
$node->start;
ok(wait_for(30, sub { version() eq $before + 1 }), 'the commit before a crash has a version');
is($node->safe_psql('postgres', "SELECT tw_diff, \"row\"->>'t' FROM tailwater.changes('v', $before)"),
	'1|before the crash of the server', 'with its change');
$node->safe_psql('postgres', 'SELECT tailwater.sync()');
is(version(), $before + 1, 'and only one');

# ---- idle ----
$node->safe_psql('postgres', 'CHECKPOINT');
sleep 1;
my %pids = map { $_ => 1 } split /\n/,
  $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'tailwater%'");
is(scalar(keys %pids), 2, 'launcher and one sequencer');
my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
my %wakeups = map { $_ => wakeups($_) } keys %pids;
sleep 5;
cmp_ok(wakeups($_) - $wakeups{$_}, '<=', 1, "worker $_ sleeps while idle") for keys %pids;
is($node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()'), $lsn, 'an idle server writes no WAL');

# ---- shutdown ----
my $start = time();
$node->stop('fast');
cmp_ok(time() - $start, '<', 5, 'a fast shutdown is fast');
unlike(slurp_file($node->logfile), qr/PANIC|leak|TRAP/, 'clean log');
done_testing();
