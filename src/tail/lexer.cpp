/*
 * lexer.cpp - the tokens of a text, as the server's own lexer sees them.
 *
 * Using core_yylex() means that comments, dollar quotes, string literals and
 * quoted identifiers can never be taken for TAIL. The scanner is given a token
 * table of ours in which every keyword has the same number: the numbers of
 * the grammar's header differ between servers, the spelling does not.
 */
#include "tail/lexer.hpp"

namespace tw::tail
{

namespace
{

constexpr int kMaxKeywords = 1024;

struct KeywordTable
{
	uint16 number[kMaxKeywords];

	constexpr KeywordTable() : number{}
	{
		for (uint16 &n : number)
			n = kKeyword;
	}
};

constexpr KeywordTable kKeywordTable;

} // namespace

Tokens
scan(const char *text)
{
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE location = 0;
	int capacity = 64;
	Tokens tokens = {text, static_cast<Token *>(palloc(sizeof(Token) * capacity)), 0};

	if (ScanKeywords.num_keywords > kMaxKeywords)
		elog(ERROR, "the server has more keywords than expected");

	core_yyscan_t scanner = scanner_init(text, &extra, &ScanKeywords, kKeywordTable.number);
	extra.escape_string_warning = false; /* the parser proper will warn */

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();

		int kind = core_yylex(&value, &location, scanner);
		Token token = {kind, location, location, 0, false, nullptr};

		if (kind == kEnd)
			token.start = token.end = strlen(text);
		else /* the scanner has put a zero byte behind the token */
			token.end = location + strlen(extra.scanbuf + location);

		if (kind == kKeyword)
			token.text = value.keyword;
		else if (kind == kInteger || kind == kParam)
			token.number = value.ival;
		else if (kind >= kIdent && kind <= kOperator)
			token.text = value.str;
		token.quoted = kind == kIdent && text[location] == '"';

		if (tokens.count == capacity)
		{
			capacity *= 2;
			tokens.at = static_cast<Token *>(
				repalloc_huge(tokens.at, sizeof(Token) * static_cast<Size>(capacity)));
		}
		tokens.at[tokens.count++] = token;
		if (kind == kEnd)
			break;
	}
	scanner_finish(scanner);
	return tokens;
}

bool
is_word(const Token &token, const char *word)
{
	if (token.kind != kKeyword && (token.kind != kIdent || token.quoted))
		return false;
	return strcmp(token.text, word) == 0;
}

int
position(const char *text, int offset)
{
	return errposition(pg_mbstrlen_with_len(text, offset) + 1);
}

void
syntax_error(const Tokens &tokens, const Token &token)
{
	if (token.kind == kEnd)
		ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR), errmsg("syntax error at end of input"),
				position(tokens.source, token.start));
	ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
			errmsg("syntax error at or near \"%s\"",
				   pnstrdup(tokens.source + token.start, token.end - token.start)),
			position(tokens.source, token.start));
	pg_unreachable();
}

} // namespace tw::tail
