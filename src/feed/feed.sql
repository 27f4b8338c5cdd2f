/* ---- feed: changes of live views, version by version ---- */

-- Oldest position of a log that was cut for its size; see src/worker/retention.cpp.
CREATE TABLE tailwater_internal.log_floor (
	log oid PRIMARY KEY,
	version bigint NOT NULL);

-- The view's changes in versions after < v <= upto (null: the newest), with the view's columns.
-- Checks SELECT on the view; raises 72000 where `after` is no position of the view.
CREATE FUNCTION tailwater_internal.feed_read(view oid, after bigint, upto bigint) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_feed_read';

-- The view as of the newest version that the statement's snapshot sees.
CREATE FUNCTION tailwater_internal.feed_snapshot(view oid) RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_feed_snapshot';

CREATE FUNCTION tailwater.changes(view regclass, after bigint, upto bigint DEFAULT NULL)
RETURNS TABLE (tw_version bigint, tw_diff bigint, "row" jsonb)
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_changes';
COMMENT ON FUNCTION tailwater.changes(regclass, bigint, bigint) IS
	'changes of a live view in the versions after a position, for example tailwater.changes(''sales'', 41)';

CREATE FUNCTION tailwater.version() RETURNS bigint
LANGUAGE c STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_version';
COMMENT ON FUNCTION tailwater.version() IS
	'the newest version that this statement sees; 0 where there is none';

CREATE VIEW tailwater.versions AS
	SELECT version, snapshot, lsn, committed_at, timeline FROM tailwater_internal.version;
GRANT SELECT ON tailwater.versions TO PUBLIC;
COMMENT ON VIEW tailwater.versions IS 'the retained versions';
