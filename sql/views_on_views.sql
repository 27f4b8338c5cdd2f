-- Live views that read live views: chains and diamonds.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE t (id int PRIMARY KEY, g int, x int);
CREATE TABLE dim (g int PRIMARY KEY, name text);
INSERT INTO t SELECT i, i % 4, i FROM generate_series(1, 12) i;
INSERT INTO dim VALUES (0, 'zero'), (1, 'one'), (2, 'two');
CREATE VIEW plain AS SELECT id, g, x FROM t WHERE x > 2;
CREATE MATERIALIZED VIEW a WITH (tailwater.maintain = immediate) AS SELECT g, count(*) AS n, sum(x) AS s FROM plain GROUP BY g;
CREATE MATERIALIZED VIEW b WITH (tailwater.maintain = immediate) AS SELECT n, count(*) AS groups FROM a GROUP BY n;
CREATE MATERIALIZED VIEW c WITH (tailwater.maintain = immediate) AS SELECT max(n) AS top, sum(groups) AS total FROM b;
CREATE MATERIALIZED VIEW left_half WITH (tailwater.maintain = immediate) AS SELECT g, s FROM a WHERE s > 5;
CREATE MATERIALIZED VIEW right_half WITH (tailwater.maintain = immediate) AS SELECT a.g, name, n FROM a JOIN dim USING (g);
CREATE MATERIALIZED VIEW diamond WITH (tailwater.maintain = immediate) AS SELECT l.g, name, s, n FROM left_half l JOIN right_half r USING (g);
CREATE MATERIALIZED VIEW with_base WITH (tailwater.maintain = immediate) AS SELECT t.id, a.s - t.x AS rest FROM t JOIN a USING (g);
CREATE MATERIALIZED VIEW outer_view WITH (tailwater.maintain = immediate) AS SELECT dim.name, d.s FROM dim LEFT JOIN diamond d USING (g);
CREATE MATERIALIZED VIEW itself WITH (tailwater.maintain = immediate) AS SELECT x.g, y.g AS h FROM a x JOIN a y ON x.n = y.n AND x.g < y.g;
CREATE MATERIALIZED VIEW windowed WITH (tailwater.maintain = immediate) AS SELECT g, n, rank() OVER (PARTITION BY n ORDER BY s) AS r FROM a;
CREATE MATERIALIZED VIEW stale_plain AS SELECT g, s FROM a;
SELECT * FROM wrong_views();
INSERT INTO t VALUES (20, 1, 100), (21, 9, 1), (22, 9, 10);
SELECT * FROM diamond ORDER BY g;
TABLE c;
SELECT * FROM wrong_views();
UPDATE t SET g = 3 - g WHERE g < 4;
SELECT * FROM wrong_views();
WITH d AS (UPDATE dim SET name = upper(name)) DELETE FROM t WHERE g = 2;
SELECT * FROM wrong_views();
INSERT INTO dim VALUES (9, 'nine'), (3, 'three');
DELETE FROM dim WHERE g = 0;
SELECT * FROM outer_view ORDER BY 1;
SELECT * FROM wrong_views();
BEGIN;
DELETE FROM t;
SELECT * FROM wrong_views();
ROLLBACK;
BEGIN;
TRUNCATE t;
SELECT * FROM wrong_views();
INSERT INTO t VALUES (1, 1, 7);
SELECT * FROM wrong_views();
COMMIT;
SELECT * FROM diamond;
-- what reads a plain materialized view follows its REFRESH
CREATE MATERIALIZED VIEW over_plain AS SELECT g FROM stale_plain;
\set VERBOSITY terse
SELECT tailwater.maintain('over_plain', 'immediate');
\set VERBOSITY default
REFRESH MATERIALIZED VIEW stale_plain;
SELECT * FROM wrong_views();
INSERT INTO t VALUES (2, 2, 8);
REFRESH MATERIALIZED VIEW stale_plain;
SELECT * FROM wrong_views();
REFRESH MATERIALIZED VIEW a;
SELECT * FROM wrong_views();
-- released and kept again in the middle
SELECT tailwater.release('left_half');
INSERT INTO t VALUES (3, 1, 9);
\set VERBOSITY terse
SELECT tailwater.maintain('left_half', 'immediate');
\set VERBOSITY default
INSERT INTO t VALUES (4, 1, 9);
SELECT * FROM wrong_views();
DROP MATERIALIZED VIEW a CASCADE;
SELECT view FROM tailwater.views;
INSERT INTO t VALUES (5, 1, 9);
