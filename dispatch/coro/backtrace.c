/* backtrace.c: see backtrace.h. Frames are followed only inside the stack's own memory, so a wrong pointer ends the walk and no more.
 * snprintf() of integers and strings and dladdr() are what glibc lets one do in a handler, short of a promise. */
#include "dispatch/coro/backtrace.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>
#include <unistd.h>

void co_walk_from_signal(struct co_walk *w, const void *ucontext)
{
	const ucontext_t *uc = ucontext;

#if defined(__x86_64__)
	w->pc = (const void *)(uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	w->frame = (void *const *)(uintptr_t)uc->uc_mcontext.gregs[REG_RBP];
#elif defined(__aarch64__)
	w->pc = (const void *)(uintptr_t)uc->uc_mcontext.pc;
	w->frame = (void *const *)(uintptr_t)uc->uc_mcontext.regs[29];
#else
	(void)uc;
	w->pc = NULL;
	w->frame = NULL;
#endif
}

/* frame[0] is the caller's frame, frame[1] where it goes on: on x86-64 and aarch64 alike. */
__attribute__((no_sanitize("address", "thread"))) const void *co_walk_next(struct co_walk *w)
{
	const void *pc = w->pc;
	const char *at = (const void *)w->frame;

	w->pc = NULL;
	if (pc != NULL)
		return pc;
	if (at < w->low || at > w->high - 2 * sizeof *w->frame || (uintptr_t)at % sizeof *w->frame != 0)
		return NULL;
	pc = w->frame[1];
	w->low = at + sizeof *w->frame;         /* callers lie higher: no circles */
	w->frame = w->frame[0];
	return pc;
}

void co_walk_describe(const void *pc, char *buf, size_t size)
{
	Dl_info info;

	if (dladdr(pc, &info) == 0 || info.dli_fname == NULL)
		snprintf(buf, size, "%p", pc);
	else if (info.dli_sname != NULL)
		snprintf(buf, size, "%s+0x%tx", info.dli_sname, (const char *)pc - (const char *)info.dli_saddr);
	else
		snprintf(buf, size, "%s(+0x%tx)", info.dli_fname, (const char *)pc - (const char *)info.dli_fbase);
}

void co_write_text(int fd, const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof buf, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof buf)
		n = sizeof buf - 1;
	if (n > 0 && write(fd, buf, (size_t)n) < 0)
		return;                         /* nobody left to tell */
}

void co_walk_write(struct co_walk *w, int fd)
{
	char text[CO_FRAME_TEXT];
	const void *pc;

	for (unsigned i = 0; i < CO_FRAMES_MAX && (pc = co_walk_next(w)) != NULL; i++) {
		co_walk_describe(pc, text, sizeof text);
		co_write_text(fd, "    %s\n", text);
	}
}
