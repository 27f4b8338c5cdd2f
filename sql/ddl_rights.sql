-- Triggers that users switch off or drop, and roles that gain or lose sight of rows: live views adapt.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE item (id int PRIMARY KEY, kind text, price int);
INSERT INTO item SELECT i, 'k' || i % 3, i * 10 FROM generate_series(1, 20) i;
CREATE MATERIALIZED VIEW groups WITH (tailwater.maintain = immediate) AS SELECT kind, count(*) AS n, max(price) AS high FROM item GROUP BY kind;
CREATE MATERIALIZED VIEW sizes WITH (tailwater.maintain = immediate) AS SELECT n, count(*) AS c FROM (SELECT kind, count(*) AS n FROM item GROUP BY kind) q GROUP BY n;
CREATE MATERIALIZED VIEW sets WITH (tailwater.maintain = immediate) AS SELECT kind, price % 20 AS p, sum(price) AS s FROM item GROUP BY ROLLUP (kind, price % 20);

-- all triggers of a table switched off, as pg_restore --disable-triggers does: ours stay on
ALTER TABLE item DISABLE TRIGGER ALL;
INSERT INTO item SELECT i, 'off', i FROM generate_series(30, 40) i;
UPDATE item SET price = price + 1 WHERE id % 2 = 0;
SELECT * FROM wrong_views();
ALTER TABLE item ENABLE TRIGGER ALL;
SET session_replication_role = replica;
DELETE FROM item WHERE id % 3 = 0;
RESET session_replication_role;
SELECT * FROM wrong_views();
SELECT count(*), min(tgenabled), max(tgenabled) FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname ~ 'tailwater';
-- one of them dropped
DO $$ BEGIN EXECUTE (SELECT format('DROP TRIGGER %I ON item', tgname) FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname ~ 'tailwater_update'); END $$;
UPDATE item SET price = price + 1;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname ~ 'tailwater';
SELECT * FROM wrong_views();
-- one renamed, which alters nothing: in the order of triggers, too, they stay what they were
DO $$ BEGIN EXECUTE (SELECT string_agg(format('ALTER TRIGGER %I ON item RENAME TO %I', tgname, 'x_' || tgname), ';') FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname ~ 'tailwater_(update|begin|row)'); END $$;
UPDATE item SET price = price + 1;
INSERT INTO item VALUES (50, 'k1', 5);
SELECT count(*), count(*) FILTER (WHERE tgname ~ '^x_') FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname ~ 'tailwater';
SELECT * FROM wrong_views();
-- of users with our function
CREATE TRIGGER own AFTER INSERT ON item REFERENCING NEW TABLE AS n EXECUTE FUNCTION tailwater_internal.capture();
INSERT INTO item VALUES (51, 'k1', 5);
DROP TRIGGER own ON item;
INSERT INTO item VALUES (51, 'k1', 5);
SELECT * FROM wrong_views();
CREATE ROLE tw_nobody;
GRANT ALL ON SCHEMA public TO tw_nobody;
SET ROLE tw_nobody;
CREATE TABLE own (x int);
CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION tailwater_internal.capture();
RESET ROLE;
DROP OWNED BY tw_nobody;
DROP ROLE tw_nobody;

-- an owner who may not read what the view reads any more: nothing he may not see gets into the view
CREATE ROLE tw_owner;
CREATE ROLE tw_staff;
GRANT ALL ON SCHEMA public TO tw_owner;
GRANT SELECT ON item TO tw_staff;
GRANT tw_staff TO tw_owner;
CREATE TABLE kind (kind text PRIMARY KEY, name text);
CREATE VIEW cheap AS SELECT id, kind FROM item WHERE price < 100;
GRANT SELECT ON cheap TO tw_owner;
CREATE MATERIALIZED VIEW of_cheap WITH (tailwater.maintain = immediate) AS SELECT kind, count(*) AS n FROM cheap GROUP BY kind;
ALTER MATERIALIZED VIEW of_cheap OWNER TO tw_owner;
ALTER MATERIALIZED VIEW groups OWNER TO tw_owner;
INSERT INTO item VALUES (60, 'k1', 5);
REVOKE tw_staff FROM tw_owner;
INSERT INTO item VALUES (61, 'k1', 5);
GRANT SELECT (kind, price) ON item TO tw_owner;
INSERT INTO item VALUES (61, 'k1', 5);
REVOKE SELECT (price) ON item FROM tw_owner;
INSERT INTO item VALUES (62, 'k1', 5);
SELECT tailwater.release('groups');
INSERT INTO item VALUES (62, 'k1', 5);
REVOKE SELECT ON cheap FROM tw_owner;
INSERT INTO item VALUES (63, 'k1', 5);
SELECT * FROM of_cheap WHERE kind = 'k1';
ALTER MATERIALIZED VIEW of_cheap OWNER TO CURRENT_USER;
ALTER MATERIALIZED VIEW groups OWNER TO CURRENT_USER;
SELECT tailwater.maintain('groups', 'immediate');
INSERT INTO item VALUES (63, 'k1', 5);
SELECT * FROM wrong_views();
DROP VIEW cheap CASCADE;
DROP OWNED BY tw_owner, tw_staff;
DROP ROLE tw_owner, tw_staff;

-- policies that hold for the owner of a view, or do not any more
CREATE ROLE tw_reader;
CREATE ROLE tw_group;
GRANT ALL ON SCHEMA public TO tw_reader;
GRANT SELECT ON item TO tw_reader;
CREATE POLICY few ON item TO tw_reader USING (price < 100);
CREATE POLICY more ON item TO tw_group USING (price >= 100);
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
ALTER MATERIALIZED VIEW groups OWNER TO tw_reader;
ALTER MATERIALIZED VIEW sizes OWNER TO tw_reader;
ALTER MATERIALIZED VIEW sets OWNER TO tw_reader;
SELECT sum(n) FROM groups;
ALTER ROLE tw_reader BYPASSRLS;
SELECT sum(n) FROM groups;
UPDATE item SET price = price + 1;
SELECT view FROM tailwater.views WHERE tailwater.verify(view) <> 0;
ALTER ROLE tw_reader NOBYPASSRLS;
SELECT sum(n) FROM groups;
UPDATE item SET price = price + 1;
SELECT view FROM tailwater.views WHERE tailwater.verify(view) <> 0;
GRANT tw_group TO tw_reader;
SELECT sum(n) FROM groups;
UPDATE item SET price = price + 1;
SELECT view FROM tailwater.views WHERE tailwater.verify(view) <> 0;
REVOKE tw_group FROM tw_reader;
SELECT sum(n) FROM groups;
INSERT INTO item VALUES (100, 'k0', 1), (101, 'k1', 1000);
SELECT view FROM tailwater.views WHERE tailwater.verify(view) <> 0;
REASSIGN OWNED BY tw_reader TO CURRENT_USER;
SELECT sum(n) FROM groups;
INSERT INTO item VALUES (102, 'k0', 1), (103, 'k1', 1000);
SELECT * FROM wrong_views();
DROP TABLE item CASCADE;
DROP OWNED BY tw_reader;
DROP ROLE tw_reader, tw_group;
