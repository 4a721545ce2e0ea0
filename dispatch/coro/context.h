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
/* Leaves off into `from` and goes on at `to`, where the call that left off returns `value`; who begins has no use for it. Called last by
 * whoever suspends, for a jump to it leaves nothing of its caller on the stack, and the return to the caller's caller is the switch's own
 * jump, while a return after a switch is mispredicted each time. */
int co_context_switch(struct co_context *from, const struct co_context *to, int value);
/* Where a context that is not running will go on, and its innermost frame pointer; NULL where they can't be known. */
void *co_context_pc(const struct co_context *c);
void *co_context_frame(const struct co_context *c);

#endif
