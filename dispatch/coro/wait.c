/*
 * wait.c: the waits that stand on a future of their own on the task's stack: sleep, wait in its three modes, and the waiter that
 * semaphores, events and queues share.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

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
	return ms <= 0 ? co_yield() : co_sleep_until(co_in_ms(ms));
}

/* ---- wait ---- */

/* One cache line holds two: a wait in a loop arms and disarms all of them each time. */
struct member {
	struct co_item item;            /* its place is that in the wait's array */
	struct co_future *f;            /* a reference: callers may drop theirs meanwhile */
};

struct wait {
	struct co_waiter waiter;
	size_t n, left;
	enum co_wait_mode mode;
	struct member member[];
};

enum {
	/* Small waits need no allocation. */
	MEMBERS_ON_STACK = 4,
	/* So many futures ahead the next ones are fetched, for they may lie anywhere. */
	AHEAD = 8,
};

static struct member *member_of(struct co_item *item)
{
	return list_entry(item, struct member, item);
}

static struct wait *wait_of(struct co_item *item)
{
	return list_entry(member_of(item) - item->place, struct wait, member[0]);
}

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

void co_wait_member_run(struct co_item *item)
{
	struct wait *w = wait_of(item);

	w->left--;
	if (ends_wait(w, member_of(item)->f))
		co_future_release(&w->waiter.future, 0);
}

/* Each future once. It is looked at only here and in disarm(): for thousands its cache line is what a visit costs. */
static void arm(struct wait *w, struct co_future *const *fs, size_t n)
{
	struct co_loop *loop = co_loop_get();
	uint64_t mark = ++loop->mark;
	struct member *m = w->member;
	unsigned place = 0;

	for (size_t i = 0; i < n; i++) {
		struct co_future *f = fs[i];

		if (i + AHEAD < n)
			__builtin_prefetch(fs[i + AHEAD], 1);
		CHECK_OURS(f, loop);            /* first: another loop's marks may be the same */
		if (f->mark == mark)
			continue;
		f->mark = mark;
		f->refs++;
		m->f = f;
		m->item.kind = CO_ITEM_WAIT;
		m->item.place = place++;
		list_append(f->state == CO_PENDING ? &f->done : &loop->ready, &m->item.node);
		m++;
	}
	w->n = w->left = place;
}

/* How many are done. Backwards, for the last ones armed are still in the cache, and the next wait of a loop begins with the first.
 * A callback that ran is in no list, one that is scheduled is taken back. */
static int disarm(struct wait *w)
{
	int done = 0;

	for (struct member *m = w->member + w->n; m-- > w->member;) {
		struct list *next = m->item.node.next, *prev = m->item.node.prev;
		struct co_future *f = m->f;

		if (m - w->member >= AHEAD)
			__builtin_prefetch(m[-AHEAD].f, 1);
		/* Not list_remove(): nobody looks at the node again. */
		prev->next = next;
		next->prev = prev;
		done += f->state != CO_PENDING;
		co_future_drop(f);
	}
	return done;
}

/* In the order of completion. */
static void look_in_line(struct list *line, struct wait *w)
{
	list_each(node, line) {
		struct co_item *item = list_entry(node, struct co_item, node);

		if (item->kind == CO_ITEM_WAIT && wait_of(item) == w && --w->left > 0)
			co_result(member_of(item)->f);
	}
}

static bool is_late(const struct member *m)
{
	return !list_empty(&m->item.node) && co_done(m->f);
}

/* Callbacks still on their way when a wait for the first error ends: CPython can't take them back, and each looks at its member's error,
 * but for one that counts down to none left. Which one that is only the ready queue tells. */
static void look_late(struct wait *w)
{
	struct co_loop *loop = co_loop_get();
	size_t n_late = 0;

	for (size_t i = 0; i < w->n; i++)
		n_late += is_late(&w->member[i]);
	if (n_late > 1 && n_late == w->left) {
		look_in_line(&loop->running, w);
		look_in_line(&loop->ready, w);
		return;
	}
	for (size_t i = 0; i < w->n && n_late < w->left; i++)
		if (is_late(&w->member[i]))
			co_result(w->member[i].f);
}

static int wait_for(struct wait *w, struct co_future *const *fs, size_t n, enum co_wait_mode mode, int64_t deadline_us)
{
	int rc, done;

	w->mode = mode;
	co_waiter_init(&w->waiter);
	arm(w, fs, n);
	rc = co_waiter_wait(&w->waiter, deadline_us, "wait");
	if (mode == CO_FIRST_EXCEPTION)
		look_late(w);
	done = disarm(w);
	return rc == 0 || rc == -ETIMEDOUT ? done : rc;
}

/* ---- a wait that ends at once ---- */

/*
 * Where the first completed is waited for and one is done already, nothing that the others do can change when the wait ends: two turns on.
 * Only the one is armed; of the others it counts at the end who is done. References for that are taken where in these turns a future
 * loses its last one, or a gather its last reader, and not before: a wait in a loop over thousands would write to each of them twice.
 */
struct short_wait {
	struct list node;
	struct co_future **f;
	size_t n;
	bool holds;
};

void co_wait_hold(struct co_loop *loop)
{
	struct list *node;

	while ((node = list_pop(&loop->short_waits)) != NULL) {
		struct short_wait *s = list_entry(node, struct short_wait, node);

		for (size_t i = 0; i < s->n; i++)
			s->f[i]->refs++;
		s->holds = true;
	}
}

/* The whole line is looked at, for another thread's. */
static struct co_future *first_done(const struct co_loop *loop, struct co_future *const *fs, size_t n)
{
	struct co_future *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			__builtin_prefetch(fs[i + AHEAD]);
		CHECK_OURS(fs[i], loop);
		if (fs[i]->state != CO_PENDING && first == NULL)
			first = fs[i];
	}
	return first;
}

/* Each future once. */
static int count_done(struct co_loop *loop, struct co_future *const *fs, size_t n)
{
	uint64_t mark = ++loop->mark;
	int done = 0;

	for (size_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			__builtin_prefetch(fs[i + AHEAD]);
		if (fs[i]->state == CO_PENDING || fs[i]->mark == mark)
			continue;
		fs[i]->mark = mark;
		done++;
	}
	return done;
}

__attribute__((noinline)) static int wait_shortly(struct co_future *first, struct co_future *const *fs, size_t n, int64_t deadline_us)
{
	_Alignas(struct wait) char one[sizeof(struct wait) + sizeof(struct member)];
	struct co_loop *loop = co_loop_get();
	struct short_wait s = { .f = co_pool_alloc(&loop->pool, n * sizeof *s.f), .n = n };
	struct wait *w = (struct wait *)one;
	int rc, done;

	if (s.f == NULL)
		return -ENOMEM;
	memcpy(s.f, fs, n * sizeof *s.f);
	w->mode = CO_FIRST_COMPLETED;
	co_waiter_init(&w->waiter);
	arm(w, &first, 1);
	list_append(&loop->short_waits, &s.node);
	rc = co_waiter_wait(&w->waiter, deadline_us, "wait");
	done = count_done(loop, s.f, n);
	list_remove(&s.node);
	(void)disarm(w);
	for (size_t i = 0; s.holds && i < n; i++)
		co_future_drop(s.f[i]);
	co_pool_release(&loop->pool, s.f, n * sizeof *s.f);
	return rc == 0 || rc == -ETIMEDOUT ? done : rc;
}

int co_wait(struct co_future *const *fs, size_t n, enum co_wait_mode mode, int64_t deadline_us)
{
	_Alignas(struct wait) char few[sizeof(struct wait) + MEMBERS_ON_STACK * sizeof(struct member)];
	size_t size = sizeof(struct wait) + n * sizeof(struct member);
	struct co_pool *pool = &co_loop_get()->pool;
	struct co_future *first;
	struct wait *w = (struct wait *)few;
	int rc;

	CHECK(mode >= CO_ALL_COMPLETED && mode <= CO_FIRST_EXCEPTION, "%d is no mode of co_wait()", (int)mode);
	if (n == 0)
		return -EINVAL;
	if (n > MEMBERS_ON_STACK && n < UINT_MAX && mode == CO_FIRST_COMPLETED &&
	    (first = first_done(co_loop_get(), fs, n)) != NULL)
		return wait_shortly(first, fs, n, deadline_us);
	if (n > MEMBERS_ON_STACK)
		w = n < UINT_MAX ? co_pool_alloc(pool, size) : NULL;
	if (w == NULL)
		return -ENOMEM;
	rc = wait_for(w, fs, n, mode, deadline_us);
	if (w != (struct wait *)few)
		co_pool_release(pool, w, size);
	return rc;
}

struct co_future *co_wait_awaiter(struct co_item *item)
{
	return &wait_of(item)->waiter.future;
}

int co_fd_wait(int fd, short what, int64_t deadline_us)
{
	return co_poll_fd_wait(co_loop_get()->poll, fd, what, deadline_us);
}
