/* ---- state: how rows are found that have no small key ---- */

CREATE FUNCTION tailwater_internal.row_hash(VARIADIC "any") RETURNS int4
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'tailwater_row_hash';
COMMENT ON FUNCTION tailwater_internal.row_hash(VARIADIC "any") IS
	'hash of a row''s columns by which live views find rows that have no small key';
GRANT USAGE ON SCHEMA tailwater_internal TO PUBLIC;

/* ---- exact aggregates over floats: what live views show for sum(), avg() and so on ---- */

CREATE FUNCTION tailwater_internal.float_add(internal, float8) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_add';
CREATE FUNCTION tailwater_internal.float_add(internal, float4) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float4_add';
CREATE FUNCTION tailwater_internal.float_add(internal, float8, float8) RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_add_pair';
CREATE FUNCTION tailwater_internal.float_sum_float4(internal) RETURNS float4 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_sum_float4';
CREATE FUNCTION tailwater_internal.float_sum(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_sum';
CREATE FUNCTION tailwater_internal.float_avg(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_avg';
CREATE FUNCTION tailwater_internal.float_var_pop(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_var_pop';
CREATE FUNCTION tailwater_internal.float_var_samp(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_var_samp';
CREATE FUNCTION tailwater_internal.float_stddev_pop(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_stddev_pop';
CREATE FUNCTION tailwater_internal.float_stddev_samp(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_stddev_samp';
CREATE FUNCTION tailwater_internal.float_corr(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_corr';
CREATE FUNCTION tailwater_internal.float_covar_pop(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_covar_pop';
CREATE FUNCTION tailwater_internal.float_covar_samp(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_covar_samp';
CREATE FUNCTION tailwater_internal.float_regr_avgx(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_avgx';
CREATE FUNCTION tailwater_internal.float_regr_avgy(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_avgy';
CREATE FUNCTION tailwater_internal.float_regr_intercept(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_intercept';
CREATE FUNCTION tailwater_internal.float_regr_r2(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_r2';
CREATE FUNCTION tailwater_internal.float_regr_slope(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_slope';
CREATE FUNCTION tailwater_internal.float_regr_sxx(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_sxx';
CREATE FUNCTION tailwater_internal.float_regr_sxy(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_sxy';
CREATE FUNCTION tailwater_internal.float_regr_syy(internal) RETURNS float8 LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tailwater_float_regr_syy';

CREATE AGGREGATE tailwater.exact_sum(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_sum, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_sum(float8) IS 'sum() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_sum(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_sum_float4, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_sum(float4) IS 'sum() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_avg(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_avg, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_avg(float8) IS 'avg() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_avg(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_avg, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_avg(float4) IS 'avg() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_var_pop(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_var_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_var_pop(float8) IS 'var_pop() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_var_pop(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_var_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_var_pop(float4) IS 'var_pop() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_var_samp(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_var_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_var_samp(float8) IS 'var_samp() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_var_samp(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_var_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_var_samp(float4) IS 'var_samp() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_variance(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_var_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_variance(float8) IS 'variance() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_variance(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_var_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_variance(float4) IS 'variance() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_stddev_pop(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_stddev_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_stddev_pop(float8) IS 'stddev_pop() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_stddev_pop(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_stddev_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_stddev_pop(float4) IS 'stddev_pop() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_stddev_samp(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_stddev_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_stddev_samp(float8) IS 'stddev_samp() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_stddev_samp(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_stddev_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_stddev_samp(float4) IS 'stddev_samp() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_stddev(float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_stddev_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_stddev(float8) IS 'stddev() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_stddev(float4) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 128,
	FINALFUNC = tailwater_internal.float_stddev_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_stddev(float4) IS 'stddev() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_corr(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_corr, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_corr(float8, float8) IS 'corr() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_covar_pop(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_covar_pop, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_covar_pop(float8, float8) IS 'covar_pop() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_covar_samp(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_covar_samp, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_covar_samp(float8, float8) IS 'covar_samp() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_avgx(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_avgx, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_avgx(float8, float8) IS 'regr_avgx() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_avgy(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_avgy, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_avgy(float8, float8) IS 'regr_avgy() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_intercept(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_intercept, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_intercept(float8, float8) IS 'regr_intercept() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_r2(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_r2, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_r2(float8, float8) IS 'regr_r2() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_slope(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_slope, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_slope(float8, float8) IS 'regr_slope() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_sxx(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_sxx, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_sxx(float8, float8) IS 'regr_sxx() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_sxy(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_sxy, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_sxy(float8, float8) IS 'regr_sxy() without rounding errors: depends on the inputs only, not on their order';
CREATE AGGREGATE tailwater.exact_regr_syy(float8, float8) (SFUNC = tailwater_internal.float_add, STYPE = internal, SSPACE = 256,
	FINALFUNC = tailwater_internal.float_regr_syy, PARALLEL = SAFE);
COMMENT ON AGGREGATE tailwater.exact_regr_syy(float8, float8) IS 'regr_syy() without rounding errors: depends on the inputs only, not on their order';
