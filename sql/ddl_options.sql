-- Options tailwater.* of CREATE and ALTER MATERIALIZED VIEW: what is accepted, what is refused and how.
\set SHOW_CONTEXT never
CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
INSERT INTO item VALUES (1, 'a', 10), (2, 'a', 20), (3, 'b', 30);

-- names and values
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediat) AS SELECT id FROM item;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain) AS SELECT id FROM item;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintains = immediate) AS SELECT id FROM item;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate, tailwater.feed = 3) AS SELECT id FROM item;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate, tailwater.maintain = immediate) AS SELECT id FROM item;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwater.feed = off) AS SELECT id FROM item;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW v WITH (tailwarter.maintain = immediate) AS SELECT id FROM item;

-- only materialized views
CREATE TABLE v WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
\echo :SQLSTATE
CREATE TABLE v (id int) WITH (tailwater.maintain = immediate);
ALTER TABLE item SET (tailwater.maintain = immediate);
\echo :SQLSTATE
ALTER MATERIALIZED VIEW item SET (tailwater.maintain = immediate);
EXPLAIN CREATE TABLE v WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
SELECT to_regclass('v');

-- ordinary options stay, ours are gone from the catalog
CREATE MATERIALIZED VIEW v WITH (fillfactor = 90, tailwater.maintain = 'Immediate', tailwater.feed = off) AS
	SELECT id, kind FROM item;
SELECT reloptions FROM pg_class WHERE oid = 'v'::regclass;
SELECT view, mode, feed, attached FROM tailwater.views;
CREATE MATERIALIZED VIEW IF NOT EXISTS v WITH (tailwater.maintain = immediate, tailwater.feed = on) AS
	SELECT id FROM item;
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
SELECT view, mode, feed, attached FROM tailwater.views;

-- ALTER, mixed with the server's own
ALTER MATERIALIZED VIEW v SET (tailwater.feed = on, fillfactor = 80), SET (autovacuum_enabled = off);
SELECT reloptions FROM pg_class WHERE oid = 'v'::regclass;
SELECT view, mode, feed, attached FROM tailwater.views;
ALTER MATERIALIZED VIEW v SET (tailwater.feed = off), RESET (tailwater.feed, fillfactor);
ALTER MATERIALIZED VIEW v RESET (tailwater.feed = off);
\echo :SQLSTATE
ALTER MATERIALIZED VIEW v SET (tailwater.maintain = never);
SELECT reloptions FROM pg_class WHERE oid = 'v'::regclass;
SELECT view, mode, feed, attached FROM tailwater.views;
ALTER MATERIALIZED VIEW IF EXISTS nowhere SET (tailwater.maintain = immediate);
ALTER MATERIALIZED VIEW nowhere SET (tailwater.maintain = immediate);
ALTER MATERIALIZED VIEW v RESET (tailwater.maintain);
ALTER MATERIALIZED VIEW v RESET (tailwater.maintain, tailwater.feed);
ALTER MATERIALIZED VIEW v SET (tailwater.feed = off);
\echo :SQLSTATE
SELECT count(*) FROM tailwater.views;
ALTER TABLE v SET (tailwater.maintain = immediate, tailwater.feed = off);
SELECT view, mode, feed, attached FROM tailwater.views;

-- the functions
SELECT tailwater.release('v');
SELECT tailwater.release('v');
SELECT tailwater.maintain('v', 'immediate');
SELECT tailwater.maintain('v', 'sometimes');
\echo :SQLSTATE
SELECT tailwater.maintain('item', 'immediate');
\echo :SQLSTATE
SELECT tailwater.release('item');
SELECT tailwater.maintain(0, 'immediate');
\echo :SQLSTATE
SELECT tailwater.release('v') FROM v;
\echo :SQLSTATE
SELECT view, mode, feed, attached FROM tailwater.views;
SELECT tailwater.verify('v'), tailwater.verify('item');
SELECT tailwater.explain('item');
DROP MATERIALIZED VIEW v;

-- from functions, DO, EXPLAIN
DO $$ BEGIN CREATE MATERIALIZED VIEW d WITH (tailwater.maintain = immediate) AS SELECT count(*) FROM item; END $$;
SELECT view, attached FROM tailwater.views;
DROP MATERIALIZED VIEW d;
CREATE FUNCTION make() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	CREATE MATERIALIZED VIEW d WITH (tailwater.maintain = immediate) AS SELECT count(*) FROM item;
	RETURN (SELECT string_agg(view::text, ',') FROM tailwater.views WHERE attached);
END $$;
SELECT make();
DROP MATERIALIZED VIEW d;
SELECT make();
DROP MATERIALIZED VIEW d;
EXPLAIN (COSTS off) CREATE MATERIALIZED VIEW d WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
SELECT to_regclass('d');
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off)
	CREATE MATERIALIZED VIEW d WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
SELECT view, attached FROM tailwater.views;
DROP MATERIALIZED VIEW d;

-- how a change is brought to each, which follows the definition
CREATE TABLE kind (id int PRIMARY KEY, name text);
CREATE MATERIALIZED VIEW plain_rows WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
CREATE MATERIALIZED VIEW with_kinds WITH (tailwater.maintain = immediate) AS SELECT i.id, k.name FROM item i LEFT JOIN kind k ON k.id = i.id;
CREATE MATERIALIZED VIEW ranks WITH (tailwater.maintain = immediate) AS SELECT id, rank() OVER (ORDER BY id) FROM item;
CREATE VIEW listed AS SELECT id FROM item;
CREATE MATERIALIZED VIEW redefined WITH (tailwater.maintain = immediate) AS SELECT id FROM listed;
SELECT view, strategy FROM tailwater.views ORDER BY view::text COLLATE "C";
CREATE OR REPLACE VIEW listed AS SELECT id FROM item i WHERE NOT EXISTS (SELECT FROM kind k WHERE k.id = i.id);
SELECT view, strategy FROM tailwater.views ORDER BY view::text COLLATE "C";
DROP TABLE kind CASCADE;
DROP MATERIALIZED VIEW plain_rows, ranks;

-- without the extension
DROP EXTENSION tailwater;
CREATE MATERIALIZED VIEW d WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
\echo :SQLSTATE
CREATE MATERIALIZED VIEW d AS SELECT id FROM item;
ALTER MATERIALIZED VIEW d SET (tailwater.maintain = immediate);
REFRESH MATERIALIZED VIEW d;
CREATE EXTENSION IF NOT EXISTS "tailwater";
SELECT count(*) FROM tailwater.views;
