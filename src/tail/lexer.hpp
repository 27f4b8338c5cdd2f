/*
 * lexer.hpp - the tokens of a text, as the server's own lexer sees them.
 */
#pragma once

#include "pg/postgres.hpp"

namespace tw::tail
{

/*
 * Kinds of tokens. The numbers up to kTypecast are fixed by the server
 * (parser/scanner.h says so); a character stands for itself; all keywords are
 * one kind, told apart by their text.
 */
enum TokenKind : int
{
	kEnd = 0,
	kIdent = 258,
	kUnicodeIdent,
	kFloat,
	kString,
	kUnicodeString,
	kBitString,
	kHexString,
	kOperator,
	kInteger,
	kParam,
	kTypecast,
	kKeyword = 2000
};

struct Token
{
	int kind;
	int start; /* byte offsets in the text */
	int end;
	int number;       /* of an integer or parameter */
	bool quoted;      /* identifier in double quotes */
	const char *text; /* identifier, keyword, literal; null for other tokens */
};

struct Tokens
{
	const char *source;
	Token *at;
	int count; /* including the last, which is kEnd */
};

/* All tokens of a text. Raises what the server raises for text that cannot be scanned. */
Tokens scan(const char *text);

/* True if the token is this word (in lower case), written without quotes. */
bool is_word(const Token &token, const char *word);

/* errposition() of a byte offset of the text, for use inside ereport(). */
int position(const char *text, int offset);

/* Raises the server's "syntax error at or near". */
[[noreturn]] void syntax_error(const Tokens &tokens, const Token &token);

} // namespace tw::tail
