-- Deferred views need REPLICA IDENTITY FULL: tables get back what they had when the last such view is gone.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
\set VERBOSITY terse
SET client_min_messages = warning;

CREATE TABLE plain (id int PRIMARY KEY, x int);
CREATE TABLE nothing (id int PRIMARY KEY, x int);
ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE by_index (id int NOT NULL, x int, CONSTRAINT by_index_id UNIQUE (id));
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
CREATE TABLE whole (id int PRIMARY KEY, x int);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE parts (id int, x int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 (id int NOT NULL UNIQUE, x int);
ALTER TABLE part2 REPLICA IDENTITY USING INDEX part2_id_key;

CREATE VIEW identity AS
	SELECT c.relname, c.relreplident, (SELECT i.indexrelid::regclass FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident) AS index
	FROM pg_class c WHERE c.relname IN ('plain', 'nothing', 'by_index', 'whole', 'parts', 'part1', 'part2', 'kept') ORDER BY c.relname COLLATE "C";
SELECT * FROM identity;

CREATE MATERIALIZED VIEW all_of_them WITH (tailwater.maintain = deferred) AS
	SELECT id, x FROM plain UNION ALL SELECT id, x FROM nothing UNION ALL SELECT id, x FROM by_index
	UNION ALL SELECT id, x FROM whole UNION ALL SELECT id, x FROM parts;
CREATE MATERIALIZED VIEW counted WITH (tailwater.maintain = deferred) AS SELECT count(*) AS n FROM by_index;
SELECT * FROM identity;
-- a partition that comes, and one that goes
ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);
SELECT * FROM identity WHERE relname LIKE 'part_';
ALTER TABLE parts DETACH PARTITION part2;
SELECT * FROM identity WHERE relname LIKE 'part_';
ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);

INSERT INTO plain VALUES (1, 1);
INSERT INTO by_index VALUES (1, 1);
INSERT INTO parts VALUES (1, 1), (11, 1);
UPDATE parts SET x = 2;
SELECT tailwater.sync();
SELECT * FROM wrong_views();

-- released: only what the other view does not need
SELECT tailwater.release('all_of_them');
SELECT * FROM identity;
-- dropped
DROP MATERIALIZED VIEW counted;
SELECT * FROM identity;
SELECT count(*) FROM tailwater_internal.replica_identity;

-- rolled back, then in earnest; the mode changes
BEGIN;
SELECT tailwater.maintain('all_of_them', 'deferred');
SELECT string_agg(relreplident::text, '') FROM identity;
ROLLBACK;
SELECT string_agg(relreplident::text, '') FROM identity;
SELECT tailwater.maintain('all_of_them', 'deferred');
SELECT string_agg(relreplident::text, '') FROM identity;
SELECT tailwater.maintain('all_of_them', 'immediate');
SELECT string_agg(relreplident::text, '') FROM identity;
SELECT tailwater.maintain('all_of_them', 'deferred');

-- what somebody sets meanwhile holds
ALTER TABLE plain REPLICA IDENTITY FULL;
ALTER TABLE nothing REPLICA IDENTITY DEFAULT;
ALTER TABLE by_index REPLICA IDENTITY NOTHING;
SELECT string_agg(relreplident::text, '') FROM identity;
-- an index or a table that goes
ALTER TABLE part2 DROP CONSTRAINT part2_id_key;
DROP TABLE part1;
SELECT tailwater.sync();
SELECT * FROM wrong_views();
DROP MATERIALIZED VIEW all_of_them;
SELECT * FROM identity;
SELECT count(*) FROM tailwater_internal.replica_identity;

-- a live view that a deferred one reads
CREATE MATERIALIZED VIEW kept WITH (tailwater.maintain = immediate) AS SELECT id, x FROM plain;
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = deferred) AS SELECT count(*) AS n FROM kept;
SELECT * FROM identity WHERE relname = 'kept';
SELECT tailwater.sync();
DROP MATERIALIZED VIEW above;
SELECT * FROM identity WHERE relname = 'kept';
DROP MATERIALIZED VIEW kept;
SELECT count(*) FROM tailwater_internal.replica_identity;

-- the extension goes, with its tables: rolled back, and in earnest
ALTER TABLE plain REPLICA IDENTITY DEFAULT;
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
CREATE MATERIALIZED VIEW kept WITH (tailwater.maintain = immediate) AS SELECT id, x FROM plain;
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = deferred) AS SELECT count(*) AS n FROM kept JOIN by_index USING (id) JOIN parts USING (id);
SELECT * FROM identity;
BEGIN;
SAVEPOINT s;
DROP EXTENSION tailwater CASCADE;
SELECT * FROM identity;
ROLLBACK TO s;
SELECT * FROM identity;
COMMIT;
DROP EXTENSION tailwater CASCADE;
SELECT * FROM identity;
