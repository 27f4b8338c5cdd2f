-- Aggregates over distinct values: the values of each group are counted in a state of their own.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE t (id int PRIMARY KEY, g int, x int, y text, f float8, n numeric(6,2), ok bool);
CREATE TABLE u (id int PRIMARY KEY, t int, z int);
CREATE MATERIALIZED VIEW counts WITH (tailwater.maintain = immediate) AS
	SELECT g, count(DISTINCT x) AS cx, sum(DISTINCT x) AS sx, avg(DISTINCT n) AS an, count(DISTINCT y) FILTER (WHERE ok) AS cy, count(*) AS c, max(x) AS m, count(DISTINCT ok) AS ok
	FROM t GROUP BY g;
CREATE MATERIALIZED VIEW whole WITH (tailwater.maintain = immediate) AS SELECT count(DISTINCT g) AS g, count(DISTINCT x) AS x, stddev(DISTINCT x) AS d, min(y) AS y, sum(x) AS s FROM t;
CREATE MATERIALIZED VIEW only_some WITH (tailwater.maintain = immediate) AS SELECT y, count(DISTINCT x) AS c FROM t GROUP BY y HAVING count(DISTINCT x) > 1;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = immediate) AS SELECT t.g, count(DISTINCT u.z) AS c, max(u.z) AS m, count(*) AS n FROM t JOIN u ON u.t = t.id GROUP BY t.g;
CREATE MATERIALIZED VIEW outer_joined WITH (tailwater.maintain = immediate) AS SELECT t.g, count(DISTINCT u.z) AS c, count(*) AS n FROM t LEFT JOIN u ON u.t = t.id GROUP BY t.g;
-- equal values that look different: evaluated again
CREATE MATERIALIZED VIEW by_group WITH (tailwater.maintain = immediate) AS SELECT g, sum(DISTINCT f) AS c FROM t GROUP BY g;
-- which one does not matter where they are only counted
CREATE TABLE unlike (id int PRIMARY KEY, g int, n numeric, f float8, r float4);
CREATE MATERIALIZED VIEW counted WITH (tailwater.maintain = immediate) AS
	SELECT g, count(DISTINCT n) AS n, count(DISTINCT f) AS f, count(DISTINCT r) FILTER (WHERE id > 2) AS r FROM unlike GROUP BY g;
CREATE MATERIALIZED VIEW counted_all WITH (tailwater.maintain = immediate) AS SELECT count(DISTINCT n) AS n, count(DISTINCT f) AS f FROM unlike;
INSERT INTO unlike VALUES (1, 1, 1.0, 0, 0), (2, 1, 1.00, '-0', '-0'), (3, 1, 1, 'NaN', 'NaN'), (4, 1, 'NaN', 'Infinity'::float8 - 'Infinity', 'NaN'), (5, 2, 10, 1e300, 0),
	(6, 2, 1e1, '-Infinity', '-0'), (7, 2, NULL, NULL, NULL), (8, 2, 'Infinity', 'Infinity', '-Infinity');
SELECT * FROM counted ORDER BY g;
SELECT * FROM wrong_views();
DELETE FROM unlike WHERE id IN (2, 3, 6);
SELECT * FROM counted ORDER BY g;
UPDATE unlike SET n = n + 0.000, f = f * -1 WHERE id < 6;
UPDATE unlike SET g = 3 - g;
SELECT * FROM counted_all;
SELECT * FROM wrong_views();
SELECT v.view, e FROM tailwater.views v, tailwater.explain(v.view::regclass) e WHERE e LIKE 'delta%' ORDER BY v.view::text COLLATE "C", e COLLATE "C";
SELECT * FROM wrong_views();
INSERT INTO t SELECT i, i % 4, i % 7, 'y' || i % 3, i % 5, i % 6, i % 2 = 0 FROM generate_series(1, 60) i;
INSERT INTO u SELECT i, i % 40, i % 9 FROM generate_series(1, 100) i;
SELECT * FROM counts ORDER BY g;
SELECT * FROM wrong_views();
-- a value comes again, goes, goes for good
INSERT INTO t VALUES (100, 1, 1000, 'new', 1, 1, true), (101, 1, 1000, 'new', 1, 1, true);
SELECT cx, sx, cy FROM counts WHERE g = 1;
DELETE FROM t WHERE id = 100;
SELECT cx, sx, cy FROM counts WHERE g = 1;
UPDATE t SET x = NULL WHERE id = 101;
SELECT cx, sx, cy FROM counts WHERE g = 1;
SELECT * FROM wrong_views();
-- extremes that leave, and values that stay
DELETE FROM t WHERE x = 6;
UPDATE t SET ok = NOT ok, y = NULL WHERE id % 3 = 0;
UPDATE t SET g = NULL WHERE g = 2;
DELETE FROM u WHERE z = 8;
UPDATE u SET t = t + 1, z = z + 1 WHERE id % 2 = 0;
SELECT * FROM wrong_views();
WITH a AS (DELETE FROM t WHERE id < 20 RETURNING id) UPDATE u SET z = 1 WHERE t IN (SELECT id FROM a);
SELECT * FROM wrong_views();
BEGIN;
UPDATE t SET x = x + 1;
SAVEPOINT a;
DELETE FROM t;
ROLLBACK TO a;
INSERT INTO t SELECT i, i % 300, i % 1000, 'y' || i, i, 5, true FROM generate_series(1000, 6000) i;
COMMIT;
SELECT * FROM wrong_views();
SET work_mem = '64kB';
UPDATE t SET x = x / 2;
SELECT * FROM wrong_views();
RESET work_mem;
DELETE FROM t WHERE id > 50;
SELECT * FROM wrong_views();
REFRESH MATERIALIZED VIEW counts;
SELECT * FROM wrong_views();
TRUNCATE t;
SELECT * FROM wrong_views();
DROP TABLE t, u, unlike CASCADE;
SELECT count(*) FROM tailwater_internal.state;
