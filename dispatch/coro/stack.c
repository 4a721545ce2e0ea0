/* stack.c: see stack.h. */
#include "dispatch/coro/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/sanitize.h"

#if CO_ASAN || CO_TSAN || !defined(__OPTIMIZE__)
enum { STACK_BYTES = 256 * 1024 };
#else
enum { STACK_BYTES = 64 * 1024 };
#endif

enum {
	PAGE_BYTES = 4096,
	SLAB_STACKS = 32,
	/* Ended tasks' stacks that keep their memory; beyond it goes back to the system. */
	WARM_MAX = 2048,
	ZERO_WORDS = 16,
	COLOURS = 48,
};

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102          /* Linux 6.13 */
#endif

struct co_stack_slab {
	struct co_stack_slab *next;
	char *base;
	struct co_stack stacks[SLAB_STACKS];
};

/* Guards by mprotect(2) in the whole process, each of which splits a mapping; never more than a share of the system's limit. */
static atomic_long protected_guards;

void co_stacks_init(struct co_stacks *s)
{
	*s = (struct co_stacks){ 0 };
}

static void drop_stack(struct co_stack *stack)
{
	if (stack->guard == 0)
		return;
	VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
	if (stack->guard == CO_STACK_PROTECTED)
		atomic_fetch_sub(&protected_guards, 1);
}

void co_stacks_fini(struct co_stacks *s)
{
	struct co_stack_slab *slab, *next;

	for (slab = s->slabs; slab != NULL; slab = next) {
		next = slab->next;
		for (size_t i = 0; i < SLAB_STACKS; i++)
			drop_stack(&slab->stacks[i]);
		co_memory_lend(slab->base, (size_t)SLAB_STACKS * STACK_BYTES);
		co_memory_root(slab->base, (size_t)SLAB_STACKS * STACK_BYTES, 0);
		munmap(slab->base, (size_t)SLAB_STACKS * STACK_BYTES);
		mem_free(slab);
	}
	co_stacks_init(s);
}

/* 45 % of vm.max_map_count: the rest is for everybody else's mappings. */
static long protected_limit(void)
{
	static atomic_long limit;
	long n = atomic_load(&limit);
	char text[32] = "";
	int fd;

	if (n != 0)
		return n;
	fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, text, sizeof text - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	n = strtol(text, NULL, 10);
	if (n <= 0)
		n = 65530;
	n = n * 45 / 100;
	atomic_store(&limit, n);
	return n;
}

/* Emulators answer yes to any advice: guards are believed only where nonsense is refused. */
static bool advice_works(void *page)
{
	static atomic_int answer;
	int known = atomic_load(&answer);

	if (known == 0) {
		known = madvise(page, PAGE_BYTES, 9999) != 0 && madvise(page, PAGE_BYTES, MADV_GUARD_INSTALL) == 0 ? 1 : 2;
		atomic_store(&answer, known);
	}
	return known == 1;
}

static enum co_stack_guard guard_page(char *page)
{
	if (advice_works(page) && madvise(page, PAGE_BYTES, MADV_GUARD_INSTALL) == 0)
		return CO_STACK_ADVISED;
	if (atomic_fetch_add(&protected_guards, 1) < protected_limit() && mprotect(page, PAGE_BYTES, PROT_NONE) == 0)
		return CO_STACK_PROTECTED;
	atomic_fetch_sub(&protected_guards, 1);
	return CO_STACK_UNGUARDED;
}

static int add_slab(struct co_stacks *s)
{
	struct co_stack_slab *slab = mem_zalloc(sizeof *slab);
	size_t bytes = (size_t)SLAB_STACKS * STACK_BYTES;

	if (slab == NULL)
		return -ENOMEM;
	slab->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (slab->base == MAP_FAILED) {
		mem_free(slab);
		return -ENOMEM;
	}
	/* A huge page would make each task's one touched page 2 MB. Advice: where it is refused nothing is lost but memory. */
	(void)madvise(slab->base, bytes, MADV_NOHUGEPAGE);
	co_memory_root(slab->base, bytes, 1);
	for (size_t i = SLAB_STACKS; i-- > 0;) {
		struct co_stack *stack = &slab->stacks[i];
		/* Tops at different offsets, or a round of 1,000 tasks fights for the same few cache sets; not over the whole page,
		 * or one task in ten touches a second one for its first kilobyte. */
		size_t colour = (s->n_total + i) * 7 % COLOURS * 64;

		stack->bottom = slab->base + i * STACK_BYTES + PAGE_BYTES;
		stack->top = slab->base + (i + 1) * STACK_BYTES - colour;
		stack->next = s->cold;
		s->cold = stack;
	}
	slab->next = s->slabs;
	s->slabs = slab;
	s->n_total += SLAB_STACKS;
	s->n_free += SLAB_STACKS;
	return 0;
}

int co_stack_promise(struct co_stacks *s)
{
	if (s->n_free == s->n_promised) {
		int rc = add_slab(s);

		if (rc < 0)
			return rc;
	}
	s->n_promised++;
	return 0;
}

void co_stack_unpromise(struct co_stacks *s)
{
	CHECK(s->n_promised > 0);
	s->n_promised--;
}

/* The first use: the guard is paid for here, so that address space that is never used costs nothing. */
static void prepare(struct co_stacks *s, struct co_stack *stack)
{
	stack->guard = guard_page(stack->bottom - PAGE_BYTES);
	if (stack->guard == CO_STACK_UNGUARDED)
		s->n_unguarded++;
	stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->bottom, stack->top);
}

struct co_stack *co_stack_get(struct co_stacks *s)
{
	struct co_stack *stack = s->warm;

	CHECK(s->n_promised > 0);
	s->n_promised--;
	s->n_free--;
	if (stack != NULL) {
		s->warm = stack->next;
		s->n_warm--;
		return stack;
	}
	stack = s->cold;
	s->cold = stack->next;
	if (stack->guard == 0)
		prepare(s, stack);
	return stack;
}

/* Reading a page that was never touched maps the common zero page: no memory. */
static void check_zero_words(const struct co_stack *stack, const char *name)
{
	const uint64_t *word = (const void *)stack->bottom;

	for (size_t i = 0; i < ZERO_WORDS; i++)
		CHECK(word[i] == 0, "task \"%s\" overflowed its stack", name);
}

void co_stack_put(struct co_stacks *s, struct co_stack *stack, const char *name)
{
	if (stack->guard == CO_STACK_UNGUARDED)
		check_zero_words(stack, name);
	s->n_free++;
	if (s->n_warm < WARM_MAX) {
		stack->next = s->warm;
		s->warm = stack;
		s->n_warm++;
		return;
	}
	(void)madvise(stack->bottom, (size_t)STACK_BYTES - PAGE_BYTES, MADV_DONTNEED);
	stack->next = s->cold;
	s->cold = stack;
}
