/* ---- gateway: WebSocket endpoints ---- */

-- Dumped: endpoints are what users asked for.
CREATE TABLE tailwater_internal.endpoint (
	path text PRIMARY KEY,
	view regclass NOT NULL,
	filter jsonb,
	columns text[]);
SELECT pg_catalog.pg_extension_config_dump('tailwater_internal.endpoint', '');

-- The role on whose behalf a security definer function was called.
CREATE FUNCTION tailwater_internal.caller() RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE pg_catalog.current_setting('role')
		WHEN 'none' THEN SESSION_USER
		ELSE pg_catalog.current_setting('role')::pg_catalog.name END
$$;
REVOKE ALL ON FUNCTION tailwater_internal.caller() FROM PUBLIC;

-- Raises an error where the caller does not own the view.
CREATE FUNCTION tailwater_internal.check_publisher(view regclass) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT (SELECT pg_catalog.pg_has_role(tailwater_internal.caller(), c.relowner, 'USAGE')
			FROM pg_catalog.pg_class c WHERE c.oid = check_publisher.view) THEN
		RAISE EXCEPTION 'must be owner of materialized view %', check_publisher.view
			USING ERRCODE = '42501';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION tailwater_internal.check_publisher(regclass) FROM PUBLIC;

-- Raises an error where the column is not one of the view's.
CREATE FUNCTION tailwater_internal.check_column(view regclass, name text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = check_column.view AND a.attname = check_column.name
				AND a.attnum > 0 AND NOT a.attisdropped) THEN
		RAISE EXCEPTION 'column "%" of view % does not exist', check_column.name, check_column.view
			USING ERRCODE = '42703';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION tailwater_internal.check_column(regclass, text) FROM PUBLIC;

CREATE FUNCTION tailwater.publish(path text, view regclass, filter jsonb DEFAULT NULL,
	columns text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	condition jsonb;
	previous regclass;
BEGIN
	IF publish.path IS NULL OR publish.view IS NULL THEN
		RAISE EXCEPTION 'path and view must not be null' USING ERRCODE = '22004';
	END IF;
	PERFORM tailwater_internal.check_publisher(publish.view);
	IF publish.path !~ '^(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+$' OR publish.path ~ '^/(v[0-9]+|metrics|healthz|readyz)(/|$)' THEN
		RAISE EXCEPTION 'invalid endpoint path "%"', publish.path
			USING ERRCODE = '22023',
				HINT = 'A path begins with / and has letters, digits, "_", "-", "." and "~" between slashes. /v1, /metrics, /healthz and /readyz are taken.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_class c
			WHERE c.oid = publish.view AND c.relkind = 'm') THEN
		RAISE EXCEPTION '"%" is not a materialized view', publish.view USING ERRCODE = '42809';
	END IF;

	IF publish.filter IS NOT NULL AND pg_catalog.jsonb_typeof(publish.filter) = 'object' THEN
		PERFORM tailwater_internal.check_column(publish.view, k.key)
			FROM pg_catalog.jsonb_object_keys(publish.filter) AS k(key);
	ELSIF pg_catalog.jsonb_typeof(publish.filter) = 'array' THEN
		FOR condition IN SELECT e.value FROM pg_catalog.jsonb_array_elements(publish.filter) AS e(value) LOOP
			IF pg_catalog.jsonb_typeof(condition) <> 'object' OR NOT condition ? 'col'
				OR NOT (condition ?| ARRAY['val', 'param'])
				OR coalesce(condition ->> 'op', 'eq') <> 'eq' THEN
				RAISE EXCEPTION 'invalid condition %', condition
					USING ERRCODE = '22023',
						HINT = 'Use {"col": "column", "val": value} or {"col": "column", "param": "name"}.';
			END IF;
			PERFORM tailwater_internal.check_column(publish.view, condition ->> 'col');
		END LOOP;
	ELSIF publish.filter IS NOT NULL THEN
		RAISE EXCEPTION 'filter of an endpoint must be a JSON object or array'
			USING ERRCODE = '22023',
				HINT = 'Use {"column": value} or {"column": {"param": "name"}}.';
	END IF;
	PERFORM tailwater_internal.check_column(publish.view, c.name)
		FROM pg_catalog.unnest(publish.columns) AS c(name);

	SELECT e.view INTO previous FROM tailwater_internal.endpoint e WHERE e.path = publish.path;
	IF FOUND AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = previous) THEN
		PERFORM tailwater_internal.check_publisher(previous);
	END IF;
	INSERT INTO tailwater_internal.endpoint AS e
		VALUES (publish.path, publish.view, publish.filter, publish.columns)
		ON CONFLICT ON CONSTRAINT endpoint_pkey DO UPDATE
			SET view = excluded.view, filter = excluded.filter, columns = excluded.columns;
END
$$;
COMMENT ON FUNCTION tailwater.publish(text, regclass, jsonb, text[]) IS
	'makes a view a WebSocket endpoint, for example tailwater.publish(''/room'', ''chat_feed'', ''{"channel": {"param": "channel"}}''); who may read it is decided by its grants';

CREATE FUNCTION tailwater.unpublish(path text) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	previous regclass;
BEGIN
	SELECT e.view INTO previous FROM tailwater_internal.endpoint e
		WHERE e.path = unpublish.path FOR UPDATE;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = previous) THEN
		PERFORM tailwater_internal.check_publisher(previous);
	END IF;
	DELETE FROM tailwater_internal.endpoint e WHERE e.path = unpublish.path;
	RETURN true;
END
$$;
COMMENT ON FUNCTION tailwater.unpublish(text) IS
	'removes an endpoint; returns whether there was one. Running subscriptions go on';

CREATE VIEW tailwater.endpoints AS
	SELECT path, view, filter, columns FROM tailwater_internal.endpoint;
GRANT SELECT ON tailwater.endpoints TO PUBLIC;
COMMENT ON VIEW tailwater.endpoints IS 'WebSocket endpoints, made by tailwater.publish()';

-- An owner of views may dump and restore their endpoints: what he inserts is published.
CREATE FUNCTION tailwater_internal.restore_endpoint() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pg_catalog.has_table_privilege('tailwater_internal.endpoint', 'DELETE') THEN
		RETURN new;
	END IF;
	PERFORM tailwater.publish(new.path, new.view, new.filter, new.columns);
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tailwater_internal.restore_endpoint() FROM PUBLIC;
CREATE TRIGGER restore_endpoint BEFORE INSERT ON tailwater_internal.endpoint
	FOR EACH ROW EXECUTE FUNCTION tailwater_internal.restore_endpoint();
GRANT SELECT, INSERT ON tailwater_internal.endpoint TO PUBLIC;
