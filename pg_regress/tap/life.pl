# What happens to live views in the life of a cluster: prepared transactions, crashes with unlogged tables, copies of a
# database, roles that are nobody special, DDL of the extension.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $node = new_node('life');
sub value { my ($sql, $db) = @_; return $node->safe_psql($db // 'postgres', $sql); }
sub wrong { my ($db) = @_; return value('SELECT view FROM tailwater.views WHERE attached AND tailwater.verify(view) <> 0', $db); }

value(<<'SQL');
CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
INSERT INTO item SELECT i, 'k' || i % 3, i FROM generate_series(1, 50) i;
CREATE UNLOGGED TABLE fast (id int PRIMARY KEY, kind text);
INSERT INTO fast SELECT i, 'k' || i % 3 FROM generate_series(1, 50) i;
CREATE MATERIALIZED VIEW groups WITH (tailwater.maintain = immediate) AS SELECT kind, count(*) AS n, sum(price) AS s FROM item GROUP BY kind;
CREATE MATERIALIZED VIEW rows WITH (tailwater.maintain = immediate) AS SELECT id, price FROM item WHERE price > 3;
CREATE MATERIALIZED VIEW of_fast WITH (tailwater.maintain = immediate) AS SELECT kind, count(*) AS n FROM fast GROUP BY kind;
CREATE MATERIALIZED VIEW mixed WITH (tailwater.maintain = immediate) AS SELECT i.id, f.kind FROM item i JOIN fast f USING (id);
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS SELECT n, count(*) AS c FROM groups GROUP BY n;
SQL

# prepared transactions
value("BEGIN; UPDATE item SET price = price + 1; INSERT INTO item VALUES (100, 'new', 1); PREPARE TRANSACTION 'one'");
is(wrong(), '', 'prepared: what is seen is right');
$node->restart;
is(wrong(), '', 'prepared: after a restart');
value("COMMIT PREPARED 'one'");
is(wrong(), '', 'COMMIT PREPARED');
value("BEGIN; DELETE FROM item WHERE id < 10; PREPARE TRANSACTION 'two'");
value("ROLLBACK PREPARED 'two'");
is(wrong(), '', 'ROLLBACK PREPARED');
is(value("SELECT n FROM groups WHERE kind = 'new'"), '1', 'the view has what was prepared');

# a crash empties unlogged tables
$node->stop('immediate');
$node->start;
is(value('SELECT count(*) FROM fast'), '0', 'the unlogged table is empty after a crash');
foreach (1 .. 100) { last if wrong() eq ''; Time::HiRes::usleep(100_000); }
is(wrong(), '', 'and so are views over it');
value("INSERT INTO fast VALUES (1, 'k1'), (2, 'k2'); UPDATE item SET price = price + 1 WHERE id = 1");
is(wrong(), '', 'they go on');
is(value('SELECT sum(n) FROM of_fast'), '2', 'with what came since');

# a copy of a database
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
value("INSERT INTO item VALUES (200, 'copy', 1); UPDATE item SET price = 0 WHERE id = 5; DELETE FROM fast WHERE id = 1", 'copy');
is(wrong('copy'), '', 'a copy of a database is live');
is(value("SELECT n FROM groups WHERE kind = 'copy'", 'copy'), '1', 'it follows its own rows');
is(value("SELECT count(*) FROM groups WHERE kind = 'copy'"), '0', 'and the original does not');
is(wrong(), '', 'the original is right');

# settings of the database and of the server: all rows are as one of them says, whoever writes and whatever was restarted
value(<<'SQL');
CREATE TABLE event (id int PRIMARY KEY, at timestamptz);
INSERT INTO event SELECT i, '2020-01-01 20:00+00'::timestamptz + i * interval '1 hour' FROM generate_series(1, 5) i;
CREATE MATERIALIZED VIEW texts WITH (tailwater.maintain = immediate) AS SELECT id, at::text AS t FROM event;
CREATE MATERIALIZED VIEW days WITH (tailwater.maintain = immediate) AS SELECT date_trunc('day', at) AS d, count(*) AS n FROM event GROUP BY 1;
CREATE MATERIALIZED VIEW firsts WITH (tailwater.maintain = immediate) AS SELECT t, row_number() OVER (ORDER BY id) AS r FROM texts;
SQL
my $first = q{SELECT t || '/' || (SELECT count(*) FROM days) FROM texts WHERE id = 1};
my $writes = "UPDATE event SET at = at + interval '1 hour'; DELETE FROM event WHERE id = 5; INSERT INTO event VALUES (5, '2020-01-02 23:00+00')";
my $session = session_open($node);
session_run($session, $writes);
value("ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'");
is(value($first), '2020-01-02 07:00:00+09/2', 'ALTER DATABASE SET: views follow at once');
is(wrong(), '', 'all of them');
session_run($session, $writes);
is(wrong(), '', 'also what a session writes that knew the settings before');
value("BEGIN; ALTER ROLE ALL IN DATABASE postgres SET timezone = 'America/New_York'; $writes; ROLLBACK");
session_run($session, $writes);
is(wrong(), '', 'unless it is rolled back');
session_close($session);
$node->safe_psql('template1', "ALTER DATABASE postgres SET datestyle = 'German, DMY'");
ok($node->poll_query_until('postgres', "SELECT t LIKE '%.2020 %' FROM texts WHERE id = 1"), 'changed from another database: a worker sees to it');
is(wrong(), '', 'and views are right');
value('ALTER DATABASE postgres RESET ALL');
$node->append_conf('postgresql.conf', "timezone = 'Europe/Paris'");
$node->restart;
value($writes);
is(wrong(), '', 'another setting of the server: right at once');
ok($node->poll_query_until('postgres', "SELECT t LIKE '%+01' FROM texts WHERE id = 1"), 'and as the setting says, soon');
value($writes);
is(wrong(), '', 'right');
value('DROP TABLE event CASCADE');

# roles that are nobody special
value(<<'SQL', 'copy');
CREATE ROLE owner LOGIN;
CREATE SCHEMA own AUTHORIZATION owner;
SET ROLE owner;
CREATE TABLE own.t (id int PRIMARY KEY, x int);
CREATE MATERIALIZED VIEW own.v WITH (tailwater.maintain = immediate) AS SELECT x, count(*) AS n FROM own.t GROUP BY x;
INSERT INTO own.t VALUES (1, 1), (2, 1);
CREATE MATERIALIZED VIEW own.w AS SELECT id FROM own.t;
SELECT tailwater.maintain('own.w', 'immediate');
ALTER TABLE own.t ADD COLUMN y int;
UPDATE own.t SET x = 2 WHERE id = 1;
ALTER MATERIALIZED VIEW own.v SET (tailwater.feed = off);
REFRESH MATERIALIZED VIEW own.v;
SELECT tailwater.release('own.w');
SQL
is(value('SELECT sum(tailwater.verify(view)) FROM tailwater.views', 'copy'), '0', 'an owner needs no rights beyond its own');
my ($code, undef, $error) = $node->psql('copy', 'SET ROLE owner; SELECT tailwater.maintain(\'groups\', \'immediate\')');
like($error, qr/must be owner/, 'but may not touch views of others');

# the extension goes
value('DROP EXTENSION tailwater CASCADE', 'copy');
is(value("SELECT count(*) FROM pg_trigger WHERE tgname ~ 'tailwater'", 'copy'), '0', 'no triggers are left');
is(value("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'tailwater'", 'copy'), '0', 'no schemas');
value("INSERT INTO item VALUES (300, 'last', 1); REFRESH MATERIALIZED VIEW groups", 'copy');
is(value("SELECT n FROM groups WHERE kind = 'last'", 'copy'), '1', 'the views are ordinary ones');
value('CREATE EXTENSION tailwater; SELECT tailwater.maintain(\'groups\', \'immediate\')', 'copy');
value("INSERT INTO item VALUES (301, 'last', 1)", 'copy');
is(value("SELECT n FROM groups WHERE kind = 'last'", 'copy'), '2', 'and can be made live again');
is(wrong('copy'), '', 'right');

# indexes are built anew beside writers, those of change logs too
my $log_index = value("SELECT oid FROM pg_class WHERE relname = 'log_' || 'groups'::regclass::oid || '_pkey'");
value('SELECT tailwater.sync()');
my ($before, $version) = split /\|/, value('SELECT (SELECT sum(s) FROM groups), tailwater.version()');
my $writes = $node->basedir . '/writes.sql';
append_to_file($writes, "UPDATE item SET price = price + 1 WHERE id = 1 + (random() * 40)::int;\n");
my ($out, $err) = ('', '');
my $writers = IPC::Run::start(['pgbench', '-n', '-c', 3, '-T', 4, '-f', $writes, '-h', $node->host, '-p', $node->port, 'postgres'],
	'>', \$out, '2>', \$err);
for (1 .. 3)
{
	value('REINDEX DATABASE CONCURRENTLY postgres');
}
$writers->finish;
unlike($err, qr/ERROR/, 'writers notice nothing of REINDEX CONCURRENTLY');
isnt(value("SELECT oid FROM pg_class WHERE relname = 'log_' || 'groups'::regclass::oid || '_pkey'"), $log_index,
	'which replaces the indexes of change logs');
is(wrong(), '', 'views are right');
value('SELECT tailwater.sync()');
is(value("SELECT sum(tw_diff * (\"row\" ->> 's')::bigint) = (SELECT sum(s) FROM groups) - $before FROM tailwater.changes('groups', $version)"),
	't', 'and so are their changes');
$node->stop;
done_testing();
