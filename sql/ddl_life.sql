-- What else may happen to live views and the tables under them: they follow, or the command is refused with a hint.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE item (id int PRIMARY KEY, code text UNIQUE NOT NULL, kind text, price int, spare int);
CREATE TABLE kind (kind text PRIMARY KEY, name text);
INSERT INTO item SELECT i, 'c' || i, 'k' || i % 3, i * 10 FROM generate_series(1, 9) i;
INSERT INTO kind VALUES ('k0', 'zero'), ('k1', 'one');
CREATE MATERIALIZED VIEW rows WITH (tailwater.maintain = immediate) AS SELECT id, code, price FROM item WHERE price > 10;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = immediate) AS SELECT i.id, k.name FROM item i JOIN kind k USING (kind);
CREATE MATERIALIZED VIEW padded WITH (tailwater.maintain = immediate) AS SELECT i.id, k.name FROM item i LEFT JOIN kind k USING (kind);
CREATE MATERIALIZED VIEW groups WITH (tailwater.maintain = immediate) AS SELECT kind, count(*) AS n, max(price) AS high FROM item GROUP BY kind;
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS SELECT n, count(*) AS c FROM groups GROUP BY n;
CREATE MATERIALIZED VIEW ranked WITH (tailwater.maintain = immediate) AS SELECT id, rank() OVER (PARTITION BY kind ORDER BY price) AS place FROM item;

-- a primary key on which the rows of views were told apart goes and comes
ALTER TABLE item DROP CONSTRAINT item_pkey;
INSERT INTO item VALUES (1, 'c1b', 'k1', 10), (2, 'c2b', 'k2', 20);
SELECT * FROM wrong_views();
DELETE FROM item WHERE code = 'c2';
UPDATE item SET price = price + 1 WHERE id = 1;
SELECT * FROM wrong_views();
DELETE FROM item WHERE code IN ('c1b', 'c2b');
ALTER TABLE item ADD PRIMARY KEY (id);
UPDATE item SET id = id + 100, price = price + 1;
SELECT * FROM wrong_views();
ALTER TABLE item DROP CONSTRAINT item_code_key, ALTER code DROP NOT NULL;
INSERT INTO item VALUES (1, NULL, 'k1', 50), (2, NULL, NULL, 60);
SELECT * FROM wrong_views();
ALTER TABLE kind DROP CONSTRAINT kind_pkey, ALTER kind DROP NOT NULL;
INSERT INTO kind VALUES ('k0', 'zero again'), (NULL, 'null'), ('k2', 'two');
SELECT * FROM wrong_views();
DELETE FROM kind WHERE name = 'zero again' OR kind IS NULL;
ALTER TABLE kind ADD PRIMARY KEY (kind);
CREATE MATERIALIZED VIEW dependent WITH (tailwater.maintain = immediate) AS
	SELECT i.id, i.kind, count(k.name) AS n FROM item i LEFT JOIN kind k USING (kind) GROUP BY i.id;
ALTER TABLE item DROP CONSTRAINT item_pkey;
DROP MATERIALIZED VIEW dependent;

-- the same by an index that is no constraint
CREATE UNIQUE INDEX kind_name ON kind (name);
ALTER TABLE kind ALTER name SET NOT NULL;
CREATE MATERIALIZED VIEW names WITH (tailwater.maintain = immediate) AS SELECT name, kind FROM kind;
DROP INDEX kind_name;
INSERT INTO kind VALUES ('k7', 'one'), ('k8', 'one');
SELECT * FROM wrong_views();
DELETE FROM kind WHERE kind IN ('k7', 'k8');

-- columns
ALTER TABLE item ADD COLUMN more int DEFAULT 7, ADD COLUMN made int GENERATED ALWAYS AS (price * 2) STORED;
ALTER TABLE item DROP COLUMN spare;
ALTER TABLE item RENAME COLUMN more TO other;
ALTER TABLE item ALTER COLUMN other TYPE bigint;
ALTER TABLE item ALTER COLUMN price TYPE bigint;
ALTER TABLE item ALTER COLUMN price SET DEFAULT 5, ALTER COLUMN code SET STORAGE EXTERNAL, ALTER COLUMN kind SET STATISTICS 10;
INSERT INTO item (id, code, kind) VALUES (3, repeat('long', 1000), 'k2');
UPDATE item SET other = 8 WHERE id = 1;
SELECT * FROM wrong_views();
ALTER MATERIALIZED VIEW groups RENAME COLUMN n TO how_many;
UPDATE item SET kind = 'k0' WHERE id = 3;
SELECT * FROM wrong_views();

-- triggers, rules, constraints, identity, storage
CREATE FUNCTION raise_price() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.price := new.price + 1000; RETURN new; END $$;
CREATE TRIGGER raise_price BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION raise_price();
UPDATE item SET price = 1 WHERE id = 3;
ALTER TABLE item DISABLE TRIGGER raise_price;
UPDATE item SET price = 2 WHERE id = 3;
ALTER TABLE item DISABLE TRIGGER USER;
ALTER TABLE item ENABLE REPLICA TRIGGER raise_price;
DROP TRIGGER raise_price ON item;
CREATE RULE twice AS ON INSERT TO kind DO ALSO UPDATE item SET price = price + 1;
INSERT INTO kind VALUES ('k9', 'nine');
DROP RULE twice ON kind;
ALTER TABLE item REPLICA IDENTITY FULL;
INSERT INTO kind SELECT DISTINCT kind, 'new' FROM item WHERE kind NOT IN (SELECT kind FROM kind);
ALTER TABLE item ADD CONSTRAINT item_kind FOREIGN KEY (kind) REFERENCES kind ON DELETE CASCADE ON UPDATE CASCADE;
UPDATE kind SET kind = 'k1x' WHERE kind = 'k1';
DELETE FROM kind WHERE kind = 'k0';
SELECT * FROM wrong_views();
ALTER TABLE item DROP CONSTRAINT item_kind;
ALTER TABLE item SET UNLOGGED;
INSERT INTO item VALUES (500, 'x', 'k2', 1);
ALTER TABLE item SET LOGGED;
ALTER TABLE item SET (fillfactor = 50);
VACUUM FULL item;
CLUSTER item USING item_pkey;
ALTER TABLE item SET ACCESS METHOD heap;
CREATE TABLE alike (LIKE item INCLUDING ALL);
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'alike'::regclass;
INSERT INTO item VALUES (501, 'y', 'k2', 1);
SELECT * FROM wrong_views();

-- the views themselves
CREATE INDEX rows_price ON rows (price);
CLUSTER rows USING rows_price;
ALTER MATERIALIZED VIEW rows SET WITHOUT CLUSTER;
VACUUM FULL rows;
VACUUM rows;
ANALYZE groups;
REINDEX TABLE groups;
ALTER MATERIALIZED VIEW groups SET (fillfactor = 70), ALTER COLUMN kind SET STORAGE EXTERNAL;
ALTER MATERIALIZED VIEW rows SET TABLESPACE pg_default;
DROP INDEX rows_price;
CREATE UNIQUE INDEX rows_id ON rows (id);
CREATE INDEX ON groups ((how_many + 1)) WHERE high > 100;
UPDATE item SET price = price + 1, code = code || '!' WHERE id > 3;
DELETE FROM item WHERE id = 501;
SELECT * FROM wrong_views();
COMMENT ON MATERIALIZED VIEW rows IS 'rows';
ALTER MATERIALIZED VIEW rows RENAME TO all_rows;
ALTER TABLE all_rows RENAME TO rows;
CREATE SCHEMA elsewhere;
ALTER MATERIALIZED VIEW above SET SCHEMA elsewhere;
ALTER TABLE kind SET SCHEMA elsewhere;
CREATE ROLE regress_tw_life;
GRANT ALL ON SCHEMA public, elsewhere TO regress_tw_life;
ALTER MATERIALIZED VIEW rows OWNER TO regress_tw_life;
UPDATE item SET price = price + 1;
GRANT SELECT ON item TO regress_tw_life;
UPDATE item SET price = price + 1;
SELECT * FROM wrong_views();
ALTER MATERIALIZED VIEW rows OWNER TO CURRENT_USER;
DROP OWNED BY regress_tw_life;
DROP ROLE regress_tw_life;

-- an event trigger beside ours, which sees no DDL of ours
CREATE TABLE seen (tag text);
CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (tg_tag); END $$;
CREATE EVENT TRIGGER regress_tw_see ON ddl_command_end EXECUTE FUNCTION see();
CREATE MATERIALIZED VIEW late WITH (tailwater.maintain = immediate) AS SELECT kind, count(*) FROM item GROUP BY kind;
ALTER MATERIALIZED VIEW late SET (tailwater.feed = off);
REFRESH MATERIALIZED VIEW late;
DROP MATERIALIZED VIEW late;
DROP EVENT TRIGGER regress_tw_see;
SELECT tag FROM seen;

-- what cannot be
CREATE TEMP TABLE fleeting (id int);
CREATE MATERIALIZED VIEW of_temp WITH (tailwater.maintain = immediate) AS SELECT id FROM fleeting;
ALTER EXTENSION tailwater SET SCHEMA elsewhere;
DROP FUNCTION tailwater_internal.capture() CASCADE;
DROP TABLE tailwater_internal.attachment;
SELECT * FROM wrong_views();

-- partitions of partitions, with columns in another order
CREATE TABLE tree (k int, x int) PARTITION BY LIST (k);
CREATE TABLE tree1 (gone int, x int, k int);
ALTER TABLE tree1 DROP COLUMN gone;
INSERT INTO tree1 VALUES (1, 1), (2, 1);
CREATE MATERIALIZED VIEW leaves WITH (tailwater.maintain = immediate) AS SELECT k, sum(x), count(*) FROM tree GROUP BY k;
ALTER TABLE tree ATTACH PARTITION tree1 FOR VALUES IN (1);
CREATE TABLE tree2 PARTITION OF tree DEFAULT PARTITION BY RANGE (x);
CREATE TABLE tree2a PARTITION OF tree2 FOR VALUES FROM (0) TO (100);
INSERT INTO tree VALUES (1, 5), (2, 6), (3, 7);
UPDATE tree SET k = k + 1;
SELECT * FROM wrong_views();
BEGIN;
ALTER TABLE tree DETACH PARTITION tree2;
INSERT INTO tree2 VALUES (9, 9);
SELECT * FROM wrong_views();
ROLLBACK;
INSERT INTO tree2 VALUES (9, 9);
ALTER TABLE tree2 DETACH PARTITION tree2a;
SELECT * FROM leaves ORDER BY k;
ALTER TABLE tree2a DROP COLUMN k;
DROP TABLE tree2;
ALTER TABLE tree ADD COLUMN y int;
INSERT INTO tree VALUES (1, 2, 3);
SELECT * FROM wrong_views();
-- a session forgets views and tables that were dropped
CREATE TABLE passing (x int);
\set ECHO none
SELECT format(s, i) FROM generate_series(1, 60) i, LATERAL (VALUES (1, 'CREATE MATERIALIZED VIEW passing%s WITH (tailwater.maintain = immediate) AS SELECT x, count(*) FROM passing GROUP BY x'),
	(2, 'INSERT INTO passing VALUES (%s)'), (3, 'DROP MATERIALIZED VIEW passing%s')) AS v(n, s) ORDER BY i, n \gexec
\set ECHO all
SELECT count(*) < 50 AS few FROM pg_backend_memory_contexts WHERE name = 'tailwater view plan';
DROP TABLE passing;
