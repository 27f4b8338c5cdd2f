
/* ---- tail: TAIL syntax where the literal text cannot be parsed ---- */

CREATE FUNCTION tailwater.exec(command text) RETURNS SETOF jsonb
	LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'tailwater_exec';
COMMENT ON FUNCTION tailwater.exec(text) IS
	'runs DECLARE ... CURSOR FOR TAIL, FETCH from a TAIL cursor (one jsonb object per row), or CLOSE: '
	'for PL/pgSQL, and where the syntax is off';
