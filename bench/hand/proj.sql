-- What an expert writes by hand for a filtered copy (view proj).
CREATE TABLE mv (id bigint PRIMARY KEY, grp int, val int);
INSERT INTO mv SELECT id, grp, val FROM acc WHERE val >= 500;

CREATE FUNCTION mv_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO mv SELECT id, grp, val FROM newt WHERE val >= 500;
	RETURN NULL;
END $$;

CREATE FUNCTION mv_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM mv USING oldt o WHERE mv.id = o.id AND o.val >= 500;
	RETURN NULL;
END $$;

CREATE FUNCTION mv_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM mv USING oldt o
	WHERE mv.id = o.id AND o.val >= 500 AND NOT EXISTS (SELECT 1 FROM newt n WHERE n.id = o.id AND n.val >= 500);
	INSERT INTO mv SELECT id, grp, val FROM newt WHERE val >= 500
	ON CONFLICT (id) DO UPDATE SET grp = excluded.grp, val = excluded.val
	WHERE (mv.grp, mv.val) IS DISTINCT FROM (excluded.grp, excluded.val);
	RETURN NULL;
END $$;

CREATE TRIGGER mv_i AFTER INSERT ON acc REFERENCING NEW TABLE AS newt
	FOR EACH STATEMENT EXECUTE FUNCTION mv_insert();
CREATE TRIGGER mv_d AFTER DELETE ON acc REFERENCING OLD TABLE AS oldt
	FOR EACH STATEMENT EXECUTE FUNCTION mv_delete();
CREATE TRIGGER mv_u AFTER UPDATE ON acc REFERENCING OLD TABLE AS oldt NEW TABLE AS newt
	FOR EACH STATEMENT EXECUTE FUNCTION mv_update();
