/* pool.c: see pool.h. */
#include "dispatch/coro/pool.h"

#include <stdint.h>

#include "daemon/base/alloc.h"

enum { CHUNK_BYTES = 16384, CHUNK_SLACK = 128 };

struct co_pool_chunk {
	struct co_pool_chunk *next;
};

/* Keeps what follows it aligned as mem_alloc() does. */
struct big {
	_Alignas(16) struct list node;
};

void co_pool_init(struct co_pool *p)
{
	*p = (struct co_pool){ 0 };
	list_init(&p->big);
	p->watched = CO_ASAN || RUNNING_ON_VALGRIND;
}

void co_pool_fini(struct co_pool *p)
{
	struct co_pool_chunk *chunk, *next;

	for (chunk = p->chunks; chunk != NULL; chunk = next) {
		next = chunk->next;
		co_memory_lend(chunk, CHUNK_BYTES);
		mem_free(chunk);
	}
	list_each(node, &p->big) {
		list_remove(node);
		mem_free(list_entry(node, struct big, node));
	}
	p->chunks = NULL;
}

static void *grow_big(struct co_pool *p, size_t size)
{
	struct big *b = mem_alloc(sizeof *b + size);

	if (b == NULL)
		return NULL;
	list_append(&p->big, &b->node);
	return b + 1;
}

void co_pool_free_big(void *ptr)
{
	struct big *b = (struct big *)ptr - 1;

	list_remove(&b->node);
	mem_free(b);
}

void *co_pool_grow(struct co_pool *p, size_t size)
{
	size_t class = co_pool_class(size), cell = (class + 1) * CO_POOL_GRAIN;
	struct co_pool_chunk *chunk;
	char *first;

	if (class >= CO_POOL_CLASSES)
		return grow_big(p, size);
	chunk = mem_alloc(CHUNK_BYTES);
	if (chunk == NULL)
		return NULL;
	chunk->next = p->chunks;
	p->chunks = chunk;
	/* Cells start on a cache line of their own. */
	first = (char *)(((uintptr_t)(chunk + 1) + CO_POOL_GRAIN - 1) & ~(uintptr_t)(CO_POOL_GRAIN - 1));
	for (size_t n = (size_t)((char *)chunk + CHUNK_BYTES - first) / cell; n-- > 0;) {
		struct co_pool_free *f = (struct co_pool_free *)(void *)(first + n * cell);

		f->next = p->free[class];
		p->free[class] = f;
		co_memory_take(f, cell);
	}
	return co_pool_alloc(p, size);
}
