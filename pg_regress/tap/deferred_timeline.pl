# The log goes on in another timeline: a standby that is promoted before it has received all, the former primary after
# pg_rewind, a backup recovered to a point in time. Each ends with exact views; a position from before the switch goes
# on without a gap, one that was lost is refused, also when as many versions were written since.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use File::Copy;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $first = new_node('first', streaming => 1, conf => deferred_conf() . "wal_log_hints = on\n");
my $archive = $first->archive_dir;
mkdir $archive;
$first->append_conf('postgresql.conf', "archive_mode = on\narchive_command = 'cp \"%p\" \"$archive/%f\"'\n");
$first->restart;

my @views = qw(by_owner named rich above);

sub sql { my ($node, @commands) = @_; return $node->safe_psql('postgres', join(';', 'SET client_min_messages = warning', @commands)); }

sql($first, 'CREATE TABLE owner (id int PRIMARY KEY, name text)',
	'CREATE TABLE account (id serial PRIMARY KEY, owner int, balance int)',
	"INSERT INTO owner SELECT i, 'o' || i FROM generate_series(1, 10) i",
	'INSERT INTO account (owner, balance) SELECT i % 10 + 1, 1000 FROM generate_series(1, 100) i',
	'CREATE MATERIALIZED VIEW by_owner WITH (tailwater.maintain = deferred) AS SELECT owner, count(*) AS n, sum(balance) AS balance FROM account GROUP BY owner',
	'CREATE MATERIALIZED VIEW named WITH (tailwater.maintain = deferred) AS SELECT a.id, o.name, a.balance FROM account a JOIN owner o ON o.id = a.owner',
	'CREATE MATERIALIZED VIEW rich WITH (tailwater.maintain = immediate) AS SELECT id, balance FROM account WHERE balance > 1000',
	'CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS SELECT n, count(*) AS c FROM by_owner GROUP BY n',
	'SELECT tailwater.sync()');

# Commits, each with a version of its own.
my $changes = 0;
sub change
{
	my ($node, $times) = @_;
	for (1 .. $times)
	{
		$changes++;
		sql($node, "UPDATE account SET balance = balance + 1 WHERE id = $changes % 100 + 1",
			"INSERT INTO account (owner, balance) VALUES ($changes % 7, $changes)", 'SELECT tailwater.sync()');
	}
	return sql($node, 'SELECT tailwater.version()');
}

# What a follower held at a position is kept in tables, which go where the views go.
sub hold
{
	my ($node, $name) = @_;
	sql($node, map { "CREATE TABLE ${name}_$_ AS SELECT * FROM $_" } @views);
	return sql($node, 'SELECT tailwater.sync()', 'SELECT tailwater.version()') =~ s/\A\n*//r;
}

sub is_exact
{
	my ($node, $when) = @_;
	is(sql($node, "SELECT tailwater.sync('60s')", 'SELECT string_agg(view || \' \' || tailwater.verify(view), \' \' ORDER BY view::text) FROM tailwater.views') =~ s/\A\n*//r,
		'above 0 by_owner 0 named 0 rich 0', "exact $when");
	is(sql($node, 'SELECT count(*) FROM tailwater.views WHERE last_error IS NOT NULL'), '0', "no error $when");
	is(sql($node, 'SELECT count(*) FROM pg_replication_slots WHERE slot_type = \'logical\' AND active'), '1', "one slot $when");
	return;
}

sub goes_on
{
	my ($node, $name, $position, $when) = @_;
	is(join(' ', map { sql($node, "SELECT count(*) FROM (SELECT r FROM (SELECT to_jsonb(f) AS r, 1 AS d FROM ${name}_$_ f "
			  . "UNION ALL SELECT row, tw_diff FROM tailwater.changes('$_', $position) "
			  . "UNION ALL SELECT to_jsonb(v), -1 FROM $_ v) x GROUP BY r HAVING sum(d) <> 0) y") } @views),
		'0 0 0 0', "position '$name' goes on $when");
	return;
}

sub is_refused
{
	my ($node, $position, $when) = @_;
	foreach my $sql ("SELECT * FROM tailwater.changes('named', $position)",
		"BEGIN; DECLARE c CURSOR FOR TAIL named WITH (SNAPSHOT = false) AS OF $position; FETCH ALL c WITH (TIMEOUT = '0s')")
	{
		my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
		like($err, qr/ERROR:  72000: position $position of live view "named"/, "a position that was lost is refused $when");
	}
	return;
}

sub timeline { return sql($_[0], 'SELECT timeline FROM tailwater.versions ORDER BY version DESC LIMIT 1'); }

$first->backup('base');
my $second = PostgreSQL::Test::Cluster->new('second');
$second->init_from_backup($first, 'base', has_streaming => 1);
$second->start;

change($first, 3);
my $target = hold($first, 'target');
sql($first, "SELECT pg_create_restore_point('target')");
change($first, 3);
my $common = hold($first, 'common');
change($first, 2);
$first->wait_for_catchup($second, 'replay', $first->lsn('insert'));
$second->stop;

# What the standby does not receive.
my $lost = change($first, 10);
is_exact($first, 'at first');
sql($first, 'SELECT pg_switch_wal()');
my $segment = sql($first, "SELECT pg_walfile_name(pg_current_wal_lsn() - 1)");
sql($first, 'CHECKPOINT');
ok(wait_for(30, sub { -e "$archive/$segment" }), 'the log is archived');
$first->stop('immediate');

# ---- promotion ----
$second->start;
$second->promote;
is_exact($second, 'after promotion');
is_refused($second, $lost, 'after promotion');
change($second, 15);
is(timeline($second), '2', 'versions of another timeline');
is_exact($second, 'after promotion, and changes');
is_refused($second, $_, 'after promotion, and changes') for ($lost, $lost - 5);
goes_on($second, 'target', $target, 'after promotion');
goes_on($second, 'common', $common, 'after promotion');
my $kept = hold($second, 'kept');
change($second, 2);
sql($second, 'CHECKPOINT');

# ---- pg_rewind ----
my $conf = $first->data_dir . '/postgresql.conf';
copy($conf, $first->basedir . '/postgresql.conf.kept');
command_ok([ 'pg_rewind', '--source-server', $second->connstr('postgres'), '-D', $first->data_dir ], 'the former primary is rewound');
copy($first->basedir . '/postgresql.conf.kept', $conf);
$first->enable_streaming($second);
$first->start;
change($second, 2);
$second->wait_for_catchup($first, 'replay', $second->lsn('insert'));
is(sql($first, "SELECT count(*) FROM tailwater.changes('named', $common)"), sql($second, "SELECT count(*) FROM tailwater.changes('named', $common)"),
	'it follows the new primary');
$second->stop;
$first->promote;
is_exact($first, 'after pg_rewind and promotion');
change($first, 3);
is(timeline($first), '3', 'a third timeline');
is_exact($first, 'after pg_rewind, promotion, and changes');
is_refused($first, $lost, 'after pg_rewind');
goes_on($first, 'common', $common, 'after pg_rewind');
goes_on($first, 'kept', $kept, 'after pg_rewind');

# ---- recovery to a point in time ----
my $third = PostgreSQL::Test::Cluster->new('third');
$third->init_from_backup($first, 'base');
$third->append_conf('postgresql.conf', <<CONF);
archive_mode = off
restore_command = 'cp "$archive/%f" "%p"'
recovery_target_name = 'target'
recovery_target_action = 'promote'
CONF
$third->set_recovery_mode;
$third->start;
ok(wait_for(60, sub { $third->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 'f' }), 'recovery reaches its target');
is_exact($third, 'after recovery to a point in time');
is_refused($third, $_, 'after recovery to a point in time') for ($common, $lost, $kept);
change($third, 20);
is_exact($third, 'after recovery, and changes');
is_refused($third, $_, 'after recovery, and changes') for ($common, $lost, $kept);
goes_on($third, 'target', $target, 'after recovery to a point in time');

$first->stop;
$third->stop;
done_testing();
