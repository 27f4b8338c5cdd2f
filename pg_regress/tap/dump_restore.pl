# Live views survive dump and restore hands-free: REFRESH MATERIALIZED VIEW, the last
# thing a dump does for a view, brings them back; state and log tables stay out of the dump.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tailwater'\ntailwater.port = 0\n");
$node->start;

$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql(
	'source', q{
	CREATE EXTENSION tailwater;
	CREATE SCHEMA shop;
	CREATE TABLE shop.item (id int PRIMARY KEY, kind text, price int);
	INSERT INTO shop.item SELECT i, 'k' || i % 3, i FROM generate_series(1, 100) i;
	CREATE MATERIALIZED VIEW shop."By kind" WITH (tailwater.maintain = immediate) AS
		SELECT kind, count(*) AS n, sum(price) AS total FROM shop.item GROUP BY kind;
	CREATE MATERIALIZED VIEW shop.big WITH (tailwater.maintain = immediate, tailwater.feed = off) AS
		SELECT kind FROM shop."By kind" WHERE total > 10;
	CREATE MATERIALIZED VIEW shop.first WITH (tailwater.maintain = immediate) AS
		SELECT kind, count(*) AS n FROM shop.item GROUP BY kind ORDER BY n DESC, kind LIMIT 2;
	CREATE MATERIALIZED VIEW shop.later WITH (tailwater.maintain = immediate) AS
		SELECT id FROM shop.item WITH NO DATA;
	CREATE MATERIALIZED VIEW shop.plain AS SELECT id FROM shop.item WHERE price > 50;
	ALTER TABLE shop.item ADD CHECK (price < 10000);
});

# What every restored database must show: views listed and attached, equal to their queries, and alive.
my $listed = join "\n", 'shop."By kind"|immediate|t|t', 'shop.big|immediate|f|t', 'shop.first|immediate|t|t', 'shop.later|immediate|t|f';

sub restored_ok
{
	my ($db, $how) = @_;

	is($node->safe_psql($db, 'SELECT view, mode, feed, attached FROM tailwater.views ORDER BY view::text'),
		$listed, "$how: views are listed and attached");
	is($node->safe_psql($db, q{SELECT tailwater.verify('shop."By kind"') + tailwater.verify('shop.big') + tailwater.verify('shop.first')}),
		'0', "$how: content is right");
	$node->safe_psql($db, q{INSERT INTO shop.item VALUES (1001, 'new', 11), (1002, 'small', 1)});
	is($node->safe_psql($db, q{SELECT * FROM shop."By kind" WHERE kind IN ('new', 'small') ORDER BY kind}),
		"new|1|11\nsmall|1|1", "$how: a write reaches the view");
	is($node->safe_psql($db, q{SELECT kind FROM shop.big WHERE kind IN ('new', 'small')}),
		'new', "$how: and the view on the view");
	is($node->safe_psql($db, q{SELECT tailwater.verify('shop."By kind"') + tailwater.verify('shop.big') + tailwater.verify('shop.first')}),
		'0', "$how: content is still right");
	is($node->safe_psql($db, q{SELECT count(*) FROM shop.plain}), '50', "$how: a plain view is as it was");
	$node->safe_psql($db, 'REFRESH MATERIALIZED VIEW shop.later');
	is($node->safe_psql($db, q{SELECT attached FROM tailwater.views WHERE view = 'shop.later'::regclass}),
		't', "$how: a view without data comes to life at its first REFRESH");
	$node->safe_psql('postgres', "DROP DATABASE $db WITH (FORCE)");
	return;
}

# Functions that a view has taken in: what their bodies name is looked up alike by whom restores it.
$node->safe_psql('postgres', 'CREATE DATABASE functions');
$node->safe_psql(
	'functions', q{
	CREATE EXTENSION tailwater;
	CREATE TABLE rate (grp int PRIMARY KEY, factor int);
	CREATE TABLE sale (id int PRIMARY KEY, grp int, price int);
	INSERT INTO rate VALUES (1, 10), (2, 20);
	INSERT INTO sale SELECT i, i % 3, i FROM generate_series(1, 10) i;
	CREATE FUNCTION factor_of(g int) RETURNS int LANGUAGE sql AS 'SELECT factor FROM rate WHERE grp = g';
	CREATE FUNCTION priced(g int, p int) RETURNS int LANGUAGE sql STABLE AS 'SELECT factor_of(g) * p';
	CREATE FUNCTION sales(at_least int) RETURNS SETOF sale LANGUAGE sql BEGIN ATOMIC SELECT * FROM sale WHERE price >= at_least; END;
	CREATE MATERIALIZED VIEW a_first WITH (tailwater.maintain = immediate) AS SELECT id, priced(grp, price) AS p FROM sale;
	CREATE UNIQUE INDEX ON a_first (id);
	CREATE INDEX by_price ON a_first (p);
	CREATE MATERIALIZED VIEW totals WITH (tailwater.maintain = immediate) AS SELECT grp, sum(price * factor_of(grp)) AS s FROM sales(2) GROUP BY grp;
});
my $dir = $node->basedir;
command_ok([ 'pg_dump', '-f', "$dir/functions.sql", '-d', $node->connstr('functions') ], 'dump of views with functions');
$node->safe_psql('postgres', 'CREATE DATABASE functions_again');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('functions_again'), '-f', "$dir/functions.sql" ], 'and restore');
for my $db ('functions', 'functions_again')
{
	is($node->safe_psql($db, q{SELECT view, attached, tailwater.verify(view) FROM tailwater.views ORDER BY view::text}), "a_first|t|0\ntotals|t|0", "$db: views are right");
	$node->safe_psql($db, q{UPDATE rate SET factor = factor + 1; INSERT INTO sale VALUES (11, 2, 5); DELETE FROM sale WHERE id = 4});
	is($node->safe_psql($db, q{SET enable_seqscan = off; SELECT id FROM a_first WHERE p = 105}), '5' . "\n" . '11', "$db: and follow tables that functions read");
	is($node->safe_psql($db, q{SELECT view, tailwater.verify(view) FROM tailwater.views ORDER BY view::text}), "a_first|0\ntotals|0", "$db: still");
	my (undef, undef, $kept) = $node->psql($db, 'DROP TABLE rate');
	like($kept, qr/depends on table rate/, "$db: and hold them");
}

my $connect = $node->connstr('source');

# plain text through psql, which stops at the first error
command_ok([ 'pg_dump', '-f', "$dir/plain.sql", '-d', $connect ], 'pg_dump as text');
my $text = slurp_file("$dir/plain.sql");
unlike($text, qr/CREATE TABLE tailwater_internal/, 'no table of the extension is defined in the dump');
unlike($text, qr/COPY tailwater_internal\.(?!view |endpoint )/, 'only the lists of views and endpoints have their data dumped');
unlike($text, qr/CREATE TRIGGER|TRIGGER \S*tailwater/, 'no trigger is dumped');
like($text, qr/^shop\."By kind"\timmediate\tt$/m, 'the list names views');
ok(index($text, 'CREATE MATERIALIZED VIEW shop."By kind"') < index($text, "COPY tailwater_internal.view"),
	'the list comes after the definition of the views');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dir/plain.sql" ],
	'psql restores it without error');
restored_ok('plain', 'text');

# custom format, one job and two, whole in one transaction, and created by pg_restore
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", '-d', $connect ], 'pg_dump -Fc');
for my $run ([ 'jobs', '--jobs=2' ], [ 'single', '--single-transaction' ], [ 'clean', '--exit-on-error' ])
{
	my ($db, @options) = @$run;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	command_ok([ 'pg_restore', @options, '-d', $node->connstr($db), "$dir/custom" ], "pg_restore @options");
	restored_ok($db, "@options");
}

# a restore that first drops what is there, while it is live
command_ok([ 'pg_dump', '--clean', '--if-exists', '-f', "$dir/clean.sql", '-d', $connect ], 'pg_dump --clean');
$node->safe_psql('postgres', 'CREATE DATABASE over');
for my $round (1, 2)
{
	command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('over'), '-f', "$dir/clean.sql" ], "psql restores over what is there, $round");
}
restored_ok('over', 'over live views');
$node->safe_psql('postgres', 'CREATE DATABASE over2 TEMPLATE source');
command_ok([ 'pg_restore', '--clean', '--if-exists', '--exit-on-error', '-d', $node->connstr('over2'), "$dir/custom" ], 'pg_restore --clean');
restored_ok('over2', 'pg_restore over live views');

# by an owner who is no superuser, where somebody has created the extension
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE DATABASE kept OWNER keeper; CREATE DATABASE kept_again OWNER keeper');
$node->safe_psql('kept', 'CREATE EXTENSION tailwater');
$node->safe_psql('kept_again', 'CREATE EXTENSION tailwater');
my @restore = ('pg_restore', '--no-owner', '--no-comments', '--exit-on-error', '--username=keeper');
command_ok([ @restore, '-d', $node->connstr('kept'), "$dir/custom" ], 'an owner who is no superuser restores');
$node->safe_psql('kept', q{SET ROLE keeper; SELECT tailwater.publish('/big', 'shop.big', '{"kind": "k1"}')});
command_ok([ 'pg_dump', '-Fc', '--username=keeper', '-f', "$dir/kept", '-d', $node->connstr('kept') ], 'and dumps');
command_ok([ @restore, '-d', $node->connstr('kept_again'), "$dir/kept" ], 'and restores that');
is($node->safe_psql('kept_again', q{SELECT * FROM tailwater.endpoints}), '/big|shop.big|{"kind": "k1"}|', 'endpoints are among it');
my (undef, undef, $stranger) = $node->psql('kept_again', q{CREATE ROLE stranger; SET ROLE stranger; INSERT INTO tailwater_internal.endpoint SELECT '/other', view FROM tailwater.endpoints});
like($stranger, qr/must be owner of materialized view/, 'nobody publishes views of others');
restored_ok('kept', 'no superuser');
restored_ok('kept_again', 'no superuser, again');

# --schema-only says how views are kept by labels: like ordinary ones they are without data, and their first REFRESH makes them live
command_ok([ 'pg_dump', '--schema-only', '-f', "$dir/schema.sql", '-d', $connect ], 'pg_dump --schema-only');
command_ok([ 'pg_dump', '--data-only', '--disable-triggers', '-f', "$dir/data.sql", '-d', $connect ], 'pg_dump --data-only');
my @refreshes = map { "REFRESH MATERIALIZED VIEW shop.$_" } '"By kind"', 'big', 'first', 'plain';
foreach my $data (0, 1)
{
	my $how = $data ? 'schema, then data' : 'schema only';
	$node->safe_psql('postgres', 'CREATE DATABASE bare');
	foreach my $file ('schema', $data ? 'data' : ())
	{
		command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('bare'), '-f', "$dir/$file.sql" ],
			"$how: psql restores $file.sql without error");
	}
	is($node->safe_psql('bare', 'SELECT view, mode, feed FROM tailwater.views WHERE NOT attached ORDER BY view::text'),
		"shop.\"By kind\"|immediate|t\nshop.big|immediate|f\nshop.first|immediate|t\nshop.later|immediate|t", "$how: all are listed, none has content");
	my (undef, undef, $error) = $node->psql('bare', 'SELECT * FROM shop.big');
	like($error, qr/has not been populated/, "$how: as an ordinary view");
	$node->safe_psql('bare', 'INSERT INTO shop.item SELECT i, \'k\' || i % 3, i FROM generate_series(1, 100) i') unless $data;
	$node->safe_psql('bare', join ';', @refreshes);
	restored_ok('bare', $how);
}

# a dump of one schema has the view, not the extension's list
command_ok([ 'pg_dump', '--schema=shop', '-f', "$dir/shop.sql", '-d', $connect ], 'pg_dump --schema');
$node->safe_psql('postgres', 'CREATE DATABASE part');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('part'), '-f', "$dir/shop.sql" ],
	'a database without the extension takes it');
is($node->safe_psql('part', 'SELECT count(*) FROM shop."By kind"'), '3', 'one schema: ordinary views with data');

# a dump of one schema into a database with the extension brings live views, labels or not
$node->safe_psql('postgres', 'CREATE DATABASE part_live');
$node->safe_psql('part_live', 'CREATE EXTENSION tailwater');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('part_live'), '-f', "$dir/shop.sql" ], 'one schema, with the extension');
restored_ok('part_live', 'one schema');
command_ok([ 'pg_dump', '--no-security-labels', '-f', "$dir/unlabeled.sql", '-d', $connect ], 'pg_dump --no-security-labels');
$node->safe_psql('postgres', 'CREATE DATABASE unlabeled');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('unlabeled'), '-f', "$dir/unlabeled.sql" ], 'without labels the list says it');
is($node->safe_psql('unlabeled', 'SELECT count(*) FROM pg_seclabel'), '4', 'and labels are there again');
restored_ok('unlabeled', 'without labels');
$node->safe_psql('postgres', 'CREATE DATABASE gone TEMPLATE source');
$node->safe_psql('gone', q{ALTER MATERIALIZED VIEW shop.big RESET (tailwater.maintain)});
is($node->safe_psql('gone', 'SELECT count(*) FROM pg_seclabel'), '3', 'the label of a view that is plain again goes');
$node->safe_psql('gone', q{SECURITY LABEL FOR tailwater ON MATERIALIZED VIEW shop.big IS 'immediate, feed off'});
is($node->safe_psql('gone', q{SELECT feed, attached FROM tailwater.views WHERE view = 'shop.big'::regclass}), 'f|t', 'a label makes a view with content live');
my (undef, undef, $refused) = $node->psql('gone', q{SECURITY LABEL FOR tailwater ON MATERIALIZED VIEW shop.big IS 'sometimes'});
like($refused, qr/invalid security label "sometimes"/, 'not any label');
$node->safe_psql('gone', 'DROP EXTENSION tailwater CASCADE');
is($node->safe_psql('gone', 'SELECT count(*) FROM pg_seclabel'), '0', 'DROP EXTENSION takes the labels along');

# restoring data into a database that is in use already: the views follow the rows
$node->safe_psql('postgres', 'CREATE DATABASE twice');
command_ok([ 'pg_restore', '-d', $node->connstr('twice'), "$dir/custom" ], 'pg_restore');
$node->safe_psql('twice', 'TRUNCATE shop.item');
is($node->safe_psql('twice', 'SELECT count(*) FROM shop."By kind"'), '0', 'TRUNCATE empties the view');
command_ok([ 'pg_restore', '--data-only', '--disable-triggers', '--table=item', '-d', $node->connstr('twice'), "$dir/custom" ],
	'pg_restore --data-only --disable-triggers');
is($node->safe_psql('twice', q{SELECT tailwater.verify('shop."By kind"')}), '0', 'the view follows');

$node->stop;
done_testing();
