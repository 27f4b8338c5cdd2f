/*
 * numeric_final.cpp - results of variance and stddev of integers and numeric.
 *
 * How many digits these have follows from rules of the server's own, and its
 * final functions take a state that only they know. But it can be made from the
 * form in which parallel workers send it; so that is written here and given to
 * numeric_deserialize(). States of integers give the same results that way.
 */
#include "state/numeric_final.hpp"

namespace tw::state
{

namespace
{

struct Final
{
	PGFunction function;
	Oid aggregates[8];
};

const Final kFinals[] = {
	{numeric_var_pop, {F_VAR_POP_INT2, F_VAR_POP_INT4, F_VAR_POP_INT8, F_VAR_POP_NUMERIC}},
	{numeric_var_samp,
	 {F_VAR_SAMP_INT2, F_VAR_SAMP_INT4, F_VAR_SAMP_INT8, F_VAR_SAMP_NUMERIC, F_VARIANCE_INT2,
	  F_VARIANCE_INT4, F_VARIANCE_INT8, F_VARIANCE_NUMERIC}},
	{numeric_stddev_pop,
	 {F_STDDEV_POP_INT2, F_STDDEV_POP_INT4, F_STDDEV_POP_INT8, F_STDDEV_POP_NUMERIC}},
	{numeric_stddev_samp,
	 {F_STDDEV_SAMP_INT2, F_STDDEV_SAMP_INT4, F_STDDEV_SAMP_INT8, F_STDDEV_SAMP_NUMERIC,
	  F_STDDEV_INT2, F_STDDEV_INT4, F_STDDEV_INT8, F_STDDEV_NUMERIC}},
};

PGFunction
final_of(Oid aggregate)
{
	for (const Final &final : kFinals)
		for (Oid known : final.aggregates)
			if (known == aggregate)
				return final.function;
	elog(ERROR, "aggregate %u is no variance", aggregate);
}

/* A number as numeric_serialize() writes it, with a display scale of our own. */
void
write_number(StringInfo buffer, Datum number, int32 scale)
{
	StringInfoData sent;
	bytea *message = DatumGetByteaPP(DirectFunctionCall1(numeric_send, number));

	sent.data = VARDATA_ANY(message);
	sent.len = sent.maxlen = VARSIZE_ANY_EXHDR(message);
	sent.cursor = 0;

	int ndigits = pq_getmsgint(&sent, 2);
	pq_sendint32(buffer, ndigits);
	pq_sendint32(buffer, (int16) pq_getmsgint(&sent, 2)); /* weight */
	pq_sendint32(buffer, pq_getmsgint(&sent, 2));         /* sign */
	(void) pq_getmsgint(&sent, 2);
	pq_sendint32(buffer, scale);
	for (int i = 0; i < ndigits; i++)
		pq_sendint16(buffer, pq_getmsgint(&sent, 2));
}

Datum
call(PGFunction function, Datum argument, Node *context, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, nullptr, 1, InvalidOid, context, nullptr);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = false;

	Datum result = function(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

} // namespace

Datum
variance_result(Oid aggregate, const Datum *values, bool *isnull)
{
	StringInfoData buffer;
	int64 special = DatumGetInt64(values[4]) + DatumGetInt64(values[5]) + DatumGetInt64(values[6]);
	int32 scale = DatumGetInt32(values[2]);

	pq_begintypsend(&buffer);
	pq_sendint64(&buffer, DatumGetInt64(values[0]) - special);
	write_number(&buffer, values[1], scale);
	write_number(&buffer, values[7], 2 * scale);
	pq_sendint32(&buffer, scale);
	pq_sendint64(&buffer, DatumGetInt64(values[3]));
	for (int i = 4; i <= 6; i++)
		pq_sendint64(&buffer, DatumGetInt64(values[i]));

	/* The function wants to be called for an aggregate, whose memory it uses. */
	WindowAggState *caller = makeNode(WindowAggState);
	caller->curaggcontext = CurrentMemoryContext;

	Datum state = call(numeric_deserialize, PointerGetDatum(pq_endtypsend(&buffer)),
					   (Node *) caller, isnull);
	return call(final_of(aggregate), state, nullptr, isnull);
}

} // namespace tw::state
