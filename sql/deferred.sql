-- Deferred views: kept by the maintainer from the write-ahead log.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
\set VERBOSITY terse
SET client_min_messages = warning;

CREATE TABLE item (id int PRIMARY KEY, grp int, price numeric, note text);
CREATE TABLE grp (id int PRIMARY KEY, name text);
INSERT INTO grp SELECT i, 'g' || i FROM generate_series(1, 5) i;
INSERT INTO item SELECT i, i % 5 + 1, i, 'n' || i FROM generate_series(1, 50) i;

SET client_min_messages = notice;
CREATE MATERIALIZED VIEW total WITH (tailwater.maintain = deferred) AS
	SELECT grp, count(*) AS n, sum(price) AS price, max(price) AS top FROM item GROUP BY grp;
SET client_min_messages = warning;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = deferred) AS
	SELECT i.id, g.name, i.price, i.note FROM item i JOIN grp g ON g.id = i.grp;
CREATE MATERIALIZED VIEW listed WITH (tailwater.maintain = deferred) AS
	SELECT g.name, string_agg(i.note, ',' ORDER BY i.id) AS notes FROM grp g LEFT JOIN item i ON i.grp = g.id GROUP BY g.name;
SELECT relreplident FROM pg_class WHERE relname IN ('item', 'grp');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass;
SELECT tailwater.sync();
SELECT count(*) FROM pg_replication_slots WHERE plugin = 'tailwater' AND database = current_database();
SELECT * FROM total ORDER BY grp;
SELECT * FROM wrong_views();

-- rows, in one statement and in several
INSERT INTO item VALUES (100, 1, 1000, 'new'), (101, 9, 1, 'no group');
UPDATE item SET price = price + 0.50 WHERE id % 7 = 0;
DELETE FROM item WHERE grp = 2;
UPDATE grp SET name = upper(name) WHERE id = 3;
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- the extreme leaves; rows come and go within a batch
BEGIN;
DELETE FROM item WHERE id = 100;
INSERT INTO item VALUES (102, 1, 5000, 'gone');
DELETE FROM item WHERE id = 102;
COMMIT;
SELECT tailwater.sync();
SELECT * FROM total WHERE grp = 1;
CREATE MATERIALIZED VIEW bits WITH (tailwater.maintain = deferred) AS
	SELECT grp, bit_and(id) AS both, bit_or(id) AS any FROM item GROUP BY grp;
BEGIN;
UPDATE item SET id = id + 1024 WHERE grp = 3;
UPDATE item SET id = id - 1024 WHERE grp = 3;
COMMIT;
SELECT tailwater.sync();
SELECT * FROM wrong_views();
DROP MATERIALIZED VIEW bits;

-- subtransactions
BEGIN;
INSERT INTO item VALUES (110, 1, 1, 'kept');
SAVEPOINT a;
INSERT INTO item VALUES (111, 1, 1, 'lost');
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO item VALUES (112, 1, 1, 'kept');
UPDATE item SET note = note || '!' WHERE id = 110;
RELEASE b;
COMMIT;
BEGIN;
DELETE FROM item;
ROLLBACK;
SELECT tailwater.sync();
SELECT id, note FROM joined WHERE id BETWEEN 110 AND 119 ORDER BY id;
SELECT * FROM wrong_views();

-- prepared transactions count when they are committed
BEGIN;
INSERT INTO item VALUES (120, 1, 1, 'prepared');
PREPARE TRANSACTION 'deferred_a';
BEGIN;
INSERT INTO item VALUES (121, 1, 1, 'prepared');
PREPARE TRANSACTION 'deferred_b';
SELECT tailwater.sync();
SELECT count(*) FROM joined WHERE id BETWEEN 120 AND 129;
COMMIT PREPARED 'deferred_a';
ROLLBACK PREPARED 'deferred_b';
SELECT tailwater.sync();
SELECT count(*) FROM joined WHERE id BETWEEN 120 AND 129;
SELECT * FROM wrong_views();

-- values stored out of line, changed and left alone
INSERT INTO item SELECT 130, 1, 1, string_agg(md5(i::text), '') FROM generate_series(1, 2000) i;
SELECT tailwater.sync();
UPDATE item SET price = 2 WHERE id = 130;
SELECT tailwater.sync();
SELECT price, length(note) FROM joined WHERE id = 130;
UPDATE item SET note = reverse(note) WHERE id = 130;
UPDATE item SET note = note || 'x', price = 3 WHERE id = 130;
DELETE FROM item WHERE id = 131;
SELECT tailwater.sync();
SELECT * FROM wrong_views();
DELETE FROM item WHERE id = 130;
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- ON CONFLICT, MERGE, COPY
INSERT INTO item VALUES (1, 1, 7, 'conflict') ON CONFLICT (id) DO UPDATE SET price = excluded.price;
MERGE INTO item i USING (VALUES (3, 2), (140, 1)) s (id, grp) ON i.id = s.id
	WHEN MATCHED THEN UPDATE SET grp = s.grp WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.grp, 4, 'merged');
COPY item FROM stdin;
150	4	1.50	copied
151	5	2.50	copied
\.
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- TRUNCATE
BEGIN;
INSERT INTO grp VALUES (8, 'eight');
TRUNCATE item;
INSERT INTO item VALUES (1, 1, 1, 'after'), (2, 8, 2, 'after');
COMMIT;
SELECT tailwater.sync();
SELECT * FROM total ORDER BY grp;
SELECT * FROM wrong_views();

-- both modes on one table; views over views in every mix
CREATE MATERIALIZED VIEW now WITH (tailwater.maintain = immediate) AS
	SELECT grp, sum(price) AS price FROM item GROUP BY grp;
CREATE MATERIALIZED VIEW later_now WITH (tailwater.maintain = deferred) AS SELECT sum(price) AS price FROM now;
CREATE MATERIALIZED VIEW now_later WITH (tailwater.maintain = immediate) AS
	SELECT t.grp, t.n, g.name FROM total t JOIN grp g ON g.id = t.grp;
CREATE MATERIALIZED VIEW later_now_later WITH (tailwater.maintain = deferred) AS
	SELECT name, sum(n) AS n FROM now_later GROUP BY name;
CREATE MATERIALIZED VIEW later_later WITH (tailwater.maintain = deferred) AS
	SELECT t.grp, t.price, n.price AS now FROM total t JOIN now n ON n.grp = t.grp;
INSERT INTO item SELECT i, i % 3 + 1, i, 'x' FROM generate_series(10, 30) i;
SELECT * FROM now ORDER BY grp;
SELECT tailwater.sync();
SELECT * FROM wrong_views();
UPDATE item SET grp = 8 WHERE id % 2 = 0;
UPDATE grp SET name = 'three' WHERE id = 3;
DELETE FROM item WHERE id = 1;
SELECT tailwater.sync();
SELECT * FROM later_now_later ORDER BY name;
SELECT * FROM wrong_views();

-- modes change, with changes on their way
INSERT INTO item VALUES (40, 1, 40, 'way');
ALTER MATERIALIZED VIEW total SET (tailwater.maintain = immediate);
INSERT INTO item VALUES (41, 1, 41, 'way');
SELECT view FROM tailwater.views WHERE mode = 'immediate' AND view::text IN ('now', 'total') AND tailwater.verify(view) <> 0;
ALTER MATERIALIZED VIEW now SET (tailwater.maintain = deferred);
INSERT INTO item VALUES (42, 1, 42, 'way');
SELECT tailwater.maintain('total', 'deferred');
INSERT INTO item VALUES (43, 1, 43, 'way');
SELECT tailwater.sync();
SELECT * FROM wrong_views();
REFRESH MATERIALIZED VIEW total;
INSERT INTO item VALUES (44, 1, 44, 'way');
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- a view made in a transaction that writes before and after
BEGIN;
INSERT INTO item VALUES (45, 1, 45, 'before');
CREATE MATERIALIZED VIEW within WITH (tailwater.maintain = deferred) AS SELECT id, note FROM item WHERE id > 40;
INSERT INTO item VALUES (46, 1, 46, 'after');
COMMIT;
SELECT tailwater.sync();
SELECT id, note FROM within ORDER BY id;
SELECT * FROM wrong_views();

-- definitions change in the middle
BEGIN;
UPDATE item SET price = price + 1;
ALTER TABLE item ADD COLUMN extra int DEFAULT 7;
UPDATE item SET price = price + 1, extra = 8;
ALTER TABLE item DROP COLUMN extra;
UPDATE item SET price = price + 1;
COMMIT;
ALTER TABLE item ADD COLUMN serial int GENERATED ALWAYS AS (id * 2) STORED;
UPDATE item SET price = price + 1;
ALTER TABLE item REPLICA IDENTITY DEFAULT;
DELETE FROM item WHERE id = 45;
SELECT relreplident FROM pg_class WHERE relname = 'item';
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- partitions, rows that move between them, and partitions that come and go
CREATE TABLE part (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_b (v text, dropped int, id int);
ALTER TABLE part_b DROP COLUMN dropped;
ALTER TABLE part ATTACH PARTITION part_b FOR VALUES FROM (10) TO (20);
CREATE MATERIALIZED VIEW parts WITH (tailwater.maintain = deferred) AS SELECT v, count(*) AS n, min(id) AS first FROM part GROUP BY v;
CREATE MATERIALIZED VIEW leaf WITH (tailwater.maintain = deferred) AS SELECT id, v FROM part_b;
INSERT INTO part SELECT i, 'v' || i % 3 FROM generate_series(0, 19) i;
UPDATE part SET id = id + 10 WHERE id = 4;
SELECT tailwater.sync();
SELECT * FROM wrong_views();
CREATE TABLE part_c PARTITION OF part FOR VALUES FROM (20) TO (30);
INSERT INTO part VALUES (25, 'v1');
UPDATE part SET v = 'v2' WHERE id > 20;
ALTER TABLE part DETACH PARTITION part_a;
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- inheritance
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
CREATE MATERIALIZED VIEW whole WITH (tailwater.maintain = deferred) AS SELECT a, count(*) AS n FROM parent GROUP BY a;
CREATE MATERIALIZED VIEW alone WITH (tailwater.maintain = deferred) AS SELECT a FROM ONLY parent;
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1, 1), (3, 3);
UPDATE parent SET a = a + 1;
DELETE FROM parent WHERE a = 4;
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- what the log does not have, and what cannot be
CREATE UNLOGGED TABLE unlogged (a int);
\set VERBOSITY default
CREATE MATERIALIZED VIEW refused WITH (tailwater.maintain = deferred) AS SELECT a FROM unlogged;
\set VERBOSITY terse

-- the feed: the version after sync() has everything
CREATE TEMP TABLE before AS SELECT tailwater.version() AS v;
INSERT INTO part VALUES (11, 'feed');
SELECT tailwater.sync();
SELECT tw_diff, row FROM tailwater.changes('parts', (SELECT v FROM before)) ORDER BY tw_version, tw_diff;

-- the slot goes with the last deferred view
SELECT tailwater.release(view) FROM tailwater.views WHERE mode = 'deferred' ORDER BY view::text DESC;
DO $$
BEGIN
	FOR i IN 1 .. 100 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE plugin = 'tailwater' AND database = current_database());
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
SELECT count(*) FROM pg_replication_slots WHERE plugin = 'tailwater' AND database = current_database();
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname LIKE 'tailwater%';
DROP MATERIALIZED VIEW now_later CASCADE;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname LIKE 'tailwater%';
INSERT INTO item (id, grp) VALUES (999, 1);
SELECT tailwater.sync();
SELECT * FROM wrong_views();
