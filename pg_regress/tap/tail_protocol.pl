# TAIL through the wire protocol: simple, extended, prepared; streams; what a
# driver sees.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TailTest;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tailwater'\ntailwater.port = 0\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION tailwater;
	CREATE TABLE item (id int PRIMARY KEY, name varchar(20), price numeric(8,2));
	INSERT INTO item VALUES (1, 'one', 1.50), (2, 'two', 2);
	CREATE MATERIALIZED VIEW items WITH (tailwater.maintain = immediate) AS
		SELECT id, name, price FROM item;
});
my $version = newest();

sub newest
{
	$node->safe_psql('postgres', 'SELECT tailwater.sync()');
	return $node->safe_psql('postgres', 'SELECT tailwater.version()');
}

sub is_lines
{
	my ($got, $expected, $name) = @_;
	is(join("\n", @$got), join("\n", @$expected), $name);
}

my $client = TailTest->connect($node);
my $columns = 'columns tw_version:20 tw_diff:20 id:23 name:1043 price:1700';
my @rows = ("row $version|1|1|one|1.50", "row $version|1|2|two|2.00");

# one string with several statements
my @got = $client->query('BEGIN; DECLARE c CURSOR FOR TAIL items; FETCH ALL c; COMMIT');
is_lines([ sort grep { !/^tag/ } @got ], [ $columns, @rows ], 'simple protocol, several statements');
is_lines([ grep { /^tag/ } @got ], [ 'tag BEGIN', 'tag DECLARE CURSOR', 'tag FETCH 2', 'tag COMMIT' ],
	'tags');

# extended protocol with parameters
$client->query('BEGIN');
@got = $client->extended('DECLARE c CURSOR FOR TAIL (SELECT name, price * $2 AS twice FROM items WHERE id = $1)',
	2, 2);
is_lines(\@got, [ 'n', 'tag DECLARE CURSOR' ], 'DECLARE with parameters');
@got = $client->extended(q{FETCH ALL c WITH (TIMEOUT = '0s')});
is_lines(\@got, [ 'columns tw_version:20 tw_diff:20 name:1043 twice:1700', "row $version|1|two|4.00", 'tag FETCH 1' ],
	'FETCH with TIMEOUT');
@got = $client->extended('DECLARE d CURSOR FOR TAIL items WITH (SNAPSHOT = false) AS OF $1', $version);
is_lines(\@got, [ 'n', 'tag DECLARE CURSOR' ], 'position as a parameter');

# Describe of the cursor itself gives the types
$client->send('D', "Pd\0");
$client->send('S', '');
is_lines([ $client->until_ready ], [$columns], 'Describe of the cursor');

# Execute of the cursor itself is refused
$client->send('E', "d\0" . pack('N', 0));
$client->send('S', '');
is_lines([ $client->until_ready ], ['error 0A000'], 'Execute of the cursor');
$client->query('ROLLBACK');

# a prepared DECLARE outlives its view being made anew
sub prepare
{
	$client->send('P', "tail\0DECLARE c CURSOR FOR TAIL items\0" . pack('n', 0));
	$client->send('S', '');
	return $client->until_ready;
}

sub run_prepared
{
	$client->query('BEGIN');
	$client->send('B', "\0tail\0" . pack('nnn', 0, 0, 0));
	$client->send('E', "\0" . pack('N', 0));
	$client->send('S', '');
	my @lines = $client->until_ready;
	push @lines, $client->query('FETCH ALL c');
	push @lines, $client->query('SELECT mode FROM pg_locks WHERE relation = \'items\'::regclass');
	$client->query('ROLLBACK');
	return grep { !/^columns|^2$/ } @lines;
}
is_lines([prepare()], ['1'], 'Parse of a DECLARE');
for my $n (1 .. 7)
{
	is_lines([ sort(run_prepared()) ], [ @rows, 'tag DECLARE CURSOR', 'tag FETCH 2', 'tag SELECT 0' ],
		"prepared DECLARE, execution $n, keeps no lock");
}
$node->safe_psql('postgres', q{
	DROP MATERIALIZED VIEW items;
	CREATE MATERIALIZED VIEW items WITH (tailwater.maintain = immediate) AS
		SELECT id, name, price FROM item WHERE id = 2;
});
my $later = newest();
is_lines([ run_prepared() ], [ 'tag DECLARE CURSOR', "row $later|1|2|two|2.00", 'tag FETCH 1', 'tag SELECT 0' ],
	'prepared DECLARE after the view was made anew');

# bare TAIL and COPY end at UP TO, and stream before
is_lines([ $client->query("TAIL items UP TO $later") ],
	[ $columns, "row $later|1|2|two|2.00", 'tag SELECT 1' ], 'bare TAIL');
is_lines([ $client->query("COPY (TAIL items UP TO $later) TO STDOUT WITH (FORMAT csv)") ],
	[ 'H', "copy $later,1,2,two,2.00\n", 'c', 'tag COPY 1' ], 'COPY of a TAIL');
is_lines([ $client->extended("TAIL items UP TO $later") ], [ 'n', 'error 0A000' ],
	'bare TAIL is refused in the extended protocol');
is_lines([ $client->extended("COPY (TAIL items UP TO $later) TO STDOUT") ],
	[ 'n', 'H', "copy $later\t1\t2\ttwo\t2.00\n", 'c', 'tag COPY 1' ], 'COPY in the extended protocol');

my $stream = TailTest->connect($node);
$stream->send('Q', "COPY (TAIL (SELECT name FROM items) WITH (SNAPSHOT = false)) TO STDOUT\0");
is(($stream->receive)[0], 'H', 'COPY begins');
$node->safe_psql('postgres', q{UPDATE item SET name = 'deux' WHERE id = 2});
my @changes = sort map { (split /\t/, TailTest::describe($stream->receive), 2)[1] } 1 .. 2;
is_lines(\@changes, [ "-1\ttwo\n", "1\tdeux\n" ], 'changes come while COPY runs');
ok($node->poll_query_until('postgres', q{SELECT backend_xmin IS NULL AND wait_event_type = 'Extension'
	FROM pg_stat_activity WHERE query LIKE 'COPY (TAIL%' AND state = 'active'}), 'a stream holds no snapshot');
$stream->close;
ok($node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'COPY (TAIL%' AND state = 'active'}),
	'a stream ends with its client');

# transaction pooling: a consumer keeps its position itself
my $position = newest();
$node->safe_psql('postgres', q{UPDATE item SET name = 'due' WHERE id = 2});
newest();
my $pooled = TailTest->connect($node);
@got = $pooled->query("BEGIN; DECLARE x CURSOR FOR TAIL items WITH (SNAPSHOT = false) AS OF $position; "
	. "FETCH ALL x WITH (TIMEOUT = 0); COMMIT");
is(scalar(grep { /^row/ } @got), 2, 'a new session goes on at a position');

$client->close;
$node->stop;
done_testing();
