-- What outer joins, and subqueries beside the changed table, do to a row that changes: computed from the change alone.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE a (id int PRIMARY KEY, k int, v text);
CREATE TABLE b (id int PRIMARY KEY, k int, w text);
CREATE TABLE c (id int PRIMARY KEY, b int, u numeric);
CREATE INDEX ON a (k);
CREATE INDEX ON b (k);
CREATE INDEX ON c (b);
INSERT INTO a SELECT g, g % 10, 'a' || g FROM generate_series(1, 20) g;
INSERT INTO b SELECT g, g % 7 + 3, 'b' || g FROM generate_series(1, 9) g;
INSERT INTO c SELECT g, g % 5, g FROM generate_series(1, 6) g;
CREATE FUNCTION watch(name text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE MATERIALIZED VIEW %I WITH (tailwater.maintain = immediate) AS %s', name, query);
	RETURN QUERY SELECT regexp_replace(line, 'inner_\d+', 'inner', 'g') FROM tailwater.explain(name::regclass) line WHERE line ~ '^delta of';
END $$;
SELECT watch('plain', 'SELECT a.id, a.v, b.id AS other, b.w FROM a LEFT JOIN b ON a.k = b.k');
SELECT watch('with_condition', $$SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.k = b.k AND b.w <> 'b3' AND a.id <> 4$$);
SELECT watch('whole_rows', 'SELECT a, b, to_json(b) AS doc, b IS NULL AS none FROM a LEFT JOIN b ON a.k = b.k');
SELECT watch('duplicates', 'SELECT a.k, b.k AS other FROM a LEFT JOIN b ON a.k = b.k');
SELECT watch('chain', 'SELECT a.id, b.id AS other, c.u FROM a LEFT JOIN b ON a.k = b.k LEFT JOIN c ON c.b = b.id');
SELECT watch('star', 'SELECT a.id, b.id AS other, c.u FROM a LEFT JOIN b ON a.k = b.k LEFT JOIN c ON c.b = a.id WHERE c.u IS NULL OR b.id IS NOT NULL');
SELECT watch('right_side', 'SELECT a.id, b.id AS other, c.u FROM a RIGHT JOIN (b JOIN c ON c.b = b.id) ON a.k = b.k');
SELECT watch('joined_side', 'SELECT a.id, b.id AS other, c.u FROM a LEFT JOIN (b JOIN c ON c.b = b.id) ON a.k = b.k');
SELECT watch('nested', 'SELECT a.id, b.id AS other, c.u FROM a LEFT JOIN (b LEFT JOIN c ON c.b = b.id) ON a.k = b.k');
SELECT watch('full_one', 'SELECT k, a.id, b.id AS other FROM a FULL JOIN b USING (k)');
SELECT watch('subquery', $$SELECT a.id, s.n, s.w FROM a LEFT JOIN (SELECT k, id * 2 AS n, w FROM b WHERE id > 2 UNION ALL SELECT b, id, 'c' FROM c) s ON s.k = a.k$$);
SELECT watch('below', 'SELECT s.id, c.u FROM (SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.k = b.k) s JOIN c ON c.b = s.id OR c.id = s.other');
SELECT watch('lateral_side', 'SELECT a.id, s.w FROM a LEFT JOIN LATERAL (SELECT b.w, b.k + a.id AS x FROM b WHERE b.id < a.id) s ON s.x = a.k + a.id');
SELECT watch('range_only', 'SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.k < b.k AND b.id > 5');
SELECT watch('twice', 'SELECT x.id, y.id AS other FROM a x LEFT JOIN a y ON y.k = x.id');
SELECT watch('grouped', 'SELECT a.k, count(*) AS rows, count(b.id) AS n, sum(b.id) AS s, min(b.w) AS w, count(DISTINCT b.w) AS d FROM a LEFT JOIN b ON a.k = b.k GROUP BY a.k');
SELECT watch('total', 'SELECT count(*) AS rows, count(b.id) AS n, max(b.w) AS w FROM a LEFT JOIN b ON a.k = b.k');
SELECT watch('beside_subqueries', 'SELECT a.id, (SELECT array_agg(b.id ORDER BY b.id) FROM b WHERE b.k = a.k) AS list FROM a WHERE NOT EXISTS (SELECT FROM c WHERE c.b = a.id)');
-- scalar subqueries of aggregates: groups that are joined
SELECT watch('counted', $$SELECT a.id, (SELECT count(*) FROM b WHERE b.k = a.k) AS n, (SELECT sum(b.id) + count(b.w) * 10 FROM b WHERE b.k = a.k) AS s, (SELECT min(b.id) FROM b WHERE b.k = a.k AND b.w <> 'x') AS m FROM a$$);
SELECT watch('uncounted', 'SELECT a.id FROM a WHERE (SELECT count(*) FROM b WHERE b.k = a.k) = 0 OR (SELECT max(id) FROM c WHERE c.b = a.id) > 4');
SELECT watch('counts_grouped', 'SELECT a.v, sum((SELECT count(*) FROM b WHERE a.k = b.k AND b.id > 3)) AS n FROM a, c WHERE c.id = a.id GROUP BY a.v');
SELECT * FROM wrong_views();
-- the first match comes, others come, one goes, the last goes
INSERT INTO b VALUES (100, 0, 'first');
SELECT * FROM wrong_views();
INSERT INTO b VALUES (101, 0, 'x'), (102, 0, NULL), (103, 1, 'q'), (104, 77, 'matches none');
SELECT * FROM wrong_views();
DELETE FROM b WHERE id = 101;
SELECT * FROM wrong_views();
DELETE FROM b WHERE k = 0;
SELECT * FROM wrong_views();
-- a row leaves one key and comes to another, in part of the rows; twins
UPDATE b SET k = k + 1;
SELECT * FROM wrong_views();
UPDATE b SET k = k - 2, w = w || 'x' WHERE id % 2 = 0;
SELECT * FROM wrong_views();
UPDATE b SET w = 'the same';
SELECT * FROM wrong_views();
INSERT INTO b SELECT id + 1000, k, w FROM b;
SELECT * FROM wrong_views();
DELETE FROM b WHERE id > 1000;
SELECT * FROM wrong_views();
-- matched by an equal row that replaces the one that goes
WITH gone AS (DELETE FROM b WHERE id < 5 RETURNING *) INSERT INTO b SELECT id + 500, k, w FROM gone;
SELECT * FROM wrong_views();
-- nulls match nothing
INSERT INTO a VALUES (50, NULL, 'n');
INSERT INTO b VALUES (50, NULL, 'n');
SELECT * FROM wrong_views();
UPDATE a SET k = k + 1;
SELECT * FROM wrong_views();
DELETE FROM a WHERE id % 3 = 0;
INSERT INTO a SELECT g, g % 10, 'again' FROM generate_series(30, 40) g;
SELECT * FROM wrong_views();
INSERT INTO c VALUES (20, 3, NULL), (21, 3, 4), (22, 504, 1);
SELECT * FROM wrong_views();
DELETE FROM c WHERE b = 3;
SELECT * FROM wrong_views();
-- several at once
WITH x AS (DELETE FROM a WHERE id < 8), y AS (DELETE FROM b WHERE id % 2 = 1), z AS (UPDATE c SET b = b + 1) INSERT INTO b VALUES (200, 4, 'w');
SELECT * FROM wrong_views();
UPDATE b SET k = 4;
SELECT * FROM wrong_views();
UPDATE b SET k = 5;
SELECT * FROM wrong_views();
DELETE FROM b;
SELECT * FROM wrong_views();
DROP FUNCTION watch;
DROP TABLE a, b, c CASCADE;
