-- Whole rows as values, of tables that have lost columns.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE a (id int PRIMARY KEY, gone text, k int, v text);
CREATE TABLE b (gone int, id int PRIMARY KEY, k int, w text);
INSERT INTO a SELECT g, 'gone ' || g, g % 4, 'v' || g FROM generate_series(1, 8) g;
INSERT INTO b SELECT g, g, g % 5, 'w' || g FROM generate_series(1, 8) g;
ALTER TABLE a DROP COLUMN gone;
ALTER TABLE b DROP COLUMN gone, ADD COLUMN late int DEFAULT 5;
CREATE FUNCTION same(x a) RETURNS a LANGUAGE sql AS 'SELECT x';
CREATE FUNCTION row_of(i int) RETURNS a LANGUAGE sql AS 'SELECT * FROM a WHERE id = i';
CREATE FUNCTION rows_of(i int) RETURNS SETOF a LANGUAGE sql AS 'SELECT * FROM a WHERE k = i';
CREATE MATERIALIZED VIEW one WITH (tailwater.maintain = immediate) AS SELECT a, a IS NOT NULL AS n, a IS NULL AS m FROM a;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = immediate) AS SELECT a, b, a IS NOT NULL AS n, b IS NOT NULL AS m FROM a JOIN b ON a.k = b.k;
CREATE MATERIALIZED VIEW outer_joined WITH (tailwater.maintain = immediate) AS
	SELECT a, b, a IS NOT NULL AS n, b IS NOT NULL AS m, b IS NULL AS o FROM a LEFT JOIN b ON a.k = b.k AND a IS NOT NULL;
CREATE MATERIALIZED VIEW full_joined WITH (tailwater.maintain = immediate) AS SELECT a, b, a IS NOT NULL AS n, b IS NOT NULL AS m FROM a FULL JOIN b ON a.k = b.k;
CREATE MATERIALIZED VIEW grouped WITH (tailwater.maintain = immediate) AS SELECT k, count(*) FILTER (WHERE a IS NOT NULL) AS n, count(DISTINCT a) AS d FROM a GROUP BY k;
CREATE MATERIALIZED VIEW counted WITH (tailwater.maintain = immediate) AS SELECT a.id, (SELECT count(b) FROM b WHERE b.k = a.k AND b IS NOT NULL) AS n FROM a;
CREATE MATERIALIZED VIEW correlated WITH (tailwater.maintain = immediate) AS SELECT a.id FROM a WHERE EXISTS (SELECT FROM b WHERE b.k = a.k AND a IS NOT NULL);
CREATE MATERIALIZED VIEW by_function WITH (tailwater.maintain = immediate) AS SELECT same(a) AS s, same(a) IS NOT NULL AS n, row_of(id) AS r, row_of(id) IS NOT NULL AS m FROM a;
CREATE MATERIALIZED VIEW in_from WITH (tailwater.maintain = immediate) AS SELECT f, f IS NOT NULL AS n FROM b, rows_of(b.k) f;
CREATE MATERIALIZED VIEW in_outer WITH (tailwater.maintain = immediate) AS SELECT b.id, f IS NOT NULL AS n, f IS NULL AS m FROM b LEFT JOIN rows_of(b.k) f ON true;
CREATE MATERIALIZED VIEW shown WITH (tailwater.maintain = immediate) AS
	SELECT s.x IS NOT NULL AS n, s.x IS NULL AS m, b.id FROM b LEFT JOIN (SELECT a AS x, k FROM a WHERE a IS DISTINCT FROM NULL) s ON s.k = b.k WHERE s.x IS NOT NULL OR b.id > 2;
CREATE MATERIALIZED VIEW shown_joined WITH (tailwater.maintain = immediate) AS SELECT s.x IS NOT NULL AS n, b.id FROM b, (SELECT a AS x, k FROM a) s WHERE s.k = b.k;
-- policies see whole rows, too
CREATE ROLE whole_row_owner;
GRANT CREATE, USAGE ON SCHEMA public TO whole_row_owner;
GRANT SELECT ON a, b TO whole_row_owner;
ALTER TABLE b ENABLE ROW LEVEL SECURITY;
CREATE POLICY known ON b USING (b IS NOT NULL AND to_jsonb(b) ->> 'w' <> 'w1');
SET ROLE whole_row_owner;
CREATE MATERIALIZED VIEW with_policy WITH (tailwater.maintain = immediate) AS SELECT id, w FROM b;
CREATE MATERIALIZED VIEW policy_joined WITH (tailwater.maintain = immediate) AS SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.k = b.k;
CREATE MATERIALIZED VIEW policy_joined_inner WITH (tailwater.maintain = immediate) AS SELECT x.id, y.id AS other FROM b x JOIN b y ON x.id = y.k;
RESET ROLE;
CREATE VIEW wrong AS SELECT view, verify FROM wrong_views() WHERE verify <> 0 OR view::text !~ 'policy';
SELECT * FROM wrong;
UPDATE a SET k = k + 1 WHERE id = 3;
SELECT * FROM wrong;
UPDATE b SET k = k + 1 WHERE id % 2 = 0;
SELECT * FROM wrong;
UPDATE a SET v = NULL WHERE id IN (1, 4);
UPDATE b SET w = NULL WHERE id IN (2, 3);
SELECT * FROM wrong;
INSERT INTO a VALUES (50, NULL, NULL), (51, 2, NULL), (52, 2, 'v52');
INSERT INTO b VALUES (20, 1, 'n'), (21, 77, 'n'), (22, NULL, NULL);
SELECT * FROM wrong;
DELETE FROM b WHERE k = 2;
SELECT * FROM wrong;
DELETE FROM a WHERE id < 5;
SELECT * FROM wrong;
DELETE FROM b;
SELECT * FROM wrong;
DROP VIEW wrong;
DROP TABLE a, b CASCADE;
DROP OWNED BY whole_row_owner;
DROP ROLE whole_row_owner;
