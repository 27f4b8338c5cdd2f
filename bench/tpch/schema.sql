-- The schema of TPC-H and data of our own for it: psql -v sf=0.01 -f schema.sql
--
-- Every value is a hash of its row's number, so that the same scale factor gives the same data on every
-- server, whatever the plan. Numbers of rows, keys, ranges and words follow the benchmark's specification;
-- three things are more frequent than there, so that all queries have rows at small scales: complaints about
-- suppliers, 'special requests', and orders of more than 300 pieces (one in 1,000).
--
-- Orders come from generated_order() and generated_line(), also those that the refresh functions insert:
-- new_orders and new_lineitem hold three sets of 0.1 % of the orders, to be inserted by the runner.
\set ON_ERROR_STOP on
\if :{?sf}
\else
	\set sf 0.01
\endif
SET client_min_messages = warning;
SET synchronous_commit = off;
SET max_parallel_workers_per_gather = 0;
SET jit = off;

CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL REFERENCES region,
	n_comment varchar(152));
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL,
	s_nationkey int NOT NULL REFERENCES nation, s_phone char(15) NOT NULL, s_acctbal numeric(15,2) NOT NULL,
	s_comment varchar(101) NOT NULL);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL,
	p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice numeric(15,2) NOT NULL,
	p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (ps_partkey int NOT NULL REFERENCES part, ps_suppkey int NOT NULL REFERENCES supplier,
	ps_availqty int NOT NULL, ps_supplycost numeric(15,2) NOT NULL, ps_comment varchar(199) NOT NULL,
	PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
	c_nationkey int NOT NULL REFERENCES nation, c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL,
	c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE orders (o_orderkey bigint PRIMARY KEY, o_custkey int NOT NULL REFERENCES customer, o_orderstatus char(1) NOT NULL,
	o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL,
	o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (l_orderkey bigint NOT NULL REFERENCES orders, l_partkey int NOT NULL REFERENCES part,
	l_suppkey int NOT NULL REFERENCES supplier, l_linenumber int NOT NULL, l_quantity numeric(15,2) NOT NULL,
	l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL,
	l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
	l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL,
	PRIMARY KEY (l_orderkey, l_linenumber));

CREATE SCHEMA generator;
SET search_path = public, generator;
CREATE TABLE generator.size AS
	SELECT greatest(10, round(10000 * :sf))::int AS suppliers, greatest(150, round(150000 * :sf))::int AS customers,
		greatest(200, round(200000 * :sf))::int AS parts, greatest(1000, round(1500000 * :sf))::int AS orders;

-- A number from 0 to n - 1, by the row's number and what it is for.
CREATE FUNCTION generator.pick(n int, id bigint, salt int) RETURNS int LANGUAGE sql IMMUTABLE AS
	$$ SELECT ((hashint8extended(id, salt) & 9223372036854775807) % n)::int $$;
CREATE FUNCTION generator.word(words text[], id bigint, salt int) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT words[1 + generator.pick(cardinality(words), id, salt)] $$;
CREATE FUNCTION generator.comment(id bigint, salt int, words int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(generator.word('{furiously,carefully,quickly,slyly,blithely,final,ironic,regular,express,bold,
		pending,accounts,deposits,packages,theodolites,foxes,pinto,beans,sleep,wake,haggle,nag,above,among,the}', id, salt + i),
		' ' ORDER BY i) FROM generate_series(1, words) i $$;
CREATE FUNCTION generator.phone(nation int, id bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT format('%s-%s-%s-%s', nation + 10, 100 + generator.pick(900, id, 1), 100 + generator.pick(900, id, 2),
		1000 + generator.pick(9000, id, 3)) $$;
CREATE FUNCTION generator.price(part int) RETURNS numeric LANGUAGE sql IMMUTABLE AS
	$$ SELECT (90000 + (part / 10) % 20001 + 100 * (part % 1000)) / 100.0 $$;
CREATE FUNCTION generator.supplier_of(part int, i int, suppliers int) RETURNS int LANGUAGE sql IMMUTABLE AS
	$$ SELECT (part + i * (suppliers / 4 + (part - 1) / suppliers)) % suppliers + 1 $$;

INSERT INTO region SELECT n - 1, name, generator.comment(n, 10, 8)
FROM unnest('{AFRICA,AMERICA,ASIA,EUROPE,"MIDDLE EAST"}'::text[]) WITH ORDINALITY r(name, n);
INSERT INTO nation SELECT n - 1, name, region, generator.comment(n, 20, 8)
FROM unnest('{ALGERIA,ARGENTINA,BRAZIL,CANADA,EGYPT,ETHIOPIA,FRANCE,GERMANY,INDIA,INDONESIA,IRAN,IRAQ,JAPAN,JORDAN,KENYA,MOROCCO,
	MOZAMBIQUE,PERU,CHINA,ROMANIA,"SAUDI ARABIA",VIETNAM,RUSSIA,"UNITED KINGDOM","UNITED STATES"}'::text[],
	'{0,1,1,1,4,0,3,3,2,2,4,4,2,4,0,0,0,1,2,3,4,2,3,3,1}'::int[]) WITH ORDINALITY n(name, region, n);

INSERT INTO supplier
SELECT s, format('Supplier#%s', lpad(s::text, 9, '0')), left(md5('s' || s), 10 + pick(22, s, 31)), nation, phone(nation, s),
	(pick(1099999, s, 33) - 99999) / 100.0,
	CASE pick(50, s, 34) WHEN 0 THEN 'slyly Customer final Complaints sleep' WHEN 1 THEN 'bold Customer pinto Recommends' ELSE comment(s, 35, 8) END
FROM size, generate_series(1, suppliers) s, LATERAL (SELECT pick(25, s, 32) AS nation) n;

INSERT INTO part
SELECT p, (SELECT string_agg(colours[1 + (pick(92, p, 41) + i * (1 + pick(18, p, 42))) % 92], ' ' ORDER BY i) FROM generate_series(0, 4) i),
	'Manufacturer#' || m, format('Brand#%s%s', m, 1 + pick(5, p, 44)),
	concat_ws(' ', word('{STANDARD,SMALL,MEDIUM,LARGE,ECONOMY,PROMO}', p, 45), word('{ANODIZED,BURNISHED,PLATED,POLISHED,BRUSHED}', p, 46),
		word('{TIN,NICKEL,BRASS,STEEL,COPPER}', p, 47)),
	1 + pick(50, p, 48), word('{SM,LG,MED,JUMBO,WRAP}', p, 49) || ' ' || word('{CASE,BOX,BAG,JAR,PKG,PACK,CAN,DRUM}', p, 50),
	price(p), left(comment(p, 51, 3), 23)
FROM size, generate_series(1, parts) p, LATERAL (SELECT 1 + pick(5, p, 43) AS m) m,
	(SELECT '{almond,antique,aquamarine,azure,beige,bisque,black,blanched,blue,blush,brown,burlywood,burnished,chartreuse,chiffon,chocolate,
		coral,cornflower,cornsilk,cream,cyan,dark,deep,dim,dodger,drab,firebrick,floral,forest,frosted,gainsboro,ghost,goldenrod,green,grey,
		honeydew,hot,indian,ivory,khaki,lace,lavender,lawn,lemon,light,lime,linen,magenta,maroon,medium,metallic,midnight,mint,misty,
		moccasin,navajo,navy,olive,orange,orchid,pale,papaya,peach,peru,pink,plum,powder,puff,purple,red,rose,rosy,royal,saddle,salmon,
		sandy,seashell,sienna,sky,slate,smoke,snow,spring,steel,tan,thistle,tomato,turquoise,violet,wheat,white,yellow}'::text[] AS colours) w;

INSERT INTO partsupp
SELECT p, supplier_of(p, i, suppliers), 1 + pick(9999, p * 4::bigint + i, 61), (100 + pick(99901, p * 4::bigint + i, 62)) / 100.0,
	comment(p * 4::bigint + i, 63, 10)
FROM size, generate_series(1, parts) p, generate_series(0, 3) i;

INSERT INTO customer
SELECT c, format('Customer#%s', lpad(c::text, 9, '0')), left(md5('c' || c), 10 + pick(22, c, 71)), nation, phone(nation, c),
	(pick(1099999, c, 73) - 99999) / 100.0, word('{AUTOMOBILE,BUILDING,FURNITURE,MACHINERY,HOUSEHOLD}', c, 74), comment(c, 75, 9)
FROM size, generate_series(1, customers) c, LATERAL (SELECT pick(25, c, 72) AS nation) n;

-- Keys are sparse: eight of 32 are loaded with the data, the next eight are for the refresh functions.
CREATE FUNCTION generator.order_key(n bigint, later int) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT (n / 8) * 32 + later * 8 + n % 8 $$;

CREATE FUNCTION generator.generated_line(first bigint, last bigint, later int) RETURNS SETOF lineitem LANGUAGE sql AS $$
	SELECT o.key, part, supplier_of(part, pick(4, id, 82), suppliers), line, quantity, quantity * price(part), pick(11, id, 84) / 100.0,
		pick(9, id, 85) / 100.0, CASE WHEN received > '1995-06-17' THEN 'N' WHEN pick(2, id, 88) = 0 THEN 'R' ELSE 'A' END,
		CASE WHEN shipped > '1995-06-17' THEN 'O' ELSE 'F' END, shipped, o.day + 30 + pick(61, id, 89), received,
		word('{"DELIVER IN PERSON","COLLECT COD",NONE,"TAKE BACK RETURN"}', id, 90),
		word('{"REG AIR",AIR,RAIL,SHIP,TRUCK,MAIL,FOB}', id, 91), left(comment(id, 92, 4), 44)
	FROM size, generate_series(first, last) n,
		LATERAL (SELECT order_key(n, later) AS key) k,
		LATERAL (SELECT k.key, DATE '1992-01-01' + pick(2406, k.key, 101) AS day, pick(1000, k.key, 102) = 0 AS large) o,
		LATERAL generate_series(1, CASE WHEN large THEN 7 ELSE 1 + pick(7, o.key, 103) END) line,
		LATERAL (SELECT o.key * 8 + line AS id) i,
		LATERAL (SELECT 1 + pick(parts, id, 81) AS part, CASE WHEN large THEN 44 + pick(7, id, 83) ELSE 1 + pick(50, id, 83) END AS quantity,
			o.day + 1 + pick(121, id, 86) AS shipped) l,
		LATERAL (SELECT shipped + 1 + pick(30, id, 87) AS received) r $$;

CREATE FUNCTION generator.generated_order(first bigint, last bigint, later int) RETURNS SETOF orders LANGUAGE sql AS $$
	SELECT o.key, c.key + c.key / 2 + 1, lines.status, lines.total, DATE '1992-01-01' + pick(2406, o.key, 101),
		word('{1-URGENT,2-HIGH,3-MEDIUM,"4-NOT SPECIFIED",5-LOW}', o.key, 105),
		'Clerk#' || lpad((1 + pick(greatest(1, customers / 150), o.key, 106))::text, 9, '0'), 0,
		CASE WHEN pick(80, o.key, 107) = 0 THEN 'bold special final requests nag' ELSE comment(o.key, 108, 6) END
	FROM size, generate_series(first, last) n,
		LATERAL (SELECT order_key(n, later) AS key) o,
		-- every third customer has no orders
		LATERAL (SELECT pick(customers / 3 * 2, o.key, 104) AS key) c,
		(SELECT l_orderkey, sum(l_extendedprice * (1 + l_tax) * (1 - l_discount)) AS total,
				CASE WHEN bool_and(l_linestatus = 'F') THEN 'F' WHEN bool_and(l_linestatus = 'O') THEN 'O' ELSE 'P' END AS status
			FROM generated_line(first, last, later) GROUP BY l_orderkey) lines
	WHERE lines.l_orderkey = o.key $$;

INSERT INTO orders SELECT o.* FROM size, generated_order(1, orders, 0) o;
INSERT INTO lineitem SELECT l.* FROM size, generated_line(1, orders, 0) l;

CREATE TABLE new_orders AS SELECT s AS set, o AS new FROM size, generate_series(1, 3) s,
	generated_order(s * (orders / 4), s * (orders / 4) + orders / 1000 - 1, 1) o;
CREATE TABLE new_lineitem AS SELECT s AS set, l AS new FROM size, generate_series(1, 3) s,
	generated_line(s * (orders / 4), s * (orders / 4) + orders / 1000 - 1, 1) l;
-- what the second refresh function deletes: other orders, from all over the table
CREATE TABLE old_orders AS SELECT s AS set, order_key(s + i * 1000, 0) AS orderkey FROM size, generate_series(1, 3) s,
	generate_series(0, orders / 1000 - 1) i WHERE s + i * 1000 > 0;
-- single rows that most of the queries read: lines that were shipped late in 1994 to 1996, customers that have orders, parts of size 15
CREATE TABLE one_line AS SELECT row_number() OVER (ORDER BY pick(1000000, l_orderkey, 120)) AS set, l_orderkey AS orderkey, l_linenumber AS line
	FROM lineitem WHERE l_shipdate BETWEEN '1994-01-01' AND '1996-12-31' AND l_receiptdate > l_commitdate ORDER BY set LIMIT 3;
CREATE TABLE one_customer AS SELECT s AS set, s * 30 + 1 AS custkey FROM generate_series(1, 3) s;
CREATE TABLE one_supply AS SELECT row_number() OVER (ORDER BY ps_partkey) AS set, ps_partkey AS partkey, ps_suppkey AS suppkey
	FROM partsupp JOIN part ON p_partkey = ps_partkey WHERE p_size IN (14, 15) AND p_type LIKE '%BRASS' ORDER BY set LIMIT 3;

CREATE INDEX ON lineitem (l_partkey, l_suppkey);
CREATE INDEX ON lineitem (l_suppkey);
CREATE INDEX ON orders (o_custkey);
CREATE INDEX ON partsupp (ps_suppkey);
CREATE INDEX ON customer (c_nationkey);
CREATE INDEX ON supplier (s_nationkey);
CREATE INDEX ON nation (n_regionkey);
ALTER TABLE lineitem ADD FOREIGN KEY (l_partkey, l_suppkey) REFERENCES partsupp;
VACUUM (ANALYZE);
