-- The rows of a statement that changes many are packed in the log: readers see them one by one.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE doc (id int, kind text, body text, tags int[], at date);
CREATE MATERIALIZED VIEW shown WITH (tailwater.maintain = immediate) AS SELECT * FROM doc WHERE id IS NOT NULL;
SELECT format('tailwater_internal.log_%s', 'shown'::regclass::oid) AS log \gset
SELECT tailwater.sync();
SELECT tailwater.version() AS v0 \gset
CREATE PROCEDURE many(first int, n int, width int) LANGUAGE sql
	AS $$ INSERT INTO doc SELECT i, nullif('k' || i % 3, 'k1'), repeat('b', width + i % 7), ARRAY[i, NULL, -i], date '2026-01-01' + i FROM generate_series(first, first + n - 1) i $$;

-- few rows, many rows, more than a pack holds, wide rows (which are not packed), rows stored outside of the view
CALL many(1, 10, 5);
CALL many(101, 100, 5);
CALL many(1001, 3000, 5);
CALL many(5001, 40, 3000);
INSERT INTO doc SELECT 6000 + i, NULL, NULL, ARRAY(SELECT (hashint4(j * i)) FROM generate_series(1, 3000) j), NULL FROM generate_series(1, 30) i;
SELECT count(*) AS log_rows, count(rows) AS packed, count(*) FILTER (WHERE rows IS NOT NULL AND diff IS NOT NULL) AS both FROM :log;
SELECT tailwater.sync();
SELECT count(*), sum(tw_diff), min(tw_diff) FROM tailwater.changes('shown', :v0);
-- the changes are the view
SELECT count(*) AS differ FROM (SELECT to_jsonb(s) FROM shown s EXCEPT ALL SELECT "row" FROM tailwater.changes('shown', :v0)) d;

-- updates are pairs, duplicates come with their number
SELECT tailwater.version() AS v1 \gset
UPDATE doc SET kind = 'new' WHERE id BETWEEN 101 AND 200;
INSERT INTO doc SELECT -1, 'twin', i % 20 || '', NULL, NULL FROM generate_series(0, 59) i;
SELECT tailwater.sync();
DELETE FROM doc WHERE id = -1 AND body < '2';
SELECT tailwater.sync();
SELECT "row" ->> 'kind' AS kind, tw_diff, count(*) FROM tailwater.changes('shown', :v1) GROUP BY 1, 2 ORDER BY 1, 2;

-- a savepoint that is rolled back, before and after rows that stay
SELECT tailwater.version() AS v2 \gset
BEGIN;
CALL many(10001, 50, 1);
SAVEPOINT s;
CALL many(11001, 50, 1);
ROLLBACK TO s;
CALL many(12001, 50, 1);
COMMIT;
SELECT tailwater.sync();
SELECT min(("row" ->> 'id')::int), max(("row" ->> 'id')::int), sum(tw_diff) FROM tailwater.changes('shown', :v2);

-- the log is rewritten, and its index made anew
VACUUM FULL :log;
REINDEX TABLE :log;
SELECT count(*), sum(tw_diff) FROM tailwater.changes('shown', :v0);

-- the snapshot of a TAIL takes back what its own transaction has changed since the version
CREATE TABLE small (a int);
INSERT INTO small VALUES (-1), (-2);
CREATE MATERIALIZED VIEW short WITH (tailwater.maintain = immediate) AS SELECT a FROM small;
BEGIN;
INSERT INTO small SELECT i FROM generate_series(1, 40) i;
DELETE FROM small WHERE a = -1;
DECLARE c CURSOR FOR TAIL short;
FETCH 1 c \gset
\echo :tw_diff :a
FETCH 1 c \gset
\echo :tw_diff :a
COMMIT;

-- a view whose rows are too wide for it has no such column
SELECT format($$CREATE TABLE broad (%s)$$, string_agg(format($$c%s bigint$$, i), $$, $$)) AS sql FROM generate_series(1, 200) i \gset
\set ECHO none
:sql;
\set ECHO all
CREATE MATERIALIZED VIEW wide WITH (tailwater.maintain = immediate) AS SELECT * FROM broad;
SELECT tailwater.sync();
SELECT tailwater.version() AS v3 \gset
INSERT INTO broad SELECT i, i + 1 FROM generate_series(1, 100) i;
SELECT tailwater.sync();
SELECT count(*), sum(tw_diff), sum(("row" ->> 'c2')::int) FROM tailwater.changes('wide', :v3);
SELECT count(*) AS columns FROM pg_attribute WHERE attrelid = format('tailwater_internal.log_%s', 'wide'::regclass::oid)::regclass AND attname = 'rows';
SELECT wrong_views();
