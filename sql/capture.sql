-- Rows as the server hands them to us: columns they do not store, moves that it reports in its own way.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;

-- columns added with a default, which older rows do not store, in a statement with several transition tables
CREATE TABLE item (id int PRIMARY KEY, x int);
INSERT INTO item SELECT i, i FROM generate_series(1, 8) AS i;
ALTER TABLE item ADD COLUMN label text DEFAULT 'missing', ADD COLUMN n int DEFAULT 5;
CREATE TABLE part (id int REFERENCES item ON DELETE CASCADE);
INSERT INTO part SELECT i FROM generate_series(1, 8) AS i;
ALTER TABLE part ADD COLUMN label text DEFAULT 'missing too';
CREATE MATERIALIZED VIEW items WITH (tailwater.maintain = immediate) AS SELECT * FROM item;
CREATE MATERIALIZED VIEW labels WITH (tailwater.maintain = immediate) AS
	SELECT label, count(*), sum(n) FROM item GROUP BY label;
CREATE MATERIALIZED VIEW pairs WITH (tailwater.maintain = immediate) AS
	SELECT i.id, i.label, p.label AS part FROM item AS i LEFT JOIN part AS p USING (id);
MERGE INTO item USING (VALUES (1), (2)) AS s (i) ON id = i
	WHEN MATCHED AND i = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET x = 9;
DELETE FROM item WHERE id IN (2, 3);
WITH gone AS (DELETE FROM item WHERE id = 4 RETURNING id)
	UPDATE part SET id = 5 FROM gone WHERE part.id > 6;
TABLE labels;
SELECT * FROM wrong_views();

-- MERGE that moves rows to another partition, with and without actions for what it reports
CREATE TABLE parted (id int PRIMARY KEY, x int) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (20);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT i, i FROM generate_series(1, 30) AS i;
CREATE MATERIALIZED VIEW total WITH (tailwater.maintain = immediate) AS SELECT count(*), sum(id) FROM parted;
CREATE MATERIALIZED VIEW low WITH (tailwater.maintain = immediate) AS SELECT id, x FROM parted_low;
MERGE INTO parted AS p USING (VALUES (3), (4)) AS s (i) ON id = i WHEN MATCHED THEN UPDATE SET id = p.id + 100;
TABLE total;
SELECT * FROM wrong_views();
MERGE INTO parted AS p USING (VALUES (5), (200)) AS s (i) ON id = i
	WHEN MATCHED THEN UPDATE SET id = p.id + 100 WHEN NOT MATCHED THEN INSERT VALUES (i, i);
MERGE INTO parted AS p USING (VALUES (6), (7)) AS s (i) ON id = i
	WHEN MATCHED AND i = 6 THEN DELETE WHEN MATCHED THEN UPDATE SET id = p.id + 100;
TABLE total;
SELECT * FROM wrong_views();

-- a table with and without its children in one query: recomputed, whatever else could be done with it
CREATE TABLE up (k int, n int, label text);
CREATE TABLE down (own int) INHERITS (up);
CREATE TABLE other (k int, p int);
INSERT INTO up VALUES (1, 1, 'a'), (2, 2, 'b'), (3, NULL, 'c');
INSERT INTO down VALUES (1, 5, 'd', 0), (4, 1, 'e', 0);
INSERT INTO other VALUES (1, 5), (5, 1);
CREATE MATERIALIZED VIEW mixed WITH (tailwater.maintain = immediate) AS
	(SELECT DISTINCT n AS x FROM up WHERE n IS NOT NULL)
	EXCEPT ((SELECT b.x FROM (SELECT DISTINCT k AS x, n AS y, label AS z FROM ONLY up WHERE label <> 'b') AS a
			JOIN (SELECT n + 1 AS x, avg(k) AS y, min(n) AS z FROM up WHERE n > (SELECT count(n) FROM ONLY up AS i WHERE i.k = up.n)
				GROUP BY n + 1 HAVING count(*) < (SELECT count(*) / 3 FROM up)) AS b ON a.y = b.z)
		INTERSECT ALL (SELECT c.p FROM other AS c JOIN other AS d ON c.k = d.p));
CREATE MATERIALIZED VIEW mixed_groups WITH (tailwater.maintain = immediate) AS
	SELECT u.n, count(*) FROM up AS u LEFT JOIN ONLY up AS o ON o.k = u.n GROUP BY u.n;
INSERT INTO other VALUES (2, 2);
INSERT INTO down VALUES (7, 7, 'f', 0);
UPDATE up SET n = n + 1;
DELETE FROM ONLY up WHERE k = 2;
SELECT * FROM wrong_views();
