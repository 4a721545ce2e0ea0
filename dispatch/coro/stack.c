/* stack.c: see stack.h. */
#include "dispatch/coro/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/sanitize.h"

#if CO_ASAN || CO_TSAN || !defined(__OPTIMIZE__)
enum { STACK_BYTES = 256 * 1024 };
#else
enum { STACK_BYTES = 64 * 1024 };
#endif

enum {
	SLAB_STACKS = 32,
	/* Of each 64 KiB of address space the guard is one page of 4 KiB; where pages are larger both are rounded up to them. */
	LEAST_GUARD_BYTES = 4096,
	/* Ended tasks' stacks that keep their memory; beyond it goes back to the system. */
	WARM_MAX = 1024,
	/* They go so many at a time: neighbours as one range, and fewer calls. */
	RELEASE_MANY = 128,
	ZERO_WORDS = 16,
	COLOURS = 48,
	/* Slabs unmapped in one trim, so that it does not hold up the loop. */
	TRIM_SLABS = 64,
	TRIM_STACKS = 256,
};

struct co_stack_slab {
	struct list node;
	char *base;
	struct co_stack *cold;
	unsigned n_cold;
	bool used;
	struct co_stack stacks[SLAB_STACKS];
};

struct mapped {
	struct co_stack stack;
	struct list node;
	size_t bytes;
};

static size_t whole_pages(size_t bytes)
{
	size_t page = co_guard_bytes();

	return (bytes + page - 1) / page * page;
}

static size_t slab_bytes(const struct co_stacks *s)
{
	return s->stride * SLAB_STACKS;
}

void co_stacks_init(struct co_stacks *s)
{
	*s = (struct co_stacks){ .stride = co_guard_bytes() + whole_pages(STACK_BYTES - LEAST_GUARD_BYTES) };
	list_init(&s->slabs_cold);
	list_init(&s->slabs_mixed);
	list_init(&s->slabs_used);
	list_init(&s->mapped);
}

static void drop_stack(struct co_stack *stack)
{
	if (stack->guard == 0)
		return;
	VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
	co_guard_forget(stack->guard);
}

static void unmap(char *base, size_t bytes)
{
	co_memory_lend(base, bytes);
	co_memory_root(base, bytes, 0);
	munmap(base, bytes);
}

static void slab_free(struct co_stacks *s, struct co_stack_slab *slab)
{
	for (size_t i = 0; i < SLAB_STACKS; i++)
		drop_stack(&slab->stacks[i]);
	unmap(slab->base, slab_bytes(s));
	list_remove(&slab->node);
	mem_free(slab);
}

static void mapped_free(struct mapped *m)
{
	drop_stack(&m->stack);
	unmap(m->stack.bottom - co_guard_bytes(), m->bytes);
	list_remove(&m->node);
	mem_free(m);
}

void co_stacks_fini(struct co_stacks *s)
{
	struct list *all[] = { &s->slabs_cold, &s->slabs_mixed, &s->slabs_used };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		list_each(node, all[i])
			slab_free(s, list_entry(node, struct co_stack_slab, node));
	list_each(node, &s->mapped)
		mapped_free(list_entry(node, struct mapped, node));
	co_stacks_init(s);
}

static char *map(size_t bytes)
{
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	/* A huge page would make each task's one touched page 2 MB. Advice: where it is refused nothing is lost but memory. */
	(void)madvise(base, bytes, MADV_NOHUGEPAGE);
	co_memory_root(base, bytes, 1);
	return base;
}

static int add_slab(struct co_stacks *s)
{
	struct co_stack_slab *slab = mem_zalloc(sizeof *slab);

	if (slab == NULL)
		return -ENOMEM;
	slab->base = map(slab_bytes(s));
	if (slab->base == NULL) {
		mem_free(slab);
		return -ENOMEM;
	}
	for (size_t i = SLAB_STACKS; i-- > 0;) {
		struct co_stack *stack = &slab->stacks[i];
		/* Tops at different offsets, or a round of 1,000 tasks fights for the same few cache sets; not over the whole page,
		 * or one task in ten touches a second one for its first kilobyte. */
		size_t colour = (s->n_total + i) * 7 % COLOURS * 64;

		stack->bottom = slab->base + i * s->stride + co_guard_bytes();
		stack->top = slab->base + (i + 1) * s->stride - colour;
		stack->slab = slab;
		stack->next = slab->cold;
		slab->cold = stack;
	}
	slab->n_cold = SLAB_STACKS;
	list_append(&s->slabs_cold, &slab->node);
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
	stack->guard = co_guard_install(stack->bottom - co_guard_bytes());
	if (stack->guard == CO_STACK_UNGUARDED)
		s->n_unguarded++;
	stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->bottom, stack->top);
}

/* Many tasks are about to begin, so that all of the slab will be used: the system is asked for everything at once, which costs less than
 * guards and page faults one by one. */
static void prepare_all(struct co_stacks *s, struct co_stack_slab *slab)
{
	struct co_pages guard[SLAB_STACKS], top[SLAB_STACKS];
	size_t page = co_guard_bytes();

	for (size_t i = 0; i < SLAB_STACKS; i++) {
		guard[i] = (struct co_pages){ slab->base + i * s->stride, page };
		top[i] = (struct co_pages){ slab->base + (i + 1) * s->stride - page, page };
	}
	if (!slab->used && co_guard_install_many(guard, SLAB_STACKS))
		for (size_t i = 0; i < SLAB_STACKS; i++)
			slab->stacks[i].guard = CO_STACK_ADVISED;
	co_pages_populate_many(top, SLAB_STACKS);
}

/* Slabs that are in use already first, so that others may stay or become whole. */
static struct co_stack *get_cold(struct co_stacks *s)
{
	struct list *slabs = !list_empty(&s->slabs_mixed) ? &s->slabs_mixed : &s->slabs_cold;
	struct co_stack_slab *slab = list_entry(slabs->next, struct co_stack_slab, node);
	struct co_stack *stack = slab->cold;

	if (slab->n_cold == SLAB_STACKS && s->n_promised >= SLAB_STACKS - 1)
		prepare_all(s, slab);
	slab->used = true;
	slab->cold = stack->next;
	slab->n_cold--;
	if (slab->n_cold == 0 || slabs == &s->slabs_cold) {
		list_remove(&slab->node);
		list_prepend(slab->n_cold == 0 ? &s->slabs_used : &s->slabs_mixed, &slab->node);
	}
	if (stack->guard == 0)
		prepare(s, stack);
	return stack;
}

struct co_stack *co_stack_get(struct co_stacks *s)
{
	struct co_stack *stack = s->warm;

	CHECK(s->n_promised > 0);
	s->n_promised--;
	s->n_free--;
	if (__builtin_expect(stack == NULL, 0))
		return get_cold(s);
	s->warm = stack->next;
	if (--s->n_warm < s->n_warm_min)
		s->n_warm_min = s->n_warm;
	return stack;
}

struct co_stack *co_stack_map(struct co_stacks *s, size_t bytes)
{
	struct mapped *m = mem_zalloc(sizeof *m);
	char *base;

	if (m == NULL)
		return NULL;
	m->bytes = co_guard_bytes() + whole_pages(bytes);
	base = map(m->bytes);
	if (base == NULL) {
		mem_free(m);
		return NULL;
	}
	m->stack.bottom = base + co_guard_bytes();
	m->stack.top = base + m->bytes;
	prepare(s, &m->stack);
	list_append(&s->mapped, &m->node);
	return &m->stack;
}

/* Reading a page that was never touched maps the common zero page: no memory. */
__attribute__((no_sanitize("address", "thread"))) static void check_zero_words(const struct co_stack *stack, const char *name)
{
	const uint64_t *word = (const void *)stack->bottom;

	VALGRIND_MAKE_MEM_DEFINED(stack->bottom, ZERO_WORDS * sizeof *word);
	for (size_t i = 0; i < ZERO_WORDS; i++)
		CHECK(word[i] == 0, "task \"%s\" overflowed its stack", name);
}

static void make_cold(struct co_stacks *s, struct co_stack *stack)
{
	struct co_stack_slab *slab = stack->slab;

	stack->next = slab->cold;
	slab->cold = stack;
	slab->n_cold++;
	if (slab->n_cold == SLAB_STACKS || slab->n_cold == 1) {
		list_remove(&slab->node);
		list_append(slab->n_cold == SLAB_STACKS ? &s->slabs_cold : &s->slabs_mixed, &slab->node);
	}
}

/* Neighbours, as the tasks of a burst have them, are given back as one; advice leaves the guards between them as they are. So a few
 * ranges are left to sort and not 128, which would cost a tenth more. */
static size_t add_pages(struct co_stacks *s, struct co_pages *pages, size_t n, const struct co_stack *stack)
{
	struct co_pages *last = n > 0 ? &pages[n - 1] : NULL;
	size_t bytes = s->stride - co_guard_bytes();

	if (last != NULL && last->first == stack->bottom + s->stride) {
		last->first -= s->stride;
		last->bytes += s->stride;
	} else if (last != NULL && last->first + last->bytes + co_guard_bytes() == stack->bottom) {
		last->bytes += s->stride;
	} else {
		pages[n++] = (struct co_pages){ stack->bottom, bytes };
	}
	return n;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct co_pages *)a)->first, y = (uintptr_t)((const struct co_pages *)b)->first;

	return (x > y) - (x < y);
}

/* What lies side by side though it came at different times: each range costs the system as much as six stacks. */
static size_t merge_pages(struct co_pages *pages, size_t n)
{
	size_t n_merged = 1;

	CHECK(n > 0);
	qsort(pages, n, sizeof *pages, by_address);
	for (size_t i = 1; i < n; i++) {
		struct co_pages *last = &pages[n_merged - 1];

		if (last->first + last->bytes + co_guard_bytes() == pages[i].first)
			last->bytes += co_guard_bytes() + pages[i].bytes;
		else
			pages[n_merged++] = pages[i];
	}
	return n_merged;
}

/* Takes them out of the line at `at`, up to RELEASE_MANY. */
static void cool(struct co_stacks *s, struct co_stack **at, size_t n)
{
	struct co_pages pages[RELEASE_MANY];
	struct co_stack *stack = *at;
	size_t n_pages = 0;

	s->n_warm -= n;
	while (n-- > 0) {
		struct co_stack *next = stack->next;

		n_pages = add_pages(s, pages, n_pages, stack);
		make_cold(s, stack);
		stack = next;
	}
	*at = stack;
	co_pages_release_many(pages, merge_pages(pages, n_pages));
}

void co_stack_put(struct co_stacks *s, struct co_stack *stack, const char *name)
{
	if (stack->guard == CO_STACK_UNGUARDED)
		check_zero_words(stack, name);
	if (__builtin_expect(stack->slab == NULL, 0)) {
		mapped_free((struct mapped *)stack);
		return;
	}
	s->n_free++;
	stack->next = s->warm;
	s->warm = stack;
	if (++s->n_warm == WARM_MAX + RELEASE_MANY)
		cool(s, &s->warm, RELEASE_MANY);
}

/* ---- giving back ---- */

/* The warm ones that nobody needed lie at the end of the line. */
static void cool_last(struct co_stacks *s, size_t n)
{
	struct co_stack **at = &s->warm;

	for (size_t keep = s->n_warm - n; keep > 0; keep--)
		at = &(*at)->next;
	while (n > 0) {
		size_t some = n < RELEASE_MANY ? n : RELEASE_MANY;

		cool(s, at, some);
		n -= some;
	}
}

void co_stacks_trim(struct co_stacks *s, bool all)
{
	size_t n = all || s->n_warm_min > s->n_warm ? s->n_warm : s->n_warm_min, slabs = 0;

	cool_last(s, all || n < TRIM_STACKS ? n : TRIM_STACKS);
	s->n_warm_min = s->n_warm;
	/* One slab is kept, or a task now and then would map and unmap it each time. */
	list_each(node, &s->slabs_cold) {
		if (s->n_free < s->n_promised + 2 * SLAB_STACKS || (!all && slabs++ == TRIM_SLABS))
			return;
		slab_free(s, list_entry(node, struct co_stack_slab, node));
		s->n_total -= SLAB_STACKS;
		s->n_free -= SLAB_STACKS;
	}
}

/* ---- high-water marks ---- */

void co_stack_clear(struct co_stack *stack)
{
	size_t page = co_guard_bytes();

	(void)madvise(stack->bottom, (size_t)(stack->top - stack->bottom + page - 1) / page * page, MADV_DONTNEED);
}

__attribute__((no_sanitize("address", "thread"))) size_t co_stack_used(const struct co_stack *stack)
{
	const uint64_t *word = (const void *)stack->bottom, *top = (const void *)stack->top;

	VALGRIND_MAKE_MEM_DEFINED(stack->bottom, (size_t)(stack->top - stack->bottom));
	while (word < top && *word == 0)
		word++;
	return (size_t)((const char *)top - (const char *)word);
}
