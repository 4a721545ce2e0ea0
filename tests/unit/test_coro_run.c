/* dispatch/coro/loop.c: a program's beginning and end, and its deadlines. */
#include <event2/event.h>
#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

#include "tests/unit/test_coro.h"

static int cleans_up(void *arg)
{
	int rc = co_sleep_until(CLOCK_NEVER);

	(void)arg;
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_sleep_ms(1), 0);
	note("cleaned");
	co_unref(spawn(sleep_forever, NULL));   /* too late a guest */
	return rc;
}

static int fails_when_cancelled(void *arg)
{
	(void)arg;
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	return -EIO;
}

static int leaves_some(void *arg)
{
	struct co_future *first = spawn(cleans_up, NULL), *waits = spawn(await_arg, first);

	(void)arg;
	co_unref(spawn(fails_when_cancelled, NULL));
	yield_times(2);
	co_unref(spawn(sleep_forever, NULL));   /* never begins */
	co_unref(first);
	co_unref(waits);
	return 7;
}

/* asyncio.run: test_runners, test_asyncio_run_cancels_hanging_tasks */
static void test_coro_run_cancel_all(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	trace[0] = '\0';
	expect_failures = 0;
	unretrieved = 0;
	co_loop_on_unretrieved(loop, count_unretrieved, NULL);
	EXPECT_INT(co_loop_cancel_all(loop), 0);
	EXPECT_INT(co_run(loop, leaves_some, NULL, "main"), 7);
	EXPECT_INT(co_task_count(loop), 4);
	EXPECT_INT(co_loop_cancel_all(loop), 0);
	EXPECT_INT(co_task_count(loop), 0);
	EXPECT_TRACE("cleaned");
	EXPECT_INT(unretrieved, 1);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

/* Regression: a sleep of INT64_MAX ms was over at once. */
TEST(test_coro_run_deadlines_saturate)
{
	struct co_timer timer;
	struct co_future *f = spawn(sleep_forever, NULL);

	EXPECT(co_in_ms(INT64_MAX) == CLOCK_NEVER && co_in_ms(INT64_MAX / 1000) == CLOCK_NEVER);
	EXPECT(co_in_ms(INT64_MIN) == clock_mono_us() && co_in_ms(0) == clock_mono_us());
	EXPECT_INT(co_in_ms(1000) - clock_mono_us(), 1000000);
	co_timer_init(&timer, NULL, NULL);
	EXPECT_INT(co_timer_start_ms(&timer, INT64_MAX), 0);
	EXPECT(!co_timer_started(&timer));
	co_cancel(f);
	co_unref(f);
	EXPECT_INT(co_sleep_ms(INT64_MIN), 0);
	return 0;
}

/* ---- the end that something comes in between ---- */

static int stops_the_loop_on_cancel(void *arg)
{
	int rc = co_sleep_until(CLOCK_NEVER);

	(void)arg;
	co_loop_stop(co_loop_current());
	return co_sleep_ms(1) < 0 ? -EIO : rc;
}

static int leaves_a_stopper(void *arg)
{
	(void)arg;
	co_unref(spawn(stops_the_loop_on_cancel, NULL));
	return co_yield();
}

/* Regression: a second try and what was left of the first waited for each other. */
static void test_coro_run_cancel_all_stopped(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, leaves_a_stopper, NULL, "main"), 0);
	assert_int_equal(co_loop_cancel_all(loop), -ESHUTDOWN);
	assert_int_equal(co_loop_cancel_all(loop), 0);
	assert_int_equal(co_task_count(loop), 0);
	co_loop_free(loop);
}

static int stops_and_sleeps(void *arg)
{
	(void)arg;
	co_loop_stop(co_loop_current());
	return co_sleep_until(CLOCK_NEVER);
}

static void keep_name(const struct co_task_info *info, void *arg)
{
	snprintf(arg, 16, "%s", info->name);
}

/* Regression: the task of a run that was stopped kept a name that was the caller's. */
static void test_coro_run_copies_the_name(void **state)
{
	struct co_loop *loop = co_loop_new();
	char name[] = "request 17", seen[16] = "";

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, stops_and_sleeps, NULL, name), -ESHUTDOWN);
	memset(name, '?', sizeof name - 1);
	co_task_each(loop, keep_name, seen);
	assert_string_equal(seen, "request 17");
	assert_int_equal(co_loop_cancel_all(loop), 0);
	co_loop_free(loop);
}

static int post_rc;

static void posts(void *arg)
{
	post_rc = co_post(arg, posts, arg);
}

static int returns_zero(void *arg)
{
	(void)arg;
	return 0;
}

static sem_t may_end;

static int ends_when_it_may(void *arg)
{
	(void)arg;
	return sem_wait(&may_end);
}

static int offloads(void *arg)
{
	return co_offload(ends_when_it_may, arg, posts, CLOCK_NEVER);
}

static int leaves_an_offload(void *arg)
{
	co_unref(spawn(offloads, arg));
	return co_yield();
}

/* Regression: what a release posted while its loop ended was lost, with its memory. */
static void test_coro_run_end_takes_no_post(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	post_rc = 1;
	sem_init(&may_end, 0, 0);
	assert_int_equal(co_run(loop, leaves_an_offload, loop, "main"), 0);
	sem_post(&may_end);             /* its end is on its way when the loop ends */
	co_loop_abandon(loop);
	assert_int_equal(post_rc, -ESHUTDOWN);
	sem_destroy(&may_end);
}

/* ---- between runs ---- */

static void fires(void *arg)
{
	*(int64_t *)arg = clock_mono_exact_us();
}

static int waits_for_timer(void *arg)
{
	while (co_timer_started(arg))
		if (co_yield() < 0)
			return -ECANCELED;
	return 0;
}

static int64_t busy_until(int64_t us)
{
	int64_t at_us = clock_mono_exact_us() + us;

	while (clock_mono_exact_us() < at_us)
		;
	return at_us;
}

/* Regression: after a run the clock stood still, and a timer started then was due too soon. */
static void test_coro_run_clock_goes_on_outside(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct co_timer timer;
	int64_t fired_us = 0, start_us;

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, returns_zero, NULL, "main"), 0);
	start_us = busy_until(20000);
	co_timer_init(&timer, fires, &fired_us);
	assert_int_equal(co_timer_start_ms(&timer, 10), 0);
	assert_int_equal(co_run(loop, waits_for_timer, &timer, "main"), 0);
	assert_true(fired_us >= start_us + 10000);
	co_loop_free(loop);
}

struct again {
	struct co_turn_hook hook;
	int n;
};

static void adds_itself_again(void *arg)
{
	struct again *a = arg;

	CHECK(++a->n < 1000, "a round of hooks never ends");
	co_turn_hook_remove(&a->hook);
	co_turn_hook_add(&a->hook, adds_itself_again, a);
}

static int ends_at_once(void *arg)
{
	struct again *a = arg;

	EXPECT_INT(a->n, 1);
	return 0;
}

/* Regression: what was gathered before the run lay there while the loop slept; and hooks that add themselves again went on for ever. */
static void test_coro_run_hooks_first_and_each_once(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct again a[3] = { { .n = 0 } };

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	for (int i = 0; i < 3; i++)
		co_turn_hook_add(&a[i].hook, adds_itself_again, &a[i]);
	assert_int_equal(co_run(loop, ends_at_once, &a[0], "main"), 0);
	assert_int_equal(a[0].n, a[2].n);
	for (int i = 0; i < 3; i++)
		co_turn_hook_remove(&a[i].hook);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

static void counts(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	CHECK(++*(int *)arg < 1000000, "nobody else has a turn");
}

/* Regression: while tasks were ready, libevent was left looking as long as it found something, and a descriptor that always is kept them
 * from running. */
TEST(test_coro_run_busy_descriptor_starves_nobody)
{
	struct event *ev;
	int ends[2], n = 0;

	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && write(ends[1], "x", 1) == 1);
	ev = event_new(co_loop_base(co_loop_current()), ends[0], EV_READ | EV_PERSIST, counts, &n);
	CHECK(ev != NULL && event_add(ev, NULL) == 0);
	yield_times(2000);
	EXPECT(n > 0);
	event_free(ev);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* ---- things that outlive the loop ---- */

static int gets(void *arg)
{
	void *item;

	return co_queue_get(arg, &item, CLOCK_NEVER);
}

static int leaves_a_getter(void *arg)
{
	co_unref(spawn(gets, arg));
	return co_yield();
}

static int swallows_one(void *arg)
{
	(void)arg;
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	return co_sleep_until(CLOCK_NEVER);
}

static int leaves_a_late_one(void *arg)
{
	int rc = co_sleep_until(CLOCK_NEVER);
	struct co_future *late = spawn(swallows_one, arg);

	EXPECT_INT(co_sleep_ms(1), 0);
	co_cancel(late);
	co_unref(late);
	return rc;
}

static int leaves_one_that_leaves_another(void *arg)
{
	co_unref(spawn(leaves_a_late_one, arg));
	return co_yield();
}

/* Regression: one that came meanwhile, and had been cancelled by others before, was waited for in vain. */
static void test_coro_run_cancel_all_late(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	assert_int_equal(co_run(loop, leaves_one_that_leaves_another, NULL, "main"), 0);
	assert_int_equal(co_loop_cancel_all(loop), 0);
	assert_int_equal(co_task_count(loop), 0);
	assert_int_equal(expect_failures, 0);
	co_loop_free(loop);
}

/* Regression: a queue could not be freed once the loop of those who waited was gone. */
static void test_coro_run_queue_outlives_it(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct co_queue *q = co_queue_new(1);

	(void)state;
	assert_true(loop != NULL && q != NULL);
	assert_int_equal(co_run(loop, leaves_a_getter, q, "main"), 0);
	co_loop_abandon(loop);
	co_queue_free(q);
	loop = co_loop_new();
	assert_non_null(loop);
	co_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_run_cancel_all),
		cmocka_unit_test(test_coro_run_deadlines_saturate),
		cmocka_unit_test(test_coro_run_cancel_all_stopped),
		cmocka_unit_test(test_coro_run_cancel_all_late),
		cmocka_unit_test(test_coro_run_copies_the_name),
		cmocka_unit_test(test_coro_run_end_takes_no_post),
		cmocka_unit_test(test_coro_run_clock_goes_on_outside),
		cmocka_unit_test(test_coro_run_hooks_first_and_each_once),
		cmocka_unit_test(test_coro_run_busy_descriptor_starves_nobody),
		cmocka_unit_test(test_coro_run_queue_outlives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
