/* sync.c: semaphore and event: their waiters queue up in order, each with a future on its own task's stack. */
#include <errno.h>

#include "dispatch/coro/runtime.h"

static struct co_waiter *waiter_of(struct list *node)
{
	return list_entry(node, struct co_waiter, node);
}

/* ---- semaphore ---- */

void co_semaphore_init(struct co_semaphore *s, size_t value)
{
	list_init(&s->waiters);
	s->value = value;
}

/* Hands one unit to the first who still waits. */
static bool wake_next(struct co_semaphore *s)
{
	list_each(node, &s->waiters) {
		struct co_waiter *w = waiter_of(node);

		if (w->future.state != CO_PENDING)
			continue;
		s->value--;
		co_future_release(&w->future, 0);
		return true;
	}
	return false;
}

/* First come, first served: those who queue have a right to what is free. Who was cancelled or timed out has none. */
static bool locked(const struct co_semaphore *s)
{
	if (s->value == 0)
		return true;
	list_each(node, &s->waiters)
		if (waiter_of(node)->future.state <= CO_DONE)
			return true;
	return false;
}

bool co_semaphore_try(struct co_semaphore *s)
{
	if (locked(s))
		return false;
	s->value--;
	return true;
}

int co_semaphore_acquire(struct co_semaphore *s, int64_t deadline_us)
{
	struct co_waiter w;
	int rc;

	if (co_semaphore_try(s))
		return 0;
	co_waiter_init(&w);
	list_append(&s->waiters, &w.node);
	rc = co_waiter_wait(&w, deadline_us, "semaphore");
	/* It was ours, but the cancel came in the same turn. */
	if (rc < 0 && co_state(&w.future) == CO_DONE)
		s->value++;
	while (s->value > 0 && wake_next(s))
		;
	return rc;
}

void co_semaphore_release(struct co_semaphore *s)
{
	s->value++;
	wake_next(s);
}

/* ---- event ---- */

void co_event_init(struct co_event *e)
{
	list_init(&e->waiters);
	e->set = false;
}

void co_event_set(struct co_event *e)
{
	if (e->set)
		return;
	e->set = true;
	list_each(node, &e->waiters)
		co_future_release(&waiter_of(node)->future, 0);
}

void co_event_clear(struct co_event *e)
{
	e->set = false;
}

int co_event_wait(struct co_event *e, int64_t deadline_us)
{
	struct co_waiter w;

	if (e->set)
		return 0;
	co_waiter_init(&w);
	list_append(&e->waiters, &w.node);
	return co_waiter_wait(&w, deadline_us, "event");
}
