-- Groups over inputs that are not linear: the touched rows of the input are evaluated before and after.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;

CREATE TABLE customer (id int PRIMARY KEY, region text, parent int);
CREATE TABLE orders (id int PRIMARY KEY, customer int, total numeric(10,2), state int);
CREATE TABLE part (k int, x int); -- without any key
INSERT INTO customer SELECT i, 'r' || i % 3, nullif(i / 2, 0) FROM generate_series(1, 12) i;
INSERT INTO orders SELECT i, i % 15, i * 1.5, i % 3 FROM generate_series(1, 40) i;
INSERT INTO part SELECT i % 6, i % 4 FROM generate_series(1, 20) i;

CREATE MATERIALIZED VIEW by_region WITH (tailwater.maintain = immediate) AS
	SELECT c.region, count(*) AS n, count(o.id) AS orders, sum(o.total) AS s, min(o.total), max(o.state) FROM customer c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.region;
CREATE MATERIALIZED VIEW active WITH (tailwater.maintain = immediate) AS
	SELECT region, count(*) AS n FROM customer c WHERE EXISTS (SELECT FROM orders o WHERE o.customer = c.id AND o.state = 1) GROUP BY region HAVING count(*) > 1;
CREATE MATERIALIZED VIEW idle WITH (tailwater.maintain = immediate) AS
	SELECT count(*) AS n, sum(parent) AS s FROM customer WHERE id NOT IN (SELECT customer FROM orders WHERE state = 2 AND customer IS NOT NULL AND customer = customer.id);
CREATE MATERIALIZED VIEW sizes WITH (tailwater.maintain = immediate) AS
	SELECT n, count(*) AS customers FROM (SELECT customer, count(*) AS n FROM orders GROUP BY customer) x GROUP BY n;
CREATE MATERIALIZED VIEW average WITH (tailwater.maintain = immediate) AS
	SELECT avg(n) AS a, max(s) AS m FROM (SELECT customer, count(*) AS n, sum(total) AS s FROM orders GROUP BY customer) x;
CREATE MATERIALIZED VIEW states WITH (tailwater.maintain = immediate) AS
	SELECT DISTINCT c.region, o.state FROM customer c LEFT JOIN orders o ON o.customer = c.id;
CREATE MATERIALIZED VIEW family WITH (tailwater.maintain = immediate) AS
	SELECT c.region, count(p.id) AS parents, count(*) FILTER (WHERE p.id IS NULL) AS orphans FROM customer c LEFT JOIN customer p ON p.id = c.parent GROUP BY c.region;
CREATE MATERIALIZED VIEW latest WITH (tailwater.maintain = immediate) AS
	SELECT state, count(*) AS n, sum(total) AS s FROM (SELECT DISTINCT ON (customer) customer, state, total FROM orders ORDER BY customer, id DESC) l GROUP BY state;
CREATE MATERIALIZED VIEW ranked WITH (tailwater.maintain = immediate) AS
	SELECT rank, count(*) AS n FROM (SELECT rank() OVER (PARTITION BY customer ORDER BY total DESC) AS rank FROM orders) r GROUP BY rank;
CREATE MATERIALIZED VIEW top_orders WITH (tailwater.maintain = immediate) AS
	SELECT c.region, sum(t.total) AS s FROM customer c, LATERAL (SELECT total FROM orders o WHERE o.customer = c.id ORDER BY total DESC LIMIT 2) t GROUP BY c.region;
CREATE MATERIALIZED VIEW parts WITH (tailwater.maintain = immediate) AS
	SELECT c.region, sum(p.x) AS x, count(*) AS n FROM part p LEFT JOIN customer c ON c.id = p.k GROUP BY c.region;
CREATE MATERIALIZED VIEW in_both WITH (tailwater.maintain = immediate) AS
	SELECT k % 2 AS odd, count(*) AS n FROM (SELECT k FROM part INTERSECT SELECT id FROM customer) b GROUP BY k % 2;
CREATE MATERIALIZED VIEW scalar WITH (tailwater.maintain = immediate) AS
	SELECT region, sum((SELECT count(*) FROM orders o WHERE o.customer = c.id)) AS n FROM customer c GROUP BY region;
CREATE MATERIALIZED VIEW nested WITH (tailwater.maintain = immediate) AS
	SELECT r, count(*) AS n, sum(total) AS s FROM (SELECT c.region AS r, o.total FROM customer c LEFT JOIN orders o ON o.customer = c.id ORDER BY o.id) x GROUP BY r;
CREATE MATERIALIZED VIEW counts WITH (tailwater.maintain = immediate) AS
	SELECT count(*) AS customers, sum(n) AS orders FROM (SELECT count(*) AS n FROM orders GROUP BY customer, state) x;
-- evaluated by group: the group's key is the row's
CREATE MATERIALIZED VIEW by_customer WITH (tailwater.maintain = immediate) AS
	SELECT c.id, count(o.id) AS n FROM customer c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.id;
SELECT * FROM tailwater.explain('by_region') e WHERE e LIKE 'delta%' OR e LIKE '%join%';
SELECT * FROM tailwater.explain('by_customer') e WHERE e LIKE 'delta%';
SELECT v.view, regexp_replace(e, 'inner_\d+', 'inner_N', 'g') AS e FROM tailwater.views v, tailwater.explain(v.view::regclass) e
	WHERE e LIKE 'delta of%' AND v.view::text NOT IN ('by_region', 'by_customer') ORDER BY v.view::text COLLATE "C", regexp_replace(e, 'inner_\d+', 'inner_N', 'g') COLLATE "C";
SELECT * FROM wrong_views();

-- a match comes, a second one, one goes, the last one goes
INSERT INTO orders VALUES (100, 6, 10, 1);
INSERT INTO orders VALUES (101, 6, 20, 1), (102, NULL, 5, 2);
SELECT * FROM wrong_views();
DELETE FROM orders WHERE id = 100;
DELETE FROM orders WHERE customer = 6;
SELECT * FROM wrong_views();
-- extremes leave, groups come and go
DELETE FROM orders WHERE total = (SELECT max(total) FROM orders);
UPDATE customer SET region = 'new' WHERE id IN (1, 6);
DELETE FROM customer WHERE region = 'new';
SELECT * FROM wrong_views();
UPDATE customer SET id = id + 100 WHERE id > 10;
UPDATE orders SET customer = customer + 1, state = (state + 1) % 3;
UPDATE part SET k = NULL WHERE x = 1;
SELECT * FROM wrong_views();
-- both sides in one statement, and in one transaction
WITH gone AS (DELETE FROM customer WHERE id IN (3, 4) RETURNING id) UPDATE orders SET customer = 5 FROM gone WHERE customer = gone.id;
SELECT * FROM wrong_views();
BEGIN;
INSERT INTO customer SELECT i, 'r' || i % 4, i - 1 FROM generate_series(200, 220) i;
INSERT INTO orders SELECT i, i, i, 1 FROM generate_series(200, 215) i;
SAVEPOINT a;
DELETE FROM customer WHERE id % 2 = 0;
UPDATE orders SET total = -total;
ROLLBACK TO a;
UPDATE orders SET total = total + 1 WHERE id % 2 = 0;
DELETE FROM customer WHERE id % 3 = 0;
SELECT * FROM wrong_views();
COMMIT;
SELECT * FROM wrong_views();

-- statements within statements: the old state is that of the outermost
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO orders VALUES (1000 + new.id, new.id, new.id, 1);
	UPDATE customer SET parent = new.id WHERE id = new.id - 1;
	RETURN new;
END $$;
CREATE TRIGGER follow_before BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION follow();
INSERT INTO customer VALUES (300, 'r1', 1), (301, 'r2', 300);
SELECT * FROM wrong_views();
DROP TRIGGER follow_before ON customer;
CREATE TRIGGER follow_after AFTER INSERT ON customer FOR EACH ROW EXECUTE FUNCTION follow();
INSERT INTO customer VALUES (310, 'r1', 1), (311, 'r2', 310);
SELECT * FROM wrong_views();
DROP TRIGGER follow_after ON customer;
-- a table that no view reads writes to one before the statement itself does: the old state cannot be told any more
CREATE TABLE other (id int);
CREATE FUNCTION write_orders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO orders VALUES (2000 + new.id, new.id, new.id, 1);
	RETURN new;
END $$;
CREATE TRIGGER write_orders BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION write_orders();
WITH o AS (INSERT INTO other VALUES (7), (8), (320) RETURNING id) INSERT INTO customer SELECT id + 320, 'r9', id FROM o;
WITH c AS (INSERT INTO customer VALUES (650, 'r9', 7)) INSERT INTO other VALUES (9), (650);
SELECT * FROM wrong_views();
CREATE FUNCTION write_in_query(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM orders WHERE customer = i;
	RETURN i;
END $$;
INSERT INTO customer SELECT 400 + write_in_query(i), 'r8', i FROM generate_series(7, 9) i;
SELECT * FROM wrong_views();
SELECT write_in_query(customer) FROM orders WHERE id < 10 ORDER BY id;
SELECT * FROM wrong_views();

-- a statement that changes nothing in any view does not hide the old state from the next one: few of the rows are read
CREATE TABLE item (id int PRIMARY KEY, place int, late bool);
CREATE TABLE place (id int PRIMARY KEY, kind int);
CREATE INDEX ON item (place);
ALTER TABLE item ADD FOREIGN KEY (place) REFERENCES place;
INSERT INTO place SELECT i, i % 5 FROM generate_series(1, 2000) i;
INSERT INTO item SELECT i, 1 + i % 2000, i % 3 = 0 FROM generate_series(1, 6000) i;
VACUUM (ANALYZE) item, place;
CREATE MATERIALIZED VIEW alone WITH (tailwater.maintain = immediate) AS
	SELECT kind, count(*) AS n FROM place p, item i
	WHERE i.place = p.id AND late AND EXISTS (SELECT FROM item o WHERE o.place = i.place AND o.id <> i.id)
		AND NOT EXISTS (SELECT FROM item o WHERE o.place = i.place AND o.id <> i.id AND o.late)
	GROUP BY kind;
BEGIN;
INSERT INTO place VALUES (3001, 1);
SELECT seq_tup_read AS before FROM pg_stat_xact_user_tables WHERE relname = 'item' \gset
INSERT INTO item VALUES (7001, 3001, true), (7002, 3001, false), (7003, 17, true);
SELECT seq_tup_read - :before AS read_in_sequence FROM pg_stat_xact_user_tables WHERE relname = 'item';
COMMIT;
SELECT * FROM wrong_views();
-- many rows of a table that is read in three places: the delta is read once and not for each of its rows
INSERT INTO item SELECT 8000 + i, 1 + i % 700, i % 4 = 0 FROM generate_series(1, 400) i;
SELECT * FROM wrong_views();
WITH p AS (UPDATE place SET kind = kind + 1 WHERE id % 90 = 7 RETURNING id), d AS (DELETE FROM item WHERE id % 50 = 3)
UPDATE item SET late = NOT late, place = 1 + (place * 7) % 2000 WHERE id % 40 = 1;
SELECT * FROM wrong_views();
-- rows of a plain subquery are not kept: they are told by the keys of what it reads
CREATE MATERIALIZED VIEW plain_below WITH (tailwater.maintain = immediate) AS
	SELECT name, count(*) AS n, sum(id) AS total
	FROM (SELECT left(p.kind::text, 1) AS name, p.id FROM place p
		WHERE p.id > (SELECT avg(place) FROM item WHERE late) AND NOT EXISTS (SELECT FROM item WHERE place = p.id AND late)) AS below
	GROUP BY name;
SELECT regexp_replace(line, '\d{4,}', 'N', 'g') FROM tailwater.explain('plain_below') line WHERE line LIKE 'delta%';
INSERT INTO item VALUES (9001, 1999, true), (9002, 1400, true);
SELECT * FROM wrong_views();
DELETE FROM item WHERE place > 1900;
SELECT * FROM wrong_views();
DROP TABLE item, place CASCADE;

TRUNCATE orders;
SELECT * FROM wrong_views();
INSERT INTO orders SELECT i, i % 15, i * 1.5, i % 3 FROM generate_series(1, 40) i;
SELECT * FROM wrong_views();
DROP TABLE customer, orders, part, other CASCADE;
