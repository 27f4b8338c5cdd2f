# pg_upgrade copies attachments but not triggers: the workers attach live views anew
# when the new server starts, and views that waited for their first REFRESH go on waiting.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($old, $new) = map { PostgreSQL::Test::Cluster->new($_) } qw(old new);
for my $node ($old, $new)
{
	$node->init;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tailwater'\ntailwater.port = 0\n");
}

$old->start;
$old->safe_psql('postgres', 'CREATE DATABASE shop');
$old->safe_psql(
	'shop', q{
	CREATE EXTENSION tailwater;
	CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
	INSERT INTO item SELECT i, 'k' || i % 3, i FROM generate_series(1, 30) i;
	CREATE MATERIALIZED VIEW by_kind WITH (tailwater.maintain = immediate) AS
		SELECT kind, count(*) AS n, sum(price) AS total FROM item GROUP BY kind;
	CREATE MATERIALIZED VIEW big WITH (tailwater.maintain = immediate, tailwater.feed = off) AS
		SELECT kind FROM by_kind WHERE total > 10;
	CREATE MATERIALIZED VIEW later WITH (tailwater.maintain = immediate) AS SELECT id FROM item WITH NO DATA;
	INSERT INTO item VALUES (100, 'before', 100);
});
my $content = $old->safe_psql('shop', 'SELECT * FROM by_kind ORDER BY kind');
$old->stop;

chdir $new->basedir;
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old->config_data('--bindir'),
		'-B', $new->config_data('--bindir'), '-s', $new->host, '-p', $old->port, '-P', $new->port
	],
	'pg_upgrade');

$new->start;
my $attached = "SELECT view, feed, attached FROM tailwater.views ORDER BY view::text";
my $alive = q{SELECT count(*) > 0 FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
	WHERE tgrelid = 'item'::regclass AND p.pronamespace = 'tailwater_internal'::regnamespace};
ok($new->poll_query_until('shop', $alive), 'the workers attach the views');
ok($new->poll_query_until('shop', "SELECT count(*) = 2 FROM tailwater.views WHERE attached"), 'all of them');
is($new->safe_psql('shop', $attached), "big|f|t\nby_kind|t|t\nlater|t|f", 'as they were asked for');
is($new->safe_psql('shop', 'SELECT * FROM by_kind ORDER BY kind'), $content, 'content is as before');
$new->safe_psql('shop', q{INSERT INTO item VALUES (101, 'after', 101); DELETE FROM item WHERE id = 100});
is($new->safe_psql('shop', q{SELECT * FROM by_kind WHERE kind IN ('before', 'after')}), 'after|1|101', 'they are live');
is($new->safe_psql('shop', q{SELECT * FROM big WHERE kind IN ('before', 'after')}), 'after', 'also a view on a view');
is($new->safe_psql('shop', q{SELECT tailwater.verify('by_kind') + tailwater.verify('big')}), '0', 'and right');

my $epoch = $new->safe_psql('shop', q{SELECT epoch FROM tailwater.views WHERE view = 'by_kind'::regclass});
$new->safe_psql('shop', q{
	CREATE MATERIALIZED VIEW bad AS SELECT id, random() AS r FROM item;
	INSERT INTO tailwater_internal.view VALUES ('bad', 'immediate', true)});
$new->restart;
$new->safe_psql('shop', q{INSERT INTO item VALUES (102, 'again', 102); SELECT tailwater.sync()});
is($new->safe_psql('shop', q{SELECT epoch FROM tailwater.views WHERE view = 'by_kind'::regclass}), $epoch,
	'an ordinary restart leaves them alone');

# a listed view that has content but is not attached is tried at each start
ok($new->poll_query_until('shop', q{SELECT last_error ~ 'random' FROM tailwater.views WHERE view = 'bad'::regclass}),
	'a view that cannot be attached says why');
is($new->safe_psql('shop', 'SELECT count(*) FROM tailwater.views WHERE attached'), '2', 'and does not hold up the others');
isnt($new->psql('shop', 'REFRESH MATERIALIZED VIEW bad'), 0, 'its REFRESH fails for the same reason');
$new->safe_psql('shop', q{SELECT tailwater.release('bad')});
is($new->safe_psql('shop', 'SELECT count(*) FROM tailwater_internal.last_error'), '0', 'nothing of it is left once released');

$new->stop;
done_testing();
