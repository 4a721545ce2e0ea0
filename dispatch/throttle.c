/*
 * throttle.c: the generic cell rate algorithm (ITU-T I.371) over one shared arrival time, borrowed from in slices. A slice lapses after
 * 10 ms: an idle worker hoards nothing. The daily cap counts since the process started.
 */
#include "dispatch/throttle.h"

enum { SLICE_US = 10000, DAY_SHIFT = 40 };

static const uint64_t USED_MASK = (UINT64_C(1) << DAY_SHIFT) - 1;

void throttle_pool_init(struct throttle_pool *pool, unsigned rate, uint64_t daily_cap)
{
	atomic_init(&pool->rate, rate);
	atomic_init(&pool->daily_cap, daily_cap);
	atomic_init(&pool->next_us, 0);
	atomic_init(&pool->day_used, 0);
}

void throttle_pool_set(struct throttle_pool *pool, unsigned rate, uint64_t daily_cap)
{
	atomic_store_explicit(&pool->daily_cap, daily_cap, memory_order_relaxed);
	if (atomic_exchange_explicit(&pool->rate, rate, memory_order_relaxed) != rate)
		atomic_store_explicit(&pool->next_us, 0, memory_order_relaxed);
}

void throttle_init(struct throttle *t, struct throttle_pool *pool)
{
	*t = (struct throttle){ .pool = pool };
}

void throttle_forget(struct throttle *t)
{
	t->lent = 0;
}

/* Borrows a slice, at least `parts`; 0 or when the next token is due. */
static int64_t borrow(struct throttle *t, unsigned rate, unsigned parts, int64_t now_us)
{
	struct throttle_pool *pool = t->pool;
	unsigned slice = (unsigned)((uint64_t)rate * SLICE_US / 1000000), tokens = parts > slice ? parts : slice;
	int64_t debt_us = (int64_t)tokens * 1000000 / rate;
	int64_t due = atomic_load_explicit(&pool->next_us, memory_order_relaxed), start;

	do {
		if (due > now_us)
			return due;
		start = due > now_us - SLICE_US ? due : now_us;
	} while (!atomic_compare_exchange_weak_explicit(&pool->next_us, &due, start + debt_us, memory_order_relaxed,
							memory_order_relaxed));
	t->lent = tokens;
	t->lent_until_us = now_us + SLICE_US;
	return 0;
}

int64_t throttle_take(struct throttle *t, unsigned parts, int64_t now_us)
{
	unsigned rate = atomic_load_explicit(&t->pool->rate, memory_order_relaxed);     /* once: it may be set meanwhile */
	int64_t due;

	if (rate == 0)
		return 0;
	if (now_us >= t->lent_until_us)
		t->lent = 0;
	if (t->lent < parts) {
		due = borrow(t, rate, parts, now_us);
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
	uint64_t cap = atomic_load_explicit(&pool->daily_cap, memory_order_relaxed);

	if (cap == 0)
		return true;
	do {
		new = old >> DAY_SHIFT == day_of(wall_ms) ? old : day_of(wall_ms) << DAY_SHIFT;
		new += parts;
		if ((new & USED_MASK) > cap)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&pool->day_used, &old, new, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void throttle_day_return(struct throttle *t, unsigned parts, int64_t wall_ms)
{
	struct throttle_pool *pool = t->pool;
	uint64_t old = atomic_load_explicit(&pool->day_used, memory_order_relaxed), less;

	if (atomic_load_explicit(&pool->daily_cap, memory_order_relaxed) == 0)
		return;
	do {
		if (old >> DAY_SHIFT != day_of(wall_ms))
			return;
		/* what was taken while there was no cap was not counted */
		less = (old & USED_MASK) < parts ? old & USED_MASK : parts;
	} while (!atomic_compare_exchange_weak_explicit(&pool->day_used, &old, old - less, memory_order_relaxed, memory_order_relaxed));
}

uint64_t throttle_day_used(const struct throttle_pool *pool, int64_t wall_ms)
{
	uint64_t v = atomic_load_explicit(&pool->day_used, memory_order_relaxed);

	return v >> DAY_SHIFT == day_of(wall_ms) ? v & USED_MASK : 0;
}
