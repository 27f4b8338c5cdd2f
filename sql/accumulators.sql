-- What is added to a group leaves without a trace: floats, variances, intervals, money, bits, extremes of any type.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE t (id int PRIMARY KEY, g int, f8 float8, f4 float4, y float8, i2 int2, i4 int4, i8 int8, n numeric, span interval, cash money, words text[], at timetz);
CREATE MATERIALIZED VIEW floats WITH (tailwater.maintain = immediate) AS
	SELECT g, sum(f8) AS s8, sum(f4) AS s4, avg(f8) AS a8, avg(f4) AS a4, min(f8), max(f4) FROM t GROUP BY g;
CREATE MATERIALIZED VIEW spread WITH (tailwater.maintain = immediate) AS
	SELECT g, stddev(f8) AS a, stddev_pop(f4) AS b, var_pop(f8) AS c, var_samp(f4) AS d, variance(f8) AS e, stddev_samp(f8) AS f FROM t GROUP BY g;
CREATE MATERIALIZED VIEW pairs WITH (tailwater.maintain = immediate) AS
	SELECT g, regr_count(f8, y) AS n, regr_sxx(f8, y) AS sxx, regr_syy(f8, y) AS syy, regr_sxy(f8, y) AS sxy, regr_avgx(f8, y) AS ax, regr_avgy(f8, y) AS ay,
		regr_r2(f8, y) AS r2, regr_slope(f8, y) AS slope, regr_intercept(f8, y) AS cut, covar_pop(f8, y) AS cp, covar_samp(f8, y) AS cs, corr(f8, y) AS corr
	FROM t GROUP BY g;
CREATE MATERIALIZED VIEW whole WITH (tailwater.maintain = immediate) AS SELECT sum(f8) AS s8, sum(f4) AS s4, avg(f8) AS a8, stddev(f8) AS d8 FROM t;
CREATE MATERIALIZED VIEW variances WITH (tailwater.maintain = immediate) AS
	SELECT g, stddev(i2) AS a, var_pop(i4) AS b, variance(i8) AS c, stddev_pop(n) AS d, var_samp(n) AS e, stddev_samp(i4) AS f FROM t GROUP BY g;
CREATE MATERIALIZED VIEW others WITH (tailwater.maintain = immediate) AS
	SELECT g, sum(span) AS s, avg(span) AS a, sum(cash) AS cash, bit_and(i4) AS band, bit_or(i8) AS bor, bit_xor(i2) AS bxor,
		sum(i4 ORDER BY id) AS ordered, max(DISTINCT i4) AS dm FROM t GROUP BY g;
CREATE MATERIALIZED VIEW extremes WITH (tailwater.maintain = immediate) AS
	SELECT g, min(n) AS n, max(n) AS xn, min(span) AS span, max(words) AS words, min(at) AS at, max(cash) AS cash, min(f8) AS f8 FROM t GROUP BY g;
SELECT v.view, regexp_replace(e, '\d{4,}', 'N') AS e FROM tailwater.views v, tailwater.explain(v.view::regclass) e WHERE e LIKE 'delta%' ORDER BY v.view::text COLLATE "C", e COLLATE "C";

INSERT INTO t SELECT i, i % 3, i / 4.0, i / 8.0, i % 5, i, i * i, i * 100000000000, i / 8.0, i * interval '1 mon 3 days 4:00', i::money, ARRAY[i::text, 'x'], '12:00+00'::timetz + i * interval '1 min'
	FROM generate_series(1, 30) i;
SELECT * FROM floats ORDER BY g;
SELECT * FROM variances ORDER BY g;
SELECT * FROM others ORDER BY g;
SELECT * FROM wrong_views() WHERE view::text NOT IN ('spread', 'pairs');
SELECT tailwater.verify('spread'), tailwater.verify('pairs');

-- what cannot be subtracted comes and goes; sums of squares must not overflow
DROP MATERIALIZED VIEW spread, pairs;
CREATE TABLE before AS TABLE floats;
CREATE TABLE before_whole AS TABLE whole;
UPDATE t SET f8 = 1e150, f4 = 1e38 WHERE id = 3;
UPDATE t SET f8 = 0.1, f4 = 'Infinity' WHERE id = 6;
UPDATE t SET f8 = 1e-300, f4 = 'NaN' WHERE id = 9;
SELECT * FROM floats ORDER BY g;
TABLE whole;
UPDATE t SET f8 = 'Infinity', f4 = '-Infinity' WHERE id = 12;
SELECT s8, s4, a8, d8 FROM whole;
UPDATE t SET f8 = '-Infinity' WHERE id = 15;
SELECT s8, s4, a8, d8 FROM whole;
SELECT v.view, tailwater.verify(v.view::regclass) FROM tailwater.views v ORDER BY v.view::text COLLATE "C";
UPDATE t SET f8 = id / 4.0, f4 = id / 8.0;
(TABLE floats EXCEPT ALL TABLE before) UNION ALL (TABLE before EXCEPT ALL TABLE floats);
(TABLE whole EXCEPT ALL TABLE before_whole) UNION ALL (TABLE before_whole EXCEPT ALL TABLE whole);
SELECT * FROM wrong_views();
-- a sum is the exact one, rounded once, in whatever order its inputs came
INSERT INTO t (id, g, f8, f4) VALUES (100, 5, 0.1, 0.1), (101, 5, 0.2, 0.2), (102, 5, 0.3, 0.3), (103, 5, 1e17, 1e8), (104, 5, -1e17, -1e8);
SELECT s8, s4, a8 FROM floats WHERE g = 5;
SELECT tailwater.exact_sum(f8) AS s8, tailwater.exact_sum(f4) AS s4, tailwater.exact_avg(f8) AS a8 FROM t WHERE g = 5;
DELETE FROM t WHERE id = 101;
INSERT INTO t (id, g, f8, f4) VALUES (101, 5, 0.2, 0.2);
SELECT s8, s4, a8 FROM floats WHERE g = 5;
SELECT tailwater.verify('floats'), tailwater.verify('whole');
DROP MATERIALIZED VIEW whole;
-- minus zero
INSERT INTO t (id, g, f8, f4) VALUES (110, 6, '-0', '-0'), (111, 6, '-0', '-0');
SELECT s8, s4, a8 FROM floats WHERE g = 6;
INSERT INTO t (id, g, f8, f4) VALUES (112, 6, 0, 0);
SELECT s8, s4, a8 FROM floats WHERE g = 6;
DELETE FROM t WHERE id = 112;
SELECT s8, s4, a8 FROM floats WHERE g = 6;
SELECT tailwater.verify('floats'), tailwater.verify('extremes');
DELETE FROM t WHERE g = 5;
-- what overflows for the query fails
\set VERBOSITY terse
INSERT INTO t (id, g, f8) VALUES (120, 7, 1e308), (121, 7, 1e308);
INSERT INTO t (id, g, f8) VALUES (120, 7, 1e200), (121, 7, -1e200);
INSERT INTO t (id, g, f4) VALUES (120, 7, 3e38), (121, 7, 3e38);
INSERT INTO t (id, g, span) VALUES (120, 7, '178000000 years'), (121, 7, '178000000 years');
\set VERBOSITY default
SELECT * FROM wrong_views();

-- equal values that look different: which one is shown follows the query
INSERT INTO t (id, g, n, span, at, f8) VALUES (200, 8, 1.0, '1 day', '12:00+00', 0), (201, 8, 1.00, '24:00', '13:00+01', '-0'), (202, 8, 1.000, '1 day', '12:00+00', 0);
SELECT g, n, xn, span, at, f8 FROM extremes WHERE g = 8;
DELETE FROM t WHERE id = 202;
SELECT g, n, xn, span, at, f8 FROM extremes WHERE g = 8;
SELECT * FROM wrong_views();
DELETE FROM t WHERE id = 201;
INSERT INTO t (id, g, n) VALUES (203, 8, 5.50), (204, 8, 5.5), (205, 8, 0.50);
SELECT g, n, xn FROM extremes WHERE g = 8;
UPDATE t SET n = 7 WHERE id = 204;
SELECT * FROM wrong_views();
DELETE FROM t WHERE id IN (204, 205);
SELECT * FROM wrong_views();
-- bits, scales and NaN leave
UPDATE t SET i2 = -1, i4 = -1, i8 = -1, n = 'NaN' WHERE id = 1;
SELECT * FROM wrong_views();
UPDATE t SET i2 = 0, i4 = 0, i8 = 0, n = 1.123456789 WHERE id = 1;
SELECT * FROM wrong_views();
UPDATE t SET i2 = 7, n = 'Infinity', g = 2 WHERE id IN (1, 4);
SELECT * FROM wrong_views();
DELETE FROM t WHERE id % 4 = 1;
UPDATE t SET n = round(n, 1) WHERE n < 'Infinity';
SELECT * FROM wrong_views();
TRUNCATE t;
SELECT * FROM wrong_views();
DROP TABLE t CASCADE;

-- sums of floats below other groups are exact, too
CREATE TABLE m (id int PRIMARY KEY, a int, f float8);
CREATE MATERIALIZED VIEW largest WITH (tailwater.maintain = immediate) AS
	SELECT max(s), sum(s) AS total, count(*) AS n FROM (SELECT a, sum(f) AS s FROM m GROUP BY a) x;
SELECT * FROM tailwater.explain('largest') e WHERE e LIKE 'delta%';
-- but not what depends on the order of rows
CREATE MATERIALIZED VIEW sorted_lists WITH (tailwater.maintain = immediate) AS
	SELECT s, count(*) AS n FROM (SELECT a, string_agg(id::text, ',' ORDER BY id::text, ',') AS s FROM m GROUP BY a) x GROUP BY s;
CREATE MATERIALIZED VIEW any_first WITH (tailwater.maintain = immediate) AS
	SELECT count(f) AS n FROM (SELECT DISTINCT ON (a) f FROM m ORDER BY a, f) x;
CREATE MATERIALIZED VIEW numbered WITH (tailwater.maintain = immediate) AS
	SELECT r, count(*) AS n FROM (SELECT row_number() OVER (PARTITION BY a ORDER BY f) AS r FROM m) x GROUP BY r;
CREATE MATERIALIZED VIEW numbered_by_key WITH (tailwater.maintain = immediate) AS
	SELECT r, sum(id) AS n FROM (SELECT id, row_number() OVER (PARTITION BY a ORDER BY f, id) AS r FROM m) x GROUP BY r;
SELECT v.view, regexp_replace(e, '\d{4,}', 'N') AS e FROM tailwater.views v, tailwater.explain(v.view::regclass) e WHERE e LIKE 'delta%' ORDER BY v.view::text COLLATE "C", e COLLATE "C";
INSERT INTO m SELECT i, i % 4, i / 10.0 FROM generate_series(1, 40) i;
SELECT v.view, tailwater.verify(v.view::regclass) FROM tailwater.views v ORDER BY v.view::text COLLATE "C";
UPDATE m SET f = f * 1.1 WHERE id % 3 = 0;
DELETE FROM m WHERE id % 5 = 0;
INSERT INTO m VALUES (50, 1, 1e300), (51, 2, 1e-300);
SELECT v.view, tailwater.verify(v.view::regclass) FROM tailwater.views v ORDER BY v.view::text COLLATE "C";
DELETE FROM m WHERE id >= 50;
SELECT v.view, tailwater.verify(v.view::regclass) FROM tailwater.views v ORDER BY v.view::text COLLATE "C";
DROP TABLE m CASCADE;

-- and where views are evaluated again: another order of rows changes nothing
CREATE TABLE o (id int PRIMARY KEY, g int, f float8, unused int);
CREATE MATERIALIZED VIEW listed WITH (tailwater.maintain = immediate) AS SELECT g, sum(f) AS s, string_agg(id::text, ',' ORDER BY id) AS ids FROM o GROUP BY g;
CREATE MATERIALIZED VIEW windowed WITH (tailwater.maintain = immediate) AS SELECT id, g, avg(f) OVER (PARTITION BY g) AS a, sum(f) OVER (PARTITION BY g ORDER BY id) AS running FROM o;
CREATE MATERIALIZED VIEW called WITH (tailwater.maintain = immediate) AS SELECT g, tailwater.exact_sum(f) AS s FROM o GROUP BY g;
SELECT v.view, regexp_replace(e, '\d{4,}', 'N') AS e FROM tailwater.views v, tailwater.explain(v.view::regclass) e WHERE e LIKE 'delta%' ORDER BY v.view::text COLLATE "C", e COLLATE "C";
INSERT INTO o SELECT i, i % 2, 0.1 * i, 0 FROM generate_series(1, 20) i;
UPDATE o SET unused = 1 WHERE id < 15;
UPDATE o SET unused = 2 WHERE id % 3 = 0;
SELECT v.view, tailwater.verify(v.view::regclass) FROM tailwater.views v ORDER BY v.view::text COLLATE "C";
SELECT g, s, s = (SELECT tailwater.exact_sum(f) FROM o WHERE o.g = listed.g) AS same FROM listed ORDER BY g;
SELECT count(*) FROM windowed JOIN (SELECT id, sum(f) OVER (PARTITION BY g ORDER BY id) AS running FROM o) q USING (id, running);
DROP TABLE o CASCADE;

-- the next best takes the place of an extreme that leaves; a group is read again only where that is not known
CREATE TABLE e (id int PRIMARY KEY, g int, v int, t text);
INSERT INTO e SELECT i, i % 3, i, 'text ' || lpad(i::text, 3, '0') FROM generate_series(1, 30) i;
CREATE VIEW reads AS SELECT pg_stat_get_xact_numscans('e'::regclass) AS whole;
CREATE MATERIALIZED VIEW ends WITH (tailwater.maintain = immediate) AS
	SELECT g, min(v) AS low, max(v) AS high, min(t) AS first, max(t) AS last, max(v) FILTER (WHERE v % 2 = 0) AS even FROM e GROUP BY g;
SET enable_seqscan = off;
BEGIN;
SELECT whole FROM reads \gset
DELETE FROM e WHERE id IN (1, 2, 3);
DELETE FROM e WHERE id = 30;
INSERT INTO e VALUES (101, 7, 5, 'b');
INSERT INTO e VALUES (102, 7, 4, 'a');
UPDATE e SET v = 3, t = 'c' WHERE id = 101;
SELECT whole - :whole AS read_again FROM reads;
COMMIT;
TABLE ends ORDER BY g;
SELECT * FROM wrong_views();
-- what is usual takes no room
SELECT format('tailwater_internal.state_%s', 'ends'::regclass::oid) AS state \gset
SELECT count(DISTINCT s.*) AS groups, count(*) FILTER (WHERE value IS NULL) AS nulls FROM :state s, jsonb_each_text(to_jsonb(s));
BEGIN;
SELECT whole FROM reads \gset
DELETE FROM e WHERE id IN (4, 5);
SELECT whole > :whole AS read_again FROM reads;
SELECT whole FROM reads \gset
DELETE FROM e WHERE id IN (7, 8);
SELECT whole - :whole AS read_again FROM reads;
COMMIT;
RESET enable_seqscan;
TABLE ends ORDER BY g;
SELECT * FROM wrong_views();
-- the state is right whatever is known of the next best: REFRESH leaves it
SELECT max(xmin::text::int8) AS newest FROM :state \gset
REFRESH MATERIALIZED VIEW ends;
SELECT max(xmin::text::int8) = :newest AS untouched FROM :state;
DELETE FROM e WHERE id IN (10, 11);
SELECT max(xmin::text::int8) AS newest FROM :state \gset
REFRESH MATERIALIZED VIEW ends;
SELECT max(xmin::text::int8) = :newest AS untouched FROM :state;
-- many changes of few values
SELECT setseed(0.5);
DO $$
BEGIN
	FOR i IN 1..200 LOOP
		CASE (random() * 3)::int
			WHEN 0 THEN INSERT INTO e SELECT 1000 + i * 10 + n, n % 3, random() * 4, 't' || (random() * 3)::int FROM generate_series(0, (random() * 9)::int) n;
			WHEN 1 THEN UPDATE e SET v = random() * 4, t = 't' || (random() * 3)::int WHERE random() < 0.2;
			WHEN 2 THEN DELETE FROM e WHERE v = (random() * 4)::int AND random() < 0.7;
			ELSE UPDATE e SET g = (g + 1) % 3, v = nullif(v, 2) WHERE random() < 0.1;
		END CASE;
		IF EXISTS (SELECT * FROM wrong_views()) THEN
			RAISE EXCEPTION 'wrong after %', i;
		END IF;
	END LOOP;
END $$;
SELECT * FROM wrong_views();
DROP VIEW reads;
DROP TABLE e CASCADE;
