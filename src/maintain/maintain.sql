/* ---- maintain: views whose first content is being computed ---- */

CREATE FUNCTION tailwater_internal.builds(OUT view regclass, OUT phase text, OUT rows_computed bigint,
		OUT changes_applied bigint, OUT changes_to_apply bigint, OUT blocked_by int, OUT builder int, OUT pid int,
		OUT started_at timestamptz) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT
	SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'tailwater_builds';
