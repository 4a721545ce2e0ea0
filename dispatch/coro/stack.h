/*
 * stack.h: the stacks of a loop's tasks. Cut from slabs of address space that costs memory only where it is touched, with a guard
 * below each, and kept warm when a task ends; what a spike leaves behind goes back by and by. Larger ones are mapped one by one.
 * Belongs to the loop's thread; the budget of guards is the process's.
 */
#ifndef CORO_STACK_H
#define CORO_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"
#include "daemon/base/list.h"
#include "dispatch/coro/guard.h"

struct co_stack {
	struct co_stack *next;
	char *bottom;                   /* the lowest byte that may be used */
	char *top;                      /* 64-byte aligned */
	struct co_stack_slab *slab;     /* NULL: mapped by itself */
	unsigned valgrind_id;
	enum co_stack_guard guard;
	bool cleared;                   /* it was all zero when its task began */
};

struct co_stacks {
	struct co_stack *warm;
	struct list slabs_cold;         /* no stack of theirs is in use or warm */
	struct list slabs_mixed;        /* some are cold */
	struct list slabs_used;         /* none is cold */
	struct list mapped;
	size_t stride;                  /* from one stack to the next in a slab */
	size_t n_warm, n_free, n_total, n_promised;
	size_t n_warm_min;              /* since the last trim: so many nobody needed */
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
/* One of its own of at least so many bytes, beside the promises. NULL: out of memory. */
struct co_stack *co_stack_map(struct co_stacks *s, size_t bytes) MUST_CHECK;
/* Gives a stack back; `name` is who overflowed it, should the zero words show that. */
void co_stack_put(struct co_stacks *s, struct co_stack *stack, const char *name);
/* Gives back what has lain idle since the last call, a bounded piece of it unless `all`. */
void co_stacks_trim(struct co_stacks *s, bool all);
/* For high-water marks: makes all of it read as zero, and finds how much is not any more. */
void co_stack_clear(struct co_stack *stack);
size_t co_stack_used(const struct co_stack *stack);

#endif
