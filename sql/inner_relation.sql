-- Queries in several stages: parts of them are kept in hidden relations.
\getenv top PG_ABS_SRCDIR
\set oracle :top /sql/oracle.inc
\i :oracle
SET client_min_messages = warning;
CREATE FUNCTION shape(view regclass) RETURNS SETOF text LANGUAGE sql AS
	$$SELECT regexp_replace(e, '_\d+', '_N', 'g') FROM tailwater.explain(view) e$$;
CREATE SCHEMA inner_relation;
SET search_path = inner_relation, public;

CREATE TABLE shop (id int PRIMARY KEY, city text, area int);
CREATE TABLE sale (id int PRIMARY KEY, shop int, item text, price int, tax numeric(8, 2));
CREATE TABLE stock (shop int, item text, pieces int);
INSERT INTO shop SELECT i, 'city' || i % 4, i * 10 FROM generate_series(1, 12) i;
INSERT INTO sale SELECT i, i % 13, 'item' || i % 7, i * 7 % 50, i % 5 FROM generate_series(1, 200) i;
INSERT INTO stock SELECT i % 13, 'item' || i % 7, i % 6 FROM generate_series(1, 60) i;

-- groups of groups
CREATE MATERIALIZED VIEW counts WITH (tailwater.maintain = immediate) AS
	SELECT n, count(*) AS shops FROM (SELECT shop, count(*) AS n FROM sale GROUP BY shop) s GROUP BY n;
SELECT shape('counts');
-- over DISTINCT, a set operation, a window
CREATE MATERIALIZED VIEW over_distinct WITH (tailwater.maintain = immediate) AS
	SELECT item, count(*) FROM (SELECT DISTINCT item, shop FROM sale) s GROUP BY item;
CREATE MATERIALIZED VIEW over_union WITH (tailwater.maintain = immediate) AS
	SELECT count(*), min(item) FROM (SELECT item FROM sale UNION SELECT item FROM stock) s;
CREATE MATERIALIZED VIEW over_window WITH (tailwater.maintain = immediate) AS
	SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY shop ORDER BY price, id) AS r FROM sale) s;
-- HAVING with a subquery
CREATE MATERIALIZED VIEW above WITH (tailwater.maintain = immediate) AS
	SELECT shop, sum(price) FROM sale GROUP BY shop HAVING sum(price) > (SELECT sum(price) / 13 FROM sale);
SELECT shape('above');
-- subqueries of one value
CREATE MATERIALIZED VIEW dear WITH (tailwater.maintain = immediate) AS
	SELECT id, price, (SELECT max(price) FROM sale) - price AS below FROM sale
	WHERE price > (SELECT avg(price) FROM sale) AND EXISTS (SELECT FROM stock WHERE pieces > 4);
-- correlated ones
CREATE MATERIALIZED VIEW cheap WITH (tailwater.maintain = immediate) AS
	SELECT count(*), sum(price) FROM sale o WHERE price < (SELECT avg(price) FROM sale i WHERE i.item = o.item);
SELECT shape('cheap');
CREATE MATERIALIZED VIEW in_stock WITH (tailwater.maintain = immediate) AS
	SELECT item, count(*) FROM sale WHERE EXISTS (SELECT FROM stock WHERE stock.shop = sale.shop AND pieces > 2)
		AND item IN (SELECT item FROM stock GROUP BY item HAVING sum(pieces) > 10) GROUP BY item;
-- a missing group is not a count of 0 that could be joined
CREATE MATERIALIZED VIEW few WITH (tailwater.maintain = immediate) AS
	SELECT count(*) FROM shop WHERE (SELECT count(*) FROM sale WHERE sale.shop = shop.id) < 16;
-- WITH that is read twice is kept once
CREATE MATERIALIZED VIEW best WITH (tailwater.maintain = immediate) AS
	WITH r AS (SELECT shop, sum(price) AS s FROM sale GROUP BY shop)
	SELECT shop, s FROM r WHERE s = (SELECT max(s) FROM r);
SELECT shape('best');
-- sums of numeric(8, 2) times 1.5 have three decimals: equal ones look the same
CREATE MATERIALIZED VIEW taxed WITH (tailwater.maintain = immediate) AS
	WITH r AS (SELECT shop, sum(tax * 1.5 - 1) AS s FROM sale GROUP BY shop) SELECT shop, s FROM r WHERE s = (SELECT max(s) FROM r);
SELECT count(*) FILTER (WHERE e LIKE '%(incremental)%') AS incremental, count(*) FILTER (WHERE e ~ 'keyed|recompute|evaluate') AS other FROM shape('taxed') e;
-- the first ones
CREATE MATERIALIZED VIEW top_shops WITH (tailwater.maintain = immediate) AS
	SELECT city, sum(price) AS s FROM sale JOIN shop ON shop.id = sale.shop GROUP BY city ORDER BY s DESC NULLS LAST, city LIMIT 2;
SELECT shape('top_shops');
CREATE MATERIALIZED VIEW top_sales WITH (tailwater.maintain = immediate) AS
	SELECT id, item FROM sale ORDER BY price % 10 DESC NULLS FIRST, id LIMIT 5 OFFSET 1;
CREATE MATERIALIZED VIEW ties WITH (tailwater.maintain = immediate) AS
	SELECT item, price FROM sale ORDER BY price DESC FETCH FIRST 3 ROWS WITH TIES;
CREATE MATERIALIZED VIEW over_top WITH (tailwater.maintain = immediate) AS
	SELECT city, t.s FROM (SELECT shop, sum(price) AS s FROM sale GROUP BY shop ORDER BY s, shop LIMIT 4) t JOIN shop ON shop.id = t.shop;
-- grouping sets
CREATE MATERIALIZED VIEW rolled WITH (tailwater.maintain = immediate) AS
	SELECT shop, item, grouping(shop, item) AS g, sum(price), count(*) FROM sale GROUP BY ROLLUP (shop, item)
	HAVING grouping(item) = 1 OR count(*) > 1;
SELECT shape('rolled');
CREATE MATERIALIZED VIEW cubed WITH (tailwater.maintain = immediate) AS
	SELECT shop + 1 AS next, coalesce(item, 'all') AS item, max(price) FROM sale GROUP BY CUBE (shop + 1, item);
CREATE MATERIALIZED VIEW ranked_sets WITH (tailwater.maintain = immediate) AS
	SELECT item, sum(price) AS s, rank() OVER (PARTITION BY grouping(item) ORDER BY sum(price) DESC) FROM sale GROUP BY GROUPING SETS ((item), ());
-- columns that tell the rows, and are not shown
CREATE MATERIALIZED VIEW ranks WITH (tailwater.maintain = immediate) AS
	SELECT id, rank() OVER (PARTITION BY shop ORDER BY price, id) FROM sale;
CREATE MATERIALIZED VIEW lists WITH (tailwater.maintain = immediate) AS
	SELECT string_agg(item, ',' ORDER BY item, id) FROM sale GROUP BY shop;
-- what cannot be stored stays where it is; so does what has an order that may matter
CREATE MATERIALIZED VIEW records WITH (tailwater.maintain = immediate) AS
	SELECT count(r) FROM (SELECT DISTINCT (shop, item) AS r FROM sale) s;
CREATE MATERIALIZED VIEW in_order WITH (tailwater.maintain = immediate) AS
	SELECT array_agg(shop) AS shops FROM (SELECT shop FROM sale GROUP BY shop ORDER BY shop) s;
-- a view over such a view
CREATE MATERIALIZED VIEW over_counts WITH (tailwater.maintain = immediate) AS
	SELECT max(n), sum(shops) FROM counts WHERE n > (SELECT min(n) FROM counts);
SELECT * FROM wrong_views();

-- one row at a time, in bulk, nothing left
INSERT INTO sale VALUES (1000, 3, 'item1', 49, 1), (1001, 13, 'item9', 100, 1);
SELECT * FROM wrong_views();
UPDATE sale SET price = NULL WHERE id = 1001;
SELECT * FROM wrong_views();
UPDATE sale SET shop = NULL, item = NULL WHERE id IN (5, 6);
SELECT * FROM wrong_views();
UPDATE sale SET price = price + 3 WHERE id % 3 = 0;
SELECT * FROM wrong_views();
DELETE FROM stock WHERE pieces > 3;
SELECT * FROM wrong_views();
WITH gone AS (DELETE FROM sale WHERE id < 20 RETURNING *) INSERT INTO stock SELECT shop, item, price FROM gone;
SELECT * FROM wrong_views();
BEGIN;
DELETE FROM sale;
SELECT * FROM wrong_views();
INSERT INTO sale VALUES (1, 1, 'item1', 1, 1);
SELECT * FROM wrong_views();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE sale SET price = price + 1 WHERE shop = 2;
COMMIT;
TRUNCATE stock;
SELECT * FROM wrong_views();
INSERT INTO stock SELECT i % 13, 'item' || i % 7, i % 6 FROM generate_series(1, 60) i;
SELECT * FROM wrong_views();

-- the hidden relations follow what happens to the view and its tables
ALTER TABLE sale ADD COLUMN note text;
ALTER TABLE sale RENAME COLUMN price TO amount;
UPDATE sale SET amount = amount + 1 WHERE id % 4 = 0;
SELECT * FROM wrong_views();
REFRESH MATERIALIZED VIEW above;
ALTER MATERIALIZED VIEW above RENAME TO over_average;
UPDATE sale SET amount = amount * 2 WHERE id % 4 = 1;
SELECT * FROM wrong_views();
SELECT count(*) > 0 AS kept FROM tailwater_internal.inner_relation WHERE view = 'best'::regclass;
SELECT tailwater.release('best');
SELECT count(*) AS kept FROM tailwater_internal.inner_relation WHERE view = 'best'::regclass;
SELECT tailwater.maintain('best', 'immediate');
UPDATE sale SET amount = amount - 1 WHERE id % 5 = 1;
SELECT * FROM wrong_views();
REFRESH MATERIALIZED VIEW best WITH NO DATA;
REFRESH MATERIALIZED VIEW best;
UPDATE sale SET amount = amount + 1 WHERE id % 5 = 2;
SELECT * FROM wrong_views();

-- its indexes may be built anew, and tables get keys
\set ECHO none
\o /dev/null
SELECT format('REINDEX TABLE CONCURRENTLY %s', relation::regclass) FROM tailwater_internal.inner_relation WHERE view = 'best'::regclass ORDER BY number
\gexec
\o
\set ECHO all
CREATE UNIQUE INDEX sale_key ON sale (id, shop, item);
UPDATE sale SET amount = amount + 1 WHERE id % 5 = 3;
SELECT * FROM wrong_views();
DROP INDEX sale_key;
UPDATE sale SET amount = amount + 1 WHERE id % 5 = 3;
SELECT * FROM wrong_views();

-- as another role, which may not read the schema of the extension
CREATE ROLE regress_inner;
GRANT ALL ON SCHEMA inner_relation TO regress_inner;
GRANT ALL ON sale TO regress_inner;
SET ROLE regress_inner;
CREATE MATERIALIZED VIEW own WITH (tailwater.maintain = immediate) AS
	SELECT shop, count(*) FROM sale GROUP BY shop ORDER BY 2 DESC, 1 LIMIT 3;
INSERT INTO sale VALUES (2000, 1, 'x', 1, 1), (2001, 1, 'y', 1, 1);
SELECT * FROM own ORDER BY 1;
RESET ROLE;
SELECT * FROM wrong_views();

-- how a hidden relation is kept may follow from the key of one that it reads
CREATE TABLE kept (id int PRIMARY KEY, k int, c smallint NOT NULL);
CREATE TABLE link (place point NOT NULL, id int PRIMARY KEY, k int) PARTITION BY RANGE (id);
CREATE TABLE link_low PARTITION OF link FOR VALUES FROM (MINVALUE) TO (15) PARTITION BY RANGE (id);
CREATE TABLE link_lowest PARTITION OF link_low FOR VALUES FROM (MINVALUE) TO (7);
CREATE TABLE link_rest PARTITION OF link_low DEFAULT;
CREATE TABLE link_mid PARTITION OF link FOR VALUES FROM (15) TO (30);
CREATE TABLE link_high PARTITION OF link FOR VALUES FROM (30) TO (MAXVALUE);
CREATE TABLE other (id int PRIMARY KEY, k int);
CREATE MATERIALIZED VIEW by_chain WITH (tailwater.maintain = immediate) AS
	SELECT g.bits IS NULL AS none FROM link AS l JOIN (SELECT a.id, bit_and(b.c) AS bits FROM kept AS a LEFT JOIN kept AS b ON a.id = b.id
		WHERE EXISTS (SELECT FROM link WHERE link.id = a.k) GROUP BY a.id) AS g ON l.k = g.id JOIN link AS m ON l.k = m.k
	WHERE l.id NOT IN (SELECT x.id FROM link AS x JOIN other AS y ON x.id = y.id WHERE y.k = l.k);
INSERT INTO kept SELECT i, i % 7, i FROM generate_series(1, 20) AS i;
INSERT INTO link SELECT point(i, i), i, i % 5 FROM generate_series(1, 40) AS i;
INSERT INTO other SELECT i, i % 3 FROM generate_series(15, 25) AS i;
UPDATE kept SET c = c + 1 WHERE id < 5;
DELETE FROM link WHERE id IN (2, 4);
WITH o AS (INSERT INTO other VALUES (1, 1), (6, 1)) INSERT INTO kept VALUES (30, 1, 3);
SELECT * FROM wrong_views();

DROP SCHEMA inner_relation CASCADE;
SELECT count(*) AS relations FROM tailwater_internal.inner_relation;
SELECT relname FROM pg_class WHERE relname ~ '^inner_\d' ORDER BY 1;
DROP OWNED BY regress_inner;
DROP ROLE regress_inner;
