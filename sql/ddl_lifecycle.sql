-- Live views come, are refreshed, change hands and go; nothing stays behind.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
INSERT INTO item VALUES (1, 'a', 10), (2, 'a', 20), (3, 'b', 30);

-- what is left of live views: rows, tables, triggers
CREATE VIEW traces AS SELECT
	(SELECT count(*) FROM tailwater_internal.view) AS listed,
	(SELECT count(*) FROM tailwater_internal.attachment) AS attached,
	(SELECT count(*) FROM tailwater_internal.base) AS bases,
	(SELECT count(*) FROM tailwater_internal.state) AS states,
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'tailwater_internal'::regnamespace
		AND relkind = 'r' AND relname ~ '_[0-9]+') AS tables,
	(SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
		WHERE p.pronamespace = 'tailwater_internal'::regnamespace AND t.tgrelid NOT IN ('tailwater_internal.view'::regclass, 'tailwater_internal.endpoint'::regclass)) AS triggers;

-- WITH NO DATA waits for the first REFRESH
CREATE MATERIALIZED VIEW by_kind WITH (tailwater.maintain = immediate) AS
	SELECT kind, count(*) AS n, sum(price) AS total FROM item GROUP BY kind WITH NO DATA;
SELECT view, attached FROM tailwater.views;
INSERT INTO item VALUES (4, 'c', 40);
ALTER MATERIALIZED VIEW by_kind SET (tailwater.feed = off);
SELECT tailwater.verify('by_kind');
REFRESH MATERIALIZED VIEW by_kind;
SELECT view, feed, attached FROM tailwater.views;
INSERT INTO item VALUES (5, 'c', 50);
SELECT * FROM by_kind ORDER BY kind;
SELECT tailwater.verify('by_kind');

-- REFRESH of a live view is never needed and changes nothing
REFRESH MATERIALIZED VIEW by_kind;
REFRESH MATERIALIZED VIEW CONCURRENTLY by_kind;
SELECT * FROM by_kind ORDER BY kind;
REFRESH MATERIALIZED VIEW by_kind WITH NO DATA;
SELECT view, attached FROM tailwater.views;
INSERT INTO item VALUES (6, 'd', 60);
REFRESH MATERIALIZED VIEW by_kind;
UPDATE item SET price = 61 WHERE id = 6;
SELECT * FROM by_kind ORDER BY kind;
BEGIN READ ONLY;
REFRESH MATERIALIZED VIEW by_kind;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT 1 FROM by_kind;
FETCH c;
REFRESH MATERIALIZED VIEW by_kind;
ROLLBACK;

-- what may be done to any materialized view
ALTER MATERIALIZED VIEW by_kind RENAME COLUMN total TO price;
ALTER MATERIALIZED VIEW by_kind RENAME TO kinds;
CREATE SCHEMA elsewhere;
ALTER MATERIALIZED VIEW kinds SET SCHEMA elsewhere;
CREATE INDEX ON elsewhere.kinds (price);
INSERT INTO item VALUES (7, 'd', 70);
ALTER MATERIALIZED VIEW elsewhere.kinds ALTER COLUMN n SET STATISTICS 10;
VACUUM FULL elsewhere.kinds;
DELETE FROM item WHERE id = 1;
ANALYZE elsewhere.kinds;
SELECT * FROM elsewhere.kinds ORDER BY kind;
SELECT tailwater.verify('elsewhere.kinds');

-- the index by which rows are found
CREATE MATERIALIZED VIEW keyed AS SELECT id, kind FROM item;
CREATE UNIQUE INDEX keyed_id ON keyed (id);
SELECT tailwater.maintain('keyed', 'immediate');
SELECT key_index::regclass FROM tailwater_internal.attachment WHERE view = 'keyed'::regclass;
DROP INDEX CONCURRENTLY keyed_id;
BEGIN;
DROP INDEX keyed_id;
SELECT key_index::regclass FROM tailwater_internal.attachment WHERE view = 'keyed'::regclass;
UPDATE item SET kind = 'x' WHERE id = 2;
SELECT tailwater.verify('keyed');
DROP INDEX keyed_tw_key;
UPDATE item SET kind = 'y' WHERE id = 2;
CREATE UNIQUE INDEX other_id ON keyed (id);
DROP INDEX keyed_tw_key;
DELETE FROM item WHERE id = 2;
SELECT tailwater.verify('keyed');
SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'keyed'::regclass;
ROLLBACK;
REINDEX INDEX CONCURRENTLY keyed_id;
SELECT key_index::regclass FROM tailwater_internal.attachment WHERE view = 'keyed'::regclass;
INSERT INTO item VALUES (8, 'e', 80);
REINDEX TABLE CONCURRENTLY keyed;
REINDEX TABLE keyed;
UPDATE item SET kind = 'f' WHERE id = 8;
SELECT * FROM keyed WHERE id = 8;
SELECT tailwater.verify('keyed');

-- drops: by name, by cascade, by schema, rolled back, in a savepoint
BEGIN;
DROP MATERIALIZED VIEW keyed;
SELECT view FROM tailwater.views;
ROLLBACK;
BEGIN;
SAVEPOINT s;
DROP MATERIALIZED VIEW keyed;
ROLLBACK TO s;
INSERT INTO item VALUES (9, 'g', 90);
COMMIT;
SELECT * FROM keyed WHERE id = 9;
DROP MATERIALIZED VIEW keyed;
SELECT view FROM tailwater.views;
DROP SCHEMA elsewhere CASCADE;
SELECT * FROM traces;
CREATE MATERIALIZED VIEW a WITH (tailwater.maintain = immediate) AS SELECT kind, max(price) FROM item GROUP BY kind;
CREATE MATERIALIZED VIEW b WITH (tailwater.maintain = immediate) AS SELECT * FROM a WHERE kind <> 'b';
DROP TABLE item;
DROP TABLE item CASCADE;
SELECT * FROM traces;
CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2 * $1';
CREATE MATERIALIZED VIEW a WITH (tailwater.maintain = immediate) AS SELECT id, twice(price) FROM item;
DROP FUNCTION twice CASCADE;
SELECT * FROM traces;
CREATE MATERIALIZED VIEW a WITH (tailwater.maintain = immediate) AS SELECT id FROM item WITH NO DATA;
DROP MATERIALIZED VIEW a;
SELECT * FROM traces;

-- owners who are nobody special
CREATE ROLE regress_tw_owner;
CREATE ROLE regress_tw_other;
GRANT CREATE ON SCHEMA public TO regress_tw_owner;
GRANT SELECT ON item TO regress_tw_owner;
SET ROLE regress_tw_owner;
CREATE MATERIALIZED VIEW mine WITH (tailwater.maintain = immediate) AS SELECT kind, count(*) AS n FROM item GROUP BY kind;
SET ROLE regress_tw_other;
SELECT tailwater.maintain('mine', 'immediate');
SELECT tailwater.release('mine');
SELECT tailwater.verify('mine');
SELECT * FROM tailwater.explain('mine');
ALTER MATERIALIZED VIEW mine SET (tailwater.feed = off);
REFRESH MATERIALIZED VIEW mine;
SELECT * FROM tailwater_internal.view;
INSERT INTO tailwater_internal.view VALUES ('mine', 'deferred', false);
INSERT INTO tailwater_internal.view VALUES ('item', 'deferred', false);
UPDATE tailwater_internal.view SET mode = 'deferred';
ALTER TABLE tailwater_internal.view DISABLE TRIGGER ALL;
INSERT INTO tailwater_internal.view VALUES ('mine', 'deferred', false);
SELECT view, owner, mode, feed, attached FROM tailwater.views;
RESET ROLE;
INSERT INTO item VALUES (1, 'a', 10), (2, 'a', 20);
SET ROLE regress_tw_owner;
SELECT * FROM mine;
SELECT tailwater.verify('mine');
SELECT tailwater.release('mine');
SELECT tailwater.maintain('mine', 'immediate');
RESET ROLE;
REVOKE ALL ON SCHEMA public FROM regress_tw_owner;
REASSIGN OWNED BY regress_tw_owner TO regress_tw_other;
SELECT view, owner FROM tailwater.views;
GRANT SELECT ON item TO regress_tw_other;
INSERT INTO item VALUES (3, 'a', 30);
SELECT * FROM mine;
DROP OWNED BY regress_tw_other;
SELECT * FROM traces;
DROP OWNED BY regress_tw_owner;
DROP ROLE regress_tw_owner, regress_tw_other;

-- the extension belongs to no schema of users: it survives them
BEGIN;
SET LOCAL client_min_messages = warning;
DROP SCHEMA public CASCADE;
SELECT extname, extnamespace::regnamespace FROM pg_extension WHERE extname = 'tailwater';
ROLLBACK;

-- the indexes that a live view got go with its being live; those of users stay
CREATE MATERIALIZED VIEW indexed WITH (tailwater.maintain = immediate) AS
	SELECT id, kind, row_number() OVER (PARTITION BY kind ORDER BY id) AS place FROM item;
CREATE INDEX indexed_by_user ON indexed (place);
SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'indexed'::regclass ORDER BY 1;
SELECT tailwater.release('indexed');
SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'indexed'::regclass ORDER BY 1;
SELECT tailwater.maintain('indexed', 'immediate');
SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'indexed'::regclass ORDER BY 1;
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION tailwater CASCADE;
SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'indexed'::regclass ORDER BY 1;
ROLLBACK;
DROP MATERIALIZED VIEW indexed;

-- the extension goes
CREATE MATERIALIZED VIEW a WITH (tailwater.maintain = immediate) AS SELECT kind, sum(price) AS total FROM item GROUP BY kind;
DROP VIEW traces;
DROP EXTENSION tailwater;
\set VERBOSITY terse
BEGIN;
DROP EXTENSION tailwater CASCADE;
INSERT INTO item VALUES (4, 'z', 1);
SELECT * FROM a ORDER BY kind;
REFRESH MATERIALIZED VIEW a;
SELECT * FROM a ORDER BY kind;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass;
ROLLBACK;
INSERT INTO item VALUES (4, 'z', 1);
SELECT * FROM a ORDER BY kind;
SELECT tailwater.verify('a');
DROP MATERIALIZED VIEW a;
DROP EXTENSION tailwater;
SELECT count(*) FROM pg_class WHERE relname ~ 'tailwater';
