/*
 * context.h: switching from one stack to another, on one thread. Its makers: context_x86_64.S, context_aarch64.S, and context_ucontext.c
 * elsewhere or with -DCO_UCONTEXT. A context is where a stack that is not running left off. MXCSR and the x87 control word (FPCR on
 * aarch64) are constants of the thread here and are not saved; errno is the caller's to keep.
 */
#ifndef CORO_CONTEXT_H
#define CORO_CONTEXT_H

#include <stddef.h>

struct co_context {
	void *sp;
};

/* Lays a first frame below `top` (16-byte aligned) so that the first switch to it calls entry(arg), which must not return. */
void co_context_make(struct co_context *c, void *bottom, void *top, void (*entry)(void *arg), void *arg);
/* Leaves off into `from` and goes on at `to`. */
void co_context_switch(struct co_context *from, const struct co_context *to);
/* The innermost frame pointer of a context that is not running, or NULL where it can't be known. */
void *co_context_frame(const struct co_context *c);

#endif
