/*
 * numeric_final.hpp - results of variance and stddev of integers and numeric.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::state
{

/* The result from the state columns of kVarNumeric (accumulator.cpp), by the server's own final function. */
Datum variance_result(Oid aggregate, const Datum *values, bool *isnull);

} // namespace tw::state
