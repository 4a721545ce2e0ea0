/*
 * throttle.c: the generic cell rate algorithm (ITU-T I.371) over one shared arrival time, borrowed from in slices. A slice lapses after
 * 10 ms: an idle worker hoards nothing. The daily cap counts since the process started.
 */
#include "dispatch/throttle.h"


enum { SLICE_US = 10000, DAY_SHIFT = 40 };

void throttle_pool_init(struct throttle_pool *pool, unsigned rate, uint64_t daily_cap)
{
	pool->rate = rate;
	pool->daily_cap = daily_cap;
	atomic_init(&pool->next_us, 0);
	atomic_init(&pool->day_used, 0);
}

void throttle_init(struct throttle *t, struct throttle_pool *pool)
{
	*t = (struct throttle){ .pool = pool };
}

static int64_t tokens_us(const struct throttle_pool *pool, unsigned tokens)
{
	return (int64_t)tokens * 1000000 / pool->rate;
}

/* Borrows a slice, at least `parts`; 0 or when the next token is due. */
static int64_t borrow(struct throttle *t, unsigned parts, int64_t now_us)
{
	struct throttle_pool *pool = t->pool;
	unsigned slice = (unsigned)((uint64_t)pool->rate * SLICE_US / 1000000), tokens = parts > slice ? parts : slice;
	int64_t due = atomic_load_explicit(&pool->next_us, memory_order_relaxed), start;

	do {
		if (due > now_us)
			return due;
		start = due > now_us - SLICE_US ? due : now_us;
	} while (!atomic_compare_exchange_weak_explicit(&pool->next_us, &due, start + tokens_us(pool, tokens),
							memory_order_relaxed, memory_order_relaxed));
	t->lent = tokens;
	t->lent_until_us = now_us + SLICE_US;
	return 0;
}

int64_t throttle_take(struct throttle *t, unsigned parts, int64_t now_us)
{
	int64_t due;

	if (t->pool->rate == 0)
		return 0;
	if (now_us >= t->lent_until_us)
		t->lent = 0;
	if (t->lent < parts) {
		due = borrow(t, parts, now_us);
		if (due != 0)
			return due;
	}
	t->lent -= parts;
	return 0;
}

static uint64_t day_of(int64_t wall_ms)
{
	return (uint64_t)(wall_ms / 86400000);
}

bool throttle_day_take(struct throttle *t, unsigned parts, int64_t wall_ms)
{
	struct throttle_pool *pool = t->pool;
	uint64_t old = atomic_load_explicit(&pool->day_used, memory_order_relaxed), new;

	if (pool->daily_cap == 0)
		return true;
	do {
		new = old >> DAY_SHIFT == day_of(wall_ms) ? old : day_of(wall_ms) << DAY_SHIFT;
		new += parts;
		if ((new & ((1ull << DAY_SHIFT) - 1)) > pool->daily_cap)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&pool->day_used, &old, new, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void throttle_day_return(struct throttle *t, unsigned parts, int64_t wall_ms)
{
	struct throttle_pool *pool = t->pool;
	uint64_t old = atomic_load_explicit(&pool->day_used, memory_order_relaxed);

	if (pool->daily_cap == 0)
		return;
	do {
		if (old >> DAY_SHIFT != day_of(wall_ms))
			return;
	} while (!atomic_compare_exchange_weak_explicit(&pool->day_used, &old, old - parts, memory_order_relaxed, memory_order_relaxed));
}

uint64_t throttle_day_used(const struct throttle_pool *pool, int64_t wall_ms)
{
	uint64_t v = atomic_load_explicit(&pool->day_used, memory_order_relaxed);

	return v >> DAY_SHIFT == day_of(wall_ms) ? v & ((1ull << DAY_SHIFT) - 1) : 0;
}
