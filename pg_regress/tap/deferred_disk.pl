# No space on disk, for a view, for what decoding spills, for the log itself. A limit on the size of files stands for
# the full disk, since it can be set and lifted for single processes, without privileges. Afterwards the views are
# exact, and the feed has no gap.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

plan skip_all => 'there is no prlimit, by which to limit the size of files'
  if system('prlimit --fsize --output=SOFT --noheadings > /dev/null 2>&1') != 0;

my $node = new_node('deferred_disk', conf => deferred_conf() . "work_mem = 64kB\nlogical_decoding_work_mem = 64kB\nlog_error_verbosity = terse\n");
my @views = qw(by_owner wide recent above);

sub sql { return $node->safe_psql('postgres', join(';', 'SET client_min_messages = warning', @_)); }

# The size beyond which no file grows, for processes of the server; undefined: any.
sub limit
{
	my ($size, @pids) = @_;
	system('prlimit', "--pid=$_", '--fsize=' . ($size // 'unlimited') . ':') == 0 or die "prlimit failed" for @pids;
	return;
}
sub postmaster { return $node->{_pid}; }

sql('CREATE TABLE account (id int PRIMARY KEY, owner int, note text)',
	"INSERT INTO account SELECT i, i % 10, 'n' || i FROM generate_series(1, 100) i",
	'CREATE MATERIALIZED VIEW by_owner WITH (tailwater.maintain = deferred) AS SELECT owner, count(*) AS n, sum(id) AS ids FROM account GROUP BY owner',
	'CREATE MATERIALIZED VIEW wide WITH (tailwater.maintain = deferred) AS SELECT id, note FROM account',
	'CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS SELECT n, count(*) AS c FROM by_owner GROUP BY n',
	'CREATE MATERIALIZED VIEW recent WITH (tailwater.maintain = immediate) AS SELECT id, owner FROM account WHERE id > 50',
	'SELECT tailwater.sync()');
my $start = sql('SELECT tailwater.version()');
sql(map { "CREATE TABLE first_$_ AS SELECT * FROM $_" } @views);

sub is_exact
{
	my ($when) = @_;
	is(sql("SELECT tailwater.sync('90s')", "SELECT string_agg(view || ' ' || tailwater.verify(view), ' ' ORDER BY view::text) FROM tailwater.views") =~ s/\A\n*//r,
		'above 0 by_owner 0 recent 0 wide 0', "exact $when");
	is(sql('SELECT count(*) FROM tailwater.views WHERE last_error IS NOT NULL'), '0', "no error $when");
	is(join(' ', map { sql("SELECT count(*) FROM (SELECT r FROM (SELECT md5(to_jsonb(f)::text) AS r, 1 AS d FROM first_$_ f "
			  . "UNION ALL SELECT md5(row::text), tw_diff FROM tailwater.changes('$_', $start) "
			  . "UNION ALL SELECT md5(to_jsonb(v)::text), -1 FROM $_ v) x GROUP BY r HAVING sum(d) <> 0) y") } @views),
		'0 0 0 0', "no gap in the feed $when");
	return;
}

sub log_since { return substr(slurp_file($node->logfile), $_[0]); }

# ---- a view has no space, others go on ----
# More than a segment of the log, which this process writes too.
my $size = 17 * 1024 * 1024;
my $log = -s $node->logfile;
my $maintainer = worker_pid($node, 'maintainer', 'postgres');
like($maintainer, qr/^\d+$/, 'there is a maintainer');
limit($size, $maintainer);
# Each of them fits, together they do not.
for my $part (1 .. 5)
{
	sql("INSERT INTO account SELECT i, i % 10, repeat('x', 500) || i FROM generate_series($part * 10000 + 1, $part * 10000 + 10000) i", 'SELECT pg_sleep(0.5)');
}
ok(wait_for(60, sub { log_since($log) =~ /could not (extend|write)[^\n]*: File too large/; }), 'the view finds no space');
ok(wait_for(60, sub { sql("SELECT last_error FROM tailwater.views WHERE view = 'wide'::regclass") =~ /File too large/; }), 'it says so');
ok(wait_for(60, sub { sql("SELECT tailwater.verify('by_owner') + tailwater.verify('above')") eq '0'; }), 'the others go on');
sql('DELETE FROM account WHERE id % 3 = 0');
is(worker_pid($node, 'maintainer', 'postgres'), $maintainer, 'it is the same process still');
limit(undef, $maintainer);
is_exact('after there is space for the view again');

# ---- what decoding spills has no space ----
$log = -s $node->logfile;
my $writer = session_open($node);
session_run($writer, 'SELECT 1');
limit($size, postmaster(), worker_pid($node, 'maintainer', 'postgres'));
session_run($writer, "UPDATE account SET note = note || 'y'");
ok(wait_for(60, sub { log_since($log) =~ /could not write[^\n]*: File too large/; }), 'decoded changes find no space');
session_run($writer, 'DELETE FROM account WHERE id % 7 = 0');
session_close($writer);
limit(undef, postmaster());
my $worker = worker_pid($node, 'maintainer', 'postgres');
limit(undef, $worker) if $worker;
is_exact('after there is space for decoded changes again');

# ---- the log has no space: the server goes down ----
sql('SELECT pg_switch_wal()');
$log = -s $node->logfile;
$writer = session_open($node);
my $pid = session_run($writer, 'SELECT pg_backend_pid()');
limit(4 * 1024 * 1024, postmaster(), $pid, split(/\n/, sql("SELECT pid FROM pg_stat_activity WHERE pid NOT IN (pg_backend_pid(), $pid)")));
$writer->{in} .= "INSERT INTO account SELECT i, 0, repeat('z', 500) FROM generate_series(100001, 120000) i;\n";
ok(wait_for(60, sub { eval { IPC::Run::pump_nb($writer->{run}) }; log_since($log) =~ /PANIC:.*File too large/; }), 'the log finds no space');
ok(wait_for(60, sub { log_since($log) =~ /startup process failure|database system is shut down/; }), 'nor does recovery');
eval { IPC::Run::kill_kill($writer->{run}) };
my $postmaster = postmaster();
ok(wait_for(60, sub { !-d "/proc/$postmaster"; }), 'the server is down');
$node->kill9;
$node->start;
is_exact('after there is space for the log again');
sql("UPDATE account SET owner = owner + 1 WHERE id < 1000");
is_exact('and after a change');

$node->stop;
done_testing();
