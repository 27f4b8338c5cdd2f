-- Partitioned tables at any depth, inheritance, and statements that reach a table by way of another one.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE p (k int, x int, id int) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY RANGE (x);
CREATE TABLE p2a (gone text, id int, x int, k int);
ALTER TABLE p2a DROP COLUMN gone;
ALTER TABLE p2 ATTACH PARTITION p2a FOR VALUES FROM (0) TO (10);
CREATE TABLE p2b PARTITION OF p2 DEFAULT PARTITION BY HASH (id);
CREATE TABLE p2b0 PARTITION OF p2b FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE p2b1 PARTITION OF p2b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE pd PARTITION OF p DEFAULT;
CREATE TABLE d (k int PRIMARY KEY, name text);
INSERT INTO d VALUES (1, 'one'), (2, 'two'), (3, 'three');
CREATE MATERIALIZED VIEW whole WITH (tailwater.maintain = immediate) AS SELECT k, x, id FROM p;
CREATE MATERIALIZED VIEW sums WITH (tailwater.maintain = immediate) AS SELECT k, count(*), sum(x), max(x) FROM p GROUP BY k;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = immediate) AS SELECT name, x FROM p JOIN d USING (k);
CREATE MATERIALIZED VIEW middle WITH (tailwater.maintain = immediate) AS SELECT x, id FROM p2;
CREATE MATERIALIZED VIEW leaf WITH (tailwater.maintain = immediate) AS SELECT id, x FROM p2a;
CREATE MATERIALIZED VIEW hash_leaf WITH (tailwater.maintain = immediate) AS SELECT count(*) AS n, sum(x) AS s FROM p2b1;
CREATE MATERIALIZED VIEW rest WITH (tailwater.maintain = immediate) AS SELECT k, x FROM pd;
CREATE MATERIALIZED VIEW leaf_and_all WITH (tailwater.maintain = immediate) AS SELECT a.id, b.k FROM p2a a JOIN p b ON a.id = b.id;
CREATE MATERIALIZED VIEW leaf_outer WITH (tailwater.maintain = immediate) AS SELECT d.name, a.x FROM d LEFT JOIN p2a a ON a.id = d.k;
SELECT * FROM wrong_views();
INSERT INTO p VALUES (1, 1, 1), (2, 2, 2), (2, 20, 3), (2, 30, 4), (3, 3, 5), (NULL, 4, 6), (2, 3, 1);
SELECT * FROM wrong_views();
INSERT INTO p2 VALUES (2, 5, 7), (2, 50, 8);
INSERT INTO p2a (k, x, id) VALUES (2, 6, 9);
INSERT INTO pd VALUES (5, 5, 10);
SELECT * FROM wrong_views();
-- rows move
UPDATE p SET x = x + 7;
SELECT * FROM wrong_views();
UPDATE p SET k = COALESCE(k, 0) % 3 + 1;
SELECT * FROM wrong_views();
UPDATE p2 SET x = 60 - x;
UPDATE p2b SET id = id + 1;
SELECT * FROM wrong_views();
MERGE INTO p USING (VALUES (1, 2), (2, 1), (9, 9)) m (id, k) ON p.id = m.id
	WHEN MATCHED AND m.id = 1 THEN UPDATE SET k = m.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (m.k, 0, m.id);
DELETE FROM p WHERE id = 3;
DELETE FROM p2b0;
COPY p FROM stdin;
2	8	20
4	8	21
\.
SELECT * FROM wrong_views();
TRUNCATE p2b1;
SELECT * FROM wrong_views();
TRUNCATE p2;
INSERT INTO p VALUES (2, 1, 30), (2, 100, 31), (1, 1, 30);
SELECT * FROM wrong_views();
-- the tree changes
CREATE TABLE p7 (LIKE p);
INSERT INTO p7 VALUES (7, 1, 40), (7, 2, 41);
CREATE MATERIALIZED VIEW later WITH (tailwater.maintain = immediate) AS SELECT x FROM p7;
ALTER TABLE p ATTACH PARTITION p7 FOR VALUES IN (7);
SELECT * FROM wrong_views();
INSERT INTO p VALUES (7, 3, 42);
SELECT * FROM later ORDER BY x;
SELECT * FROM wrong_views();
ALTER TABLE p DETACH PARTITION p7;
INSERT INTO p VALUES (7, 4, 43);
INSERT INTO p7 VALUES (7, 5, 44);
SELECT * FROM later ORDER BY x;
SELECT * FROM wrong_views();
ALTER TABLE p2 DETACH PARTITION p2a;
INSERT INTO p2a (k, x, id) VALUES (2, 77, 50);
INSERT INTO p2 VALUES (2, 3, 51);
SELECT * FROM wrong_views();
DELETE FROM p2 WHERE x < 10;
UPDATE p2a SET x = 7;
ALTER TABLE p2 ATTACH PARTITION p2a FOR VALUES FROM (0) TO (10);
UPDATE p SET id = id + 1;
SELECT * FROM wrong_views();
DROP TABLE p1;
SELECT * FROM wrong_views();
CREATE TABLE p9 PARTITION OF p FOR VALUES IN (9);
INSERT INTO p9 VALUES (9, 9, 9);
BEGIN;
CREATE TABLE p10 PARTITION OF p FOR VALUES IN (10);
INSERT INTO p VALUES (10, 10, 10);
SELECT * FROM wrong_views();
ROLLBACK;
INSERT INTO p VALUES (10, 10, 10);
SELECT * FROM wrong_views();
-- cached plans survive what happens to one partition
CREATE INDEX p2a_k ON p2a (k);
SET enable_seqscan = off;
UPDATE d SET name = name || '!';
DROP INDEX p2a_k;
UPDATE d SET name = name || '!';
RESET enable_seqscan;
SELECT * FROM wrong_views();
-- foreign key to a partitioned table
CREATE TABLE owner (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE owner0 PARTITION OF owner FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE owner1 PARTITION OF owner FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE owned (id int, owner int REFERENCES owner ON DELETE CASCADE ON UPDATE CASCADE) PARTITION BY LIST (owner);
CREATE TABLE owned1 PARTITION OF owned FOR VALUES IN (1, 2, 3);
CREATE TABLE owned2 PARTITION OF owned DEFAULT;
CREATE MATERIALIZED VIEW ownership WITH (tailwater.maintain = immediate) AS SELECT o.id, n.id AS owned FROM owner o JOIN owned n ON n.owner = o.id;
CREATE MATERIALIZED VIEW owned_part WITH (tailwater.maintain = immediate) AS SELECT owner, count(*) FROM owned1 GROUP BY owner;
INSERT INTO owner SELECT generate_series(1, 6);
INSERT INTO owned SELECT i, 1 + i % 6 FROM generate_series(1, 12) i;
DELETE FROM owner WHERE id IN (1, 4);
SELECT * FROM wrong_views();
UPDATE owner SET id = id + 2 WHERE id = 6;
DELETE FROM owner0 WHERE id = 2;
DELETE FROM owner1 WHERE id = 3;
SELECT * FROM wrong_views();
DROP TABLE p, d, p7, owner, owned CASCADE;

-- inheritance
CREATE TABLE parent (x int, y text);
CREATE TABLE child (z int) INHERITS (parent);
CREATE TABLE second_parent (y text, w int);
CREATE TABLE grandchild (v int) INHERITS (child, second_parent);
CREATE MATERIALIZED VIEW family WITH (tailwater.maintain = immediate) AS SELECT x, y FROM parent;
CREATE MATERIALIZED VIEW only_parent WITH (tailwater.maintain = immediate) AS SELECT x, y FROM ONLY parent;
CREATE MATERIALIZED VIEW only_child WITH (tailwater.maintain = immediate) AS SELECT x, count(*) FROM ONLY child GROUP BY x;
CREATE MATERIALIZED VIEW children WITH (tailwater.maintain = immediate) AS SELECT x, z FROM child;
CREATE MATERIALIZED VIEW last_one WITH (tailwater.maintain = immediate) AS SELECT x, v FROM grandchild WHERE v > 0;
CREATE MATERIALIZED VIEW by_second WITH (tailwater.maintain = immediate) AS SELECT y, sum(w) FROM second_parent GROUP BY y;
CREATE MATERIALIZED VIEW parent_and_child WITH (tailwater.maintain = immediate) AS SELECT p.x, c.z FROM parent p JOIN child c ON p.x = c.x;
CREATE MATERIALIZED VIEW both_ways WITH (tailwater.maintain = immediate) AS SELECT a.x, o.y FROM parent a JOIN ONLY parent o ON a.x = o.x;
INSERT INTO parent VALUES (1, 'p'), (2, 'p');
INSERT INTO child VALUES (1, 'c', 1), (3, 'c', 3);
INSERT INTO grandchild VALUES (1, 'g', 1, 1, 1), (4, 'g', 4, 4, 4);
SELECT * FROM wrong_views();
UPDATE parent SET x = x + 1;
SELECT * FROM wrong_views();
UPDATE ONLY parent SET y = 'only';
UPDATE child SET z = z + 1;
UPDATE second_parent SET w = w + 1;
SELECT * FROM wrong_views();
DELETE FROM parent WHERE x = 2;
SELECT * FROM wrong_views();
DELETE FROM ONLY child;
INSERT INTO parent VALUES (5, 'new');
TRUNCATE ONLY parent;
SELECT * FROM wrong_views();
WITH a AS (UPDATE parent SET y = 'a'), b AS (INSERT INTO grandchild VALUES (6, 'b', 6, 6, 6)) INSERT INTO child VALUES (6, 'c', 6);
SELECT * FROM wrong_views();
ALTER TABLE grandchild NO INHERIT child;
UPDATE parent SET x = x + 10;
UPDATE grandchild SET v = 20;
SELECT * FROM wrong_views();
TRUNCATE parent;
SELECT * FROM wrong_views();
-- generated columns of rows that were routed to a partition of another layout
CREATE TABLE doubled (a int, g int GENERATED ALWAYS AS (a * 2) STORED, h text GENERATED ALWAYS AS ('h' || a) STORED) PARTITION BY RANGE (a);
CREATE TABLE doubled_alike PARTITION OF doubled FOR VALUES FROM (0) TO (10);
CREATE TABLE doubled_other (x int, h text GENERATED ALWAYS AS ('h' || a) STORED, a int, g int GENERATED ALWAYS AS (a * 2) STORED);
ALTER TABLE doubled_other DROP COLUMN x;
ALTER TABLE doubled ATTACH PARTITION doubled_other FOR VALUES FROM (10) TO (20);
CREATE MATERIALIZED VIEW generated_rows WITH (tailwater.maintain = immediate) AS SELECT a, g, h FROM doubled;
CREATE MATERIALIZED VIEW generated_sums WITH (tailwater.maintain = immediate) AS SELECT a % 3 AS r, sum(g) AS s, max(h) AS m FROM doubled GROUP BY a % 3;
INSERT INTO doubled VALUES (1), (11), (12);
SELECT * FROM wrong_views();
INSERT INTO doubled SELECT 13 ON CONFLICT DO NOTHING;
COPY doubled (a) FROM stdin;
4
14
\.
SELECT * FROM wrong_views();
MERGE INTO doubled USING (VALUES (5), (15), (14)) v(n) ON a = n WHEN NOT MATCHED THEN INSERT VALUES (n) WHEN MATCHED THEN UPDATE SET a = 16;
SELECT * FROM wrong_views();
UPDATE doubled SET a = a + 1;
SELECT * FROM wrong_views();
WITH x AS (INSERT INTO doubled VALUES (17)), y AS (INSERT INTO doubled VALUES (3)) DELETE FROM doubled WHERE a = 2;
SELECT * FROM wrong_views();
DROP TABLE doubled CASCADE;
