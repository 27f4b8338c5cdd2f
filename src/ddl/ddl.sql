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

-- Rows come from a dump, where a label of the view may have listed it before.
CREATE FUNCTION tailwater_internal.list() RETURNS trigger
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'tailwater_list';
COMMENT ON FUNCTION tailwater_internal.list() IS
	'row trigger on tailwater_internal.view; lists a view that is restored from a dump';
REVOKE ALL ON FUNCTION tailwater_internal.list() FROM PUBLIC;
CREATE TRIGGER list BEFORE INSERT ON tailwater_internal.view
	FOR EACH ROW EXECUTE FUNCTION tailwater_internal.list();
