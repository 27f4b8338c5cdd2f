/* ---- capture: the trigger function of base tables ---- */

CREATE FUNCTION tailwater_internal.capture() RETURNS trigger
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'tailwater_capture';
REVOKE ALL ON FUNCTION tailwater_internal.capture() FROM PUBLIC;
COMMENT ON FUNCTION tailwater_internal.capture() IS
	'statement trigger on the base tables of live views; created and dropped by tailwater';
