-- Statements whose deltas, groups and keys are larger than work_mem.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
CREATE TABLE dim (id int PRIMARY KEY, name text, region int);
CREATE TABLE fact (id int PRIMARY KEY, dim int, grp int, amount numeric, label text, tag int);
INSERT INTO dim SELECT i, 'dim ' || i, i % 7 FROM generate_series(0, 99) i;

CREATE MATERIALIZED VIEW by_key WITH (tailwater.maintain = immediate) AS
	SELECT id, amount, label FROM fact WHERE amount >= 0;
CREATE MATERIALIZED VIEW bag WITH (tailwater.maintain = immediate) AS
	SELECT grp % 1000 AS grp, label FROM fact;
CREATE MATERIALIZED VIEW groups WITH (tailwater.maintain = immediate) AS
	SELECT grp, count(*) AS n, sum(amount) AS total, min(label) AS low, max(amount) AS high FROM fact GROUP BY grp;
CREATE MATERIALIZED VIEW text_groups WITH (tailwater.maintain = immediate) AS
	SELECT label, count(*) AS n, avg(amount) AS mean FROM fact GROUP BY label HAVING count(*) < 4;
CREATE MATERIALIZED VIEW joined WITH (tailwater.maintain = immediate) AS
	SELECT f.id, d.name, f.amount FROM fact f JOIN dim d ON d.id = f.dim;
CREATE MATERIALIZED VIEW joined_groups WITH (tailwater.maintain = immediate) AS
	SELECT d.region, f.grp, min(f.amount) AS low, count(*) AS n FROM fact f JOIN dim d ON d.id = f.dim GROUP BY 1, 2;
CREATE MATERIALIZED VIEW ranked WITH (tailwater.maintain = immediate) AS
	SELECT id, grp, rank() OVER (PARTITION BY grp ORDER BY amount, id) AS place FROM fact;
CREATE MATERIALIZED VIEW outer_joined WITH (tailwater.maintain = immediate) AS
	SELECT d.id, d.name, f.id AS fact, f.amount FROM fact f LEFT JOIN dim d ON d.id = f.dim;
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS
	SELECT n, count(*) AS groups, sum(total) AS total FROM groups GROUP BY n;
CREATE MATERIALIZED VIEW everything WITH (tailwater.maintain = immediate) AS
	SELECT (SELECT count(*) FROM fact f WHERE f.amount > avg(g.amount)) AS above_mean FROM fact g;

INSERT INTO fact SELECT i, i % 110, i % 4999, (i * 37) % 1000, 'label ' || i % 6007, i FROM generate_series(1, 20000) i;
SELECT wrong_views();

-- other values of the same groups, other groups, other keys
UPDATE fact SET amount = amount + 1;
SELECT wrong_views();
UPDATE fact SET grp = grp + 1, label = 'label ' || (id * 3) % 6007;
SELECT wrong_views();
UPDATE fact SET id = 50000 - id;
SELECT wrong_views();
UPDATE dim SET name = name || '!', region = region + 1;
SELECT wrong_views();

-- nothing that a view reads; rows that come and go in one statement
UPDATE fact SET tag = tag + 1;
WITH gone AS (DELETE FROM fact WHERE id <= 39000 RETURNING *)
	INSERT INTO fact SELECT id + 100000, dim, grp, amount, label, tag FROM gone;
SELECT wrong_views();

-- extremes leave, groups vanish, in one transaction with small statements between
BEGIN;
DELETE FROM fact WHERE amount > 500;
INSERT INTO fact VALUES (-1, 1, 1, 1, 'label 1', 1), (-2, 2, 5000, 2000, 'other', 1);
DELETE FROM fact WHERE grp % 2 = 0;
SAVEPOINT s;
UPDATE fact SET amount = -amount;
ROLLBACK TO s;
UPDATE fact SET amount = 1000 - amount WHERE id % 3 = 0;
COMMIT;
SELECT wrong_views();

-- a fixed snapshot
DROP MATERIALIZED VIEW everything;
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO fact SELECT i, i % 110, i % 4999, i % 1000, 'label ' || i % 6007, i FROM generate_series(200001, 212000) i;
COMMIT;
SELECT wrong_views();
REFRESH MATERIALIZED VIEW groups;
REFRESH MATERIALIZED VIEW joined;
TRUNCATE fact;
SELECT wrong_views();
SELECT count(*) FROM above;

-- a transaction may create more groups than there are locks
RESET work_mem;
CREATE TABLE seen (id int);
CREATE MATERIALIZED VIEW ids WITH (tailwater.maintain = immediate) AS SELECT DISTINCT id FROM seen;
INSERT INTO seen SELECT i FROM generate_series(1, 40000) i;
BEGIN;
DO $$ BEGIN FOR i IN 40001 .. 41000 LOOP INSERT INTO seen VALUES (i); END LOOP; END $$;
SELECT count(*) < 100 FROM pg_locks WHERE pid = pg_backend_pid();
COMMIT;
SELECT count(*) FROM ids;
SELECT wrong_views();

-- groups change where they are, and are found along the index, whatever their keys
CREATE TABLE item (k int, d date, f float8, o oid, g char(3), v numeric);
INSERT INTO item SELECT i - 6000, date '2020-01-01' + i, (i - 6000) * 0.5, i, 'g' || i % 90, i FROM generate_series(1, 12000) i;
INSERT INTO item VALUES (NULL, NULL, NULL, NULL, NULL, 1);
CREATE MATERIALIZED VIEW by_int WITH (tailwater.maintain = immediate) AS SELECT k, count(*) AS n, sum(v) AS s FROM item GROUP BY k;
CREATE MATERIALIZED VIEW by_date WITH (tailwater.maintain = immediate) AS SELECT d, max(v) AS m FROM item GROUP BY d;
CREATE MATERIALIZED VIEW by_float WITH (tailwater.maintain = immediate) AS SELECT f, count(*) AS n FROM item GROUP BY f HAVING count(*) < 3;
CREATE MATERIALIZED VIEW by_oid WITH (tailwater.maintain = immediate) AS SELECT o, sum(v) AS s FROM item GROUP BY o;
CREATE MATERIALIZED VIEW by_two WITH (tailwater.maintain = immediate) AS SELECT k, g, count(*) AS n FROM item GROUP BY k, g;
CREATE MATERIALIZED VIEW downward WITH (tailwater.maintain = immediate) AS SELECT k, d, f, v FROM item WHERE k IS NOT NULL;
-- the first versions take up the room of the next ones, which is found when pages are seen again
BEGIN;
INSERT INTO item SELECT k, d, f, o, g, 1 FROM item;
ROLLBACK;
CREATE VIEW updated AS SELECT count(*) AS tables, sum(pg_stat_get_xact_tuples_updated(oid)) AS n, sum(pg_stat_get_xact_tuples_hot_updated(oid)) AS hot
	FROM pg_class WHERE relname IN ('by_int', 'state_' || 'by_int'::regclass::oid, 'state_' || 'by_date'::regclass::oid);
BEGIN;
SELECT n, hot FROM updated \gset
INSERT INTO item SELECT k, d, f, o, g, 1 FROM item;
SELECT tables, n - :n AS n, hot - :hot > 0.98 * (n - :n) AS in_place FROM updated;
COMMIT;
DROP VIEW updated;
SELECT wrong_views();
UPDATE item SET v = v + 1 WHERE k % 50 = 0 OR k IS NULL;
UPDATE item SET v = v * 2 WHERE k % 7 = 0;
UPDATE item SET k = -k, f = -f, o = (12001 - o::int)::oid WHERE k % 3 = 0;
SELECT wrong_views();
DELETE FROM item WHERE k % 11 BETWEEN 1 AND 9;
INSERT INTO item SELECT i, date '1999-01-01' + i, i * 1e10, (4294967295 - (i + 3000))::oid, 'x', i FROM generate_series(-3000, 9000, 2) i;
SELECT wrong_views();
-- versions without room on their page
ALTER MATERIALIZED VIEW by_int SET (fillfactor = 100);
VACUUM FULL by_int;
UPDATE item SET v = v + 1;
UPDATE item SET v = v + 1;
SELECT wrong_views();

-- an error in the middle leaves nothing behind in the session's buffers
CREATE TABLE part (g int, v int);
INSERT INTO part SELECT g, 1 FROM generate_series(1, 3000) g;
CREATE MATERIALIZED VIEW share WITH (tailwater.maintain = immediate) AS SELECT g, 12 / sum(v) AS s FROM part GROUP BY g;
INSERT INTO part SELECT g, CASE g WHEN 2990 THEN -1 ELSE 1 END FROM generate_series(0, 3000) g;
SELECT tailwater.sync();
SELECT tailwater.version() AS version \gset
INSERT INTO part SELECT g, 1 FROM generate_series(1, 700) g;
SELECT wrong_views();
SELECT tailwater.sync();
SELECT count(*), sum(tw_diff), min("row" ->> 's'), max("row" ->> 's') FROM tailwater.changes('share', :version);
