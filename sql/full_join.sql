-- Full joins: told by the value their rows match by.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE a (id int PRIMARY KEY, k int, x text);
CREATE TABLE b (id int PRIMARY KEY, k int, y int);
CREATE TABLE c (id int PRIMARY KEY, k int, z int);
CREATE INDEX ON a (k);
CREATE INDEX ON b (k);
CREATE MATERIALIZED VIEW merged WITH (tailwater.maintain = immediate) AS SELECT k, x, y FROM a FULL JOIN b USING (k);
CREATE MATERIALIZED VIEW hidden WITH (tailwater.maintain = immediate) AS SELECT a.x, b.y FROM a FULL JOIN b ON a.k = b.k;
CREATE MATERIALIZED VIEW both_shown WITH (tailwater.maintain = immediate) AS SELECT a.id AS aid, b.id AS bid, a.k AS ak, b.k AS bk FROM a FULL JOIN b ON b.k = a.k AND b.y > 0;
CREATE MATERIALIZED VIEW three WITH (tailwater.maintain = immediate) AS SELECT k, x, y, z FROM a FULL JOIN b USING (k) FULL JOIN c USING (k);
CREATE MATERIALIZED VIEW two_columns WITH (tailwater.maintain = immediate) AS SELECT k, id, x, y FROM a FULL JOIN b USING (k, id);
CREATE MATERIALIZED VIEW beside WITH (tailwater.maintain = immediate) AS SELECT c.id, f.x, f.y FROM c LEFT JOIN (SELECT k, x, y FROM a FULL JOIN b USING (k)) f ON f.k = c.k;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = immediate) AS SELECT a.x, b.y, c.z FROM (a FULL JOIN b ON a.k = b.k) JOIN c ON c.id = COALESCE(a.id, b.id) WHERE b.y IS DISTINCT FROM 3;
CREATE MATERIALIZED VIEW summed WITH (tailwater.maintain = immediate) AS SELECT k, count(x) AS n, sum(y) AS s FROM a FULL JOIN b USING (k) GROUP BY k;
CREATE MATERIALIZED VIEW total WITH (tailwater.maintain = immediate) AS SELECT count(a.id) AS n, sum(b.y) AS s FROM a FULL JOIN b ON a.k = b.k;
CREATE MATERIALIZED VIEW below_left WITH (tailwater.maintain = immediate) AS SELECT c.id, COALESCE(a.k, b.k) AS k FROM c LEFT JOIN (a FULL JOIN b ON a.k = b.k) ON c.k = a.k OR c.z = b.y;
CREATE MATERIALIZED VIEW no_equality WITH (tailwater.maintain = immediate) AS SELECT a.id, b.id AS other FROM a FULL JOIN b ON a.id = b.id + 0 AND a.k = 1;
SELECT v.view, string_agg(regexp_replace(e.line, 'inner_\d+', 'inner', 'g'), E'\n' ORDER BY e.line) AS "how" FROM tailwater.views v, LATERAL (SELECT line FROM tailwater.explain(v.view) line WHERE line LIKE 'delta of%') e
GROUP BY v.view ORDER BY v.view::text;
SELECT * FROM wrong_views();
INSERT INTO a VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, NULL, 'n');
SELECT * FROM wrong_views();
INSERT INTO b VALUES (1, 1, 10), (2, 3, 20), (3, NULL, 3), (4, NULL, -4);
INSERT INTO c VALUES (1, 1, 1), (2, 2, 10), (3, NULL, 3), (4, 5, 20);
SELECT * FROM wrong_views();
TABLE merged ORDER BY 1, 2, 3;
UPDATE b SET k = 2 WHERE id IN (1, 3);
SELECT * FROM wrong_views();
UPDATE a SET k = COALESCE(k, 0) + 1;
SELECT * FROM wrong_views();
WITH g AS (DELETE FROM a WHERE k = 2 RETURNING id) UPDATE b SET k = NULL, y = y + 1 WHERE id IN (SELECT id FROM g);
SELECT * FROM wrong_views();
DELETE FROM b WHERE k IS NULL;
UPDATE c SET k = 1, z = z + 1 WHERE id > 2;
INSERT INTO a SELECT i, i % 6, 'i' || i FROM generate_series(10, 30) i;
INSERT INTO b SELECT i, NULLIF(i % 7, 0), i FROM generate_series(10, 30) i;
SELECT * FROM wrong_views();
UPDATE a SET k = NULL WHERE id % 5 = 0;
DELETE FROM c;
SELECT * FROM wrong_views();
TRUNCATE b;
SELECT * FROM wrong_views();
-- the change comes from below a window, and nothing known of it leads to the joined table beside it
CREATE MATERIALIZED VIEW below_window WITH (tailwater.maintain = immediate) AS
	SELECT c.z IS NULL AS alone, count(c.z) AS n
	FROM (SELECT b.id, count(*) OVER (ORDER BY b.y) AS place FROM b) w JOIN a ON w.id = a.k FULL JOIN c ON a.k = c.k
	GROUP BY c.z IS NULL;
INSERT INTO b SELECT i, i % 3, i FROM generate_series(1, 10) i;
INSERT INTO c SELECT i, i % 4, i FROM generate_series(1, 10) i;
UPDATE a SET k = 3 WHERE id < 5;
SELECT * FROM wrong_views();
DROP TABLE a, b, c CASCADE;
