/*
 * encode.hpp - values of PostgreSQL as JSON, by the rules of docs/wire-protocol.md.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::gateway
{

struct TypeEncoder;

/* The encoder of a type; it lives as long as the process and is looked up once. */
TypeEncoder *type_encoder(Oid type);

/* Appends the JSON of a value. Allocates in the current memory context. */
void append_value(StringInfo out, TypeEncoder *encoder, Datum value, bool is_null);

/* Appends text of the database's encoding as a JSON string. */
void append_text(StringInfo out, const char *text, int length);

/* A filter's value, given as text (or, for the json types, as JSON), in the JSON that rows have. */
void append_filter_value(StringInfo out, Oid type, int32 typmod, const char *text,
						 const char *json);

/* Forgets encoders: types may have changed. Only between reads. */
void reset_encoders();

} // namespace tw::gateway
