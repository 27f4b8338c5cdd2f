-- What TAIL cursors give: rows, versions, progress, positions, projections, tailwater.exec().
CREATE TABLE t (id int PRIMARY KEY, grp text, n numeric);
INSERT INTO t VALUES (1, 'a', 1), (2, 'a', 2), (3, 'b', 3);
CREATE MATERIALIZED VIEW v WITH (tailwater.maintain = immediate) AS SELECT id, grp, n FROM t;
CREATE MATERIALIZED VIEW sums WITH (tailwater.maintain = immediate) AS SELECT grp, sum(n) AS total FROM t GROUP BY grp;

-- All that was committed has a version; its number is remembered, never shown.
CREATE PROCEDURE synced() LANGUAGE plpgsql AS 'BEGIN PERFORM tailwater.sync(); END';
-- FETCH, without the version
CREATE FUNCTION rows(command text) RETURNS SETOF jsonb LANGUAGE sql AS $$
	SELECT x - 'tw_version' FROM tailwater.exec(command) x ORDER BY x->'tw_version', x->'tw_progressed', x - 'tw_version' $$;
CALL synced();
SELECT tailwater.version() AS start \gset

-- snapshot, then changes; one row of an update at a time
BEGIN;
DECLARE c CURSOR FOR TAIL (SELECT id, n FROM v WHERE grp = 'a');
FETCH 1 c \gset first_
FETCH NEXT FROM c \gset second_
SELECT :first_tw_version = :start AND :second_tw_version = :start AS version_of_snapshot,
	:first_tw_diff AS first_diff, :second_tw_diff AS second_diff,
	LEAST(:first_id, :second_id) AS first_id, GREATEST(:first_id, :second_id) AS second_id;
FETCH ALL c WITH (TIMEOUT = 0);
FETCH 0 c;
COMMIT;
FETCH ALL c;

-- history: what happened between two positions, transaction by transaction
UPDATE t SET n = 10 WHERE id = 1;
CALL synced();
UPDATE t SET grp = 'b' WHERE id = 2;
CALL synced();
BEGIN;
INSERT INTO t VALUES (4, 'a', 4);
SAVEPOINT s;
INSERT INTO t VALUES (5, 'a', 5);
ROLLBACK TO s;
UPDATE t SET n = n + 1 WHERE id = 4;
COMMIT;
BEGIN;
DELETE FROM t;
ROLLBACK;
CALL synced();
TRUNCATE t;
CALL synced();
SELECT tailwater.version() AS stop \gset

BEGIN;
SELECT * FROM tailwater.exec('DECLARE c CURSOR FOR TAIL v WITH (SNAPSHOT = false) AS OF ' || :start || ' UP TO ' || :stop);
SELECT * FROM rows('FETCH ALL c');
-- a cursor that has reached UP TO gives nothing more, and does not wait
FETCH ALL c;
FETCH 5 c WITH (TIMEOUT = '1 hour');
DECLARE part CURSOR FOR TAIL (SELECT id, grp FROM v WHERE grp = 'a') WITH (SNAPSHOT = false, PROGRESS) AS OF :start UP TO :stop;
SELECT * FROM rows('FETCH ALL part');
DECLARE few CURSOR FOR TAIL sums WITH (SNAPSHOT = false) AS OF :start UP TO :stop;
SELECT * FROM rows('FETCH 3 few');
SELECT * FROM rows('FETCH FORWARD ALL few');
DECLARE past CURSOR FOR TAIL sums AS OF :start UP TO :start;
SELECT * FROM rows('FETCH ALL past');
COMMIT;

-- a projection that makes rows equal sums them up
INSERT INTO t VALUES (1, 'x', 1.0), (2, 'x', 1.00), (3, 'x', 1.00), (4, 'y', 1);
CALL synced();
BEGIN;
SELECT * FROM tailwater.exec('DECLARE n CURSOR FOR TAIL (SELECT n FROM v)');
SELECT * FROM rows('FETCH ALL n');
DECLARE g CURSOR FOR TAIL (SELECT grp || grp AS twice, true AS yes FROM v WHERE id < 4) WITH (PROGRESS);
SELECT * FROM rows('FETCH ALL g');
COMMIT;

-- types are the view's own
BEGIN;
DECLARE c CURSOR FOR TAIL v WITH (PROGRESS);
FETCH 0 c \gdesc
FETCH 0 c
\gdesc
CLOSE c;
-- a transaction's own writes come after it commits
DECLARE c CURSOR FOR TAIL v WITH (SNAPSHOT = false);
INSERT INTO t VALUES (9, 'own', 9);
FETCH ALL c WITH (TIMEOUT = '100ms');
SELECT count(*) FROM v WHERE grp = 'own';
DECLARE s CURSOR FOR TAIL (SELECT id FROM v WHERE grp = 'own');
FETCH ALL s WITH (TIMEOUT = 0);
ROLLBACK;

-- positions that cannot be taken
\set VERBOSITY sqlstate
BEGIN; DECLARE c CURSOR FOR TAIL v WITH (SNAPSHOT = false) AS OF 1000000; ROLLBACK;
BEGIN; DECLARE c CURSOR FOR TAIL v AS OF 1000000; ROLLBACK;
BEGIN; DECLARE c CURSOR FOR TAIL v WITH (SNAPSHOT = false) AS OF 0; ROLLBACK;
BEGIN; DECLARE c CURSOR FOR TAIL v UP TO 0; ROLLBACK;
\set VERBOSITY default

-- long values, stored out of line
CREATE TABLE long (id int, txt text);
ALTER TABLE long ALTER txt SET STORAGE EXTERNAL;
INSERT INTO long SELECT i, repeat(i::text, 10000) FROM generate_series(1, 3) i;
CREATE MATERIALIZED VIEW longs WITH (tailwater.maintain = immediate) AS SELECT id, txt FROM long;
CALL synced();
BEGIN;
DECLARE c CURSOR FOR TAIL longs;
SELECT sum(length(x->>'txt')), count(DISTINCT x->>'txt') FROM tailwater.exec('FETCH 3 c') x;
COMMIT;
SELECT tailwater.version() AS start \gset
UPDATE long SET txt = txt || '!';
CALL synced();
BEGIN;
DECLARE c CURSOR FOR TAIL (SELECT id, txt FROM longs WHERE id < 3) WITH (SNAPSHOT = false) AS OF :start;
FETCH 1 c \gset
SELECT length(:'txt') IN (10000, 10001);
SELECT sum(length(x->>'txt')) + length(:'txt') FROM tailwater.exec('FETCH ALL c') x;
COMMIT;

-- more rows than work_mem holds
CREATE TABLE many AS SELECT i AS id, repeat('x', 50) AS txt FROM generate_series(1, 5000) i;
CREATE MATERIALIZED VIEW manies WITH (tailwater.maintain = immediate) AS SELECT id, txt FROM many;
CALL synced();
SET work_mem = '64kB';
BEGIN;
DECLARE c CURSOR FOR TAIL manies;
SAVEPOINT s;
SELECT count(*), sum((x->>'id')::int) FROM tailwater.exec('FETCH 1000 c') x;
SELECT 1 / 0;
ROLLBACK TO s;
SELECT count(*), sum((x->>'id')::int) FROM tailwater.exec('FETCH ALL c WITH (TIMEOUT = 0)') x;
COMMIT;
SELECT tailwater.version() AS start \gset
DELETE FROM many WHERE id > 2;
CALL synced();
BEGIN;
DECLARE c CURSOR FOR TAIL manies WITH (SNAPSHOT = false) AS OF :start;
FETCH 1 c \gset
SELECT count(*), count(DISTINCT x->>'tw_version') FROM tailwater.exec('FETCH 4000 c') x;
SELECT count(*) FROM tailwater.exec('FETCH ALL c') x;
DECLARE p CURSOR FOR TAIL manies AS OF :start;
SELECT count(*), sum((x->>'tw_diff')::int), sum((x->>'id')::int * (x->>'tw_diff')::int) FROM tailwater.exec('FETCH ALL p') x;
COMMIT;
RESET work_mem;

-- PL/pgSQL
DO $$
DECLARE
	r jsonb;
BEGIN
	PERFORM tailwater.exec('DECLARE c CURSOR FOR TAIL (SELECT id FROM v WHERE id < 3)');
	FOR r IN SELECT * FROM rows('FETCH ALL c WITH (TIMEOUT = ''0s'')') LOOP
		RAISE NOTICE '%', r;
	END LOOP;
	PERFORM tailwater.exec('CLOSE c');
END $$;
DO $$ DECLARE c refcursor := 'c'; r record; BEGIN PERFORM tailwater.exec('DECLARE c CURSOR FOR TAIL v'); FETCH c INTO r; END $$;
SELECT tailwater.exec('SELECT 1');
SELECT tailwater.exec('CLOSE c; CLOSE d');
SELECT tailwater.exec('TAIL v');
SELECT tailwater.exec('FETCH c');
SELECT tailwater.exec('DECLARE c CURSOR FOR TAIL nowhere');

-- privileges: of columns too
CREATE ROLE tail_reader;
GRANT SELECT (id) ON v TO tail_reader;
BEGIN;
SET LOCAL ROLE tail_reader;
DECLARE c CURSOR FOR TAIL (SELECT id FROM v WHERE id = 1);
SELECT * FROM rows('FETCH ALL c');
DECLARE d CURSOR FOR TAIL v;
ROLLBACK;

-- a view that is released, has no feed, or is dropped
BEGIN;
DECLARE c CURSOR FOR TAIL v;
SELECT tailwater.release('v');
FETCH ALL c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR TAIL v;
DROP MATERIALIZED VIEW v;
FETCH ALL c;
ROLLBACK;
ALTER MATERIALIZED VIEW v SET (tailwater.feed = off);
BEGIN;
DECLARE c CURSOR FOR TAIL v;
ROLLBACK;

REVOKE ALL ON v FROM tail_reader;
DROP ROLE tail_reader;
DROP MATERIALIZED VIEW v, sums, longs, manies;
DROP FUNCTION rows;
DROP PROCEDURE synced;
DROP TABLE t, long, many;
