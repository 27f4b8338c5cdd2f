-- The class of every operator, alone and beneath another one: docs/operators.md. Each view is compared with its query as it changes.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = error;
CREATE TABLE t (id int PRIMARY KEY, g int, x numeric, y int, m numeric(10, 2), f float8, s text, d timestamptz);
CREATE TABLE u (id int PRIMARY KEY, tid int, z int);
CREATE INDEX ON u (tid);
CREATE TABLE v (a int, b int);
INSERT INTO t SELECT i, i % 4, i + 0.5, i % 7, i, i / 4.0, 's' || i % 5, '2020-01-01 12:00+00'::timestamptz + i * interval '1 hour' FROM generate_series(1, 40) i;
INSERT INTO u SELECT i, i % 30, i % 9 FROM generate_series(1, 60) i;
INSERT INTO v SELECT i % 10, i % 10 + 1 FROM generate_series(1, 8) i;
ANALYZE t, u, v;
CREATE TABLE example (n int GENERATED ALWAYS AS IDENTITY, operator text, query text);
INSERT INTO example (operator, query) VALUES
	('filter', 'SELECT id, y FROM t WHERE y > 2'),
	('project', 'SELECT id, y * 2 AS e, date_trunc(''day'', d) AS day, d::text AS shown FROM t'),
	('inner join', 'SELECT t.id, u.id AS uid, z FROM t JOIN u ON tid = t.id'),
	('self-join', 'SELECT a.id, b.id AS bid FROM t a JOIN t b ON a.y = b.g'),
	('left join', 'SELECT t.id, u.id AS uid, z FROM t LEFT JOIN u ON tid = t.id'),
	('full join', 'SELECT t.id, u.id AS uid, z FROM t FULL JOIN u ON tid = t.id'),
	('semi join', 'SELECT id, y FROM t WHERE EXISTS (SELECT FROM u WHERE tid = t.id)'),
	('semi join, inequality', 'SELECT id, y FROM t WHERE EXISTS (SELECT FROM u WHERE tid = t.id AND z > t.y)'),
	('semi join, IN', 'SELECT id, y FROM t WHERE id IN (SELECT tid FROM u)'),
	('anti join', 'SELECT id, y FROM t WHERE NOT EXISTS (SELECT FROM u WHERE tid = t.id)'),
	('anti join, same table', 'SELECT id, y FROM t WHERE NOT EXISTS (SELECT FROM t o WHERE o.g = t.g AND o.y > t.y)'),
	('anti join, NOT IN', 'SELECT id, y FROM t WHERE id NOT IN (SELECT tid FROM u WHERE tid IS NOT NULL)'),
	('subquery under OR', 'SELECT id, y FROM t WHERE y = 3 OR id IN (SELECT tid FROM u)'),
	('scalar subquery, correlated', 'SELECT id, (SELECT max(z) FROM u WHERE tid = t.id) AS e FROM t'),
	('scalar subquery', 'SELECT id, y FROM t WHERE y > (SELECT avg(z) FROM u)'),
	('aggregate', 'SELECT g, count(*) AS n, sum(m), avg(f), min(y), max(y), stddev(y) FROM t GROUP BY g'),
	('aggregate, one group', 'SELECT count(*) AS n, sum(m), max(y) FROM t'),
	('aggregate, DISTINCT', 'SELECT g, count(DISTINCT y) AS n FROM t GROUP BY g'),
	('aggregate, HAVING', 'SELECT g, sum(y) AS n FROM t GROUP BY g HAVING count(*) > 9'),
	('aggregate, list', 'SELECT g, array_agg(s ORDER BY id) AS l FROM t GROUP BY g'),
	('aggregate, WITHIN GROUP', 'SELECT g, percentile_disc(0.5) WITHIN GROUP (ORDER BY y) AS p FROM t GROUP BY g'),
	('aggregate, list, one group', 'SELECT array_agg(s ORDER BY id) AS l FROM t'),
	('aggregate, by unlike equals', 'SELECT x, count(*) AS n FROM t GROUP BY x'),
	('aggregate, max of unlike equals', 'SELECT g, max(x) AS e FROM t GROUP BY g'),
	('sum of max of unlike equals', 'SELECT sum(e) AS total, count(*) AS n FROM (SELECT g, max(x) AS e FROM t GROUP BY g) q'),
	('aggregate, DISTINCT unlike equals', 'SELECT g, count(DISTINCT x) AS n, count(DISTINCT f) AS nf FROM t GROUP BY g'),
	('distinct, unlike equals', 'SELECT DISTINCT f, g FROM t'),
	('aggregate over left join', 'SELECT g, count(z) AS n FROM t LEFT JOIN u ON tid = t.id GROUP BY g'),
	('aggregate over anti join', 'SELECT g, count(*) AS n FROM (SELECT * FROM t WHERE NOT EXISTS (SELECT FROM u WHERE tid = t.id)) q GROUP BY g'),
	('grouping sets', 'SELECT g, y, count(*) AS n, GROUPING(g, y) AS bits FROM t GROUP BY CUBE (g, y)'),
	('grouping sets, list', 'SELECT g, array_agg(s ORDER BY id) AS l FROM t GROUP BY ROLLUP (g)'),
	('distinct', 'SELECT DISTINCT g, y FROM t'),
	('distinct on', 'SELECT DISTINCT ON (g) g, id, y FROM t ORDER BY g, y DESC, id'),
	('union', 'SELECT g FROM t UNION SELECT z FROM u'),
	('union all', 'SELECT g, id FROM t UNION ALL SELECT z, id FROM u'),
	('intersect all', 'SELECT g FROM t INTERSECT ALL SELECT z FROM u'),
	('except', 'SELECT y FROM t EXCEPT SELECT tid FROM u'),
	('window', 'SELECT id, g, row_number() OVER (PARTITION BY g ORDER BY y, id) AS r FROM t'),
	('window, running sum', 'SELECT id, g, sum(y) OVER (PARTITION BY g ORDER BY id ROWS 2 PRECEDING) AS r FROM t'),
	('window, partitions not shown', 'SELECT id, rank() OVER (PARTITION BY g ORDER BY y) AS r FROM t'),
	('window over everything', 'SELECT id, row_number() OVER (ORDER BY y, id) AS r FROM t'),
	('lateral top-N', 'SELECT t.id, q.z FROM t, LATERAL (SELECT z FROM u WHERE tid = t.id ORDER BY z DESC, u.id LIMIT 1) q'),
	('lateral set-returning', 'SELECT t.id, e FROM t, unnest(ARRAY[g, y]) e'),
	('top k', 'SELECT id, y FROM t ORDER BY y DESC, id LIMIT 5'),
	('top k, OFFSET', 'SELECT id, y FROM t ORDER BY y DESC, id LIMIT 5 OFFSET 3'),
	('top k, WITH TIES', 'SELECT id, y FROM t ORDER BY y FETCH FIRST 5 ROWS WITH TIES'),
	('limit without order', 'SELECT count(*) AS n FROM (SELECT id FROM t LIMIT 5) q'),
	('recursive', 'WITH RECURSIVE r(a, b) AS (SELECT a, b FROM v UNION SELECT r.a, v.b FROM r JOIN v ON v.a = r.b) SELECT a, b FROM r'),
	('documents', 'SELECT t.id, jsonb_build_object(''u'', (SELECT jsonb_agg(z ORDER BY id) FROM u WHERE tid = t.id)) AS doc FROM t');
-- The class of a view, and how many rows were ever wrong while its tables changed.
CREATE FUNCTION try(query text, OUT class text, OUT wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
	change text;
BEGIN
	EXECUTE 'CREATE MATERIALIZED VIEW tried WITH (tailwater.maintain = immediate, tailwater.feed = off) AS ' || query;
	class := strategy FROM tailwater.views WHERE view = 'tried'::regclass;
	wrong := 0;
	FOREACH change IN ARRAY ARRAY[
		'INSERT INTO t SELECT i, i % 5, i + 0.5, i % 3, i, i, ''new'', ''2021-01-01 00:00+00'' FROM generate_series(101, 106) i',
		'INSERT INTO u VALUES (101, 101, 3), (102, 3, 8), (103, NULL, 1)',
		'UPDATE t SET y = y + 2, g = (g + 1) % 4 WHERE id IN (2, 3, 17, 103)',
		'UPDATE u SET tid = tid + 1, z = 9 - z WHERE id % 13 = 5',
		'INSERT INTO v VALUES (5, 9), (9, 1)', 'DELETE FROM v WHERE a = 3',
		'DELETE FROM u WHERE id % 11 = 4 OR tid IS NULL', 'DELETE FROM t WHERE id IN (1, 4, 8, 104)']
	LOOP
		EXECUTE change;
		wrong := wrong + tailwater.verify('tried');
	END LOOP;
	DROP MATERIALIZED VIEW tried;
	-- all changes again from the same start
	RAISE EXCEPTION USING ERRCODE = 'TW000', MESSAGE = class || ' ' || wrong;
EXCEPTION WHEN SQLSTATE 'TW000' THEN
	class := split_part(SQLERRM, ' ', 1);
	wrong := split_part(SQLERRM, ' ', 2);
END $$;
SELECT operator, alone.class AS alone, beneath.class AS "beneath a count", alone.wrong + beneath.wrong AS wrong
FROM example, try(query) alone, try(format('SELECT count(*) AS rows FROM (%s) below', query)) beneath ORDER BY n;
-- What explain says of operators beside one another: each has a class of its own.
CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'CREATE MATERIALIZED VIEW tried WITH (tailwater.maintain = immediate, tailwater.feed = off) AS ' || query;
	RETURN QUERY SELECT regexp_replace(line, '(inner|state)_\d+', '\1_N', 'g') FROM tailwater.explain('tried') line;
	DROP MATERIALIZED VIEW tried;
END $$;
SELECT * FROM explained('SELECT a.id, a.y, (SELECT max(z) FROM u WHERE tid = a.id) AS e FROM t a JOIN t b ON b.id = a.y
	WHERE a.g > 1 AND NOT EXISTS (SELECT FROM v WHERE v.a = a.y) AND a.id IN (SELECT tid FROM u)');
SELECT * FROM explained('SELECT g, count(*) AS n FROM (SELECT * FROM t WHERE y > (SELECT avg(z) FROM u) AND NOT EXISTS (SELECT FROM u WHERE tid = t.id)) q GROUP BY g');
