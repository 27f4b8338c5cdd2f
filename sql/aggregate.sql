-- Groups: keys, sums and extremes where they are easily wrong.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE t (id int PRIMARY KEY, g int, g2 text, i int, b bigint, n numeric, f float8, ok bool, d date);
CREATE MATERIALIZED VIEW grouped WITH (tailwater.maintain = immediate) AS
	SELECT g, count(*) AS n, count(i) AS ni, sum(i) AS si, avg(i) AS ai, sum(b) AS sb, avg(b) AS ab, sum(n) AS sn, avg(n) AS an,
		min(i), max(d), min(g2) AS mg, bool_and(ok), bool_or(ok), every(i > 0) AS e FROM t GROUP BY g;
CREATE MATERIALIZED VIEW scalar WITH (tailwater.maintain = immediate) AS
	SELECT count(*) AS n, sum(i) AS si, sum(n) AS sn, min(i), max(n), avg(n) AS an, bool_or(ok) FROM t;
CREATE MATERIALIZED VIEW two_keys WITH (tailwater.maintain = immediate) AS SELECT g2, g % 2 AS odd, sum(i) AS s FROM t GROUP BY g2, g % 2;
CREATE MATERIALIZED VIEW crossing WITH (tailwater.maintain = immediate) AS
	SELECT g, count(*) AS n FROM t GROUP BY g HAVING count(*) > 1 AND sum(i) < 10;
CREATE MATERIALIZED VIEW hidden WITH (tailwater.maintain = immediate) AS SELECT sum(i) AS s FROM t GROUP BY g, g2;
CREATE MATERIALIZED VIEW filtered WITH (tailwater.maintain = immediate) AS
	SELECT g, count(*) FILTER (WHERE ok) AS c, sum(i) FILTER (WHERE i > 2) AS s, max(i) FILTER (WHERE NOT ok) AS m FROM t GROUP BY g;
CREATE MATERIALIZED VIEW distinct_rows WITH (tailwater.maintain = immediate) AS SELECT DISTINCT g, ok FROM t;
CREATE MATERIALIZED VIEW no_aggregate WITH (tailwater.maintain = immediate) AS SELECT g2 FROM t GROUP BY g2;
CREATE MATERIALIZED VIEW expressions WITH (tailwater.maintain = immediate) AS
	SELECT g + 1 AS g, sum(i) * 2 + count(*) AS x, CASE WHEN count(i) = 0 THEN 'none' ELSE max(i)::text END AS label, 7 AS const FROM t GROUP BY g;
CREATE MATERIALIZED VIEW inexact WITH (tailwater.maintain = immediate) AS SELECT g, sum(f) AS s, avg(f) AS a, min(f), stddev(f) AS d, count(DISTINCT i) AS di FROM t GROUP BY g;
TABLE scalar;
SELECT * FROM wrong_views();
-- null keys, nulls only, an extreme that leaves, scales
INSERT INTO t VALUES (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (2, NULL, 'x', NULL, NULL, NULL, 1, true, '2020-01-01');
INSERT INTO t SELECT i, i % 3, 'k' || i % 2, i, i * 1000, i::numeric / 4, i, i % 2 = 0, date '2020-01-01' + i FROM generate_series(3, 20) i;
SELECT g, n, ni, si, sn FROM grouped ORDER BY g;
SELECT * FROM wrong_views();
UPDATE t SET i = 5, n = 1.0 WHERE id = 1;
SELECT si, sn, an FROM grouped WHERE g IS NULL;
UPDATE t SET i = NULL, n = NULL WHERE id = 1;
SELECT si, sn, an FROM grouped WHERE g IS NULL;
SELECT * FROM wrong_views();
INSERT INTO t (id, g, n, i) VALUES (30, 9, 1.000, 7), (31, 9, 2.5, 8);
SELECT sn, an, min FROM grouped WHERE g = 9;
UPDATE t SET n = 1.0, i = 9 WHERE id = 30;
SELECT sn, an, min FROM grouped WHERE g = 9;
DELETE FROM t WHERE id = 31;
SELECT sn, an, min FROM grouped WHERE g = 9;
SELECT * FROM wrong_views();
-- NaN and infinities come and go
UPDATE t SET n = 'NaN' WHERE id = 5;
SELECT * FROM wrong_views();
UPDATE t SET n = 'Infinity', f = 'Infinity' WHERE id = 8;
UPDATE t SET n = '-Infinity', f = 1e300 WHERE id = 11;
SELECT sn FROM grouped ORDER BY g;
UPDATE t SET n = 0.25 WHERE id = 5;
DELETE FROM t WHERE id = 11;
SELECT sn FROM grouped ORDER BY g;
UPDATE t SET n = 8, f = 8 WHERE id = 8;
SELECT sn FROM grouped ORDER BY g;
SELECT * FROM wrong_views();
-- extremes leave, are copied, and are moved to another group
DELETE FROM t WHERE i = (SELECT max(i) FROM t);
INSERT INTO t (id, g, i) VALUES (40, 0, -5), (41, 0, -5);
DELETE FROM t WHERE id = 40;
UPDATE t SET g = 1 WHERE id = 41;
UPDATE t SET i = i + 1 WHERE g = 1;
SELECT * FROM wrong_views();
-- groups come, go, and cross HAVING
INSERT INTO t (id, g, g2, i) VALUES (50, 77, 'new', 1);
TABLE crossing;
INSERT INTO t (id, g, g2, i) VALUES (51, 77, 'new', 2);
TABLE crossing;
UPDATE t SET i = 20 WHERE id = 51;
TABLE crossing;
UPDATE t SET i = 3 WHERE id = 51;
UPDATE t SET g = 78 WHERE g = 77;
TABLE crossing;
WITH gone AS (DELETE FROM t WHERE g = 78 RETURNING *) INSERT INTO t (id, g, i) SELECT id + 100, g, i FROM gone;
DELETE FROM t WHERE g = 78;
TABLE crossing;
SELECT * FROM wrong_views();
-- what overflows fails and changes nothing
\set VERBOSITY terse
INSERT INTO t (id, g, b, i) VALUES (60, 80, 9223372036854775807, 2147483647);
CREATE MATERIALIZED VIEW cast_down WITH (tailwater.maintain = immediate) AS SELECT g, sum(i)::int AS s FROM t GROUP BY g;
INSERT INTO t (id, g, i) VALUES (61, 80, 1), (62, 81, 1);
UPDATE t SET g = 80 WHERE id = 3;
SELECT count(*) FROM t WHERE id IN (61, 62);
SELECT * FROM wrong_views();
CREATE MATERIALIZED VIEW divided WITH (tailwater.maintain = immediate) AS SELECT g, 100 / count(i) AS q FROM t WHERE g = 80 GROUP BY g;
UPDATE t SET i = NULL WHERE id = 60;
\set VERBOSITY default
SELECT * FROM wrong_views();
-- nothing is left
DELETE FROM t;
SELECT * FROM scalar;
SELECT (SELECT count(*) FROM grouped), (SELECT count(*) FROM hidden), (SELECT count(*) FROM distinct_rows);
SELECT * FROM wrong_views();
INSERT INTO t (id, g, i) VALUES (1, 1, 1);
TRUNCATE t;
SELECT * FROM scalar;
SELECT * FROM wrong_views();
BEGIN;
INSERT INTO t (id, g, i, n) SELECT i, i % 7, i, i FROM generate_series(1, 3000) i;
SAVEPOINT s;
UPDATE t SET g = g + 1, n = n + 0.5;
ROLLBACK TO s;
DELETE FROM t WHERE id % 2 = 0;
SELECT * FROM wrong_views();
COMMIT;
SELECT * FROM wrong_views();
DROP TABLE t CASCADE;

-- group keys whose equal values look different, and keys too long for an index entry
CREATE TABLE k (id int PRIMARY KEY, n numeric, f float8, i interval, t text, j jsonb, x int);
CREATE MATERIALIZED VIEW by_number WITH (tailwater.maintain = immediate) AS SELECT n * 0 + count(*) AS same, count(*) AS c FROM k GROUP BY n;
CREATE MATERIALIZED VIEW by_float WITH (tailwater.maintain = immediate) AS SELECT f + 0 AS f, sum(x) AS s FROM k GROUP BY f;
CREATE MATERIALIZED VIEW by_interval WITH (tailwater.maintain = immediate) AS SELECT count(*) AS c FROM k GROUP BY i;
CREATE MATERIALIZED VIEW by_text WITH (tailwater.maintain = immediate) AS SELECT t, sum(x) AS s FROM k GROUP BY t;
CREATE MATERIALIZED VIEW by_json WITH (tailwater.maintain = immediate) AS SELECT count(*) AS c FROM k GROUP BY j;
INSERT INTO k VALUES (1, 1.0, 0, '1 day', repeat('a', 5000), '{"a": 1.0}', 1), (2, 1.00, '-0', '24:00', repeat('a', 5000), '{"a": 1.00}', 2),
	(3, 1, 'NaN', '1 day', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i), '{"a": 1}', 3), (4, NULL, NULL, NULL, NULL, NULL, 4);
UPDATE k SET x = x + 1;
SELECT * FROM wrong_views();
INSERT INTO k SELECT id + 10, n, f, i, t, j, x FROM k;
UPDATE k SET n = 1.000, f = '-0' WHERE id = 1;
DELETE FROM k WHERE id IN (2, 13);
SELECT * FROM wrong_views();
DELETE FROM k;
SELECT * FROM wrong_views();

-- a cluster made before 15.5 says of interval that equal values look the same; 1 day and 24 hours do not
SET allow_system_table_mods = on;
INSERT INTO pg_amproc SELECT (SELECT max(oid::int8) + 1 FROM pg_amproc)::oid, amprocfamily, amproclefttype, amprocrighttype, 4, 'btequalimage'
	FROM pg_amproc p WHERE amproc = 'interval_cmp'::regproc AND amprocnum = 1 AND amprocfamily = (SELECT oid FROM pg_opfamily WHERE opfname = 'interval_ops' AND opfmethod = 403)
	AND NOT EXISTS (SELECT FROM pg_amproc q WHERE q.amprocfamily = p.amprocfamily AND q.amprocnum = 4);
RESET allow_system_table_mods;
CREATE TABLE spans (id int PRIMARY KEY, g int, i interval);
CREATE MATERIALIZED VIEW by_span WITH (tailwater.maintain = immediate) AS SELECT i + '0' AS i, count(*) AS c FROM spans GROUP BY i + '0';
CREATE MATERIALIZED VIEW extreme_spans WITH (tailwater.maintain = immediate) AS SELECT g, min(i) AS least, max(i) AS most FROM spans GROUP BY g;
INSERT INTO spans VALUES (1, 1, '1 day'), (2, 1, '24:00'), (3, 1, '1 day'), (4, 1, '2 days');
SELECT * FROM wrong_views();
DELETE FROM spans WHERE id = 1;
SELECT * FROM wrong_views();
DELETE FROM spans WHERE id = 3;
SELECT * FROM wrong_views();
