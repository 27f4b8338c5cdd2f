# What the feed_*.pl tests share: a cluster with the extension, a live view and
# statements that change it, and sessions that stay open.
package FeedTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use Time::HiRes qw(usleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node deferred_conf make_view log_of change session_open session_run session_close
  wait_for until_true start_psql end_psql start_build changed_meanwhile worker_pid wakeups);

# A started cluster; the extension is created in database postgres unless the name says otherwise.
sub new_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => $options{streaming} ? 1 : 0);
	$node->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'tailwater'
tailwater.port = 0
max_prepared_transactions = 10
max_worker_processes = 16
restart_after_crash = on
autovacuum = off
CONF
	$node->append_conf('postgresql.conf', $options{conf}) if $options{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION tailwater') unless $options{plain};
	return $node;
}

# What deferred views need.
sub deferred_conf
{
	return "wal_level = logical\nmax_replication_slots = 10\nmax_wal_senders = 10\n";
}

# A live view v(a int, t text), and a function that changes it.
sub make_view
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<'SQL');
CREATE TABLE base (a int, t text);
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT a, t FROM base;
CREATE FUNCTION change(n int, a int, t text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO base SELECT change.a, change.t FROM generate_series(1, n);
	DELETE FROM base WHERE n < 0 AND ctid = ANY (ARRAY(
		SELECT b.ctid FROM base b WHERE b.a = change.a AND b.t = change.t LIMIT greatest(-n, 0)));
$$;
SELECT tailwater.sync();
SQL
	return;
}

# The change log of a live view.
sub log_of
{
	my ($node, $view) = @_;
	return $node->safe_psql('postgres',
		"SELECT log::regclass FROM tailwater_internal.attachment WHERE view = '$view'::regclass");
}

# SQL that changes v: n copies of (a, t), in the current transaction.
sub change { my ($n, $a, $t) = @_; return "SELECT change($n, $a, '$t');\n"; }

# A psql session that stays open.
sub session_open
{
	my ($node, $db) = @_;
	my $session = { in => '', out => '', err => '' };
	my $timer = IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default);
	$session->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($db // 'postgres') ],
		'<', \$session->{in}, '>', \$session->{out}, '2>', \$session->{err}, $timer);
	return $session;
}

sub session_run
{
	my ($session, $sql) = @_;
	$session->{in} .= "$sql;\n\\echo =done=\n";
	IPC::Run::pump($session->{run}) until $session->{out} =~ /^=done=$/m;
	my $out = $session->{out};
	$session->{out} = '';
	$out =~ s/=done=\n//;
	chomp $out;
	return $out;
}

sub session_close
{
	my ($session) = @_;
	$session->{in} .= "\\q\n";
	IPC::Run::finish($session->{run});
	return;
}

# Waits until a condition holds; returns whether it does within the seconds given.
sub wait_for
{
	my ($seconds, $condition) = @_;
	my $end = time() + $seconds;
	while (time() < $end)
	{
		return 1 if $condition->();
		usleep(20_000);
	}
	return 0;
}

# True as soon as the query gives true, false if that takes longer than half a minute.
sub until_true
{
	my ($node, $sql) = @_;
	return wait_for(30, sub { return $node->safe_psql('postgres', $sql) eq 't'; });
}

# A statement in a session of its own, which goes on beside the test; end_psql() waits for it and returns its errors.
sub start_psql
{
	my ($node, $sql) = @_;
	my ($out, $err) = ('', '');
	my $h = IPC::Run::start([ 'psql', '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$out, '2>', \$err);
	return { h => $h, out => \$out, err => \$err };
}

sub end_psql { my ($s) = @_; $s->{h}->finish; return ${ $s->{err} }; }

# The same with a statement that creates a view, when its content is being computed.
sub start_build
{
	my ($node, $sql) = @_;
	my $creation = start_psql($node, $sql);
	ok(until_true($node, "SELECT count(*) = 1 FROM tailwater.progress WHERE phase = 'computing'"), 'computing');
	return $creation;
}

# Base table t is changed beyond rows, and in its columns, while the statement builds view v: it ends, exact.
sub changed_meanwhile
{
	my ($node, $create) = @_;
	my $creation = start_build($node, $create);
	$node->safe_psql('postgres',
		'BEGIN; CREATE TABLE kept AS SELECT * FROM t; TRUNCATE t; INSERT INTO t SELECT * FROM kept WHERE id % 7 > 0; DROP TABLE kept; COMMIT');
	is(end_psql($creation), '', 'truncated meanwhile');
	is($node->safe_psql('postgres', "SELECT tailwater.verify('v')"), 0, 'exact after TRUNCATE');
	$node->safe_psql('postgres', 'DROP MATERIALIZED VIEW v');
	$creation = start_build($node, $create);
	$node->safe_psql('postgres',
		'ALTER TABLE t ALTER COLUMN pad TYPE varchar(2000); ALTER TABLE t ADD COLUMN more int DEFAULT 3; UPDATE t SET more = x WHERE id < 100');
	is(end_psql($creation), '', 'altered meanwhile');
	is($node->safe_psql('postgres', "SELECT tailwater.verify('v')"), 0, 'exact after ALTER TABLE');
	return;
}

# Process of a worker ("sequencer" of a database, "launcher"); empty where there is none.
sub worker_pid
{
	my ($node, $kind, $db) = @_;
	my $where = defined $db ? "AND datname = '$db'" : '';
	my ($code, $out) = $node->psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'tailwater $kind' $where");
	return $code == 0 ? $out : '';
}

sub wakeups
{
	my ($pid) = @_;
	my $status = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status");
	return $status =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : die "no count for $pid";
}

1;
