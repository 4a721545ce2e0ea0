/*
 * pool.h: the memory of a loop's small objects (futures, tasks, waitset entries): freelists by size, cut from chunks that go back when
 * the loop ends, all at once, whoever still points at them, or in co_pool_trim(). Belongs to the loop's thread. Larger objects go to mem_alloc() and are
 * kept in a list for the same end.
 */
#ifndef CORO_POOL_H
#define CORO_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/check.h"
#include "daemon/base/list.h"
#include "dispatch/coro/sanitize.h"

enum { CO_POOL_GRAIN = 64, CO_POOL_CLASSES = 8 };

struct co_pool_free {
	struct co_pool_free *next;
};

struct co_pool {
	struct co_pool_free *free[CO_POOL_CLASSES];
	struct co_pool_chunk *chunks;
	struct list big;
	bool watched;                   /* ASan or valgrind want to know what is lent */
};

void co_pool_init(struct co_pool *p);
void co_pool_fini(struct co_pool *p);
/* Gives chunks back of which nothing is in use; needs some memory for that, and does nothing without. */
void co_pool_trim(struct co_pool *p);
/* The slow ways of the two below. */
void *co_pool_grow(struct co_pool *p, size_t size) MUST_CHECK;
void co_pool_free_big(void *ptr);

static inline size_t co_pool_class(size_t size)
{
	return (size - 1) / CO_POOL_GRAIN;
}

/* Uninitialised memory, or NULL. */
MUST_CHECK static inline void *co_pool_alloc(struct co_pool *p, size_t size)
{
	size_t class = co_pool_class(size);
	struct co_pool_free *f;

	if (class >= CO_POOL_CLASSES || p->free[class] == NULL)
		return co_pool_grow(p, size);
	f = p->free[class];
	if (__builtin_expect(p->watched, 0)) {
		co_memory_lend(f, size < sizeof *f ? sizeof *f : size);
		VALGRIND_MAKE_MEM_DEFINED(f, sizeof *f);
	}
	p->free[class] = f->next;
	return f;
}

static inline void co_pool_release(struct co_pool *p, void *ptr, size_t size)
{
	size_t class = co_pool_class(size);
	struct co_pool_free *f = ptr;

	if (class >= CO_POOL_CLASSES) {
		co_pool_free_big(ptr);
		return;
	}
	f->next = p->free[class];
	p->free[class] = f;
	if (__builtin_expect(p->watched, 0))
		co_memory_take(f, size);
}

#endif
