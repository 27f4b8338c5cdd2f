/* ---- worker: launcher and sequencer ---- */

CREATE FUNCTION tailwater.sync(timeout interval DEFAULT '30s') RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_sync';
COMMENT ON FUNCTION tailwater.sync(interval) IS
	'returns once everything that was committed before the call is in its views and has a version';

-- How far the deferred views are behind what is committed; nulls where no maintainer has run yet.
CREATE FUNCTION tailwater_internal.deferred_lag(OUT bytes bigint, OUT transactions bigint, OUT seconds double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_deferred_lag';
-- tailwater.views, which anybody may read, calls it.
COMMENT ON FUNCTION tailwater_internal.deferred_lag() IS
	'how far the deferred views are behind: write-ahead log not read yet, commits since, age of the oldest of these at most';

CREATE FUNCTION tailwater_internal.announce() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_announce';
REVOKE ALL ON FUNCTION tailwater_internal.announce() FROM PUBLIC;

-- Once this transaction commits, the launcher starts the workers of this database.
SELECT tailwater_internal.announce();
