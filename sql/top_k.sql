-- ORDER BY ... LIMIT, followed by its boundaries: orders of all kinds, ties, nulls, and rows that come and go anywhere.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
CREATE EXTENSION tailwater;
\i :oracle
SET client_min_messages = warning;
SELECT setseed(0.4);

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE t (id int PRIMARY KEY, a int, b int, c numeric(6, 2), d date, m mood, f float8, s varchar(10), r int[], x text);
CREATE FUNCTION fill(ids int4range) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t SELECT i, nullif((random() * 9)::int, 3), nullif((random() * 4)::int, 2), nullif((random() * 30)::int, 7) / 4.0,
		'2026-01-01'::date + (random() * 20)::int, (enum_range(NULL::mood))[1 + (random() * 2)::int],
		(array[0.0, -0.0, 1.5, 'NaN', 'Infinity', NULL])[1 + (random() * 5)::int], chr(97 + (random() * 5)::int),
		array[(random() * 3)::int, (random() * 3)::int], repeat(chr(97 + (random() * 3)::int), 3)
	FROM generate_series(lower(ids), upper(ids) - 1) i
$$;
SELECT fill('[1,60]');

CREATE FUNCTION live(name text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE MATERIALIZED VIEW %I WITH (tailwater.maintain = immediate) AS %s', name, query);
	RETURN QUERY SELECT regexp_replace(e, 'inner_\d+', 'inner_N', 'g') FROM tailwater.explain(name::regclass) e WHERE e LIKE 'delta of inner%';
END $$;
SELECT live('plain', 'SELECT id, a FROM t ORDER BY a, id LIMIT 7');
SELECT live('falling', 'SELECT id, a, x FROM t ORDER BY a DESC, b NULLS FIRST, id DESC LIMIT 9 OFFSET 4');
SELECT live('nulls', 'SELECT id FROM t ORDER BY a NULLS FIRST, b DESC NULLS LAST, c, id LIMIT 12');
SELECT live('with_ties', 'SELECT a, x FROM t ORDER BY a DESC NULLS LAST FETCH FIRST 5 ROWS WITH TIES');
SELECT live('skipped', 'SELECT id, m FROM t ORDER BY m, d DESC, id OFFSET 40');
SELECT live('skipped_ties', 'SELECT id FROM t ORDER BY d, id OFFSET 3 ROWS FETCH FIRST 4 ROWS WITH TIES');
SELECT live('alike', 'SELECT a, b FROM t ORDER BY a, b DESC LIMIT 10 OFFSET 6');
SELECT live('floats', 'SELECT id, f FROM t ORDER BY f DESC, id LIMIT 15');
SELECT live('arrays', 'SELECT id, r FROM t ORDER BY r, id LIMIT 6');
SELECT live('words', 'SELECT id, s FROM t ORDER BY s DESC, id LIMIT 10');
SELECT live('collated', 'SELECT id FROM t ORDER BY s COLLATE "C", id DESC LIMIT 10');
SELECT live('long_words', 'SELECT id, x FROM t ORDER BY x, id LIMIT 5');
SELECT live('computed', 'SELECT id, c * 2 AS double FROM t ORDER BY abs(c - 4), id LIMIT 6');
SELECT live('outside', 'SELECT a + 1 AS next, s FROM (SELECT a, sum(b) AS s FROM t GROUP BY a) q ORDER BY s % 5, a LIMIT 4');
SELECT live('sums', 'SELECT a, sum(c * 1.5 - 3) FROM t GROUP BY a ORDER BY 2 DESC NULLS LAST, a LIMIT 3');
SELECT live('patterns', 'SELECT id, x FROM t ORDER BY x USING ~>~, id LIMIT 5');
SELECT live('groups', 'SELECT a, count(*) AS n FROM t GROUP BY a ORDER BY n DESC, a LIMIT 3');
SELECT live('joined', 'SELECT l.id, r.id AS other FROM t l JOIN t r ON r.a = l.b AND r.id < 20 ORDER BY l.id DESC, r.id LIMIT 9');
SELECT live('none', 'SELECT id FROM t ORDER BY id LIMIT 0 OFFSET 2');
SELECT live('everything', 'SELECT id FROM t ORDER BY id LIMIT NULL OFFSET 0');
SELECT live('many', 'SELECT id FROM t ORDER BY a, id LIMIT 9223372036854775807 OFFSET 5');
SELECT live('asked', 'SELECT id FROM t ORDER BY a, id LIMIT (SELECT count(*) / 6 FROM t WHERE a > 2)');
CREATE MATERIALIZED VIEW below_another WITH (tailwater.maintain = immediate) AS
	SELECT m, count(*) FROM (SELECT id, m FROM t ORDER BY d DESC, id LIMIT 20) q GROUP BY m;
CREATE MATERIALIZED VIEW of_a_view WITH (tailwater.maintain = immediate) AS SELECT id FROM falling ORDER BY id DESC LIMIT 3;
SELECT * FROM wrong_views();

-- changes of all sizes, anywhere
CREATE FUNCTION change(step int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n int := (array[1, 1, 1, 2, 5, 30])[1 + (random() * 5)::int];
BEGIN
	IF (SELECT count(*) < 45 FROM t) THEN
		PERFORM fill(int4range(100 + 40 * step, 130 + 40 * step));
	END IF;
	CASE (random() * 6)::int
		WHEN 0 THEN PERFORM fill(int4range(130 + 40 * step, 130 + 40 * step + least(n, 9)));
		WHEN 1 THEN DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY random() LIMIT n);
		WHEN 2 THEN DELETE FROM t WHERE id IN (SELECT id FROM plain LIMIT n);
		WHEN 3 THEN UPDATE t SET a = nullif(a + 1, 5), b = nullif((random() * 4)::int, 1) WHERE id IN (SELECT id FROM t ORDER BY random() LIMIT n);
		WHEN 4 THEN UPDATE t SET x = x || 'y', d = d + (random() * 8)::int - 4, c = c + 0.25 WHERE id IN (SELECT id FROM t ORDER BY random() LIMIT n);
		WHEN 5 THEN UPDATE t SET f = -f, m = 'happy', s = chr(97 + (random() * 5)::int), r = r || 1 WHERE id IN (SELECT id FROM t ORDER BY random() LIMIT n);
		ELSE PERFORM fill(int4range(139 + 40 * step, 140 + 40 * step));
	END CASE;
	RETURN (SELECT string_agg(view::text, ' ' ORDER BY view::text) FROM wrong_views());
END $$;
DO $$
DECLARE
	wrong text;
BEGIN
	FOR step IN 1..120 LOOP
		wrong := change(step);
		IF wrong IS NOT NULL THEN
			RAISE WARNING 'step %: %', step, wrong;
			RETURN;
		END IF;
	END LOOP;
END $$;
SELECT count(*) > 20 AS left_over FROM t;
-- the whole table at once
UPDATE t SET a = 10 - a;
SELECT * FROM wrong_views();
DELETE FROM t WHERE id % 3 > 0;
SELECT * FROM wrong_views();
DELETE FROM t;
SELECT * FROM wrong_views();
SELECT fill('[1,4]');
SELECT * FROM wrong_views();
SELECT fill('[5,90]');
SELECT * FROM wrong_views();
TRUNCATE t;
SELECT fill('[1,50]');
SELECT * FROM wrong_views();
-- what a subtransaction moved goes back with it
BEGIN;
DELETE FROM t WHERE id < 5;
SAVEPOINT s;
DELETE FROM t WHERE id < 30;
ROLLBACK TO s;
INSERT INTO t (id, a, b) VALUES (-1, -1, 0), (1000, 0, 0);
COMMIT;
SELECT * FROM wrong_views();

-- where the query chooses which of the rows that tie it shows, it is asked
CREATE TABLE u (id int, x int);
INSERT INTO u SELECT i, i / 3 FROM generate_series(1, 30) i;
CREATE MATERIALIZED VIEW chosen WITH (tailwater.maintain = immediate) AS SELECT id, x FROM u ORDER BY x LIMIT 8;
CREATE MATERIALIZED VIEW chosen_twice WITH (tailwater.maintain = immediate) AS SELECT id FROM u ORDER BY x DESC LIMIT 4 OFFSET 3;
INSERT INTO u VALUES (31, 2), (32, 0), (33, 10);
SELECT * FROM wrong_views();
DELETE FROM u WHERE x = 2;
SELECT * FROM wrong_views();
INSERT INTO u VALUES (34, 3), (35, 3);
SELECT * FROM wrong_views();
DELETE FROM u WHERE id IN (1, 9, 30);
SELECT * FROM wrong_views();
-- also where they have only moved
ALTER TABLE u ADD COLUMN note text;
UPDATE u SET note = 'moved' WHERE id IN (2, 10, 11, 32);
SELECT * FROM wrong_views();
UPDATE u SET note = 'and again' WHERE x < 3;
SELECT * FROM wrong_views();
-- so many that tie that they are not counted
CREATE TABLE w (x int);
CREATE MATERIALIZED VIEW crowd WITH (tailwater.maintain = immediate) AS SELECT x FROM w ORDER BY x LIMIT 3;
CREATE MATERIALIZED VIEW behind_crowd WITH (tailwater.maintain = immediate) AS SELECT x FROM w ORDER BY x OFFSET 3;
INSERT INTO w SELECT 5 FROM generate_series(1, 500);
INSERT INTO w VALUES (1), (9);
SELECT * FROM wrong_views();
DELETE FROM w WHERE x = 5;
SELECT * FROM wrong_views();
INSERT INTO w SELECT least(i, 5) FROM generate_series(1, 5000) i;
SELECT * FROM wrong_views();
INSERT INTO w VALUES (0), (9);
DELETE FROM w WHERE x < 3;
SELECT * FROM wrong_views();
-- REFRESH finds boundaries that are not where they should be
DO $$
BEGIN
	EXECUTE format('UPDATE tailwater_internal.state_%s SET before = before + 1', 'plain'::regclass::oid);
END $$;
REFRESH MATERIALIZED VIEW plain;
DELETE FROM t WHERE id IN (SELECT id FROM plain LIMIT 2);
SELECT * FROM wrong_views();
-- values that are too long for an index are read by the query; so is everything, as long as there is one
CREATE TABLE l (id int PRIMARY KEY, x text COLLATE "C", n numeric);
INSERT INTO l SELECT i, chr(96 + i), i FROM generate_series(1, 20) i;
SELECT live('long_text', 'SELECT id, length(x) FROM (SELECT id, x FROM l) q ORDER BY x, id LIMIT 4');
SELECT live('long_numbers', 'SELECT id FROM l ORDER BY n DESC, id LIMIT 4');
CREATE FUNCTION noise(n int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(md5(i::text), '') FROM generate_series(1, n) i $$;
INSERT INTO l VALUES (21, 'bb' || noise(200), 10.5 ^ 6000);
SELECT * FROM wrong_views();
DELETE FROM l WHERE id IN (1, 20);
SELECT * FROM wrong_views();
INSERT INTO l VALUES (22, 'a' || noise(300), 10.5 ^ 5990), (23, 'cc', 19.5);
SELECT * FROM wrong_views();
DELETE FROM l WHERE id IN (2, 19);
SELECT * FROM wrong_views();
DELETE FROM l WHERE id = 21;
SELECT * FROM wrong_views();
UPDATE l SET x = 'ab', n = 1 WHERE id = 22;
SELECT * FROM wrong_views();
DELETE FROM l WHERE id IN (3, 18);
SELECT * FROM wrong_views();
-- kept by the maintainer
CREATE MATERIALIZED VIEW later WITH (tailwater.maintain = deferred) AS SELECT id, a FROM t ORDER BY a DESC NULLS LAST, id LIMIT 6 OFFSET 2;
SELECT tailwater.sync();
SELECT fill('[2000,2010]');
SELECT tailwater.sync();
SELECT * FROM wrong_views();
DELETE FROM t WHERE id IN (SELECT id FROM later LIMIT 3);
INSERT INTO t (id, a) VALUES (3000, 100), (3001, -100);
SELECT tailwater.sync();
SELECT * FROM wrong_views();
TRUNCATE t;
SELECT fill('[1,20]');
SELECT tailwater.sync();
SELECT * FROM wrong_views();
