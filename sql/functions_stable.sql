-- STABLE functions of the server: accepted where arguments, pinned settings and watched commands decide.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE person (id int PRIMARY KEY, m mood, at timestamptz, d date, t time, tz timetz, j jsonb, name text, n numeric);
CREATE TABLE other (id int PRIMARY KEY, m mood);
INSERT INTO person SELECT i, CASE i % 3 WHEN 0 THEN 'sad'::mood WHEN 1 THEN 'ok' END, '2024-03-31 01:30+00'::timestamptz + i * interval '1 day',
	'2024-01-01'::date + i, '12:00', '12:00+02', jsonb_build_object('a', i, 'at', '2024-01-01 10:00:00+00'), 'name ' || i, i * 1.5 FROM generate_series(1, 6) AS i;
INSERT INTO other VALUES (1, 'sad'), (2, 'ok');
CREATE MATERIALIZED VIEW times WITH (tailwater.maintain = immediate) AS SELECT id, to_char(at, 'Day DD Mon YYYY HH24:MI TZ') AS c, date_trunc('day', at) AS t, at::timestamp AS l,
	extract(hour FROM at) AS h, at + interval '1 month' AS p, d < at AS before, at::time AS time, at::timetz AS tz, to_timestamp(d::text, 'YYYY-MM-DD') AS ts, to_date(name, '"name" J') AS td,
	make_timestamptz(2024, 1, id, 0, 0, 0) AS made, (SELECT count(*) FROM generate_series(at, at + interval '3 days', '1 day')) AS n FROM person;
CREATE MATERIALIZED VIEW texts WITH (tailwater.maintain = immediate) AS SELECT id, concat(id, m, at) AS c, concat_ws('-', d, n) AS w, format('%s %L', m, at) AS f, quote_literal(at) AS q,
	array_to_string(ARRAY[m, NULL], ',', '*') AS a, to_jsonb(person) AS j, row_to_json(person) AS r, convert_to(name, 'LATIN1') AS b, to_number(n::text, '99D9') AS num, n::money AS money FROM person;
CREATE MATERIALIZED VIEW documents WITH (tailwater.maintain = immediate) AS SELECT id, jsonb_path_query_first_tz(j, '$.at.datetime()') AS p, jsonb_path_exists_tz(j, '$.a ? (@ > 2)') AS e,
	(SELECT x FROM jsonb_to_record(j) AS r(a int, at timestamptz), LATERAL (SELECT r.a + 1) AS y(x)) AS x, (jsonb_populate_record(NULL::other, jsonb_build_object('m', m))).m AS pop,
	to_tsvector('english', name) AS v, to_tsvector(name) AS dv, ts_headline(name, to_tsquery('name')) AS h FROM person;
CREATE MATERIALIZED VIEW types WITH (tailwater.maintain = immediate) AS SELECT id, pg_typeof(n)::text AS t, pg_typeof(at) AS o, COLLATION FOR (name) AS c, 'pg_class'::regclass::text AS k, 'int8'::regtype::text AS r,
	pg_char_to_encoding('UTF8') AS e, get_current_ts_config() AS cfg, '+(int,int)'::regoperator::text AS op FROM person;
CREATE MATERIALIZED VIEW ranges WITH (tailwater.maintain = immediate) AS SELECT id, enum_range(m) AS r, enum_first(m) AS f, enum_last(NULL::mood) AS l, enum_range(m, NULL) AS u FROM person;
CREATE MATERIALIZED VIEW counted WITH (tailwater.maintain = immediate) AS SELECT x, (SELECT count(*) FROM person p WHERE p.m = x) AS n FROM unnest(enum_range(NULL::mood)) x;
CREATE MATERIALIZED VIEW moods WITH (tailwater.maintain = immediate) AS SELECT m::text AS m, count(*) FROM person GROUP BY m::text;
CREATE MATERIALIZED VIEW plain_moods WITH (tailwater.maintain = immediate) AS SELECT m, count(*) FROM person GROUP BY m;
SELECT view, tailwater.verify(view) FROM tailwater.views WHERE tailwater.verify(view) <> 0;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
SET lc_numeric = 'C';
UPDATE person SET at = at + interval '1 hour', n = n + 1, name = name || 's' WHERE id < 4;
INSERT INTO person (id, m, j) VALUES (7, 'ok', '{}'), (8, NULL, NULL);
DELETE FROM person WHERE id = 5;
RESET TimeZone;
RESET DateStyle;
RESET IntervalStyle;
SELECT view, tailwater.verify(view) FROM tailwater.views ORDER BY view::text;
SELECT * FROM types WHERE id = 1;
-- labels come and change their names
ALTER TYPE mood ADD VALUE 'happy';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'happy';
SELECT * FROM ranges WHERE id = 1;
SELECT * FROM counted ORDER BY x;
SELECT view, tailwater.verify(view) FROM tailwater.views WHERE view::text IN ('ranges', 'counted', 'moods', 'plain_moods') ORDER BY view::text;
BEGIN;
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok';
ROLLBACK;
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok';
UPDATE person SET m = 'meh' WHERE id = 2;
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
SELECT * FROM moods ORDER BY m;
SELECT * FROM counted ORDER BY x;
BEGIN;
ALTER TYPE mood RENAME VALUE 'blue' TO 'sad';
SELECT * FROM moods ORDER BY m;
ROLLBACK;
SELECT * FROM moods ORDER BY m;
INSERT INTO person (id, m) VALUES (9, 'blue');
SELECT view, tailwater.verify(view) FROM tailwater.views ORDER BY view::text;
DROP MATERIALIZED VIEW times, texts, documents;
SELECT * FROM wrong_views();
-- names of objects
CREATE TABLE named (x int);
CREATE MATERIALIZED VIEW names WITH (tailwater.maintain = immediate) AS SELECT id, 'named'::regclass::text AS n FROM other;
TABLE names ORDER BY id;
ALTER TABLE named RENAME TO renamed;
INSERT INTO other VALUES (3, 'ok');
TABLE names ORDER BY id;
DROP TABLE renamed;
DROP TABLE renamed CASCADE;
-- what is not so
\set VERBOSITY terse
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT x::regclass::text AS r FROM (SELECT id AS x FROM other) o;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT has_table_privilege('other', 'SELECT') AS h FROM other;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT current_setting('TimeZone') AS h FROM other;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT t::timetz FROM person;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT timezone('Europe/Paris', tz) FROM person;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT to_regclass(name) FROM person;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT current_database() FROM person;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT pg_column_size(name) FROM person;
