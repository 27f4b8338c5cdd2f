# Versions and the reader: every committed change is in exactly one version,
# whatever order transactions begin and commit in, and a snapshot fits the
# changes after it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('versions');
make_view($node);

sub changes
{
	my ($after, $upto) = @_;
	$upto //= 'NULL';
	return $node->safe_psql('postgres',
		qq{SELECT tw_version - $after, tw_diff, "row"->>'a', "row"->>'t' FROM tailwater.changes('v', $after, $upto)});
}
sub synced { $node->safe_psql('postgres', 'SELECT tailwater.sync(); SELECT tailwater.version()') =~ /(\d+)$/; return $1; }

# ---- consolidation, by image ----
my $start = synced();
is($start, 1, 'the attachment has version 1');
$node->safe_psql('postgres', 'BEGIN;' . change(1, 1, 'x') . change(2, 1, 'x') . change(1, 2, 'gone')
	  . change(-1, 2, 'gone') . 'SAVEPOINT s;' . change(5, 3, 'never') . 'ROLLBACK TO s;' . 'COMMIT');
is(synced(), 2, 'one commit, one version');
is(changes(1), '1|3|1|x', 'equal rows are merged, what cancels is left out, a rolled back savepoint too');
is(synced(), 2, 'nothing committed: no further version');
$node->safe_psql('postgres', 'BEGIN;' . change(1, 9, 'rolled back') . 'ROLLBACK');
is(synced(), 2, 'a rollback makes no version');

# ---- commit order differs from the order of transaction ids ----
my $long = session_open($node);
my $early = session_open($node);
session_run($long, 'BEGIN;' . change(1, 10, 'long'));
session_run($early, 'BEGIN; SELECT pg_current_xact_id(); SAVEPOINT a;' . change(1, 11, 'early, in a subtransaction'));
$node->safe_psql('postgres', change(1, 12, 'late'));
is(synced(), 3, 'a version beside unfinished transactions');
session_run($early, 'COMMIT');
is(synced(), 4, 'a version for the transaction that began earlier');
$node->safe_psql('postgres', change(1, 13, 'later'));
is(synced(), 5, 'and one more');
session_run($long, change(1, 14, 'long, second') . 'COMMIT');
is(synced(), 6, 'the longest commits last');
is(changes(2), "1|1|12|late\n2|1|11|early, in a subtransaction\n3|1|13|later\n4|1|10|long\n4|1|14|long, second",
	'each version has what became visible with it');
is(changes(3, 4), '1|1|11|early, in a subtransaction', 'upper bound');
is(changes(4, 4), '', 'empty range');

# ---- prepared transactions ----
$node->safe_psql('postgres', 'BEGIN;' . change(1, 20, 'prepared') . "PREPARE TRANSACTION 'p'");
is(synced(), 6, 'PREPARE makes no version');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
ok(wait_for(10, sub { $node->safe_psql('postgres', 'SELECT tailwater.version()') == 7 }),
	'COMMIT PREPARED makes one without being asked');
is(changes(6), '1|1|20|prepared', 'with the prepared changes');

# ---- positions ----
my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM tailwater.changes('v', 0)");
like($err, qr/72000.*oldest position is 1/s, 'a position before the attachment is refused');
($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM tailwater.changes('v', 1000)");
like($err, qr/72000.*newest version is 7/s, 'a position from the future is refused');

# ---- privileges ----
$node->safe_psql('postgres', 'CREATE ROLE nobody_here');
($code, $out, $err) = $node->psql('postgres', "SET ROLE nobody_here; SELECT * FROM tailwater.changes('v', 1)");
like($err, qr/permission denied/, 'changes() needs SELECT on the view');
$node->safe_psql('postgres', "GRANT SELECT (a, t) ON v TO nobody_here; SET ROLE nobody_here; SELECT * FROM tailwater.changes('v', 1)");
pass('SELECT on all columns is enough');

# ---- a snapshot subtracts what has no version yet ----
session_run($long, 'BEGIN;' . change(1, 30, 'own') . change(-1, 12, 'late'));
my $asnap = q{SELECT tw_version - tailwater.version(), tw_diff, a, t FROM tailwater_internal.feed_snapshot('v'::regclass)
	AS s(tw_version bigint, tw_diff bigint, a int, t text) ORDER BY a, t};
my $expected = "0|3|1|x\n0|1|10|long\n0|1|11|early, in a subtransaction\n0|1|12|late\n0|1|13|later\n0|1|14|long, second\n0|1|20|prepared";
is(session_run($long, $asnap), $expected, 'snapshot without the own unfinished changes');
session_run($long, 'ROLLBACK');

# ---- many writers, a reader that follows, and snapshots in between ----
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE followed (version bigint, diff bigint, a int, t text);
CREATE TABLE seen (version bigint, diff bigint, a int, t text);
CREATE PROCEDURE write(seed int, n int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setseed(seed / 100.0);
	FOR i IN 1..n LOOP
		PERFORM change(1, (random() * 20)::int, 'w' || seed);
		IF random() < 0.3 THEN PERFORM pg_sleep(random() * 0.01); END IF;
		BEGIN
			PERFORM change(1, (random() * 20)::int, 'w' || seed);
			IF random() < 0.3 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN
			PERFORM change(1, -1, 'w' || seed);
		END;
		PERFORM change(-2, -1, 'w' || seed) WHERE (SELECT count(*) FROM v WHERE v.a = -1 AND v.t = 'w' || seed) >= 2;
		IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
CREATE PROCEDURE follow(start bigint, n int) LANGUAGE plpgsql AS $$
DECLARE at bigint := coalesce(start, (SELECT max(version) FROM followed));
BEGIN
	FOR i IN 1..n LOOP
		PERFORM tailwater.sync();
		COMMIT;
		INSERT INTO followed SELECT tw_version, tw_diff, ("row"->>'a')::int, "row"->>'t' FROM tailwater.changes('v', at);
		at := greatest(at, (SELECT max(version) FROM followed));
		COMMIT;
		INSERT INTO seen SELECT * FROM tailwater_internal.feed_snapshot('v'::regclass)
			AS s(tw_version bigint, tw_diff bigint, a int, t text);
		COMMIT;
		PERFORM pg_sleep(0.003);
	END LOOP;
END $$;
SQL
$start = synced();
$node->safe_psql('postgres', "INSERT INTO followed SELECT $start, count(*), a, t FROM v GROUP BY a, t");
my @writers = map { session_open($node) } 1 .. 4;
for my $i (0 .. $#writers)
{
	$writers[$i]{in} .= "CALL write($i, 150);\n\\echo =done=\n";
	$writers[$i]{run}->pump_nb;
}
my $reader = session_open($node);
session_run($reader, "CALL follow($start, 150)");
for my $writer (@writers)
{
	IPC::Run::pump($writer->{run}) until $writer->{out} =~ /=done=/;
	is($writer->{err}, '', 'writer had no error');
	session_close($writer);
}
my $newest = synced();
session_run($reader, 'CALL follow(NULL, 1)');
is($reader->{err}, '', 'reader had no error');
session_close($reader);
cmp_ok($newest - $start, '>', 50, 'many versions were made');
is($node->safe_psql('postgres', <<'SQL'), '0', 'the followed changes add up to the view');
SELECT count(*) FROM (
	(SELECT a, t, count(*) FROM v GROUP BY a, t EXCEPT SELECT a, t, sum(diff) FROM followed GROUP BY a, t HAVING sum(diff) <> 0)
	UNION ALL
	(SELECT a, t, sum(diff) FROM followed GROUP BY a, t HAVING sum(diff) <> 0 EXCEPT SELECT a, t, count(*) FROM v GROUP BY a, t)) d
SQL
is($node->safe_psql('postgres', <<'SQL'), '0', 'each snapshot equals the changes up to its version');
WITH versions AS (SELECT DISTINCT version FROM seen),
	history AS (SELECT s.version, a, t, sum(diff) AS n FROM versions s JOIN followed f ON f.version <= s.version
		GROUP BY s.version, a, t HAVING sum(diff) <> 0),
	-- a version may have been seen several times
	once AS (SELECT DISTINCT version, a, t, diff AS n FROM seen)
SELECT count(*) FROM ((TABLE history EXCEPT TABLE once) UNION ALL (TABLE once EXCEPT TABLE history)) d
SQL
is($node->safe_psql('postgres', "SELECT count(*), max(version) - min(version) + 1 FROM tailwater.versions") =~ /^(\d+)\|\1$/ ? 1 : 0,
	1, 'version numbers have no gap');
is($node->safe_psql('postgres', <<"SQL"), '0', 'reading again gives the same');
SELECT count(*) FROM (
	SELECT tw_version, tw_diff, ("row"->>'a')::int, "row"->>'t' FROM tailwater.changes('v', $start)
	EXCEPT ALL SELECT * FROM followed WHERE version > $start) d
SQL

# ---- a view that is quiet for many versions ----
$node->safe_psql('postgres', change(1, 77, 'before the silence'));
synced();
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE other_base (a int);
CREATE MATERIALIZED VIEW other WITH (tailwater.maintain = immediate) AS SELECT a FROM other_base;
CREATE PROCEDURE silence() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..60 LOOP
		INSERT INTO other_base VALUES (i);
		IF i IN (20, 58) THEN PERFORM change(1, 78, 'in the silence'); END IF;
		COMMIT;
		PERFORM tailwater.sync();
		COMMIT;
	END LOOP;
END $$;
SQL
my $attached = q{SELECT pg_visible_in_snapshot(attached_xid, (SELECT snapshot FROM tailwater.versions ORDER BY version DESC LIMIT 1))
	FROM tailwater_internal.attachment WHERE view = 'other'::regclass};
ok(wait_for(10, sub { $node->safe_psql('postgres', $attached) eq 't' }), 'attaching a view makes a version without being asked');
my $quiet = synced();
$node->safe_psql('postgres', 'CALL silence()');
is($node->safe_psql('postgres', "SELECT count(*) FROM tailwater.changes('other', $quiet)"), 60, 'one view changes all the time');
is(changes($quiet), "20|1|78|in the silence\n58|1|78|in the silence", 'the other one twice');
is(changes($quiet, $quiet + 57), '20|1|78|in the silence', 'up to a version');

# ---- sync() ----
my $xmin = session_open($node);
$node->safe_psql('postgres', 'CREATE TABLE held (x int)');
my $sequencer = worker_pid($node, 'sequencer', 'postgres');
kill 'STOP', $sequencer;
$xmin->{in} .= "SELECT tailwater.sync('20s');\n\\echo =done=\n";
$xmin->{run}->pump_nb;
ok(wait_for(10, sub { $xmin->{run}->pump_nb; $node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT tailwater.sync%' AND wait_event_type = 'Extension' AND backend_xmin IS NULL}) eq '1' }),
	'sync() waits without a snapshot');
($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT tailwater.sync('100ms')");
like($err, qr/57014.*no version covers/s, 'sync() gives up after its timeout');
my $cancelled = session_open($node);
session_run($cancelled, "BEGIN; SAVEPOINT s; SET LOCAL statement_timeout = '100ms'; SELECT tailwater.sync()");
like($cancelled->{err}, qr/canceling statement due to statement timeout/, 'sync() can be cancelled');
is(session_run($cancelled, 'ROLLBACK TO s; SELECT count(*) FROM held; COMMIT'), '0', 'and the transaction goes on');
session_close($cancelled);
kill 'CONT', $sequencer;
IPC::Run::pump($xmin->{run}) until $xmin->{out} =~ /=done=/;
is($xmin->{err}, '', 'and returns once there is a version');
$xmin->{out} = '';
is(session_run($xmin, "SELECT tailwater.sync(), (SELECT 1), now() IS NOT NULL"), '|1|t', 'sync() beside other expressions');
is(session_run($xmin, "SELECT count(*) FROM v, LATERAL (SELECT tailwater.sync()) s WHERE v.a = 10") > 0 ? 1 : 0, 1,
	'sync() in a query with a table');
session_close($xmin);
session_close($long);
session_close($early);

unlike(slurp_file($node->logfile), qr/leak|PANIC|terminated by signal/, 'clean log');
$node->stop;
done_testing();
