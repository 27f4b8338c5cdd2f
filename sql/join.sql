-- Inner joins: of several tables, of a table with itself, and whatever changes both sides at once.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE TABLE r (id int PRIMARY KEY, k int, x text);
CREATE TABLE s (id int PRIMARY KEY, k int, y numeric);
CREATE TABLE u (k int, z int);
CREATE TABLE node (id int PRIMARY KEY, parent int, name text);
CREATE TABLE other (n int);
CREATE MATERIALIZED VIEW two WITH (tailwater.maintain = immediate) AS SELECT r.id, s.id AS sid, x, y FROM r JOIN s USING (k);
CREATE MATERIALIZED VIEW three WITH (tailwater.maintain = immediate) AS SELECT x, y, z FROM r, s, u WHERE r.k = s.k AND s.k = u.k AND z > 0;
CREATE MATERIALIZED VIEW four WITH (tailwater.maintain = immediate) AS
	SELECT a.x, b.y, c.z, n.name FROM r a JOIN s b ON a.k = b.k JOIN u c ON c.k = a.k JOIN node n ON n.id = c.z;
CREATE MATERIALIZED VIEW sums WITH (tailwater.maintain = immediate) AS SELECT r.k, count(*), sum(y) FROM r JOIN s USING (k) GROUP BY r.k;
CREATE MATERIALIZED VIEW cross_product WITH (tailwater.maintain = immediate) AS SELECT r.k, u.z FROM r, u;
CREATE MATERIALIZED VIEW self WITH (tailwater.maintain = immediate) AS SELECT c.name, p.name AS parent FROM node c JOIN node p ON c.parent = p.id;
CREATE MATERIALIZED VIEW self3 WITH (tailwater.maintain = immediate) AS
	SELECT a.id, b.id AS bid, c.id AS cid FROM node a JOIN node b ON a.parent = b.id JOIN node c ON b.parent = c.id;
CREATE MATERIALIZED VIEW self_keyless WITH (tailwater.maintain = immediate) AS SELECT a.z FROM u a JOIN u b ON a.k = b.k;
SELECT * FROM wrong_views();
INSERT INTO r VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, NULL, 'null');
INSERT INTO s VALUES (1, 1, 1.0), (2, 2, 2.50), (3, 3, 3), (4, NULL, 4);
INSERT INTO u VALUES (1, 1), (1, 1), (2, 2), (NULL, 3), (3, -1);
INSERT INTO node VALUES (1, NULL, 'root'), (2, 1, 'two'), (3, 2, 'three'), (4, 4, 'own parent');
SELECT * FROM two ORDER BY 1, 2;
SELECT * FROM four ORDER BY 1, 2, 3;
SELECT * FROM self3 ORDER BY 1, 2;
SELECT * FROM wrong_views();

-- keys that move, partners that go
UPDATE r SET k = 3 WHERE id = 1;
BEGIN;
UPDATE r SET k = 2 WHERE id = 2;
DELETE FROM s WHERE k = 1;
SELECT * FROM wrong_views();
COMMIT;
UPDATE node SET parent = CASE id WHEN 1 THEN 3 ELSE parent END, name = name || '!';
UPDATE node SET id = id + 10, parent = parent + 10;
SELECT * FROM wrong_views();
DELETE FROM node WHERE id IN (11, 12);
UPDATE u SET k = 1, z = z + 1 WHERE k IS NULL OR k = 2;
SELECT * FROM wrong_views();

-- several tables in one statement
WITH a AS (INSERT INTO r VALUES (10, 7, 'both') RETURNING *), b AS (INSERT INTO u SELECT k, 5 FROM a)
	INSERT INTO s SELECT 10, k, 7 FROM a;
SELECT * FROM wrong_views();
WITH a AS (DELETE FROM r WHERE k = 7 RETURNING *), b AS (UPDATE s SET k = 2 WHERE k = 7 RETURNING *)
	UPDATE u SET k = 2 WHERE k = 7;
SELECT * FROM wrong_views();
WITH a AS (UPDATE r SET k = k + 1 RETURNING *), b AS (UPDATE s SET k = k + 1 RETURNING *), c AS (DELETE FROM u WHERE z = 1),
	d AS (INSERT INTO node SELECT 100 + id, 14, 'new' FROM s)
	SELECT count(*) FROM a, b WHERE a.k = b.k;
SELECT * FROM wrong_views();
WITH a AS (DELETE FROM r), b AS (DELETE FROM s), c AS (DELETE FROM node) DELETE FROM u;
SELECT count(*) FROM (TABLE cross_product) x;
SELECT * FROM wrong_views();

-- a function that writes, called in the middle of a statement that writes
CREATE FUNCTION add_s(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO s VALUES (n, n % 3, n);
	BEGIN
		INSERT INTO s VALUES (n + 1000, n % 3, n);
		UPDATE r SET x = 'undone';
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN n % 3;
END $$;
INSERT INTO r SELECT i, add_s(i), 'f' || i FROM generate_series(1, 6) i;
SELECT count(*) FROM two;
SELECT * FROM wrong_views();
UPDATE r SET k = add_s(id + 100) WHERE id < 3;
SELECT count(add_s(id + 200)) FROM r;
SELECT * FROM wrong_views();
\set VERBOSITY sqlstate
INSERT INTO r SELECT 100 + i, add_s(i), 'fails' FROM generate_series(7, 1, -1) i;
\set VERBOSITY default
SELECT * FROM wrong_views();

-- triggers that write to another base table: per row, per statement, before and after
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_LEVEL = 'ROW' THEN
		INSERT INTO u VALUES (COALESCE(NEW.k, OLD.k), 1);
		IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
		RETURN NEW;
	END IF;
	UPDATE s SET y = y + 0.5;
	DELETE FROM node WHERE id = (SELECT min(id) FROM node);
	INSERT INTO node SELECT max(id) + 1, max(id), TG_NAME FROM node HAVING max(id) IS NOT NULL;
	RETURN NULL;
END $$;
CREATE TRIGGER a_row BEFORE INSERT OR UPDATE OR DELETE ON r FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER zz_row AFTER INSERT OR UPDATE ON r FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER a_statement BEFORE UPDATE OR DELETE ON r FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER zz_statement AFTER INSERT OR UPDATE OR DELETE ON r FOR EACH STATEMENT EXECUTE FUNCTION note();
INSERT INTO node VALUES (1, NULL, 'a'), (2, 1, 'b');
INSERT INTO r VALUES (50, 1, 't'), (51, 2, 't');
SELECT * FROM wrong_views();
UPDATE r SET k = 2 WHERE id IN (50, 1);
SELECT * FROM wrong_views();
DELETE FROM r WHERE id > 2;
SELECT * FROM wrong_views();
MERGE INTO r USING (VALUES (1, 5), (2, 6), (77, 7)) m (id, k) ON m.id = r.id
	WHEN MATCHED AND m.k = 5 THEN DELETE WHEN MATCHED THEN UPDATE SET k = m.k WHEN NOT MATCHED THEN INSERT VALUES (m.id, m.k, 'm');
SELECT * FROM wrong_views();
TRUNCATE r;
DROP TRIGGER a_row ON r; DROP TRIGGER zz_row ON r; DROP TRIGGER a_statement ON r; DROP TRIGGER zz_statement ON r;
SELECT * FROM wrong_views();

-- upsert, copy, truncate, subtransactions
INSERT INTO r VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO r VALUES (1, 2, 'A'), (3, 1, 'c') ON CONFLICT (id) DO UPDATE SET k = excluded.k, x = excluded.x;
COPY s FROM stdin;
501	1	5
502	2	6
\.
BEGIN;
TRUNCATE r, u;
INSERT INTO r VALUES (1, 1, 'again');
INSERT INTO u VALUES (1, 9);
SAVEPOINT a;
TRUNCATE s;
INSERT INTO s VALUES (1, 1, 1);
SELECT * FROM wrong_views();
ROLLBACK TO a;
UPDATE s SET k = 1 WHERE id > 500;
SELECT * FROM wrong_views();
COMMIT;
BEGIN;
DELETE FROM s WHERE id = 501;
INSERT INTO r VALUES (9, 1, 'p');
PREPARE TRANSACTION 'join';
ROLLBACK PREPARED 'join';
SELECT * FROM wrong_views();
DROP TABLE r, s, u, node CASCADE;

-- foreign keys
CREATE TABLE top (id int PRIMARY KEY, n text);
CREATE TABLE mid (id int PRIMARY KEY, top int REFERENCES top ON DELETE CASCADE ON UPDATE CASCADE, n text);
CREATE TABLE low (id int PRIMARY KEY, mid int REFERENCES mid ON DELETE SET NULL ON UPDATE CASCADE,
	top int DEFAULT 1 REFERENCES top ON DELETE SET DEFAULT ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
CREATE MATERIALIZED VIEW chain WITH (tailwater.maintain = immediate) AS
	SELECT top.n AS top, mid.n AS mid, low.id FROM top JOIN mid ON mid.top = top.id JOIN low ON low.mid = mid.id;
CREATE MATERIALIZED VIEW per_top WITH (tailwater.maintain = immediate) AS
	SELECT top.id, count(*) AS lows FROM top JOIN low ON low.top = top.id GROUP BY top.id;
CREATE MATERIALIZED VIEW lows WITH (tailwater.maintain = immediate) AS SELECT id, mid FROM low;
CREATE MATERIALIZED VIEW edges WITH (tailwater.maintain = immediate) AS SELECT a.id, b.id AS child FROM tree a JOIN tree b ON b.parent = a.id;
INSERT INTO top SELECT i, 'top' || i FROM generate_series(1, 4) i;
INSERT INTO mid SELECT i, 1 + i % 4, 'mid' || i FROM generate_series(1, 8) i;
INSERT INTO low SELECT i, 1 + i % 8, 1 + i % 4 FROM generate_series(1, 16) i;
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, 1), (6, NULL);
UPDATE top SET id = 40 WHERE id = 4;
UPDATE mid SET id = id + 100;
SELECT * FROM wrong_views();
DELETE FROM top WHERE id IN (2, 3);
SELECT * FROM wrong_views();
BEGIN;
DELETE FROM low WHERE top = 40;
DELETE FROM top WHERE id = 40;
SELECT * FROM wrong_views();
COMMIT;
DELETE FROM tree WHERE id = 1;
SELECT * FROM edges;
SELECT * FROM lows ORDER BY id;
SELECT * FROM wrong_views();
TRUNCATE top CASCADE;
SELECT * FROM wrong_views();

-- plans follow the size of the change, and that of tables that have grown since the plan was made
CREATE TABLE big (id int PRIMARY KEY, v int, pad text);
CREATE TABLE few (id int PRIMARY KEY, big int);
INSERT INTO big SELECT i, i, repeat('x', 500) FROM generate_series(1, 3) i;
VACUUM ANALYZE big;
CREATE MATERIALIZED VIEW sizes WITH (tailwater.maintain = immediate) AS
	SELECT few.id, big.id AS big, big.v FROM few JOIN big ON big.id = few.big;
SET random_page_cost = 1.1;
CREATE VIEW reads AS SELECT pg_stat_get_xact_numscans('big'::regclass) AS whole;
INSERT INTO few VALUES (1, 1);
INSERT INTO big SELECT i, i, repeat('x', 500) FROM generate_series(4, 20000) i;
BEGIN;
SELECT whole FROM reads \gset
INSERT INTO few VALUES (2, 2);
SELECT whole - :whole AS read_as_a_whole FROM reads;
COMMIT;
VACUUM ANALYZE big;
BEGIN;
SELECT whole FROM reads \gset
INSERT INTO few SELECT i, i FROM generate_series(3, 20000) i;
SELECT whole > :whole AS read_as_a_whole FROM reads;
COMMIT;
BEGIN;
SELECT whole FROM reads \gset
INSERT INTO few SELECT i, i % 100 FROM generate_series(20001, 21000) i;
SELECT whole - :whole AS read_as_a_whole FROM reads;
COMMIT;
SELECT * FROM wrong_views();
RESET random_page_cost;
DROP VIEW reads;
DROP TABLE big, few CASCADE;
