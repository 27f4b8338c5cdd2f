/* ---- ddl: starting and stopping to keep a view up to date ---- */

CREATE FUNCTION tailwater.maintain(view regclass, mode text) RETURNS void
	LANGUAGE c STRICT
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'tailwater_maintain';
COMMENT ON FUNCTION tailwater.maintain(regclass, text) IS
	'keeps an existing materialized view up to date from now on; mode is ''immediate'' or ''deferred''; only the owner may';

CREATE FUNCTION tailwater.release(view regclass) RETURNS void
	LANGUAGE c STRICT
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'tailwater_release';
COMMENT ON FUNCTION tailwater.release(regclass) IS
	'makes a live view an ordinary materialized view again; it keeps its content; only the owner may';
