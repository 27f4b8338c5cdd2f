-- Views of very many columns: hundreds of aggregates, and as many columns as a table can have.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE t (g int, a int, b bool, i8 int8, n numeric(8,1), f float8, tx text, j json);
INSERT INTO t SELECT i % 3, i, i % 2 = 0, i * 10, i * 1.1, i * 0.5, 'x' || i, '{}' FROM generate_series(1, 30) AS i;
-- Creates a view of n columns, changes the table, and tells what the oracle thinks; the view is dropped.
CREATE FUNCTION try(columns int, expression text, keys text DEFAULT '', more text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	strategy text;
	result text;
BEGIN
	EXECUTE (SELECT format('CREATE MATERIALIZED VIEW wide WITH (tailwater.maintain = immediate%s) AS SELECT %s%s FROM t%s', more,
			CASE WHEN keys <> '' THEN keys || ', ' END, string_agg(replace(expression, '#', i::text) || ' AS c' || i, ', '), CASE WHEN keys <> '' THEN ' GROUP BY ' || keys END)
		FROM generate_series(1, columns) AS i);
	INSERT INTO t SELECT i % 4, i, i % 2 = 0, i * 10, i * 1.1, i * 0.5, 'y' || i, '{}' FROM generate_series(31, 35) AS i;
	SELECT string_agg(w::text, '; ') INTO detail FROM wrong_views() w;
	UPDATE t SET a = a + 1, i8 = i8 + 1, n = n + 1, f = f + 0.5, tx = tx || '!', b = NOT b WHERE a % 5 = 0;
	SELECT concat(detail, string_agg(w::text, '; ')) INTO detail FROM wrong_views() w;
	DELETE FROM t WHERE a % 7 = 0 OR g = 3;
	SELECT concat(detail, string_agg(w::text, '; ')) INTO detail FROM wrong_views() w;
	SELECT v.strategy INTO strategy FROM tailwater.views v;
	DROP MATERIALIZED VIEW wide;
	RETURN strategy || ' ' || detail;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, result = PG_EXCEPTION_HINT;
	RETURN concat_ws(' / ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(result, ''));
END $$;
SELECT n, try(n, 'sum(a + #)', 'g') FROM unnest(ARRAY[199, 200, 700, 1000]) AS n;
SELECT try(700, 'sum(i8 + #)', 'g') AS sum_numeric, try(700, 'sum(f + #)', 'g') AS sum_float, try(600, 'avg(a * #)', 'g') AS avg;
SELECT try(1500, 'max(a + #)', 'g') AS max, try(700, 'max(tx || ''#'')', 'g') AS max_text, try(1599, 'bool_and(a > #)', 'g', ', tailwater.feed = off') AS bools,
	try(1000, 'min(n)', 'g') AS same, try(700, 'min(n + #)', 'g') AS min_numeric, try(250, 'count(DISTINCT a % #)', 'g') AS distincts;
SELECT n, try(n, 'a + #') FROM unnest(ARRAY[700, 1597, 1598, 1600]) AS n;
SELECT n, try(n, 'a > #', '', ', tailwater.feed = off') FROM unnest(ARRAY[1597, 1598, 1600]) AS n;
SELECT try(150, 'j') AS not_hashable, try(1000, 'CASE WHEN # % 2 = 0 THEN j::text ELSE (a + #)::text END') AS texts, try(150, 'CASE WHEN a > # THEN j END') AS jsons;
-- the log takes a little more room than the view
SELECT n, try(n, 'i8 + #') FROM unnest(ARRAY[1015, 1016, 1017, 1018]) AS n;
SELECT try(1017, 'i8 + #', '', ', tailwater.feed = off');
-- rows that differ beyond the columns of the hash, and groups of as many columns
\set ECHO none
SELECT 'CREATE MATERIALIZED VIEW many_keys WITH (tailwater.maintain = immediate) AS SELECT DISTINCT ' || string_agg(CASE WHEN i > 600 THEN 'a % ' ELSE 'g + ' END || i || ' AS c' || i, ', ') || ' FROM t'
	FROM generate_series(1, 700) AS i \gexec
SELECT 'CREATE MATERIALIZED VIEW many_columns WITH (tailwater.maintain = immediate) AS SELECT ' || string_agg(CASE WHEN i > 600 THEN 'a % ' ELSE 'g + ' END || i || ' AS c' || i, ', ') || ' FROM t'
	FROM generate_series(1, 700) AS i \gexec
\set ECHO all
INSERT INTO t (a, g) SELECT i, i % 3 FROM generate_series(600, 650) AS i;
INSERT INTO t (a, g) SELECT i, i % 3 FROM generate_series(600, 650) AS i;
SELECT * FROM wrong_views();
DELETE FROM t WHERE ctid IN (SELECT max(ctid) FROM t WHERE a > 600 GROUP BY a);
UPDATE t SET a = a + 1 WHERE a > 620;
SELECT * FROM wrong_views();
SELECT view, strategy FROM tailwater.views ORDER BY view::text;
