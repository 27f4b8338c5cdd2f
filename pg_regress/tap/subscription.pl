# Live views over tables that logical replication writes: its workers run no statements, and the views follow all the same.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = new_node('subscriber', conf => "max_logical_replication_workers = 6\n");
my $tables = <<'SQL';
CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
CREATE TABLE kind (kind text PRIMARY KEY, name text);
CREATE TABLE part (k int, x int, PRIMARY KEY (k, x)) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part2 PARTITION OF part DEFAULT;
SQL
$publisher->safe_psql('postgres', $tables . <<'SQL');
INSERT INTO kind VALUES ('a', 'A'), ('b', 'B');
INSERT INTO item SELECT i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, i FROM generate_series(1, 100) i;
INSERT INTO part SELECT i % 3, i FROM generate_series(1, 20) i;
CREATE PUBLICATION pub FOR ALL TABLES WITH (publish_via_partition_root = true);
SQL
$subscriber->safe_psql('postgres', $tables . <<'SQL');
CREATE TABLE noted (id int PRIMARY KEY, kind text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.noted VALUES (new.id, new.kind) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind;
	RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE item ENABLE ALWAYS TRIGGER note;
CREATE MATERIALIZED VIEW groups WITH (tailwater.maintain = immediate) AS
	SELECT kind, count(*) AS n, sum(price) AS total, max(price) AS high FROM item GROUP BY kind;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = immediate) AS
	SELECT i.id, k.name, i.price FROM item i JOIN kind k USING (kind);
CREATE MATERIALIZED VIEW with_noted WITH (tailwater.maintain = immediate) AS
	SELECT i.id, n.kind FROM item i JOIN noted n USING (id);
CREATE MATERIALIZED VIEW padded WITH (tailwater.maintain = immediate) AS
	SELECT k.kind, i.id FROM kind k LEFT JOIN item i USING (kind);
CREATE MATERIALIZED VIEW parts WITH (tailwater.maintain = immediate) AS SELECT k, sum(x) AS x FROM part GROUP BY k;
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS SELECT n, count(*) AS c FROM groups GROUP BY n;
SQL
my $connect = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$connect' PUBLICATION pub");
$subscriber->wait_for_subscription_sync($publisher, 'sub');

sub exact
{
	my ($what) = @_;
	$publisher->wait_for_catchup('sub');
	is($subscriber->safe_psql('postgres', 'SELECT view, tailwater.verify(view) FROM tailwater.views WHERE tailwater.verify(view) <> 0'),
		'', "$what: exact");
	is($subscriber->safe_psql('postgres', 'SELECT count(*), sum(price) FROM item'),
		$publisher->safe_psql('postgres', 'SELECT count(*), sum(price) FROM item'), "$what: replicated");
	return;
}
exact('the first copy');
is($subscriber->safe_psql('postgres', 'SELECT sum(n) FROM groups'), '100', 'and there is something in the views');

my @changes = (
	"INSERT INTO item VALUES (101, 'a', 7)",
	"UPDATE item SET price = price + 1 WHERE id <= 50",
	"UPDATE item SET kind = 'b' WHERE id % 3 = 0",
	"UPDATE item SET id = id + 1000 WHERE id > 90",
	"DELETE FROM item WHERE price > 80",
	"BEGIN; UPDATE kind SET name = name || '!'; INSERT INTO kind VALUES ('c', 'C'); INSERT INTO item VALUES (500, 'c', 1); UPDATE item SET kind = 'c' WHERE id < 10; COMMIT",
	"UPDATE part SET k = k + 1; DELETE FROM part WHERE x = 7; INSERT INTO part VALUES (1, 100), (9, 100)",
	"BEGIN; INSERT INTO item VALUES (600, 'a', 1); SAVEPOINT s; DELETE FROM item; ROLLBACK TO s; UPDATE item SET price = 2 WHERE id = 600; COMMIT",
	"DELETE FROM kind WHERE kind = 'a'",
	"TRUNCATE item");
foreach my $sql (@changes)
{
	$publisher->safe_psql('postgres', $sql);
	exact(substr($sql, 0, 50));
}
$publisher->safe_psql('postgres', "INSERT INTO item SELECT i, 'b', i FROM generate_series(1, 2000) i");
exact('many rows');

# Local statements in the replica role are not counted twice.
$subscriber->safe_psql('postgres', "SET session_replication_role = replica; INSERT INTO item VALUES (9001, 'b', 1); UPDATE item SET price = 3 WHERE id = 9001");
is($subscriber->safe_psql('postgres', 'SELECT view FROM tailwater.views WHERE tailwater.verify(view) <> 0'), '', 'replica role: exact');
is($subscriber->safe_psql('postgres', 'SELECT count(*) > 10 FROM ' . log_of($subscriber, 'groups')), 't', 'the feed has the changes');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
$subscriber->stop;
$publisher->stop;
done_testing();
