/* lock.c: lock, and the condition that gives it back while it waits: the steps are those of CPython's locks.py, for who overtakes whom
 * when a wake-up and a cancel meet shows in them. */
#include <errno.h>

#include "dispatch/coro/runtime.h"

static struct co_waiter *waiter_of(struct list *node)
{
	return list_entry(node, struct co_waiter, node);
}

/* ---- lock ---- */

void co_lock_init(struct co_lock *l)
{
	list_init(&l->waiters);
	l->locked = false;
}

/* Only the first may be on its way, for it alone is woken. */
static void wake_first(struct co_lock *l)
{
	if (!list_empty(&l->waiters))
		co_future_release(&waiter_of(l->waiters.next)->future, 0);
}

/* Nobody who queues may be overtaken, but those who were cancelled or timed out are only still to leave. */
bool co_lock_try(struct co_lock *l)
{
	if (l->locked)
		return false;
	list_each(node, &l->waiters)
		if (waiter_of(node)->future.state <= CO_DONE)
			return false;
	l->locked = true;
	return true;
}

int co_lock_acquire(struct co_lock *l, int64_t deadline_us)
{
	struct co_waiter w;
	int rc;

	if (co_lock_try(l))
		return 0;
	co_waiter_init(&w);
	list_append(&l->waiters, &w.node);
	rc = co_waiter_wait(&w, deadline_us, "lock");
	if (rc < 0) {
		if (!l->locked)
			wake_first(l);
		return rc;
	}
	l->locked = true;
	return 0;
}

void co_lock_release(struct co_lock *l)
{
	CHECK(l->locked, "a lock is released that is not locked");
	l->locked = false;
	wake_first(l);
}

/* ---- condition ---- */

void co_condition_init(struct co_condition *c, struct co_lock *lock)
{
	list_init(&c->waiters);
	c->lock = lock;
}

static void notify(struct co_condition *c, size_t n)
{
	list_each(node, &c->waiters) {
		if (n == 0)
			return;
		n -= co_future_release(&waiter_of(node)->future, 0);
	}
}

void co_condition_notify(struct co_condition *c, size_t n)
{
	CHECK(c->lock->locked, "a condition is notified without its lock");
	notify(c, n);
}

int co_condition_wait(struct co_condition *c, int64_t deadline_us)
{
	struct co_waiter w;
	int rc;

	CHECK(c->lock->locked, "a condition is waited for without its lock");
	co_lock_release(c->lock);
	co_waiter_init(&w);
	list_append(&c->waiters, &w.node);
	rc = co_waiter_wait(&w, deadline_us, "condition");
	while (co_lock_acquire(c->lock, CLOCK_NEVER) < 0)
		rc = -ECANCELED;        /* told when the lock is back */
	if (rc < 0)
		notify(c, 1);           /* it may have been meant for this one */
	return rc;
}

int co_condition_wait_for(struct co_condition *c, co_ready_fn *ready, void *arg, int64_t deadline_us)
{
	while (!ready(arg)) {
		int rc = co_condition_wait(c, deadline_us);

		if (rc < 0)
			return rc;
	}
	return 0;
}
