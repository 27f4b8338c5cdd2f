-- What may happen to tables, views and functions under a live view; each part ends with the oracle.
SET client_min_messages = warning;
CREATE TABLE item (id int PRIMARY KEY, kind text, price int, spare int);
INSERT INTO item VALUES (1, 'a', 10), (2, 'a', 20), (3, 'b', 30);
CREATE MATERIALIZED VIEW by_kind WITH (tailwater.maintain = immediate) AS
	SELECT kind, count(*) AS n, sum(price) AS total FROM item GROUP BY kind;

-- columns, constraints, names, owners
ALTER TABLE item ADD COLUMN note text DEFAULT 'x';
INSERT INTO item VALUES (4, 'c', 40);
ALTER TABLE item DROP COLUMN spare;
INSERT INTO item VALUES (5, 'c', 50);
ALTER TABLE item RENAME COLUMN price TO amount;
INSERT INTO item VALUES (6, 'd', 60);
ALTER TABLE item RENAME TO things;
UPDATE things SET amount = amount + 1;
ALTER TABLE things ADD CHECK (amount > 0), ALTER note TYPE varchar(10);
DELETE FROM things WHERE id = 1;
CREATE SCHEMA other;
ALTER TABLE things SET SCHEMA other;
INSERT INTO other.things VALUES (7, 'd', 70);
ALTER TABLE other.things SET UNLOGGED;
ALTER TABLE other.things SET LOGGED;
UPDATE other.things SET kind = 'e' WHERE id = 7;
CREATE ROLE regress_tw_base;
ALTER TABLE other.things OWNER TO regress_tw_base;
UPDATE other.things SET kind = 'f' WHERE id = 7;
VACUUM FULL other.things;
CLUSTER other.things USING item_pkey;
INSERT INTO other.things VALUES (8, 'f', 80);
ALTER TABLE other.things DROP COLUMN kind;
ALTER TABLE other.things ALTER COLUMN amount TYPE bigint;
SELECT * FROM by_kind ORDER BY kind;
SELECT tailwater.verify('by_kind');

-- the triggers stay, whatever is done to triggers
ALTER TABLE other.things DISABLE TRIGGER ALL;
INSERT INTO other.things VALUES (9, 'g', 90);
ALTER TABLE other.things ENABLE TRIGGER ALL;
SELECT tailwater.verify('by_kind');
DO $$
DECLARE
	name name;
BEGIN
	FOR name IN SELECT tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
		WHERE tgrelid = 'other.things'::regclass AND p.pronamespace = 'tailwater_internal'::regnamespace
	LOOP
		EXECUTE format('DROP TRIGGER %I ON other.things', name);
	END LOOP;
END $$;
INSERT INTO other.things VALUES (10, 'g', 100);
SELECT * FROM by_kind WHERE kind = 'g';
SELECT tailwater.verify('by_kind');
DROP SCHEMA other CASCADE;
DROP ROLE regress_tw_base;
SELECT count(*) FROM tailwater.views;

-- partitions
CREATE TABLE part (k int, x int) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part2 (k int, x int);
INSERT INTO part VALUES (1, 1), (1, 2);
INSERT INTO part2 VALUES (2, 3), (2, 4);
CREATE MATERIALIZED VIEW sums WITH (tailwater.maintain = immediate) AS SELECT k, sum(x) FROM part GROUP BY k;
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (2);
SELECT * FROM sums ORDER BY k;
INSERT INTO part2 VALUES (2, 5);
SELECT * FROM sums ORDER BY k;
CREATE TABLE part3 PARTITION OF part FOR VALUES IN (3) PARTITION BY RANGE (x);
CREATE TABLE part3a PARTITION OF part3 FOR VALUES FROM (0) TO (10);
INSERT INTO part VALUES (3, 6);
INSERT INTO part3a VALUES (3, 7);
SELECT * FROM sums ORDER BY k;
ALTER TABLE part DETACH PARTITION part2 CONCURRENTLY;
ALTER TABLE part DETACH PARTITION part2;
SELECT * FROM sums ORDER BY k;
INSERT INTO part2 VALUES (2, 8);
TRUNCATE part3a;
SELECT * FROM sums ORDER BY k;
DROP TABLE part1;
SELECT * FROM sums ORDER BY k;
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (2);
SELECT * FROM sums ORDER BY k;
SELECT tailwater.verify('sums');
DROP TABLE part CASCADE;

-- inheritance
CREATE TABLE parent (x int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO child VALUES (1);
CREATE MATERIALIZED VIEW all_rows WITH (tailwater.maintain = immediate) AS SELECT x FROM parent;
ALTER TABLE child NO INHERIT parent;
SELECT * FROM all_rows ORDER BY x;
ALTER TABLE child INHERIT parent;
INSERT INTO child VALUES (2);
SELECT * FROM all_rows ORDER BY x;
CREATE SCHEMA more CREATE TABLE grandchild () INHERITS (public.child);
INSERT INTO more.grandchild VALUES (3);
SELECT * FROM all_rows ORDER BY x;
DROP SCHEMA more CASCADE;
SELECT * FROM all_rows ORDER BY x;
DROP TABLE child;
SELECT * FROM all_rows ORDER BY x;
SELECT tailwater.verify('all_rows');
DROP TABLE parent CASCADE;

-- views and functions in the query
CREATE TABLE item (id int PRIMARY KEY, price int);
CREATE TABLE item2 (id int PRIMARY KEY, price int);
INSERT INTO item VALUES (1, 10), (2, 20);
INSERT INTO item2 VALUES (3, 30);
CREATE FUNCTION tax(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 10';
CREATE FUNCTION gross(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1 + tax($1);
CREATE VIEW priced AS SELECT id, gross(price) AS price FROM item;
CREATE VIEW priced2 AS SELECT * FROM priced WHERE price > 0;
CREATE MATERIALIZED VIEW live WITH (tailwater.maintain = immediate) AS SELECT id, price FROM priced2;
SELECT * FROM live ORDER BY id;
CREATE OR REPLACE FUNCTION tax(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 5';
SELECT * FROM live ORDER BY id;
INSERT INTO item VALUES (4, 40);
SELECT * FROM live ORDER BY id;
ALTER FUNCTION tax(int) RENAME TO vat;
ALTER FUNCTION vat(int) PARALLEL SAFE;
CREATE OR REPLACE VIEW priced AS SELECT id, price FROM item2;
SELECT * FROM live ORDER BY id;
INSERT INTO item2 VALUES (5, 50);
INSERT INTO item VALUES (6, 60);
SELECT * FROM live ORDER BY id;
SELECT tailwater.verify('live');
\set VERBOSITY sqlstate
CREATE OR REPLACE VIEW priced AS SELECT id, (random() * price)::int AS price FROM item2;
\set VERBOSITY default
SELECT * FROM live ORDER BY id;
DROP VIEW priced CASCADE;

-- row security: the view sees what its owner sees
CREATE ROLE regress_tw_reader;
GRANT CREATE ON SCHEMA public TO regress_tw_reader;
GRANT SELECT ON item TO regress_tw_reader;
SET ROLE regress_tw_reader;
CREATE MATERIALIZED VIEW seen WITH (tailwater.maintain = immediate) AS SELECT id FROM item;
RESET ROLE;
CREATE POLICY low ON item TO regress_tw_reader USING (id < 3);
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
SELECT * FROM seen ORDER BY id;
INSERT INTO item VALUES (0, 0), (9, 90);
SELECT * FROM seen ORDER BY id;
ALTER POLICY low ON item USING (id < 1);
SELECT * FROM seen ORDER BY id;
DROP POLICY low ON item;
ALTER TABLE item DISABLE ROW LEVEL SECURITY;
SELECT * FROM seen ORDER BY id;
SELECT tailwater.verify('seen');
DROP MATERIALIZED VIEW seen;
REVOKE ALL ON item FROM regress_tw_reader;
REVOKE ALL ON SCHEMA public FROM regress_tw_reader;
DROP ROLE regress_tw_reader;
