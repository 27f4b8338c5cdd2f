/*
 * syntax.cpp - finds TAIL statements in a text and gives their raw parse trees.
 *
 * The text is scanned once with the server's lexer. Each TAIL statement is
 * then overwritten, in a copy of the text and at its own place, by one the
 * grammar knows:
 *
 *     DECLARE c CURSOR FOR TAIL v WITH (PROGRESS) AS OF 7
 *     LOCK                      v
 *
 * (for a relation that is a name: LOCK is short enough for the place of the
 * word TAIL), or by the parenthesized SELECT alone; FETCH and COPY lose only
 * what is not theirs. The copy is parsed by raw_parser() in one go, so every
 * location in the trees and every statement's position and length is right for
 * the text the user wrote. Then the trees of the TAIL statements are replaced
 * by the form described in syntax.hpp.
 *
 * Runs before parse analysis, possibly in an aborted transaction: no catalog
 * access here.
 */
#include "tail/syntax.hpp"

#include "tail/lexer.hpp"
#include "tail/query.hpp"

#include <cmath>

namespace tw::tail
{

namespace
{

struct Statement
{
	Statement *next;
	int start;          /* offset of its first token */
	int options;        /* cursor options, with the bits of TAIL */
	const char *portal; /* null: bare or COPY */
	Node *as_of;        /* null: not given */
	Node *up_to;
	bool is_fetch;
	int64 timeout; /* of FETCH, milliseconds */
};

/* The text being read. Functions that read a construct leave `at` behind it. */
struct Reader
{
	Tokens tokens;
	int at;
	char *copy; /* the text with the TAIL statements overwritten */
	Statement *first;
	Statement *last;

	const Token &token() const { return tokens.at[at]; }
	const Token &ahead(int n) const { return tokens.at[Min(at + n, tokens.count - 1)]; }
	bool word(const char *w) const { return is_word(token(), w); }
};

bool
accept(Reader *r, const char *w)
{
	if (!r->word(w))
		return false;
	r->at++;
	return true;
}

bool
accept(Reader *r, int kind)
{
	if (r->token().kind != kind)
		return false;
	r->at++;
	return true;
}

template <typename What>
void
expect(Reader *r, What what)
{
	if (!accept(r, what))
		syntax_error(r->tokens, r->token());
}

/* Makes [from, to) of the copy blank. */
void
blank(Reader *r, int from, int to)
{
	memset(r->copy + from, ' ', to - from);
}

bool
at_end(const Reader *r)
{
	return r->token().kind == kEnd || r->token().kind == ';';
}

bool
at_tail(const Reader *r, int ahead)
{
	return is_word(r->ahead(ahead), "tail") || is_word(r->ahead(ahead), "subscribe");
}

/* ---- options ---- */

bool
read_bool(Reader *r)
{
	bool value = true;
	const Token &t = r->token();

	if (t.kind == kInteger && (t.number == 0 || t.number == 1))
		value = t.number == 1;
	else if (!t.text || !parse_bool(t.text, &value))
		syntax_error(r->tokens, t);
	r->at++;
	return value;
}

void
redundant(const Reader *r, const Token &token)
{
	ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR), errmsg("conflicting or redundant options"),
			position(r->tokens.source, token.start));
}

/* WITH ( SNAPSHOT [= bool], PROGRESS [= bool] ), behind WITH. */
void
read_with(Reader *r, Statement *s)
{
	int seen = 0;

	expect(r, '(');
	do
	{
		const Token &name = r->token();
		int bit;

		if (is_word(name, "snapshot"))
			bit = kTailSnapshot;
		else if (is_word(name, "progress"))
			bit = kTailProgress;
		else if (name.kind == kIdent || name.kind == kKeyword)
			ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("unrecognized TAIL option \"%s\"", name.text),
					errhint("The options are SNAPSHOT and PROGRESS."),
					position(r->tokens.source, name.start));
		else
			syntax_error(r->tokens, name);
		if (seen & bit)
			redundant(r, name);
		seen |= bit;
		r->at++;

		bool value = true;
		if (accept(r, '=') || (r->token().kind != ',' && r->token().kind != ')'))
			value = read_bool(r);
		s->options = value ? s->options | bit : s->options & ~bit;
	} while (accept(r, ','));
	expect(r, ')');
}

/* A version: number, string or parameter, as an expression of type bigint. */
Node *
read_version(Reader *r)
{
	const Token &t = r->token();
	Node *value = nullptr;

	if (t.kind == kParam)
	{
		ParamRef *param = makeNode(ParamRef);
		param->number = t.number;
		param->location = t.start;
		value = reinterpret_cast<Node *>(param);
	}
	else if (t.kind == kInteger)
		value = pg::make_raw_string(psprintf("%d", t.number), t.start);
	else if (t.kind == kFloat || t.kind == kString)
		value = pg::make_raw_string(pstrdup(t.text), t.start);
	else
		syntax_error(r->tokens, t);
	r->at++;
	return typed(value, "int8", t.start);
}

/* What follows the relation. Stops at the first token that cannot belong to it. */
void
read_options(Reader *r, Statement *s)
{
	bool with_seen = false;

	s->options |= kTailSnapshot;
	for (;;)
	{
		const Token &t = r->token();

		if (accept(r, "with"))
		{
			if (with_seen)
				redundant(r, t);
			with_seen = true;
			read_with(r, s);
		}
		else if (accept(r, "as"))
		{
			expect(r, "of");
			if (s->as_of)
				redundant(r, t);
			s->as_of = read_version(r);
		}
		else if (accept(r, "up"))
		{
			expect(r, "to");
			if (s->up_to)
				redundant(r, t);
			s->up_to = read_version(r);
		}
		else if (is_word(t, "envelope") || is_word(t, "within"))
			ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s is not supported in TAIL",
						   is_word(t, "within") ? "WITHIN TIMESTAMP ORDER BY" : "ENVELOPE"),
					position(r->tokens.source, t.start));
		else
			break;
	}
}

/* ---- relation ---- */

/* [ schema . ] name; which words may be names is left to the server's parser. */
void
read_name(Reader *r)
{
	do
	{
		int kind = r->token().kind;

		if (kind != kIdent && kind != kKeyword && kind != kUnicodeIdent)
			syntax_error(r->tokens, r->token());
		r->at++;
		if (kind == kUnicodeIdent && accept(r, "uescape"))
			expect(r, kString);
	} while (accept(r, '.'));
}

/* Up to the parenthesis that closes the one at hand. */
void
read_parenthesized(Reader *r)
{
	int depth = 0;

	do
	{
		if (r->token().kind == kEnd)
			syntax_error(r->tokens, r->token());
		if (r->token().kind == '(')
			depth++;
		else if (r->token().kind == ')')
			depth--;
		r->at++;
	} while (depth > 0);
}

/*
 * TAIL or SUBSCRIBE, the relation and the options. All from offset `from` that
 * is not the relation is overwritten; where `keyword` is given it is written
 * before a relation that is a name.
 */
void
read_tail(Reader *r, Statement *s, int from, const char *keyword)
{
	bool subscribe = r->word("subscribe");

	r->at++;
	if (subscribe)
		accept(r, "to");
	s->options |= kTail;

	int relation = r->token().start;
	bool is_query = r->token().kind == '(';
	if (is_query)
		read_parenthesized(r);
	else
		read_name(r);

	int keyword_length = is_query || !keyword ? 0 : strlen(keyword);
	blank(r, from + keyword_length, relation);
	if (keyword_length)
		memcpy(r->copy + from, keyword, keyword_length);

	int options = r->token().start;
	read_options(r, s);
	if (r->token().start > options)
		blank(r, options, r->token().start);
}

/* ---- statements ---- */

Statement *
add_statement(Reader *r)
{
	Statement *s = static_cast<Statement *>(palloc0(sizeof(Statement)));

	s->start = r->token().start;
	s->timeout = -1;
	if (r->last)
		r->last->next = s;
	else
		r->first = s;
	r->last = s;
	return s;
}

void
refuse_cursor_option(const Reader *r, const Token &token, const char *what)
{
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("a TAIL cursor cannot be declared %s", what),
			errdetail("A TAIL cursor moves forward along the changes, within its transaction."),
			position(r->tokens.source, token.start));
}

/* Options between the cursor's name and CURSOR, and WITH HOLD; `refused` is one TAIL cannot have. */
int
read_cursor_options(Reader *r, const Token **refused, const char **why)
{
	int options = CURSOR_OPT_NO_SCROLL | CURSOR_OPT_FAST_PLAN;

	while (!r->word("cursor"))
	{
		const Token &t = r->token();

		if (accept(r, "scroll"))
			*refused = &t, *why = "SCROLL";
		else if (accept(r, "insensitive"))
			*refused = &t, *why = "INSENSITIVE";
		else if (accept(r, "binary"))
			options |= CURSOR_OPT_BINARY;
		else if (accept(r, "asensitive"))
			options |= CURSOR_OPT_ASENSITIVE;
		else if (r->word("no") && is_word(r->ahead(1), "scroll"))
			r->at += 2;
		else
			return -1;
	}
	r->at++;

	const Token &t = r->token();
	if ((r->word("with") || r->word("without")) && is_word(r->ahead(1), "hold"))
	{
		if (r->word("with"))
			*refused = &t, *why = "WITH HOLD";
		r->at += 2;
	}
	return options;
}

/* DECLARE name ... CURSOR ... FOR TAIL ...; leaves other statements alone. */
void
read_declare(Reader *r)
{
	int start = r->at;
	const Token *refused = nullptr;
	const char *why = nullptr;

	r->at++;
	const Token &name = r->token();
	if (!name.text || (name.kind != kIdent && name.kind != kKeyword))
		return;
	r->at++;
	int options = read_cursor_options(r, &refused, &why);
	if (options < 0 || !accept(r, "for") || !at_tail(r, 0))
		return;
	if (refused)
		refuse_cursor_option(r, *refused, why);

	int tail = r->at;
	r->at = start;
	Statement *s = add_statement(r);
	r->at = tail;
	s->portal = name.text;
	s->options = options;
	read_tail(r, s, s->start, "LOCK");
	if (!at_end(r))
		syntax_error(r->tokens, r->token());
}

void
read_bare(Reader *r)
{
	Statement *s = add_statement(r);

	s->options = kTailBare | CURSOR_OPT_NO_SCROLL;
	read_tail(r, s, s->start, "LOCK");
	if (!at_end(r))
		syntax_error(r->tokens, r->token());
}

/* COPY ( TAIL ... ) TO STDOUT ...; for a name the parentheses go too. */
void
read_copy(Reader *r)
{
	Statement *s = add_statement(r);
	int open = r->ahead(1).start;
	bool is_query;

	s->options = kTailCopy | CURSOR_OPT_NO_SCROLL;
	r->at += 2;
	is_query = r->ahead(1).kind == '(' ||
			   (r->word("subscribe") && is_word(r->ahead(1), "to") && r->ahead(2).kind == '(');
	read_tail(r, s, is_query ? r->token().start : open, nullptr);
	if (r->token().kind != ')')
		syntax_error(r->tokens, r->token());
	if (!is_query)
		r->copy[r->token().start] = ' ';
	r->at++;
}

int64
read_timeout(Reader *r)
{
	const Token *t;
	char *text;

	accept(r, '=');
	accept(r, "interval");
	t = &r->token();
	if (t->kind == kInteger)
		text = psprintf("%d", t->number);
	else if (t->kind == kString || t->kind == kFloat)
		text = pstrdup(t->text);
	else
		syntax_error(r->tokens, *t);
	r->at++;

	Interval *interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
															   ObjectIdGetDatum(InvalidOid),
															   Int32GetDatum(-1)));
	double ms = interval->time / 1000.0 + interval->day * 86400e3 + interval->month * 30 * 86400e3;
	if (ms < 0 || ms > PG_INT32_MAX)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("TIMEOUT must be between 0 and 24 days"),
				position(r->tokens.source, t->start));
	return static_cast<int64>(std::ceil(ms));
}

/* FETCH ... WITH ( TIMEOUT = ... ); leaves other statements alone. */
void
read_fetch(Reader *r)
{
	int start = r->at;

	while (!at_end(r) && !(r->word("with") && r->ahead(1).kind == '('))
		r->at++;
	if (at_end(r))
		return;

	int with = r->at;
	r->at = start;
	Statement *s = add_statement(r);
	r->at = with + 2;
	if (!r->word("timeout"))
	{
		if (r->token().kind == kIdent || r->token().kind == kKeyword)
			ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("unrecognized FETCH option \"%s\"", r->token().text),
					errhint("The option is TIMEOUT."),
					position(r->tokens.source, r->token().start));
		syntax_error(r->tokens, r->token());
	}
	r->at++;
	s->is_fetch = true;
	s->timeout = read_timeout(r);
	expect(r, ')');
	if (!at_end(r))
		syntax_error(r->tokens, r->token());
	blank(r, r->tokens.at[with].start, r->token().start);
}

/* Behind the semicolon that ends the statement; those in BEGIN ATOMIC bodies don't. */
void
skip_statement(Reader *r)
{
	int depth = 0;

	for (; r->token().kind != kEnd; r->at++)
	{
		if (r->word("begin") && is_word(r->ahead(1), "atomic"))
			depth++;
		else if (depth > 0 && r->word("case"))
			depth++;
		else if (depth > 0 && r->word("end"))
			depth--;
		else if (depth == 0 && r->token().kind == ';')
		{
			r->at++;
			return;
		}
	}
}

void
read_statement(Reader *r)
{
	if (r->word("declare"))
		read_declare(r);
	else if (r->word("fetch"))
		read_fetch(r);
	else if (at_tail(r, 0))
		read_bare(r);
	else if (r->word("copy") && r->ahead(1).kind == '(' && at_tail(r, 2))
		read_copy(r);
	skip_statement(r);
}

/* ---- trees ---- */

Node *
declare_tail(const Statement *s, SelectStmt *select, const char *text, Node *copy_options)
{
	DeclareCursorStmt *stmt = makeNode(DeclareCursorStmt);

	refuse_unsupported_clauses(select, text, s->start);
	select->targetList = add_tail_columns(select->targetList, s->as_of, s->up_to,
										  s->options & kTailProgress ? kWithProgress
																	 : kWithoutProgress);
	if (copy_options)
		select->targetList = lappend(select->targetList, copy_options);
	stmt->portalname = s->portal ? pstrdup(s->portal) : nullptr;
	stmt->options = s->options;
	stmt->query = reinterpret_cast<Node *>(select);
	return reinterpret_cast<Node *>(stmt);
}

void
add_timeout(const Statement *s, FetchStmt *fetch, const char *text)
{
	if (fetch->ismove || fetch->direction != FETCH_FORWARD || fetch->howMany < 0)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("only a FETCH that moves forward can have a TIMEOUT"),
				position(text, s->start));
	fetch->howMany = pack_fetch(
		{fetch->howMany == FETCH_ALL ? PG_INT64_MAX : static_cast<int64>(fetch->howMany),
		 s->timeout});
}

/* The tree of a TAIL statement from that of the statement that stood in its place. */
Node *
convert(const Statement *s, Node *node, const char *text)
{
	if (s->is_fetch && IsA(node, FetchStmt))
	{
		add_timeout(s, reinterpret_cast<FetchStmt *>(node), text);
		return node;
	}
	if (IsA(node, LockStmt))
	{
		LockStmt *lock = reinterpret_cast<LockStmt *>(node);
		return declare_tail(s, select_all_from(linitial_node(RangeVar, lock->relations)), text,
							nullptr);
	}
	if (IsA(node, SelectStmt))
		return declare_tail(s, reinterpret_cast<SelectStmt *>(node), text, nullptr);
	if (IsA(node, CopyStmt))
	{
		CopyStmt *copy = reinterpret_cast<CopyStmt *>(node);
		SelectStmt *select = copy->relation ? select_all_from(copy->relation)
											: reinterpret_cast<SelectStmt *>(copy->query);

		if (copy->is_from || copy->filename || copy->is_program || copy->attlist)
			ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("COPY of a TAIL must be TO STDOUT"), position(text, s->start));
		return declare_tail(s, select, text, copy_options_column(copy->options, text, s->start));
	}

	/* A parenthesized statement that is no SELECT does not get past the parser. */
	elog(ERROR, "unexpected parse tree of a TAIL statement: %d", static_cast<int>(nodeTag(node)));
}

/*
 * Error positions count characters. One in the overwritten copy, where a
 * character of several bytes has become several blanks, becomes one in the text.
 */
void
correct_position(void *arg)
{
	const Reader *r = static_cast<const Reader *>(arg);
	int at = geterrposition();

	if (at > 0)
		position(r->tokens.source, pg_mbcharcliplen(r->copy, strlen(r->copy), at - 1));
}

List *
parse_copy(Reader *r)
{
	ErrorContextCallback callback = {error_context_stack, correct_position, r};

	error_context_stack = &callback;
	List *trees = raw_parser(r->copy, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	return trees;
}

} // namespace

bool
may_have_tail(const char *text)
{
	for (const char *p = text; *p; p++)
	{
		char first = *p | 0x20;

		if (first != 't' && first != 's')
			continue;

		/* Most words are told apart by their second letter. */
		char second = p[1] | 0x20;
		const char *word = first == 's' ? "subscribe" : second == 'a' ? "tail" : "timeout";
		if (second == word[1] && pg_strncasecmp(p, word, strlen(word)) == 0)
			return true;
	}
	return false;
}

List *
parse_with_tail(const char *text)
{
	Reader r = {scan(text), 0, pstrdup(text), nullptr, nullptr};

	while (r.token().kind != kEnd)
		read_statement(&r);

	List *trees = r.first ? parse_copy(&r) : raw_parser(text, RAW_PARSE_DEFAULT);
	int i = 0;

	for (Statement *s = r.first; s; s = s->next)
	{
		/* The statement's tree is the last one that begins at or before its first token. */
		while (i + 1 < list_length(trees) &&
			   list_nth_node(RawStmt, trees, i + 1)->stmt_location <= s->start)
			i++;

		RawStmt *raw = list_nth_node(RawStmt, trees, i);
		raw->stmt = convert(s, raw->stmt, text);
	}
	return trees;
}

constexpr int64 kTimeoutMark = INT64CONST(1) << 62;
constexpr int64 kPackedAll = PG_INT32_MAX;

static_assert(sizeof(long) == 8, "a FETCH with a timeout needs 64 bits");

long
pack_fetch(const FetchRequest &request)
{
	return -(kTimeoutMark + (request.timeout << 31) + Min(request.count, kPackedAll));
}

bool
has_timeout(const FetchStmt *stmt)
{
	return stmt->howMany <= -kTimeoutMark;
}

FetchRequest
unpack_fetch(const FetchStmt *stmt)
{
	if (!has_timeout(stmt))
		return {stmt->howMany == FETCH_ALL ? PG_INT64_MAX : static_cast<int64>(stmt->howMany), -1};

	int64 packed = -static_cast<int64>(stmt->howMany) - kTimeoutMark;
	int64 count = packed & kPackedAll;
	return {count == kPackedAll ? PG_INT64_MAX : count, packed >> 31};
}

} // namespace tw::tail
