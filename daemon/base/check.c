/* check.c: how a failed check ends the process. Any thread; it never returns. */
#include "daemon/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((weak)) void check_tell_who(void)
{
}

void check_failed(const char *file, int line, const char *expr, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: check failed: %s", file, line, expr);
	if (fmt[1] != '\0') {            /* CHECK() puts a space in front */
		fputc(':', stderr);
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
	}
	check_tell_who();
	fputc('\n', stderr);
	abort();
}
