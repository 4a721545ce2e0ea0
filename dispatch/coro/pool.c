/* pool.c: see pool.h. */
#include "dispatch/coro/pool.h"

#include <stdint.h>
#include <stdlib.h>

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

static char *first_cell(struct co_pool_chunk *chunk)
{
	/* Cells start on a cache line of their own. */
	return (char *)(((uintptr_t)(chunk + 1) + CO_POOL_GRAIN - 1) & ~(uintptr_t)(CO_POOL_GRAIN - 1));
}

static size_t cells_of(struct co_pool_chunk *chunk, size_t cell)
{
	return (size_t)((char *)chunk + CHUNK_BYTES - first_cell(chunk)) / cell;
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
	first = first_cell(chunk);
	for (size_t n = cells_of(chunk, cell); n-- > 0;) {
		struct co_pool_free *f = (struct co_pool_free *)(void *)(first + n * cell);

		f->next = p->free[class];
		p->free[class] = f;
		co_memory_take(f, cell);
	}
	return co_pool_alloc(p, size);
}

/* ---- giving back ---- */

struct census {
	struct co_pool_chunk *chunk;
	size_t n_free;
	bool whole;
};

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct census *)a)->chunk, y = (uintptr_t)((const struct census *)b)->chunk;

	return (x > y) - (x < y);
}

static struct census *census_of(struct census *c, size_t n, const void *cell)
{
	size_t low = 0;

	/* The last chunk that doesn't begin behind it. */
	while (n > 1) {
		size_t half = n / 2;

		if ((uintptr_t)c[low + half].chunk <= (uintptr_t)cell)
			low += half;
		n -= half;
	}
	return &c[low];
}

/* Free cells may not be touched where that is watched. */
static struct co_pool_free *next_of(struct co_pool *p, struct co_pool_free *f)
{
	struct co_pool_free *next;

	if (!p->watched)
		return f->next;
	co_memory_lend(f, sizeof *f);
	VALGRIND_MAKE_MEM_DEFINED(f, sizeof *f);
	next = f->next;
	co_memory_take(f, sizeof *f);
	return next;
}

static void set_next(struct co_pool *p, struct co_pool_free *f, struct co_pool_free *next)
{
	if (p->watched)
		co_memory_lend(f, sizeof *f);
	f->next = next;
	if (p->watched)
		co_memory_take(f, sizeof *f);
}

/* Leaves out the cells of chunks that go; those that stay keep their order. */
static void thin_out(struct co_pool *p, size_t class, struct census *c, size_t n)
{
	struct co_pool_free *f = p->free[class], *last = NULL, *next;

	p->free[class] = NULL;
	for (; f != NULL; f = next) {
		next = next_of(p, f);
		if (census_of(c, n, f)->whole)
			continue;
		if (last == NULL)
			p->free[class] = f;
		else
			set_next(p, last, f);
		last = f;
	}
	if (last != NULL)
		set_next(p, last, NULL);
}

void co_pool_trim(struct co_pool *p)
{
	size_t n = 0, i = 0;
	struct census *c;

	for (struct co_pool_chunk *chunk = p->chunks; chunk != NULL; chunk = chunk->next)
		n++;
	c = n > 0 ? mem_zalloc(n * sizeof *c) : NULL;
	if (c == NULL)
		return;
	for (struct co_pool_chunk *chunk = p->chunks; chunk != NULL; chunk = chunk->next)
		c[i++].chunk = chunk;
	qsort(c, n, sizeof *c, by_address);
	for (size_t class = 0; class < CO_POOL_CLASSES; class++) {
		for (struct co_pool_free *f = p->free[class]; f != NULL; f = next_of(p, f)) {
			struct census *at = census_of(c, n, f);

			at->whole = ++at->n_free == cells_of(at->chunk, (class + 1) * CO_POOL_GRAIN);
		}
	}
	for (size_t class = 0; class < CO_POOL_CLASSES; class++)
		thin_out(p, class, c, n);
	p->chunks = NULL;
	for (i = n; i-- > 0;) {
		if (c[i].whole) {
			co_memory_lend(c[i].chunk, CHUNK_BYTES);
			mem_free(c[i].chunk);
			continue;
		}
		c[i].chunk->next = p->chunks;
		p->chunks = c[i].chunk;
	}
	mem_free(c);
}
