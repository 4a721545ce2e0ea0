/* check.h: assertions that stay in release builds. For what can't happen: the environment's failures are returned, never checked. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

/* Ends the process with file, line, the expression and a printf text on stderr, by abort(). */
_Noreturn void check_failed(const char *file, int line, const char *expr, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), cold));

/* Adds to that line, on stderr, who was at work: nothing here, the current task where the runtime is linked (dispatch/coro/fault.c). */
void check_tell_who(void);

/* CHECK(cond) or CHECK(cond, "what was %d", wrong) */
#define CHECK(cond, ...) \
	((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond, " " __VA_ARGS__))

#define MUST_CHECK __attribute__((warn_unused_result))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))

#endif
