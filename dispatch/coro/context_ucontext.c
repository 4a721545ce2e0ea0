/* context_ucontext.c: the switch by ucontext (a system call each way), where there is no assembly for the machine. Owns nothing: the
 * state lies in the frame of the switch itself, on the stack that is left. */
#if !(defined(__x86_64__) || defined(__aarch64__)) || !defined(__ELF__) || defined(CO_UCONTEXT)

#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#include "daemon/base/check.h"
#include "dispatch/coro/context.h"

/* makecontext() passes ints only: two pointers in four halves. */
static void start(unsigned fn_high, unsigned fn_low, unsigned arg_high, unsigned arg_low)
{
	void (*fn)(void *) = (void (*)(void *))(uintptr_t)((uint64_t)fn_high << 32 | fn_low);

	fn((void *)(uintptr_t)((uint64_t)arg_high << 32 | arg_low));
	abort();
}

void co_context_make(struct co_context *c, void *bottom, void *top, void (*entry)(void *arg), void *arg)
{
	uint64_t fn_bits = (uintptr_t)entry, arg_bits = (uintptr_t)arg;
	ucontext_t *uc = (void *)(((uintptr_t)top - sizeof *uc) & ~(uintptr_t)63);

	CHECK(getcontext(uc) == 0);
	uc->uc_stack.ss_sp = bottom;
	uc->uc_stack.ss_size = (size_t)((char *)uc - (char *)bottom);
	uc->uc_link = NULL;
	makecontext(uc, (void (*)(void))start, 4, (unsigned)(fn_bits >> 32), (unsigned)fn_bits,
		    (unsigned)(arg_bits >> 32), (unsigned)arg_bits);
	c->sp = uc;
}

static _Thread_local int handed_over;   /* from one side of a switch to the other */

int co_context_switch(struct co_context *from, const struct co_context *to, int value)
{
	ucontext_t here;

	/* cppcheck-suppress autoVariables ; whoever switches back resumes this frame */
	from->sp = &here;
	handed_over = value;
	CHECK(swapcontext(&here, to->sp) == 0);
	return handed_over;
}

void *co_context_pc(const struct co_context *c)
{
	(void)c;
	return NULL;
}

void *co_context_frame(const struct co_context *c)
{
	(void)c;
	return NULL;
}

#else
/* ISO C wants something in every file. */
typedef int context_ucontext_unused;
#endif
