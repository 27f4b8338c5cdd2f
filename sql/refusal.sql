-- What cannot be kept up to date: code, construct, position and hint; and what merely looks like it.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE t (id int PRIMARY KEY, x int, at timestamptz, name text);
CREATE FUNCTION users_stable(int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION users_volatile(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION users_immutable(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + 1; END';
CREATE TABLE parted (x int) PARTITION BY LIST (x);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES IN (1);
CREATE EXTENSION file_fdw;
CREATE SERVER nowhere FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE far (x int) SERVER nowhere OPTIONS (filename '/dev/null');
CREATE FOREIGN TABLE far_part PARTITION OF parted FOR VALUES IN (2) SERVER nowhere OPTIONS (filename '/dev/null');
CREATE VIEW hides_random AS SELECT id, random() AS r FROM t;
CREATE VIEW hides_lock AS SELECT id FROM t FOR UPDATE;
\set VERBOSITY default
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, random() FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM t WHERE at > now() - interval '1 day';
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM t WHERE at::date = current_date;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, session_user FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, current_schema FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM t WHERE at < localtimestamp(0);
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, pg_backend_pid() FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, age(at) FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, ctid AS c FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM t WHERE EXISTS (SELECT FROM t u WHERE u.xmin = t.xmin);
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT tableoid::regclass AS c FROM t GROUP BY tableoid;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM t FOR UPDATE;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM (SELECT id FROM t FOR SHARE) x;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM t TABLESAMPLE SYSTEM (10);
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT relname FROM pg_class;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT x FROM far;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT x FROM parted;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT users_stable(id) AS u FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT x FROM t ORDER BY users_volatile(id);
\echo :SQLSTATE
CREATE SEQUENCE seq;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT nextval('seq') FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT sum(x) OVER (ORDER BY users_stable(id)) AS s FROM t;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM hides_random WHERE r < 2;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM hides_lock;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT l.x FROM t, LATERAL (SELECT clock_timestamp() AS x WHERE t.id > 0) l;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT pg_relation_size('t') AS s;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT current_setting('work_mem') AS s;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT x::regclass::text AS r FROM t;
\echo :SQLSTATE
CREATE TEMP TABLE mine (x int);
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT x FROM mine;
-- in place
CREATE MATERIALIZED VIEW later AS SELECT id, random() AS r FROM t;
SELECT tailwater.maintain('later', 'immediate');
\echo :SQLSTATE
SELECT tailwater.maintain('later', 'sometimes');
SELECT tailwater.maintain('t', 'immediate');
-- nothing is left behind
SELECT view FROM tailwater.views;
SELECT count(*) FROM pg_class WHERE relname = 'v';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass;
-- deterministic, although it does not look so
CREATE MATERIALIZED VIEW zoned WITH (tailwater.maintain = immediate) AS SELECT id, at::date AS d, to_char(at, 'YYYY-MM-DD HH24:MI TZ') AS c, at::text AS s FROM t;
CREATE MATERIALIZED VIEW called WITH (tailwater.maintain = immediate) AS SELECT users_immutable(x) AS x, count(*) FROM t GROUP BY users_immutable(x);
CREATE MATERIALIZED VIEW searched WITH (tailwater.maintain = immediate) AS SELECT id FROM t WHERE to_tsvector(name) @@ to_tsquery('wave');
CREATE MATERIALIZED VIEW formatted WITH (tailwater.maintain = immediate) AS SELECT format('%s-%s', id, x) AS f, concat(name, at, x) AS c, pg_typeof(x) AS type FROM t;
CREATE TABLE printable (id int PRIMARY KEY, f float8, b bytea, p point, at timestamptz);
CREATE MATERIALIZED VIEW printed WITH (tailwater.maintain = immediate) AS SELECT id, f::text AS f, b::text AS b, p::text AS p FROM printable;
CREATE MATERIALIZED VIEW printed_xml WITH (tailwater.maintain = immediate) AS SELECT id, xmlforest(b, at)::text AS x FROM printable;
CREATE MATERIALIZED VIEW printed_list WITH (tailwater.maintain = immediate) AS SELECT string_agg(f::text, ',' ORDER BY id) AS f FROM printable;
INSERT INTO printable SELECT i, 0.1::float8 + 0.2::float8, '\x00ff', point(0.1::float8 + 0.2::float8, 1), '2024-06-01' FROM generate_series(1, 3) AS i;
SET extra_float_digits = 0;
SET bytea_output = 'escape';
SET xmlbinary = 'hex';
INSERT INTO printable SELECT id + 3, f, b, p, at FROM printable;
UPDATE printable SET f = f + 1 WHERE id = 1;
DELETE FROM printable WHERE id = 2;
SELECT view, tailwater.verify(view) FROM tailwater.views ORDER BY view::text;
RESET extra_float_digits;
RESET bytea_output;
RESET xmlbinary;
INSERT INTO t VALUES (1, 1, '2020-01-01 23:30+00', 'waves'), (2, 1, '2020-06-01 00:00+00', NULL);
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
INSERT INTO t VALUES (3, 2, '2020-01-01 23:30+00', 'a wave');
UPDATE t SET x = x + 1 WHERE id = 1;
SELECT view, tailwater.verify(view) FROM tailwater.views ORDER BY view::text;
RESET TimeZone;
RESET DateStyle;
SET TimeZone = 'UTC';
TABLE zoned ORDER BY id;
DELETE FROM t WHERE id = 3;
SELECT view, tailwater.verify(view) FROM tailwater.views ORDER BY view::text;
-- CURRENT_USER is the owner, whoever writes; so policies may ask for it
CREATE ROLE refusal_owner;
GRANT CREATE, USAGE ON SCHEMA public TO refusal_owner;
CREATE TABLE owned (id int PRIMARY KEY, who name);
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON owned USING (who = current_user);
GRANT ALL ON owned TO refusal_owner;
INSERT INTO owned VALUES (1, 'refusal_owner'), (2, 'somebody');
SET ROLE refusal_owner;
CREATE MATERIALIZED VIEW own_view WITH (tailwater.maintain = immediate) AS SELECT id, who, current_user AS me, user AS again FROM owned;
RESET ROLE;
INSERT INTO owned VALUES (3, 'refusal_owner'), (4, 'somebody');
UPDATE owned SET who = 'refusal_owner' WHERE id = 2;
SELECT * FROM own_view ORDER BY id;
SELECT tailwater.verify('own_view');
CREATE ROLE somebody;
GRANT CREATE, USAGE ON SCHEMA public TO somebody;
GRANT SELECT ON owned TO somebody;
ALTER MATERIALIZED VIEW own_view OWNER TO somebody;
SELECT * FROM own_view ORDER BY id;
INSERT INTO owned VALUES (5, 'refusal_owner'), (6, 'somebody');
SELECT * FROM own_view ORDER BY id;
SELECT tailwater.verify('own_view');
DROP MATERIALIZED VIEW own_view;
DROP TABLE owned;
DROP OWNED BY somebody;
DROP ROLE somebody;
DROP OWNED BY refusal_owner;
DROP ROLE refusal_owner;
