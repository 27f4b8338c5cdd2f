-- Base data of the benchmark: accounts, their branches, the branches' regions.
-- psql -v n=200000 -f schema.sql
SET client_min_messages = warning;
SELECT setseed(0.42);

CREATE TABLE reg (region int PRIMARY KEY, rname text NOT NULL);
INSERT INTO reg SELECT g, 'region ' || g FROM generate_series(0, 9) g;

CREATE TABLE br (bid int PRIMARY KEY, region int NOT NULL, name text NOT NULL, bal bigint NOT NULL DEFAULT 0);
INSERT INTO br SELECT g, g % 10, 'branch ' || g FROM generate_series(0, 999) g;

CREATE TABLE hot (bid int PRIMARY KEY, why text);
INSERT INTO hot SELECT g, 'x' FROM generate_series(0, 998, 2) g;	-- half of the branches

CREATE TABLE acc (
	id bigint PRIMARY KEY, grp int NOT NULL, cat int NOT NULL, bid int NOT NULL, day int NOT NULL,
	val int NOT NULL, amt numeric(12,2) NOT NULL, pad text NOT NULL) WITH (fillfactor = 90);
INSERT INTO acc
SELECT g, g % 100, ((g::bigint * 7919) % 100000)::int, (g * 31) % 1000, (g * 17) % 365, (random() * 999)::int,
	(random() * 9999)::numeric(12,2), 'pad-' || md5(g::text)
FROM generate_series(1, :n) g;
CREATE INDEX acc_bid ON acc (bid);
CREATE INDEX acc_cat ON acc (cat);

CREATE SEQUENCE acc_id START 100000001 CACHE 50;
ALTER TABLE acc ALTER id SET DEFAULT nextval('acc_id');
CREATE SEQUENCE del_id START 1;

VACUUM (ANALYZE) reg, br, hot, acc;
