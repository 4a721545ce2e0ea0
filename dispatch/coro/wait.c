/*
 * wait.c: the waits that stand on a future of their own on the task's stack: sleep, wait in its three modes, and the waiter that
 * semaphores, events and queues share.
 */
#include <errno.h>

#include "dispatch/coro/poll.h"
#include "dispatch/coro/runtime.h"

/* ---- a waiter ---- */

static void on_deadline(void *arg)
{
	struct co_waiter *w = arg;

	co_future_release(&w->future, -ETIMEDOUT);
}

void co_waiter_init(struct co_waiter *w)
{
	list_init(&w->node);
	co_future_init(&w->future, co_loop_get(), CO_KIND_EMBEDDED);
}

int co_waiter_wait(struct co_waiter *w, int64_t deadline_us, const char *why)
{
	int rc;

	if (deadline_us != CLOCK_NEVER) {
		co_timer_init(&w->timer, on_deadline, w);
		rc = co_timer_start(&w->timer, deadline_us);
		if (rc < 0) {
			list_remove(&w->node);
			return rc;
		}
	}
	rc = co_await_for(&w->future, why);
	if (deadline_us != CLOCK_NEVER)
		co_timer_stop(&w->timer);
	list_remove(&w->node);
	return rc;
}

/* ---- sleep ---- */

int co_sleep_until(int64_t deadline_us)
{
	struct co_waiter w;
	int rc;

	if (deadline_us <= clock_mono_us())
		return co_yield();
	co_waiter_init(&w);
	rc = co_waiter_wait(&w, deadline_us, "sleep");
	return rc == -ETIMEDOUT ? 0 : rc;
}

int co_sleep_ms(int64_t ms)
{
	return ms <= 0 ? co_yield() : co_sleep_until(clock_mono_us() + ms * 1000);
}

/* ---- wait ---- */

struct wait {
	struct co_waiter waiter;
	size_t left;
	enum co_wait_mode mode;
};

struct member {
	struct co_done_node node;
	struct co_future *f;            /* a reference: callers may drop theirs meanwhile */
};

/* Small waits need no allocation. */
enum { MEMBERS_ON_STACK = 4 };

static bool ends_wait(struct wait *w, struct co_future *f)
{
	if (w->left == 0)
		return true;
	switch (w->mode) {
	case CO_FIRST_COMPLETED:
		return true;
	case CO_FIRST_EXCEPTION:
		/* A cancelled member only counts down; the state tells it, for gather's outer can fail with -ECANCELED. Looking for the
		 * error counts as retrieving it, as in CPython. */
		return f->state != CO_CANCELLED && co_result(f) < 0;
	case CO_ALL_COMPLETED:
		break;
	}
	return false;
}

static void on_member_done(struct co_future *f, void *arg)
{
	struct wait *w = arg;

	w->left--;
	if (ends_wait(w, f))
		co_future_release(&w->waiter.future, 0);
}

static size_t collect(struct co_future *const *fs, size_t n, struct member *members)
{
	struct co_loop *loop = co_loop_get();
	uint64_t mark = ++loop->mark;
	size_t n_members = 0;

	for (size_t i = 0; i < n; i++) {
		if (fs[i]->mark == mark)
			continue;
		fs[i]->mark = mark;
		members[n_members++].f = co_ref(fs[i]);
	}
	return n_members;
}

/* In the order of completion. */
static void look_in_line(struct list *line, struct wait *w)
{
	list_each(node, line) {
		struct co_item *item = list_entry(node, struct co_item, node);
		struct co_done_node *done = list_entry(item, struct co_done_node, item);

		if (item->kind == CO_ITEM_DONE && done->fn == on_member_done && done->arg == w && --w->left > 0)
			co_result(done->f);
	}
}

/* Callbacks still on their way when a wait for the first error ends: CPython can't take them back, and each looks at its member's error,
 * but for one that counts down to none left. Which one that is only the ready queue tells. */
static void look_late(struct wait *w, const struct member *members, size_t n)
{
	struct co_loop *loop = co_loop_get();
	size_t n_late = 0;

	for (size_t i = 0; i < n; i++)
		n_late += members[i].node.f != NULL && co_done(members[i].f);
	if (n_late > 1 && n_late == w->left) {
		look_in_line(&loop->running, w);
		look_in_line(&loop->ready, w);
		return;
	}
	for (size_t i = 0; i < n && n_late < w->left; i++)
		if (members[i].node.f != NULL && co_done(members[i].f))
			co_result(members[i].f);
}

static int wait_members(struct member *members, size_t n, enum co_wait_mode mode, int64_t deadline_us)
{
	struct wait w = { .left = n, .mode = mode };
	int done = 0, rc;

	co_waiter_init(&w.waiter);
	for (size_t i = 0; i < n; i++)
		co_done_add(members[i].f, &members[i].node, on_member_done, &w);
	rc = co_waiter_wait(&w.waiter, deadline_us, "wait");
	if (mode == CO_FIRST_EXCEPTION)
		look_late(&w, members, n);
	for (size_t i = 0; i < n; i++) {
		co_done_remove(&members[i].node);
		done += co_done(members[i].f);
		co_unref(members[i].f);
	}
	return rc == 0 || rc == -ETIMEDOUT ? done : rc;
}

int co_wait(struct co_future *const *fs, size_t n, enum co_wait_mode mode, int64_t deadline_us)
{
	struct member few[MEMBERS_ON_STACK], *members = few;
	struct co_pool *pool = &co_loop_get()->pool;
	int rc;

	if (n == 0)
		return -EINVAL;
	if (n > MEMBERS_ON_STACK)
		members = co_pool_alloc(pool, n * sizeof *members);
	if (members == NULL)
		return -ENOMEM;
	rc = wait_members(members, collect(fs, n, members), mode, deadline_us);
	if (members != few)
		co_pool_release(pool, members, n * sizeof *members);
	return rc;
}

struct co_future *co_wait_awaiter(struct co_done_node *n)
{
	return n->fn == on_member_done ? &((struct wait *)n->arg)->waiter.future : NULL;
}

int co_fd_wait(int fd, short what, int64_t deadline_us)
{
	return co_poll_fd_wait(co_loop_get()->poll, fd, what, deadline_us);
}
