/*
 * guard.h: what stacks ask of the system for their pages: guards, memory before it is touched, memory given back; many at once where
 * the kernel has that. The budget of guards by mprotect(2) is the process's; any thread.
 */
#ifndef CORO_GUARD_H
#define CORO_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/check.h"

struct co_pages {
	char *first;
	size_t bytes;
};

/* What catches an overflow: an unmapped page, or words at the bottom that must have stayed zero. */
enum co_stack_guard { CO_STACK_UNGUARDED = 1, CO_STACK_ADVISED, CO_STACK_PROTECTED };

/* How far below its bottom a stack's guard reaches: the page size. */
size_t co_guard_bytes(void);
enum co_stack_guard co_guard_install(char *page);
/* It is about to be unmapped. */
void co_guard_forget(enum co_stack_guard guard);

/* Up to 1,024 at a time (IOV_MAX). */
/* Makes each an advised guard. False: not all of them are, each is to be asked for by itself. */
bool co_guard_install_many(const struct co_pages *pages, size_t n) MUST_CHECK;
/* Touches them all in one call, where there is one. */
void co_pages_populate_many(const struct co_pages *pages, size_t n);
/* Gives their memory back: they will read as zero. */
void co_pages_release_many(const struct co_pages *pages, size_t n);

#endif
