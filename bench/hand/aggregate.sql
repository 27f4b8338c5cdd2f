-- What an expert writes by hand for "count, sum and average per key" (views agg100, agg100k, aggjoin):
-- statement triggers, transition tables, one upsert, groups that become empty removed.
-- bench/run replaces @key@ by the key and @join@ by the join that gives it.
CREATE TABLE mv (
	@key@ int PRIMARY KEY, n bigint NOT NULL, s bigint, sa numeric,
	a numeric GENERATED ALWAYS AS (CASE WHEN n = 0 THEN NULL ELSE sa / n END) STORED) WITH (fillfactor = 50);
INSERT INTO mv (@key@, n, s, sa) SELECT @key@, count(*), sum(val), sum(amt) FROM acc @join@ GROUP BY @key@;

CREATE FUNCTION mv_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO mv (@key@, n, s, sa)
	SELECT @key@, count(*), sum(val), sum(amt) FROM newt @join@ GROUP BY @key@
	ON CONFLICT (@key@) DO UPDATE SET n = mv.n + excluded.n, s = mv.s + excluded.s, sa = mv.sa + excluded.sa;
	RETURN NULL;
END $$;

CREATE FUNCTION mv_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	emptied boolean;
BEGIN
	WITH d AS (
		SELECT @key@ AS k, count(*) AS n, sum(val) AS s, sum(amt) AS sa FROM oldt @join@ GROUP BY @key@),
	u AS (
		UPDATE mv SET n = mv.n - d.n, s = mv.s - d.s, sa = mv.sa - d.sa FROM d WHERE mv.@key@ = d.k RETURNING mv.n)
	SELECT bool_or(n = 0) INTO emptied FROM u;
	IF emptied THEN
		DELETE FROM mv WHERE n = 0;
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION mv_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	emptied boolean;
BEGIN
	WITH d AS (
		SELECT k, sum(n) AS n, sum(s) AS s, sum(sa) AS sa
		FROM (SELECT @key@ AS k, -1 AS n, -val AS s, -amt AS sa FROM oldt @join@
			UNION ALL SELECT @key@, 1, val, amt FROM newt @join@) AS x
		GROUP BY k HAVING sum(n) <> 0 OR sum(s) <> 0 OR sum(sa) <> 0),
	u AS (
		INSERT INTO mv (@key@, n, s, sa) SELECT k, n, s, sa FROM d
		ON CONFLICT (@key@) DO UPDATE SET n = mv.n + excluded.n, s = mv.s + excluded.s, sa = mv.sa + excluded.sa
		RETURNING n)
	SELECT bool_or(n = 0) INTO emptied FROM u;
	IF emptied THEN
		DELETE FROM mv WHERE n = 0;
	END IF;
	RETURN NULL;
END $$;

CREATE TRIGGER mv_i AFTER INSERT ON acc REFERENCING NEW TABLE AS newt
	FOR EACH STATEMENT EXECUTE FUNCTION mv_insert();
CREATE TRIGGER mv_d AFTER DELETE ON acc REFERENCING OLD TABLE AS oldt
	FOR EACH STATEMENT EXECUTE FUNCTION mv_delete();
CREATE TRIGGER mv_u AFTER UPDATE ON acc REFERENCING OLD TABLE AS oldt NEW TABLE AS newt
	FOR EACH STATEMENT EXECUTE FUNCTION mv_update();
