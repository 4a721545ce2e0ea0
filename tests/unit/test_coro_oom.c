/* dispatch/coro when memory is short: what tasks do among themselves. Every allocation of each scenario fails once (test_coro_oom.h). */
#include "tests/unit/test_coro_oom.h"

static int short_sleep(void *arg)
{
	(void)arg;
	EXPECT(is(co_sleep_until(clock_mono_us() + 10), 0));
	return 0;
}

/* ---- futures, tasks, waiting ---- */

static int use_futures(struct co_future *const *t)
{
	struct co_future *g = co_gather(t, N, true, NULL), *s = co_shield(t[N - 1]), *f = co_future_new();
	int rc = g == NULL || s == NULL || f == NULL ? -ENOMEM : 0;

	if (g != NULL)
		EXPECT_INT(co_await(g), 0);
	if (s != NULL)
		EXPECT_INT(co_await(s), 0);
	if (f != NULL)
		co_set_result(f, 1);
	co_unref(g);
	co_unref(s);
	co_unref(f);
	return rc;
}

OOM_TEST(test_coro_oom_wait_gather_shield)
{
	struct co_future *t[N];
	int n = spawn_some(t, N, short_sleep, NULL), rc = -ENOMEM, done;

	if (n == N)
		rc = use_futures(t);
	done = n > 0 ? co_wait(t, (size_t)n, CO_ALL_COMPLETED, far()) : -ENOMEM;
	EXPECT(is(done, n));
	end_all(t, n);
	return done < 0 ? done : rc;
}

static int fails_io(void *arg)
{
	(void)arg;
	EXPECT(is(co_yield(), 0));
	return -EIO;
}

/* A gather that is cancelled, and one of which a child fails. */
OOM_TEST(test_coro_oom_gather_ends_early)
{
	struct co_future *t[N], *g, *failing = co_task_new(fails_io, NULL, "failing");
	int n = spawn_some(t, N - 1, sleep_forever, NULL), rc = -ENOMEM, results[N];

	if (n == N - 1 && failing != NULL) {
		t[n++] = co_ref(failing);
		g = co_gather(t, (size_t)n, false, results);
		rc = g != NULL ? co_await(g) : -ENOMEM;
		EXPECT(is(rc, -EIO));
		co_unref(g);
		g = co_gather(t, (size_t)n, true, NULL);
		if (g != NULL) {
			co_cancel(g);
			EXPECT_INT(co_await(g), -ECANCELED);
		}
		rc = g == NULL || rc == -ENOMEM ? -ENOMEM : 0;
		co_unref(g);
	}
	cancel_all(t, n);
	end_all(t, n);
	if (failing != NULL)
		end_all(&failing, 1);
	return rc;
}

static int times_out(void *arg)
{
	struct co_timeout outer, inner;
	int rc = co_timeout_enter(&outer, far());

	(void)arg;
	if (rc < 0)
		return rc;
	rc = co_timeout_enter(&inner, CLOCK_NEVER);
	if (rc == 0) {
		rc = co_timeout_reschedule(&inner, clock_mono_us() + 20);
		rc = co_timeout_leave(&inner, rc == 0 ? co_sleep_until(far()) : rc);
	}
	return co_timeout_leave(&outer, rc);
}

OOM_TEST(test_coro_oom_timeout_wait_for)
{
	struct co_future *t = co_task_new(sleep_forever, NULL, "sleeper"), *done = co_task_new(short_sleep, NULL, "short");
	int rc = times_out(NULL), a = 0, b = 0;

	EXPECT(is(rc, -ETIMEDOUT));
	if (done != NULL) {
		EXPECT(is(a = co_wait_for(done, far()), 0));
		end_all(&done, 1);
	}
	if (t != NULL) {
		EXPECT(is(b = co_wait_for(t, clock_mono_us() + 20), -ETIMEDOUT));
		co_cancel(t);
		end_all(&t, 1);
	}
	return t == NULL || done == NULL || rc == -ENOMEM || a == -ENOMEM || b == -ENOMEM ? -ENOMEM : 0;
}

static int finishes_others_work(void *arg)
{
	int rc = co_await_through(arg);

	EXPECT_INT(rc, 0);
	return co_yield();
}

static int yields_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		co_yield();
	return 0;
}

/* Without memory for a shield it looks now and then, and doesn't hold up the loop. */
OOM_TEST(test_coro_oom_await_through)
{
	struct co_future *work = co_task_new(yields_often, NULL, "work"), *t;

	if (work == NULL)
		return -ENOMEM;
	t = co_task_new(finishes_others_work, work, "through");
	if (t != NULL) {
		co_yield();
		co_cancel(t);
		EXPECT(is(co_await(t), -ECANCELED));
	}
	end_all(&work, 1);
	co_unref(t);
	return t != NULL ? 0 : -ENOMEM;
}

static int overruns(void *arg)
{
	struct co_timer *timers = arg;
	int rc = 0;

	for (int i = 0; i < 300 && rc == 0; i++)
		rc = co_timer_start_ms(&timers[i], 1000 + i % 7);
	for (int i = 0; i < 300; i++)
		co_timer_stop(&timers[i]);
	return rc;
}

OOM_TEST(test_coro_oom_timers_sized_stacks)
{
	struct co_future *t = co_task_new_sized(512, short_sleep, NULL, "large"), *unused = co_task_new_sized(512, short_sleep, NULL, "unused");
	static struct co_timer timers[300];
	int rc;

	for (int i = 0; i < 300; i++)
		co_timer_init(&timers[i], NULL, NULL);
	rc = overruns(timers);
	EXPECT(is(rc, 0));
	if (unused != NULL) {
		co_cancel(unused);
		end_all(&unused, 1);
	}
	if (t != NULL)
		end_all(&t, 1);
	return t == NULL || unused == NULL ? -ENOMEM : rc;
}

/* ---- groups and sets ---- */

OOM_TEST(test_coro_oom_waitset)
{
	struct co_waitset *ws = co_waitset_new();
	struct co_future *t[N], *f;
	int n, rc;

	if (ws == NULL)
		return -ENOMEM;
	n = spawn_some(t, N, short_sleep, NULL);
	rc = n < N ? -ENOMEM : 0;
	for (int i = 0; i < n; i++)
		if (co_waitset_add(ws, co_ref(t[i]), t[i]) < 0)
			rc = -ENOMEM;
	co_waitset_close(ws);
	EXPECT_INT(co_waitset_add(ws, co_ref(co_task_current()), NULL), -ESHUTDOWN);
	for (;;) {
		int took = co_waitset_take(ws, &f, NULL, far());

		EXPECT(is(took, took == -ENOENT ? -ENOENT : 0));
		if (took < 0)
			break;
		co_unref(f);
	}
	rc = co_waitset_size(ws) > 0 ? -ENOMEM : rc;
	co_waitset_free(ws);
	end_all(t, n);
	return rc;
}

OOM_TEST(test_coro_oom_as_completed)
{
	struct co_future *t[N], *f;
	int n = spawn_some(t, N, short_sleep, NULL), rc = n < N ? -ENOMEM : 0;
	struct co_waitset *ws = co_as_completed(t, (size_t)n);

	while (ws != NULL && (f = co_waitset_next(ws, NULL)) != NULL)
		co_unref(f);
	if (ws == NULL)
		rc = -ENOMEM;
	co_waitset_free(ws);
	end_all(t, n);
	return rc;
}

OOM_TEST(test_coro_oom_group)
{
	struct co_future *task = NULL;
	struct co_group g;
	int rc = 0;

	co_group_enter(&g);
	for (int i = 0; i < 70 && rc == 0; i++)         /* more than a chunk of tasks, and of members */
		rc = co_group_spawn(&g, NULL, short_sleep, NULL, "member %d", i);
	if (rc == 0)
		rc = co_group_spawn(&g, &task, short_sleep, NULL, "last");
	EXPECT(is(rc, 0));
	rc = co_group_leave(&g, rc);
	co_unref(task);
	if (rc < 0)
		return rc;
	co_group_enter(&g);
	rc = co_group_spawn(&g, NULL, fails_io, NULL, "failing");
	if (rc == 0)
		rc = co_group_spawn(&g, NULL, sleep_forever, NULL, "other");
	rc = co_group_leave(&g, rc);
	EXPECT(is(rc, -EIO));
	return rc == -EIO ? 0 : rc;
}

/* ---- locks ---- */

struct locks {
	struct co_lock lock;
	struct co_condition condition;
	struct co_barrier barrier;
	struct co_semaphore semaphore;
	struct co_event event;
	bool ready;
	int rc;
};

static bool is_ready(void *arg)
{
	return ((struct locks *)arg)->ready;
}

static int uses_locks(void *arg)
{
	struct locks *l = arg;
	int rc = co_lock_acquire(&l->lock, far());

	EXPECT(is(rc, 0));
	if (rc == 0) {
		rc = co_condition_wait_for(&l->condition, is_ready, l, far());
		EXPECT(is(rc, 0));
		EXPECT(l->lock.locked);
		co_lock_release(&l->lock);
	}
	if (rc == 0 && (rc = co_semaphore_acquire(&l->semaphore, far())) == 0) {
		co_yield();
		co_semaphore_release(&l->semaphore);
	}
	if (rc == 0)
		rc = co_event_wait(&l->event, far());
	if (rc == 0)
		rc = co_barrier_wait(&l->barrier, far()) < 0 ? -ENOMEM : 0;
	if (rc < 0)                     /* the others would wait for this party for ever */
		EXPECT_INT(co_barrier_abort(&l->barrier), 0);
	EXPECT(is(rc, 0));
	l->rc = rc < 0 ? rc : l->rc;
	return 0;
}

OOM_TEST(test_coro_oom_locks)
{
	struct locks l = { .ready = false };
	struct co_future *t[4];
	int n;

	co_lock_init(&l.lock);
	co_condition_init(&l.condition, &l.lock);
	co_barrier_init(&l.barrier, 4);
	co_semaphore_init(&l.semaphore, 1);
	co_event_init(&l.event);
	n = spawn_some(t, 4, uses_locks, &l);
	yield_times(4);
	if (co_lock_acquire(&l.lock, CLOCK_NEVER) == 0) {
		l.ready = true;
		co_condition_notify(&l.condition, SIZE_MAX);
		co_lock_release(&l.lock);
	}
	yield_times(10);
	co_event_set(&l.event);
	if (n < 4)
		EXPECT_INT(co_barrier_abort(&l.barrier), 0);
	end_all(t, n);
	EXPECT(!l.lock.locked && !l.barrier.lock.locked);
	EXPECT_INT(l.semaphore.value, 1);
	return n < 4 ? -ENOMEM : l.rc;
}

/* ---- queues ---- */

static bool lower(const void *a, const void *b)
{
	return (uintptr_t)a < (uintptr_t)b;
}

static void count_drop(void *arg)
{
	(void)arg;
}

static int feeds(void *arg)
{
	int rc = 0;

	for (uintptr_t i = 1; i <= 40 && rc == 0; i++)
		rc = co_queue_put(arg, (void *)i, far());
	EXPECT(rc == -ESHUTDOWN || is(rc, 0));  /* who takes may have had no memory, and be gone */
	co_queue_shutdown(arg, false, NULL);
	return 0;
}

/* Items that one task puts and this one takes; then join and shutdown. */
static int use_queue(struct co_queue *q)
{
	struct co_future *t;
	size_t n = 0;
	void *item;
	int rc;

	if (q == NULL)
		return -ENOMEM;
	t = co_task_new(feeds, q, "feeds");
	while (t != NULL && (rc = co_queue_get(q, &item, far())) == 0) {
		n++;
		co_queue_task_done(q);
	}
	EXPECT(t == NULL || is(rc, -ESHUTDOWN));
	co_queue_shutdown(q, true, count_drop);
	EXPECT(is(co_queue_join(q, far()), 0));
	if (t != NULL)
		end_all(&t, 1);
	co_queue_free(q);
	return n == 40 ? 0 : -ENOMEM;
}

OOM_TEST(test_coro_oom_queues)
{
	struct co_queue *(*of_size[])(size_t) = { co_queue_new, co_queue_new_lifo };
	int rc = 0;

	for (size_t max = 0; max <= 3; max += 3) {
		for (size_t i = 0; i < ARRAY_LEN(of_size) && rc == 0; i++)
			rc = use_queue(of_size[i](max));
		if (rc == 0)
			rc = use_queue(co_queue_new_priority(max, lower));
	}
	return rc;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_oom_wait_gather_shield),
		cmocka_unit_test(test_coro_oom_gather_ends_early),
		cmocka_unit_test(test_coro_oom_timeout_wait_for),
		cmocka_unit_test(test_coro_oom_await_through),
		cmocka_unit_test(test_coro_oom_timers_sized_stacks),
		cmocka_unit_test(test_coro_oom_waitset),
		cmocka_unit_test(test_coro_oom_as_completed),
		cmocka_unit_test(test_coro_oom_group),
		cmocka_unit_test(test_coro_oom_locks),
		cmocka_unit_test(test_coro_oom_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
