/*
 * stack.h: the stacks of a loop's tasks. Cut from slabs of address space that costs memory only where it is touched, with a guard
 * below each, and kept warm when a task ends. Belongs to the loop's thread; the budget of guards is the process's.
 */
#ifndef CORO_STACK_H
#define CORO_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

/* What catches an overflow: an unmapped page, or words at the bottom that must have stayed zero. */
enum co_stack_guard { CO_STACK_UNGUARDED = 1, CO_STACK_ADVISED, CO_STACK_PROTECTED };

struct co_stack {
	struct co_stack *next;
	char *bottom;                   /* the lowest byte that may be used */
	char *top;                      /* 64-byte aligned */
	unsigned valgrind_id;
	enum co_stack_guard guard;
};

struct co_stack_slab;
struct co_stacks {
	struct co_stack *warm, *cold;
	struct co_stack_slab *slabs;
	size_t n_warm, n_free, n_total, n_promised;
	size_t n_unguarded;             /* counter: these have only the zero words */
};

void co_stacks_init(struct co_stacks *s);
/* Unmaps everything, the stacks in use too. */
void co_stacks_fini(struct co_stacks *s);
/* Makes sure that a later co_stack_get() has one. -ENOMEM. */
int co_stack_promise(struct co_stacks *s) MUST_CHECK;
/* Takes a promise back that was not used. */
void co_stack_unpromise(struct co_stacks *s);
/* Uses up a promise. */
struct co_stack *co_stack_get(struct co_stacks *s);
/* Gives a stack back; `name` is who overflowed it, should the zero words show that. */
void co_stack_put(struct co_stacks *s, struct co_stack *stack, const char *name);

#endif
