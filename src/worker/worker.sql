/* ---- worker: launcher and sequencer ---- */

CREATE FUNCTION tailwater.sync(timeout interval DEFAULT '30s') RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_sync';
COMMENT ON FUNCTION tailwater.sync(interval) IS
	'returns once everything that was committed before the call is in its views and has a version';

CREATE FUNCTION tailwater_internal.announce() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tailwater_announce';
REVOKE ALL ON FUNCTION tailwater_internal.announce() FROM PUBLIC;

-- Once this transaction commits, the launcher starts the workers of this database.
SELECT tailwater_internal.announce();
