/* ---- state: how rows are found that have no small key ---- */

CREATE FUNCTION tailwater_internal.row_hash(VARIADIC "any") RETURNS int4
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'tailwater_row_hash';
COMMENT ON FUNCTION tailwater_internal.row_hash(VARIADIC "any") IS
	'hash of a row''s columns by which live views find rows that have no small key';
GRANT USAGE ON SCHEMA tailwater_internal TO PUBLIC;
