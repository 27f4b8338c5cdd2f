# A read node: base tables come by logical replication, the views on it are its own. Deferred views follow the
# subscriber's own write-ahead log; the publisher knows nothing of them and does not even have the extension.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use FeedTest;

my $writer = PostgreSQL::Test::Cluster->new('writer');
$writer->init(allows_streaming => 'logical');
$writer->start;
my $reader = new_node('reader', streaming => 1, conf => deferred_conf());

my $tables = 'CREATE TABLE item (id int PRIMARY KEY, grp int, price numeric, note text);'
  . 'CREATE TABLE grp (id int PRIMARY KEY, name text);';
$writer->safe_psql('postgres', $tables
	  . "INSERT INTO grp SELECT i, 'g' || i FROM generate_series(1, 5) i;"
	  . "INSERT INTO item SELECT i, i % 5 + 1, i, 'n' || i FROM generate_series(1, 100) i;"
	  . 'CREATE PUBLICATION p FOR ALL TABLES');
$reader->safe_psql('postgres', $tables);
my $connection = $writer->connstr('postgres');
$reader->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION \$\$$connection\$\$ PUBLICATION p");

# One view from before the first copy has arrived, one from after.
my %views = (
	total => 'SELECT grp, count(*) AS n, sum(price) AS price FROM item GROUP BY grp',
	joined => 'SELECT i.id, g.name, i.price, i.note FROM item i JOIN grp g ON g.id = i.grp');
sub create { my ($v) = @_; $reader->safe_psql('postgres', "SET client_min_messages = warning; CREATE MATERIALIZED VIEW $v WITH (tailwater.maintain = deferred) AS $views{$v}"); return; }
create('total');
$reader->wait_for_subscription_sync($writer, 's');
create('joined');
$reader->safe_psql('postgres', 'SELECT tailwater.sync()');
my $start = $reader->safe_psql('postgres', 'SELECT tailwater.version()');
$reader->safe_psql('postgres', 'CREATE TABLE first_joined AS SELECT * FROM joined');

sub wrong
{
	$writer->wait_for_catchup('s');
	$reader->safe_psql('postgres', "SELECT tailwater.sync('60s')");
	return join(' ', map {
		$reader->safe_psql('postgres', "SELECT '$_' FROM ((SELECT x::text FROM ($views{$_}) x EXCEPT ALL SELECT x::text FROM $_ x) "
			  . "UNION ALL (SELECT x::text FROM $_ x EXCEPT ALL SELECT x::text FROM ($views{$_}) x)) d GROUP BY 1")
	} sort keys %views);
}

is(wrong(), ' ', 'exact after the first copy');
is($reader->safe_psql('postgres', 'SELECT count(*), sum(n) FROM joined, (SELECT sum(n) AS n FROM total) t GROUP BY t.n'), '100|10000', 'with its rows');

$writer->safe_psql('postgres', "INSERT INTO item SELECT i, i % 7, i, 'm' || i FROM generate_series(101, 200) i;"
	  . 'UPDATE item SET price = price * 2 WHERE id % 3 = 0;'
	  . 'DELETE FROM item WHERE grp = 2;'
	  . "UPDATE grp SET name = upper(name);");
is(wrong(), ' ', 'exact after changes');

$writer->safe_psql('postgres', "UPDATE item SET note = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i) WHERE id < 10;"
	  . 'UPDATE item SET price = price + 1 WHERE id < 10');
is(wrong(), ' ', 'exact with values stored out of line');

# the reader crashes while changes come
my $load = $writer->basedir . '/load.sql';
append_to_file($load, "\\set id random(1, 200)\nUPDATE item SET price = price + 1 WHERE id = :id;\nINSERT INTO item SELECT max(id) + 1, 1, 1, 'x' FROM item ON CONFLICT DO NOTHING;\n");
my $noise = '';
my $bench = IPC::Run::start([ 'pgbench', '-n', '-c', 2, '-T', 4, '-f', $load, $connection ], '>', \$noise, '2>', \$noise);
for (1 .. 2)
{
	sleep 1;
	$reader->stop('immediate');
	$reader->start;
}
eval { $bench->finish; };
is(wrong(), ' ', 'exact after crashes of the reader');
is($reader->safe_psql('postgres', 'SELECT count(*) FROM (SELECT r, sum(d) FROM (SELECT to_jsonb(f) AS r, 1 AS d FROM first_joined f '
		  . "UNION ALL SELECT row, tw_diff FROM tailwater.changes('joined', $start) UNION ALL SELECT to_jsonb(v), -1 FROM joined v) x "
		  . 'GROUP BY r HAVING sum(d) <> 0) y'), '0', 'and no gap in its feed');

$writer->safe_psql('postgres', 'TRUNCATE item; INSERT INTO item VALUES (1, 1, 1, NULL)');
is(wrong(), ' ', 'exact after TRUNCATE');
is($reader->safe_psql('postgres', 'SELECT count(*) FROM joined'), '1', 'of everything');

$reader->stop;
$writer->stop;
done_testing();
