/*
 * patch.cpp - makes the stock server read TAIL.
 *
 * The grammar knows no TAIL and there is no hook before it, but every text that
 * a client sends passes through pg_parse_query(), which is a global function
 * of its own. While the postmaster preloads the library, the first bytes of
 * that function are replaced by an absolute jump to parse_query() below, which
 * does what the original did: raw_parser(), and the parser's statistics. The
 * page is writable (and then not executable) only during the write. The page
 * is a private mapping, so the change lives in this server's memory alone and
 * every backend inherits it by fork; nothing on disk changes, and a server
 * without the library in shared_preload_libraries is untouched.
 *
 * What is lost: the static probes query-parse-start and query-parse-done of a
 * server built with --enable-dtrace don't fire, and the debugging build option
 * COPY_PARSE_PLAN_TREES doesn't check raw trees.
 *
 * Text that has none of the words TAIL, SUBSCRIBE and TIMEOUT goes straight to
 * raw_parser(); looking for them costs less than a nanosecond per byte.
 */
#include "tail/patch.hpp"

#include "settings.hpp"
#include "tail/syntax.hpp"

#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tw::tail
{

namespace
{

/* What pg_parse_query() is from now on. */
List *
parse_query(const char *text)
{
	if (log_parser_stats)
		ResetUsage();

	List *trees = settings::tail_syntax && may_have_tail(text)
					  ? parse_with_tail(text)
					  : raw_parser(text, RAW_PARSE_DEFAULT);

	if (log_parser_stats)
		ShowUsage("PARSER STATISTICS");
	return trees;
}

constexpr size_t kMaxJump = 24;

/*
 * Writes the machine code of a jump to `to` and returns its length; 0 where
 * the processor is unknown. Code that begins with a landing pad for indirect
 * jumps keeps one.
 */
size_t
encode_jump([[maybe_unused]] const unsigned char *original, [[maybe_unused]] uint64 to,
			[[maybe_unused]] unsigned char *code)
{
	size_t n = 0;

#if defined(__x86_64__)
	static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	static const unsigned char jump[] = {0xff, 0x25, 0, 0, 0, 0}; /* jmp *0(%rip) */

	if (memcmp(original, endbr64, sizeof(endbr64)) == 0)
	{
		memcpy(code, endbr64, sizeof(endbr64));
		n += sizeof(endbr64);
	}
	memcpy(code + n, jump, sizeof(jump));
	n += sizeof(jump);
	memcpy(code + n, &to, sizeof(to));
	n += sizeof(to);
#elif defined(__aarch64__)
	static const uint32 landing = 0xd503245f; /* bti c; a no-op on processors without it */
	static const uint32 load = 0x58000050;    /* ldr x16, #8 */
	static const uint32 jump = 0xd61f0200;    /* br x16 */

	memcpy(code, &landing, 4);
	memcpy(code + 4, &load, 4);
	memcpy(code + 8, &jump, 4);
	memcpy(code + 12, &to, sizeof(to));
	n = 12 + sizeof(to);
#endif
	return n;
}

/* True if a function starts at `entry` and is at least `length` bytes long. */
bool
is_function_of_length(void *entry, size_t length)
{
	Dl_info info;
	void *extra = nullptr;

	if (dladdr1(entry, &info, &extra, RTLD_DL_SYMENT) == 0 || info.dli_saddr != entry || !extra)
		return false;
	return static_cast<const ElfW(Sym) *>(extra)->st_size >= length;
}

/* Overwrites code. Returns null, or what failed with errno set. */
const char *
overwrite(unsigned char *entry, const unsigned char *code, size_t length)
{
	uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
	uintptr_t start = reinterpret_cast<uintptr_t>(entry) & ~(page - 1);
	size_t size = reinterpret_cast<uintptr_t>(entry) + length - start;
	sigset_t all;
	sigset_t saved;

	/* Signal handlers may live in the page that is not executable for a moment. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);

	const char *failed = nullptr;
	if (mprotect(reinterpret_cast<void *>(start), size, PROT_READ | PROT_WRITE) != 0)
		failed = "could not make the page of pg_parse_query() writable";
	else
	{
		memcpy(entry, code, length);
		__builtin___clear_cache(reinterpret_cast<char *>(entry),
								reinterpret_cast<char *>(entry + length));
		if (mprotect(reinterpret_cast<void *>(start), size, PROT_READ | PROT_EXEC) != 0)
			abort(); /* a server whose code cannot run has no way to say so */
	}

	int save_errno = errno;
	sigprocmask(SIG_SETMASK, &saved, nullptr);
	errno = save_errno;
	return failed;
}

void
warn_unpatched(const char *reason, bool with_errno)
{
	ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("TAIL is not available as a statement"),
			with_errno ? errdetail("%s: %m.", reason) : errdetail("%s.", reason),
			errhint("Use tailwater.exec(), which understands the same syntax."));
}

} // namespace

void
patch_parser()
{
	auto *entry = static_cast<unsigned char *>(dlsym(RTLD_DEFAULT, "pg_parse_query"));
	unsigned char code[kMaxJump];

	if (!entry)
	{
		warn_unpatched("The server does not export pg_parse_query()", false);
		return;
	}

	size_t length = encode_jump(entry, reinterpret_cast<uint64>(&parse_query), code);
	if (length == 0)
		warn_unpatched("The processor's machine code is not known to tailwater", false);
	else if (!is_function_of_length(entry, length))
		warn_unpatched("The entry of pg_parse_query() is not what it should be", false);
	else if (const char *failed = overwrite(entry, code, length))
		warn_unpatched(failed, true);
}

} // namespace tw::tail
