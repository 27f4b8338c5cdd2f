/*
 * encode.cpp - values of PostgreSQL as JSON.
 *
 * Encoders are kept by type for the life of the process, in a memory context
 * of their own; they hold output functions, which a change of a type does not
 * invalidate silently: reset_encoders() is called when the catalogs say so.
 */
#include "gateway/encode.hpp"
#include "wire/json.hpp"

namespace tw::gateway
{

enum class JsonForm
{
	kBool,
	kNumber, /* the output function's text is a JSON number */
	kFloat,  /* the same, but NaN and infinities are strings */
	kJson,
	kJsonb,
	kTime, /* JsonEncodeDateTime knows it */
	kArray,
	kComposite,
	kText
};

struct TypeEncoder
{
	Oid type; /* hash key */
	JsonForm form;
	Oid base; /* without domains */
	FmgrInfo output;
	TypeEncoder *element; /* of arrays */
	int16 length;
	bool by_value;
	char align;
};

static MemoryContext encoder_context = nullptr;
static HTAB *encoders = nullptr;

void
reset_encoders()
{
	if (encoder_context != nullptr)
		MemoryContextDelete(encoder_context);
	encoder_context = nullptr;
	encoders = nullptr;
}

static JsonForm
form_of(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return JsonForm::kBool;
		case INT2OID:
		case INT4OID:
			return JsonForm::kNumber;
		case FLOAT4OID:
		case FLOAT8OID:
			return JsonForm::kFloat;
		case JSONOID:
			return JsonForm::kJson;
		case JSONBOID:
			return JsonForm::kJsonb;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return JsonForm::kTime;
		default:
			break;
	}
	if (OidIsValid(get_element_type(type)) && type_is_array(type))
		return JsonForm::kArray;
	return type_is_rowtype(type) ? JsonForm::kComposite : JsonForm::kText;
}

TypeEncoder *
type_encoder(Oid type)
{
	if (encoders == nullptr)
	{
		HASHCTL info = {};

		encoder_context = AllocSetContextCreate(TopMemoryContext, "tailwater encoders",
												ALLOCSET_SMALL_SIZES);
		info.keysize = sizeof(Oid);
		info.entrysize = sizeof(TypeEncoder);
		info.hcxt = encoder_context;
		encoders = hash_create("tailwater encoders", 64, &info,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	auto *found = static_cast<TypeEncoder *>(hash_search(encoders, &type, HASH_FIND, nullptr));
	if (found != nullptr)
		return found;

	/* Everything that can fail comes before the entry exists. */
	TypeEncoder encoder = {};
	Oid output;
	bool is_varlena;

	encoder.type = type;
	encoder.base = getBaseType(type);
	encoder.form = form_of(encoder.base);
	getTypeOutputInfo(encoder.base, &output, &is_varlena);
	fmgr_info_cxt(output, &encoder.output, encoder_context);
	if (encoder.form == JsonForm::kArray)
	{
		Oid element = get_element_type(encoder.base);

		encoder.element = type_encoder(element);
		get_typlenbyvalalign(element, &encoder.length, &encoder.by_value, &encoder.align);
	}
	auto *entry = static_cast<TypeEncoder *>(hash_search(encoders, &type, HASH_ENTER, nullptr));
	*entry = encoder;
	return entry;
}

void
append_text(StringInfo out, const char *text, int length)
{
	const char *utf8 = text;

	/* SQL_ASCII is not converted: what is not UTF-8 in it is replaced below. */
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		utf8 = pg_server_to_any(text, length, PG_UTF8);
		if (utf8 != text)
			length = strlen(utf8);
	}
	wire::escape(std::string_view(utf8, length), [out](const char *piece, size_t n)
				 { appendBinaryStringInfo(out, piece, static_cast<int>(n)); });
}

/* Text that is JSON already; in a database of another encoding its strings are converted. */
static void
append_json(StringInfo out, const char *text, int length)
{
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);

	appendBinaryStringInfo(out, utf8, utf8 == text ? length : strlen(utf8));
}

static void
append_array_level(StringInfo out, TypeEncoder *encoder, int dimension, int dimensions, int *sizes,
				   Datum *values, bool *nulls, int *next)
{
	appendStringInfoChar(out, '[');
	for (int i = 0; i < sizes[dimension]; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (dimension + 1 < dimensions)
			append_array_level(out, encoder, dimension + 1, dimensions, sizes, values, nulls, next);
		else
		{
			append_value(out, encoder->element, values[*next], nulls[*next]);
			(*next)++;
		}
	}
	appendStringInfoChar(out, ']');
}

static void
append_array(StringInfo out, TypeEncoder *encoder, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	Datum *values;
	bool *nulls;
	int count;
	int next = 0;

	deconstruct_array(array, ARR_ELEMTYPE(array), encoder->length, encoder->by_value,
					  encoder->align, &values, &nulls, &count);
	if (count == 0)
		appendStringInfoString(out, "[]");
	else
		append_array_level(out, encoder, 0, ARR_NDIM(array), ARR_DIMS(array), values, nulls, &next);
}

static void
append_composite(StringInfo out, Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {};
	bool first = true;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	appendStringInfoChar(out, '{');
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		bool is_null;

		if (attribute->attisdropped)
			continue;
		if (!first)
			appendStringInfoChar(out, ',');
		first = false;
		append_text(out, NameStr(attribute->attname), strlen(NameStr(attribute->attname)));
		appendStringInfoChar(out, ':');
		Datum field = heap_getattr(&tuple, i + 1, desc, &is_null);
		append_value(out, type_encoder(attribute->atttypid), field, is_null);
	}
	appendStringInfoChar(out, '}');
	ReleaseTupleDesc(desc);
}

void
append_value(StringInfo out, TypeEncoder *encoder, Datum value, bool is_null)
{
	check_stack_depth();
	if (is_null)
	{
		appendStringInfoString(out, "null");
		return;
	}
	switch (encoder->form)
	{
		case JsonForm::kBool:
			appendStringInfoString(out, DatumGetBool(value) ? "true" : "false");
			return;
		case JsonForm::kNumber:
			appendStringInfoString(out, OutputFunctionCall(&encoder->output, value));
			return;
		case JsonForm::kFloat:
		{
			const char *text = OutputFunctionCall(&encoder->output, value);
			const char *digits = text[0] == '-' ? text + 1 : text;

			if (*digits >= '0' && *digits <= '9')
				appendStringInfoString(out, text);
			else
				append_text(out, text, strlen(text));
			return;
		}
		case JsonForm::kJson:
		{
			text *json = DatumGetTextPP(value);

			append_json(out, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
			return;
		}
		case JsonForm::kJsonb:
		{
			Jsonb *jsonb = DatumGetJsonbP(value);
			const char *text = JsonbToCString(nullptr, &jsonb->root, VARSIZE(jsonb));

			append_json(out, text, strlen(text));
			return;
		}
		case JsonForm::kTime:
		{
			char buffer[MAXDATELEN + 1];

			JsonEncodeDateTime(buffer, value, encoder->base, nullptr);
			append_text(out, buffer, strlen(buffer));
			return;
		}
		case JsonForm::kArray:
			append_array(out, encoder, value);
			return;
		case JsonForm::kComposite:
			append_composite(out, value);
			return;
		case JsonForm::kText:
		{
			const char *text = OutputFunctionCall(&encoder->output, value);

			append_text(out, text, strlen(text));
			return;
		}
	}
}

void
append_filter_value(StringInfo out, Oid type, int32 typmod, const char *text, const char *json)
{
	Oid input;
	Oid io_param;
	TypeEncoder *encoder = type_encoder(type);
	bool is_json = encoder->form == JsonForm::kJson || encoder->form == JsonForm::kJsonb;
	const char *given = is_json ? json : text;
	char *local = pg_any_to_server(given, strlen(given), PG_UTF8);

	getTypeInputInfo(type, &input, &io_param);
	append_value(out, encoder, OidInputFunctionCall(input, local, io_param, typmod), false);
}

} // namespace tw::gateway
