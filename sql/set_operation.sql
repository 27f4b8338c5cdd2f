-- Set operations: how often a row is in each arm is kept in state; the result's multiplicity follows from it.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE a (k int, t text COLLATE "C");
CREATE TABLE b (k bigint, t varchar(10));
CREATE TABLE c (k smallint, n numeric, m numeric(6, 2), f float8, i text COLLATE nocase);

CREATE MATERIALIZED VIEW union_set WITH (tailwater.maintain = immediate) AS SELECT k, t COLLATE "C" AS t FROM a UNION SELECT k, t COLLATE "C" FROM b;
CREATE MATERIALIZED VIEW union_three WITH (tailwater.maintain = immediate) AS SELECT k FROM a UNION SELECT k FROM b UNION SELECT k FROM c;
CREATE MATERIALIZED VIEW intersect_set WITH (tailwater.maintain = immediate) AS SELECT k FROM a INTERSECT SELECT k FROM b;
CREATE MATERIALIZED VIEW intersect_bag WITH (tailwater.maintain = immediate) AS SELECT k FROM a INTERSECT ALL SELECT k FROM b;
CREATE MATERIALIZED VIEW except_set WITH (tailwater.maintain = immediate) AS SELECT k FROM a EXCEPT SELECT k FROM b;
CREATE MATERIALIZED VIEW except_bag WITH (tailwater.maintain = immediate) AS SELECT k FROM a EXCEPT ALL SELECT k FROM b;
-- nested, and more than two arms
CREATE MATERIALIZED VIEW nested_sets WITH (tailwater.maintain = immediate) AS
	(SELECT k FROM a EXCEPT SELECT k FROM b) UNION ALL (SELECT k FROM b INTERSECT ALL SELECT k FROM c) UNION ALL SELECT k FROM c;
CREATE MATERIALIZED VIEW nested_except WITH (tailwater.maintain = immediate) AS
	SELECT k FROM a EXCEPT ALL (SELECT k FROM b UNION (SELECT k FROM c EXCEPT ALL SELECT k FROM a));
CREATE MATERIALIZED VIEW nested_presence WITH (tailwater.maintain = immediate) AS
	((SELECT k FROM a EXCEPT ALL SELECT k FROM b) INTERSECT (SELECT k FROM c UNION ALL SELECT k FROM a)) UNION (SELECT k FROM b INTERSECT SELECT k FROM c);
CREATE MATERIALIZED VIEW chain WITH (tailwater.maintain = immediate) AS
	SELECT k FROM a EXCEPT ALL SELECT k FROM b EXCEPT ALL SELECT k FROM c;
-- joins, filters, values and the same table in the arms; a column twice; rows ordered
CREATE MATERIALIZED VIEW joined_arms WITH (tailwater.maintain = immediate) AS
	SELECT a.k, a.k AS again FROM a JOIN b USING (k) INTERSECT ALL SELECT x.k, y.k FROM a x, a y WHERE x.k = y.k ORDER BY 1;
CREATE MATERIALIZED VIEW constant_arm WITH (tailwater.maintain = immediate) AS
	SELECT k FROM a EXCEPT ALL VALUES (1), (1), (2), (NULL) UNION ALL SELECT DISTINCT 7;
CREATE MATERIALIZED VIEW subquery_arm WITH (tailwater.maintain = immediate) AS
	WITH w AS (SELECT k FROM a WHERE k > 0) SELECT k FROM w EXCEPT (SELECT k FROM (SELECT k + 1 AS k FROM w) s ORDER BY k);
-- a declared scale leaves one image for each value
CREATE MATERIALIZED VIEW scaled WITH (tailwater.maintain = immediate) AS SELECT m FROM c INTERSECT SELECT m FROM c WHERE k > 2;
-- equal values may look different: keyed
CREATE MATERIALIZED VIEW unscaled WITH (tailwater.maintain = immediate) AS SELECT n FROM c UNION SELECT k FROM a;
CREATE MATERIALIZED VIEW floats WITH (tailwater.maintain = immediate) AS SELECT f FROM c EXCEPT ALL SELECT k FROM a;
CREATE MATERIALIZED VIEW letters WITH (tailwater.maintain = immediate) AS SELECT i FROM c INTERSECT SELECT t COLLATE nocase FROM a;
-- arms that are not linear: rows that change in them are evaluated again, and counted
CREATE MATERIALIZED VIEW grouped_arm WITH (tailwater.maintain = immediate) AS SELECT k, count(*) FROM a GROUP BY k EXCEPT SELECT k, 1 FROM b;

SELECT regexp_replace(line, '\d+', 'n') AS line FROM tailwater.explain('nested_sets') line;
SELECT v.view, regexp_replace(e.line, '\d{4,}', 'n') AS top
FROM tailwater.views v, LATERAL (SELECT line FROM tailwater.explain(v.view) line LIMIT 1) e ORDER BY v.view::text;
SELECT * FROM wrong_views();

INSERT INTO a VALUES (1, 'x'), (1, 'x'), (2, 'y'), (NULL, NULL), (3, 'z');
SELECT * FROM wrong_views();
INSERT INTO b VALUES (1, 'x'), (2, 'y'), (2, 'Y'), (NULL, NULL), (4, 'q');
SELECT * FROM wrong_views();
INSERT INTO c VALUES (1, 1.0, 1, 1, 'X'), (2, 1.00, 1, -0.0, 'x'), (3, 2, 2, 0.0, 'y'), (3, 'NaN', 2.5, 'NaN', NULL), (NULL, NULL, NULL, NULL, 'Z');
SELECT * FROM wrong_views();
TABLE nested_sets ORDER BY 1;
TABLE except_bag ORDER BY 1;
-- several copies come and go, in both arms at once
INSERT INTO a SELECT i % 5, 'x' FROM generate_series(1, 40) i;
WITH n AS (INSERT INTO b SELECT i % 6, 'x' FROM generate_series(1, 30) i RETURNING k) DELETE FROM a WHERE k IN (SELECT k FROM n WHERE k < 2);
SELECT * FROM wrong_views();
UPDATE a SET k = k + 1 WHERE k < 4;
SELECT * FROM wrong_views();
UPDATE b SET k = NULL WHERE k = 3;
UPDATE c SET k = k + 1, m = m + 1, n = n + 0.00;
SELECT * FROM wrong_views();
BEGIN;
DELETE FROM b WHERE k > 1;
SAVEPOINT s;
TRUNCATE c;
INSERT INTO a VALUES (4, 'n');
SELECT * FROM wrong_views();
ROLLBACK TO s;
DELETE FROM c WHERE k IS NULL;
COMMIT;
SELECT * FROM wrong_views();
-- state follows REFRESH, and a change of the definition below
REFRESH MATERIALIZED VIEW chain;
INSERT INTO a VALUES (1, 'after');
DELETE FROM a WHERE k = 2;
SELECT * FROM wrong_views();
DELETE FROM a;
DELETE FROM b;
SELECT * FROM wrong_views();
DROP TABLE a, b, c CASCADE;
