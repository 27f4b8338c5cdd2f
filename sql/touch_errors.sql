-- Errors in the queries that look for what a change touches: the statement fails, the session goes on.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;

CREATE TABLE t (id int PRIMARY KEY, k int, name text);
CREATE FUNCTION luck(k int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF k = 13 THEN
		RAISE EXCEPTION 'bad luck';
	END IF;
	RETURN 100 / (k - 5);
END $$;
INSERT INTO t VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c');
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS
	SELECT luck(k) AS l, string_agg(name, ',' ORDER BY name) FROM t WHERE k < 13 GROUP BY luck(k);
-- no data error: the statement fails as the query would, and nothing is left behind
INSERT INTO t VALUES (4, -13, 'd');
INSERT INTO t VALUES (5, 12, 'e');
CREATE MATERIALIZED VIEW w WITH (tailwater.maintain = immediate) AS
	SELECT luck(k) AS l, array_agg(name ORDER BY name) FROM t GROUP BY luck(k);
INSERT INTO t VALUES (13, 13, 'x');
SELECT count(*) FROM t;
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES (13, 13, 'x');
ROLLBACK TO s;
INSERT INTO t VALUES (6, 7, 'f');
COMMIT;
INSERT INTO t VALUES (7, 5, 'g');
UPDATE t SET k = 3 WHERE id = 1;
SELECT * FROM w ORDER BY l;
SELECT * FROM wrong_views();
