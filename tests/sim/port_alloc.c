/*
 * port_alloc.c: alloc.h for a process that can be dropped whole: each block of an incarnation hangs in a list, and the list goes at once
 * when it dies. Blocks made while no process lives (the world's set-up calls product code too) are plain ones.
 */
#include "daemon/base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/list.h"
#include "tests/sim/sim.h"

enum { JUNK = 0xa5, JUNK_MAX = 4096 };

struct block {
	struct list node;
	size_t size;
	uint64_t in_arena;
};

static struct list arena = LIST_INIT(arena);
static size_t n_blocks;

static struct block *block_of(void *ptr)
{
	return (struct block *)ptr - 1;
}

static void *made(struct block *b, size_t size)
{
	if (b == NULL)
		return NULL;
	list_init(&b->node);
	b->size = size;
	b->in_arena = sim.loop != NULL;
	if (b->in_arena) {
		list_append(&arena, &b->node);
		n_blocks++;
	}
	return b + 1;
}

/* What is not written must not be read: the same junk each time, lest a run depends on it. */
void *mem_alloc(size_t size)
{
	void *ptr = made(malloc(sizeof(struct block) + size), size);

	return ptr != NULL ? memset(ptr, JUNK, size < JUNK_MAX ? size : JUNK_MAX) : NULL;
}

void *mem_zalloc(size_t size)
{
	return made(calloc(1, sizeof(struct block) + size), size);
}

void *mem_resize(void *ptr, size_t size)
{
	void *to = mem_alloc(size);

	if (to != NULL && ptr != NULL) {
		size_t old = block_of(ptr)->size;

		memcpy(to, ptr, old < size ? old : size);
		mem_free(ptr);
	}
	return to;
}

char *mem_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *to = mem_alloc(len);

	return to != NULL ? memcpy(to, s, len) : NULL;
}

void mem_free(void *ptr)
{
	struct block *b;

	if (ptr == NULL)
		return;
	b = block_of(ptr);
	if (b->in_arena)
		n_blocks--;
	list_remove(&b->node);
	free(b);
}

size_t sim_arena_drop(void)
{
	size_t dropped = n_blocks;
	struct list *node;

	while ((node = list_pop(&arena)) != NULL)
		free(list_entry(node, struct block, node));
	n_blocks = 0;
	return dropped;
}

size_t sim_arena_blocks(void)
{
	return n_blocks;
}
