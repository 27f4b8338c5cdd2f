/*
 * image.hpp - one form of bytes for each value.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::capture
{

/*
 * The value, not null, in the form whose bytes are its image: detoasted,
 * decompressed, and so are the fields of composite values inside it. Returns
 * the value itself where it already has that form.
 */
Datum canonical_value(Form_pg_attribute att, Datum value);

/* True if values of the type are or hold composite values, whose type may change under them. */
bool holds_composite(Oid type);

} // namespace tw::capture
