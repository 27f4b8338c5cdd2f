-- Types and text search configurations are altered under live views: views that show their values follow.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nest AS (p pair, n int);
CREATE DOMAIN pairs AS pair[];
CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
CREATE TABLE holder (id int PRIMARY KEY, p pair, ps pairs, n nest, r item);
INSERT INTO item SELECT i, 'k' || i % 3, i FROM generate_series(1, 9) i;
INSERT INTO holder SELECT id, ROW(id, kind)::pair, ARRAY[ROW(id, kind)::pair], ROW(ROW(id, kind)::pair, id)::nest, item FROM item;

-- the view has no column of the type, but text or documents made of it
CREATE MATERIALIZED VIEW as_text WITH (tailwater.maintain = immediate) AS SELECT id, h::text AS t FROM holder h;
CREATE MATERIALIZED VIEW cast_to WITH (tailwater.maintain = immediate) AS SELECT id, ROW(id, kind)::pair::text AS t FROM item;
CREATE MATERIALIZED VIEW nested WITH (tailwater.maintain = immediate) AS SELECT id, n::text AS t, cardinality(ps) AS c FROM holder;
CREATE MATERIALIZED VIEW documents WITH (tailwater.maintain = immediate) AS SELECT (r).kind, jsonb_agg(to_jsonb(r) ORDER BY id) AS j FROM holder GROUP BY 1;
CREATE VIEW texts AS SELECT id, ps::text AS t FROM holder;
CREATE MATERIALIZED VIEW by_text WITH (tailwater.maintain = immediate) AS SELECT t, count(*) FROM texts GROUP BY t;
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS SELECT count(*) AS n, max(t) AS t FROM as_text;
SELECT t FROM as_text WHERE id = 1;
ALTER TYPE pair ADD ATTRIBUTE c int;
SELECT t FROM as_text WHERE id = 1;
SELECT * FROM wrong_views();
UPDATE holder SET id = id + 100 WHERE id > 5;
SELECT * FROM wrong_views();
ALTER TYPE pair RENAME ATTRIBUTE b TO bb;
UPDATE holder SET id = id + 100, p.c = 7 WHERE id < 5;
SELECT * FROM wrong_views();
BEGIN;
ALTER TYPE pair DROP ATTRIBUTE a;
UPDATE holder SET id = id + 1000;
SELECT * FROM wrong_views();
ROLLBACK;
UPDATE holder SET id = id + 1000 WHERE id > 100;
SELECT * FROM wrong_views();

-- the row type of a table is altered with it
ALTER TABLE item ADD COLUMN more int;
SELECT j FROM documents WHERE kind = 'k0';
DELETE FROM holder WHERE id = 5;
SELECT * FROM wrong_views();
ALTER TABLE item RENAME COLUMN price TO amount;
INSERT INTO holder (id, r) SELECT 5, item FROM item WHERE id = 5;
SELECT * FROM wrong_views();
ALTER TABLE item DROP COLUMN more;
SELECT j FROM documents WHERE kind = 'k0';
DELETE FROM holder WHERE id % 2 = 0;
SELECT * FROM wrong_views();
DROP TABLE holder CASCADE;

-- text search: what a configuration makes of a text
CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION own (COPY = english);
CREATE TABLE doc (id int PRIMARY KEY, body text);
INSERT INTO doc VALUES (1, 'the running dogs'), (2, 'a cat'), (3, NULL);
CREATE MATERIALIZED VIEW found WITH (tailwater.maintain = immediate) AS SELECT id, to_tsvector('own', body) AS words FROM doc;
SELECT * FROM found ORDER BY id;
ALTER TEXT SEARCH CONFIGURATION own ALTER MAPPING FOR asciiword WITH words;
SELECT * FROM found ORDER BY id;
UPDATE doc SET body = body || ' runs';
SELECT * FROM wrong_views();
ALTER TEXT SEARCH DICTIONARY words (STOPWORDS = english);
SELECT * FROM found ORDER BY id;
UPDATE doc SET body = body || ' the';
SELECT * FROM wrong_views();
ALTER TEXT SEARCH CONFIGURATION own RENAME TO mine;
UPDATE doc SET body = 'again the same';
SELECT * FROM wrong_views();
