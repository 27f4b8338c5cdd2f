-- Everything that is not joins and groups: outer joins, subqueries, windows, set operations, recursion, documents.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE r (id int PRIMARY KEY, k int, x text);
CREATE TABLE s (id int PRIMARY KEY, k int, y int);
CREATE TABLE e (a int, b int);
SET client_min_messages = notice;
CREATE MATERIALIZED VIEW recursive WITH (tailwater.maintain = immediate) AS
	WITH RECURSIVE reach (a, b) AS (SELECT a, b FROM e UNION SELECT reach.a, e.b FROM reach JOIN e ON e.a = reach.b) SELECT a, b FROM reach;
RESET client_min_messages;
SET client_min_messages = warning;
CREATE MATERIALIZED VIEW lefts WITH (tailwater.maintain = immediate) AS SELECT r.id, x, s.id AS sid, y FROM r LEFT JOIN s ON r.k = s.k;
CREATE MATERIALIZED VIEW rights WITH (tailwater.maintain = immediate) AS SELECT x, y FROM r RIGHT JOIN s ON r.k = s.k AND y > 1;
CREATE MATERIALIZED VIEW fulls WITH (tailwater.maintain = immediate) AS SELECT r.x, s.y FROM r FULL JOIN s ON r.k = s.k;
CREATE MATERIALIZED VIEW nested_outer WITH (tailwater.maintain = immediate) AS
	SELECT r.id, s.y, e.b FROM r LEFT JOIN (s JOIN e ON e.a = s.y) ON s.k = r.k;
CREATE MATERIALIZED VIEW padding WITH (tailwater.maintain = immediate) AS SELECT r.id, COALESCE(s.y, -1) AS y FROM r LEFT JOIN s ON s.id = r.id WHERE s.y IS NULL OR s.y > 0;
CREATE MATERIALIZED VIEW left_sum WITH (tailwater.maintain = immediate) AS SELECT r.k, count(s.id) AS c, sum(y) AS t FROM r LEFT JOIN s USING (k) GROUP BY r.k;
CREATE MATERIALIZED VIEW semi WITH (tailwater.maintain = immediate) AS SELECT id FROM r WHERE EXISTS (SELECT FROM s WHERE s.k = r.k AND s.y > 0);
CREATE MATERIALIZED VIEW anti WITH (tailwater.maintain = immediate) AS SELECT id FROM r WHERE NOT EXISTS (SELECT FROM s WHERE s.k = r.k);
CREATE MATERIALIZED VIEW in_list WITH (tailwater.maintain = immediate) AS SELECT x FROM r WHERE k IN (SELECT k FROM s);
CREATE MATERIALIZED VIEW not_in WITH (tailwater.maintain = immediate) AS SELECT x FROM r WHERE k NOT IN (SELECT k FROM s WHERE y < 100);
CREATE MATERIALIZED VIEW some_all WITH (tailwater.maintain = immediate) AS SELECT id FROM r WHERE k > ALL (SELECT y FROM s) OR k = ANY (SELECT y FROM s);
CREATE MATERIALIZED VIEW scalar_sub WITH (tailwater.maintain = immediate) AS SELECT id, (SELECT y FROM s WHERE s.k = r.k AND y < 50) AS y FROM r;
CREATE MATERIALIZED VIEW constant_sub WITH (tailwater.maintain = immediate) AS SELECT id, (SELECT max(y) FROM s) AS m FROM r WHERE id > (SELECT count(*) FROM e) - 10;
CREATE MATERIALIZED VIEW ranks WITH (tailwater.maintain = immediate) AS
	SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id), sum(y) OVER (PARTITION BY k ORDER BY id ROWS 1 PRECEDING), lag(y) OVER (PARTITION BY k ORDER BY id) FROM s;
CREATE MATERIALIZED VIEW overall WITH (tailwater.maintain = immediate) AS SELECT id, rank() OVER (ORDER BY y) AS r FROM s;
CREATE MATERIALIZED VIEW first_of WITH (tailwater.maintain = immediate) AS SELECT DISTINCT ON (k) k, id, y FROM s ORDER BY k, y DESC, id;
CREATE MATERIALIZED VIEW top2 WITH (tailwater.maintain = immediate) AS SELECT id, y FROM s ORDER BY y DESC NULLS LAST, id LIMIT 2 OFFSET 1;
CREATE MATERIALIZED VIEW ties WITH (tailwater.maintain = immediate) AS SELECT y FROM s ORDER BY y FETCH FIRST 2 ROWS WITH TIES;
CREATE MATERIALIZED VIEW top_each WITH (tailwater.maintain = immediate) AS SELECT r.id, l.y FROM r, LATERAL (SELECT y FROM s WHERE s.k = r.k ORDER BY y, s.id LIMIT 2) l;
CREATE MATERIALIZED VIEW unions WITH (tailwater.maintain = immediate) AS SELECT k FROM r UNION SELECT k FROM s;
CREATE MATERIALIZED VIEW unions_all WITH (tailwater.maintain = immediate) AS SELECT k FROM r UNION ALL SELECT k FROM s UNION ALL SELECT k FROM r;
CREATE MATERIALIZED VIEW intersects WITH (tailwater.maintain = immediate) AS SELECT k FROM r INTERSECT SELECT k FROM s;
CREATE MATERIALIZED VIEW intersects_all WITH (tailwater.maintain = immediate) AS SELECT k FROM r INTERSECT ALL SELECT k FROM s;
CREATE MATERIALIZED VIEW excepts WITH (tailwater.maintain = immediate) AS SELECT k FROM r EXCEPT SELECT k FROM s;
CREATE MATERIALIZED VIEW excepts_all WITH (tailwater.maintain = immediate) AS SELECT k FROM r EXCEPT ALL SELECT k FROM s;
CREATE MATERIALIZED VIEW strings WITH (tailwater.maintain = immediate) AS
	SELECT k, string_agg(x, ',' ORDER BY id) AS l, array_agg(id ORDER BY id DESC) AS ids, count(DISTINCT x) AS d FROM r GROUP BY k;
CREATE MATERIALIZED VIEW percentiles WITH (tailwater.maintain = immediate) AS
	SELECT k, percentile_cont(0.5) WITHIN GROUP (ORDER BY y) AS p, mode() WITHIN GROUP (ORDER BY y) AS m FROM s GROUP BY k;
CREATE MATERIALIZED VIEW cubes WITH (tailwater.maintain = immediate) AS SELECT k, y, count(*) AS c, grouping(k, y) AS g FROM s GROUP BY ROLLUP (k, y);
CREATE MATERIALIZED VIEW documents WITH (tailwater.maintain = immediate) AS
	SELECT r.id, jsonb_build_object('x', x, 's', (SELECT jsonb_agg(jsonb_build_object('y', y, 'e', (SELECT jsonb_agg(b ORDER BY b) FROM e WHERE e.a = s.y)) ORDER BY s.id)
		FROM s WHERE s.k = r.k)) AS doc FROM r;
CREATE MATERIALIZED VIEW ctes WITH (tailwater.maintain = immediate) AS
	WITH m AS MATERIALIZED (SELECT k, sum(y) AS t FROM s GROUP BY k), n AS (SELECT max(t) AS top FROM m) SELECT m.k, m.t FROM m, n WHERE m.t = n.top;
CREATE MATERIALIZED VIEW series WITH (tailwater.maintain = immediate) AS SELECT id, g FROM s, generate_series(1, LEAST(y, 3)) g;
CREATE MATERIALIZED VIEW elements WITH (tailwater.maintain = immediate) AS SELECT r.id, c FROM r, regexp_split_to_table(x, '') WITH ORDINALITY AS t (c, o) WHERE o < 3;
CREATE MATERIALIZED VIEW no_tables WITH (tailwater.maintain = immediate) AS SELECT 1 AS one UNION ALL SELECT 2;
SELECT * FROM wrong_views();
INSERT INTO r VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, NULL, 'n');
SELECT * FROM wrong_views();
INSERT INTO s VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30);
INSERT INTO e VALUES (10, 20), (20, 30), (30, 10), (1, 2), (1, 2);
SELECT * FROM wrong_views();
TABLE lefts ORDER BY 1;
TABLE not_in ORDER BY 1;
TABLE top2;
TABLE documents ORDER BY 1;
-- a null arrives in NOT IN, and goes
INSERT INTO s VALUES (4, NULL, 5);
TABLE not_in;
DELETE FROM s WHERE id = 4;
TABLE not_in;
SELECT * FROM wrong_views();
-- a scalar subquery with two rows fails, and nothing is changed
\set VERBOSITY terse
INSERT INTO s VALUES (5, 1, 11), (6, 7, 1);
UPDATE s SET k = 1 WHERE id IN (2, 3);
\set VERBOSITY default
SELECT count(*) FROM s;
SELECT * FROM wrong_views();
-- rows flip between matched and padded; a row and its match go together
UPDATE s SET k = 9 WHERE id = 1;
WITH gone AS (DELETE FROM r WHERE id = 3 RETURNING k) DELETE FROM s WHERE k IN (SELECT k FROM gone);
SELECT * FROM wrong_views();
WITH a AS (INSERT INTO r VALUES (5, 9, 'five')), b AS (UPDATE s SET k = 1 WHERE id = 1) INSERT INTO s VALUES (7, 9, 60);
SELECT * FROM wrong_views();
UPDATE r SET k = NULL WHERE id = 1;
UPDATE s SET y = NULL WHERE id = 3;
UPDATE s SET k = NULL, id = id + 10;
SELECT * FROM wrong_views();
UPDATE s SET k = id % 4, y = id + 50;
INSERT INTO r SELECT i, i % 5, chr(97 + i) FROM generate_series(10, 20) i;
INSERT INTO s SELECT i, i + 100, i FROM generate_series(30, 60) i;
SELECT * FROM wrong_views();
UPDATE s SET y = 60 - y WHERE id > 30;
DELETE FROM s WHERE y = (SELECT max(y) FROM s);
DELETE FROM e WHERE ctid = (SELECT min(ctid) FROM e);
SELECT * FROM wrong_views();
BEGIN;
SAVEPOINT a;
TRUNCATE s;
INSERT INTO s VALUES (1, 1, 1);
SELECT * FROM wrong_views();
ROLLBACK TO a;
TRUNCATE e;
INSERT INTO e VALUES (1, 2), (2, 1);
COMMIT;
SELECT * FROM wrong_views();
DELETE FROM r;
DELETE FROM s;
DELETE FROM e;
SELECT * FROM wrong_views();
