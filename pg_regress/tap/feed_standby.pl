# A hot standby reads versions, changes and snapshots; after promotion it goes on.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $primary = new_node('primary', streaming => 1);
make_view($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

my $snapshot = q{SELECT tw_version, tw_diff, a, t FROM tailwater_internal.feed_snapshot('v'::regclass)
	AS s(tw_version bigint, tw_diff bigint, a int, t text) ORDER BY a, t};
my $changes = q{SELECT tw_version, tw_diff, "row" FROM tailwater.changes('v', 1)};

$primary->safe_psql('postgres', 'BEGIN;' . change(2, 1, 'x') . 'SAVEPOINT s;' . change(1, 2, 'y') . 'COMMIT;'
	  . 'SELECT tailwater.sync();' . change(-1, 1, 'x') . 'SELECT tailwater.sync()');
# A commit without a version, and an unfinished transaction.
my $open = session_open($primary);
session_run($open, 'BEGIN;' . change(1, 3, 'unfinished'));
my $sequencer = worker_pid($primary, 'sequencer', 'postgres');
kill 'STOP', $sequencer;
$primary->safe_psql('postgres', change(1, 4, 'no version yet') . change(-1, 2, 'y'));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

is($standby->safe_psql('postgres', 'SELECT tailwater.version()'), 3, 'the standby knows the versions');
is($standby->safe_psql('postgres', $changes), $primary->safe_psql('postgres', $changes), 'the same changes');
is($standby->safe_psql('postgres', $snapshot), "3|1|1|x\n3|1|2|y", 'a snapshot as of the version');
is($standby->safe_psql('postgres', "SELECT count(*) FROM tailwater.changes('v', 7)"), 0,
	'a position the standby has not reached has no changes yet');
is(worker_pid($standby, 'sequencer'), '', 'no sequencer during recovery');
my ($code, $out, $err) = $standby->psql('postgres', 'SELECT tailwater.sync()');
like($err, qr/recovery is in progress/, 'sync() is refused');

kill 'KILL', $sequencer;
$primary->stop('immediate');
$standby->promote;
# Numbers of the old timeline are not used again.
my $next = 0;
ok(wait_for(30, sub { ($next = $standby->safe_psql('postgres', 'SELECT tailwater.version()')) > 1 << 40 }),
	'after promotion the commit without a version gets one');
is($standby->safe_psql('postgres', q{SELECT tw_diff, "row"->>'t' FROM tailwater.changes('v', 3)}),
	"1|no version yet\n-1|y", 'with its changes');
$standby->safe_psql('postgres', change(1, 5, 'promoted') . 'SELECT tailwater.sync()');
is($standby->safe_psql('postgres', qq{SELECT tw_version, "row"->>'t' FROM tailwater.changes('v', $next)}), ($next + 1) . '|promoted', 'and it goes on');
is($standby->safe_psql('postgres', $snapshot), join("\n", map { $next + 1 . "|1|$_" } '1|x', '4|no version yet', '5|promoted'), 'with a snapshot to match');
$standby->stop;
done_testing();
