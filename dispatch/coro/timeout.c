/* timeout.c: asyncio.timeout as a scope on the task's stack, and wait_for on top of it. */
#include <errno.h>

#include "dispatch/coro/runtime.h"

static void on_timeout(void *arg)
{
	struct co_timeout *t = arg;

	t->expired = true;
	co_cancel(t->task);
}

int co_timeout_enter(struct co_timeout *t, int64_t deadline_us)
{
	int rc;

	t->task = co_task_current();
	CHECK(t->task != NULL, "a timeout scope outside a task");
	t->cancelling = co_task_cancelling(t->task);
	t->expired = false;
	co_timer_init(&t->timer, on_timeout, t);
	co_call_init(&t->soon, on_timeout, t);
	rc = co_timeout_reschedule(t, deadline_us);
	co_task_of(t->task)->n_scopes += rc == 0;
	return rc;
}

int co_timeout_reschedule(struct co_timeout *t, int64_t deadline_us)
{
	CHECK(!t->expired, "a timeout that expired can't be moved");
	co_call_cancel(&t->soon);
	co_timer_stop(&t->timer);
	if (deadline_us > clock_mono_us())
		return co_timer_start(&t->timer, deadline_us);
	co_call_soon(&t->soon);
	return 0;
}

int co_timeout_leave(struct co_timeout *t, int rc)
{
	CHECK(t->task == co_task_current(), "a timeout is left by the task that entered it");
	co_task_of(t->task)->n_scopes--;
	co_call_cancel(&t->soon);
	co_timer_stop(&t->timer);
	if (!t->expired)
		return rc;
	co_task_uncancel(t->task);
	if (co_task_cancelling(t->task) <= t->cancelling && rc == -ECANCELED)
		return -ETIMEDOUT;
	return rc;
}

/* ---- wait_for ---- */

static void on_end(struct co_future *f, void *arg)
{
	struct co_waiter *w = arg;

	(void)f;
	co_future_release(&w->future, 0);
}

/* Not by awaiting the future itself, which would take our own cancel with it. */
static int cancel_and_wait(struct co_future *f)
{
	struct co_waiter w;
	struct co_done_node node;
	int rc;

	co_waiter_init(&w);
	co_done_add(f, &node, on_end, &w);
	co_cancel(f);
	rc = co_waiter_wait(&w, CLOCK_NEVER, "end of a cancelled future");
	co_done_remove(&node);
	return rc;
}

static int wait_for_past(struct co_future *f)
{
	int rc = 0;

	if (co_done(f))
		return co_result(f);
	co_ref(f);
	rc = cancel_and_wait(f);
	if (rc == 0) {
		rc = co_result(f);
		if (rc == -ECANCELED)
			rc = -ETIMEDOUT;
	}
	co_unref(f);
	return rc;
}

int co_wait_for(struct co_future *f, int64_t deadline_us)
{
	struct co_timeout t;
	int rc;

	if (deadline_us <= clock_mono_us())
		return wait_for_past(f);
	rc = co_timeout_enter(&t, deadline_us);
	if (rc < 0)
		return rc;
	return co_timeout_leave(&t, co_await(f));
}

struct co_future *co_timeout_awaiter(struct co_done_node *n)
{
	return n->fn == on_end ? &((struct co_waiter *)n->arg)->future : NULL;
}
