/*
 * copy.cpp - a receiver of rows that sends them as COPY TO STDOUT does.
 *
 * The server's own COPY takes its rows from a query only, and keeps its
 * formatting to itself. Options are read by the server (ProcessCopyOptions), so
 * that they mean what they mean everywhere.
 */
#include "tail/copy.hpp"

namespace tw::tail
{

namespace
{

struct CopyReceiver
{
	DestReceiver pub;
	CopyFormatOptions options;
	FmgrInfo *out;
	int natts;
	int encoding;
	bool convert; /* the client's encoding is not the server's */
	StringInfoData line;
	MemoryContext context; /* of one row */
};

void
send_line(CopyReceiver *r)
{
	if (!r->options.binary)
		appendStringInfoChar(&r->line, '\n');
	(void) pq_putmessage('d', r->line.data, r->line.len);
	resetStringInfo(&r->line);
}

const char *
to_client(const CopyReceiver *r, const char *text)
{
	return r->convert ? pg_server_to_any(text, strlen(text), r->encoding) : text;
}

/* The letter that stands for a control character behind a backslash; 0: none does. */
char
escape_letter(char c)
{
	switch (c)
	{
		case '\b':
			return 'b';
		case '\f':
			return 'f';
		case '\n':
			return 'n';
		case '\r':
			return 'r';
		case '\t':
			return 't';
		case '\v':
			return 'v';
		default:
			return 0;
	}
}

/*
 * Bytes of a character are copied as one where the client's encoding is one in
 * which a later byte can look like ASCII.
 */
int
character_length(const CopyReceiver *r, const char *p)
{
	if (!IS_HIGHBIT_SET(*p) || !PG_ENCODING_IS_CLIENT_ONLY(r->encoding))
		return 1;
	return pg_encoding_mblen(r->encoding, p);
}

void
append_text(CopyReceiver *r, const char *text)
{
	char delim = r->options.delim[0];

	for (const char *p = to_client(r, text); *p;)
	{
		int length = character_length(r, p);
		char letter = length == 1 ? escape_letter(*p) : 0;

		if (letter && *p != delim)
		{
			appendStringInfoChar(&r->line, '\\');
			appendStringInfoChar(&r->line, letter);
		}
		else
		{
			if (length == 1 && (*p == '\\' || *p == delim))
				appendStringInfoChar(&r->line, '\\');
			appendBinaryStringInfo(&r->line, p, length);
		}
		p += length;
	}
}

bool
needs_quotes(const CopyReceiver *r, const char *text)
{
	const char special[] = {r->options.delim[0], r->options.quote[0], '\n', '\r', '\0'};

	if (strcmp(text, r->options.null_print) == 0)
		return true;
	/* "\." alone on a line would end the data */
	return strcmp(text, "\\.") == 0 || strpbrk(text, special) != nullptr;
}

void
append_csv(CopyReceiver *r, const char *text)
{
	char quote = r->options.quote[0];
	char escape = r->options.escape[0];

	if (!needs_quotes(r, text))
	{
		appendStringInfoString(&r->line, to_client(r, text));
		return;
	}
	appendStringInfoChar(&r->line, quote);
	for (const char *p = to_client(r, text); *p;)
	{
		int length = character_length(r, p);

		if (length == 1 && (*p == quote || *p == escape))
			appendStringInfoChar(&r->line, escape);
		appendBinaryStringInfo(&r->line, p, length);
		p += length;
	}
	appendStringInfoChar(&r->line, quote);
}

void
append_value(CopyReceiver *r, int i, Datum value)
{
	if (r->options.binary)
	{
		bytea *bytes = SendFunctionCall(&r->out[i], value);
		pq_sendint32(&r->line, VARSIZE(bytes) - VARHDRSZ);
		appendBinaryStringInfo(&r->line, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	}
	else if (r->options.csv_mode)
		append_csv(r, OutputFunctionCall(&r->out[i], value));
	else
		append_text(r, OutputFunctionCall(&r->out[i], value));
}

bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	CopyReceiver *r = reinterpret_cast<CopyReceiver *>(self);
	MemoryContext old = MemoryContextSwitchTo(r->context);

	slot_getallattrs(slot);
	if (r->options.binary)
		pq_sendint16(&r->line, r->natts);
	for (int i = 0; i < r->natts; i++)
	{
		if (i > 0 && !r->options.binary)
			appendStringInfoChar(&r->line, r->options.delim[0]);
		if (!slot->tts_isnull[i])
			append_value(r, i, slot->tts_values[i]);
		else if (r->options.binary)
			pq_sendint32(&r->line, -1);
		else
			appendStringInfoString(&r->line, r->options.null_print_client);
	}
	send_line(r);
	MemoryContextSwitchTo(old);
	MemoryContextReset(r->context);
	return true;
}

void
send_head(CopyReceiver *r, TupleDesc desc)
{
	static const char signature[11] = {'P',  'G',    'C',  'O',  'P', 'Y',
									   '\n', '\377', '\r', '\n', '\0'};

	if (r->options.binary)
	{
		appendBinaryStringInfo(&r->line, signature, sizeof(signature));
		pq_sendint32(&r->line, 0); /* flags */
		pq_sendint32(&r->line, 0); /* length of the header's extension */
		send_line(r);
		return;
	}
	if (!r->options.header_line)
		return;
	for (int i = 0; i < r->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);

		if (i > 0)
			appendStringInfoChar(&r->line, r->options.delim[0]);
		if (r->options.csv_mode)
			append_csv(r, name);
		else
			append_text(r, name);
	}
	send_line(r);
}

void
start_up(DestReceiver *self, int, TupleDesc desc)
{
	CopyReceiver *r = reinterpret_cast<CopyReceiver *>(self);
	int16 format = r->options.binary ? 1 : 0;
	StringInfoData response;

	r->natts = desc->natts;
	r->out = static_cast<FmgrInfo *>(palloc(sizeof(FmgrInfo) * Max(desc->natts, 1)));
	for (int i = 0; i < desc->natts; i++)
	{
		Oid type = TupleDescAttr(desc, i)->atttypid;
		Oid function;
		bool is_varlena;

		if (r->options.binary)
			getTypeBinaryOutputInfo(type, &function, &is_varlena);
		else
			getTypeOutputInfo(type, &function, &is_varlena);
		fmgr_info(function, &r->out[i]);
	}

	pq_beginmessage(&response, 'H');
	pq_sendbyte(&response, format);
	pq_sendint16(&response, desc->natts);
	for (int i = 0; i < desc->natts; i++)
		pq_sendint16(&response, format);
	pq_endmessage(&response);
	send_head(r, desc);
}

void
shut_down(DestReceiver *self)
{
	CopyReceiver *r = reinterpret_cast<CopyReceiver *>(self);

	if (r->options.binary)
	{
		pq_sendint16(&r->line, -1);
		send_line(r);
	}
	pq_putemptymessage('c');
}

void
destroy(DestReceiver *self)
{
	pfree(self);
}

} // namespace

DestReceiver *
make_copy_receiver(List *options)
{
	CopyReceiver *r = static_cast<CopyReceiver *>(palloc0(sizeof(CopyReceiver)));

	ProcessCopyOptions(nullptr, &r->options, false, options);
	r->pub.receiveSlot = receive;
	r->pub.rStartup = start_up;
	r->pub.rShutdown = shut_down;
	r->pub.rDestroy = destroy;
	r->pub.mydest = DestCopyOut;
	r->encoding = r->options.file_encoding < 0 ? pg_get_client_encoding()
											   : r->options.file_encoding;
	r->convert = r->encoding != GetDatabaseEncoding() && r->encoding != PG_SQL_ASCII;
	r->options.null_print_client = r->convert
									   ? pg_server_to_any(r->options.null_print,
														  r->options.null_print_len, r->encoding)
									   : r->options.null_print;
	initStringInfo(&r->line);
	r->context = AllocSetContextCreate(CurrentMemoryContext, "tailwater copy row",
									   ALLOCSET_DEFAULT_SIZES);
	return &r->pub;
}

} // namespace tw::tail
