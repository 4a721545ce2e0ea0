/* barrier.c: asyncio.Barrier on a lock and a condition: fills, then drains, and only then fills again. */
#include <errno.h>

#include "dispatch/coro/runtime.h"

void co_barrier_init(struct co_barrier *b, unsigned parties)
{
	CHECK(parties > 0);
	co_lock_init(&b->lock);
	co_condition_init(&b->changed, &b->lock);
	b->state = CO_BARRIER_FILLING;
	b->parties = parties;
	b->count = 0;
}

static bool may_enter(void *arg)
{
	const struct co_barrier *b = arg;

	return b->state != CO_BARRIER_DRAINING && b->state != CO_BARRIER_RESETTING;
}

static bool filled(void *arg)
{
	return ((const struct co_barrier *)arg)->state != CO_BARRIER_FILLING;
}

static int wait_filled(struct co_barrier *b, int64_t deadline_us)
{
	int rc = co_condition_wait_for(&b->changed, filled, b, deadline_us);

	if (rc < 0)
		return rc;
	return b->state == CO_BARRIER_BROKEN || b->state == CO_BARRIER_RESETTING ? -EPIPE : 0;
}

/* Under the lock. */
static int pass(struct co_barrier *b, int64_t deadline_us)
{
	int rc = co_condition_wait_for(&b->changed, may_enter, b, deadline_us);
	unsigned place;

	if (rc < 0)
		return rc;
	if (b->state == CO_BARRIER_BROKEN)
		return -EPIPE;
	place = b->count++;
	if (place + 1 == b->parties) {
		b->state = CO_BARRIER_DRAINING;
		co_condition_notify(&b->changed, SIZE_MAX);
	} else {
		rc = wait_filled(b, deadline_us);
	}
	if (--b->count == 0) {
		if (!may_enter(b))
			b->state = CO_BARRIER_FILLING;
		co_condition_notify(&b->changed, SIZE_MAX);
	}
	return rc < 0 ? rc : (int)place;
}

int co_barrier_wait(struct co_barrier *b, int64_t deadline_us)
{
	int rc = co_lock_acquire(&b->lock, deadline_us);

	if (rc < 0)
		return rc;
	rc = pass(b, deadline_us);
	co_lock_release(&b->lock);
	return rc;
}

static int change(struct co_barrier *b, enum co_barrier_state state)
{
	int rc = co_lock_acquire(&b->lock, CLOCK_NEVER);

	if (rc < 0)
		return rc;
	b->state = state == CO_BARRIER_RESETTING && b->count == 0 ? CO_BARRIER_FILLING : state;
	co_condition_notify(&b->changed, SIZE_MAX);
	co_lock_release(&b->lock);
	return 0;
}

int co_barrier_reset(struct co_barrier *b)
{
	return change(b, CO_BARRIER_RESETTING);
}

int co_barrier_abort(struct co_barrier *b)
{
	return change(b, CO_BARRIER_BROKEN);
}

unsigned co_barrier_waiting(const struct co_barrier *b)
{
	return b->state == CO_BARRIER_FILLING ? b->count : 0;
}
