/* dispatch/coro/loop.c: how a program ends: co_loop_cancel_all() leaves nobody and hangs for nobody, and what is embedded
 * outlives its loop. */
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

/* ---- what comes in between ---- */

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

static int awaits_a_younger(void *arg)
{
	struct co_future *younger = spawn(sleep_forever, NULL);
	int rc = co_await_through(younger);

	(void)arg;
	co_unref(younger);
	return rc;
}

static int cleans_up_in_another(void *arg)
{
	int rc = co_sleep_until(CLOCK_NEVER);

	co_unref(spawn(awaits_a_younger, arg));
	yield_times(2);
	return rc;
}

static int leaves_a_family(void *arg)
{
	co_unref(spawn(cleans_up_in_another, arg));
	return co_yield();
}

/* Regression: of two that came meanwhile the elder was asked alone, and it waited for the younger to its end. */
static void test_coro_run_cancel_all_of_a_family(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	EXPECT_INT(co_run(loop, leaves_a_family, NULL, "main"), 0);
	alarm(20);
	EXPECT_INT(co_loop_cancel_all(loop), 0);
	alarm(0);
	EXPECT_INT(co_task_count(loop), 0);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

static int yields_once(void *arg)
{
	(void)arg;
	return co_yield();
}

static void note_done(struct co_future *f, void *arg)
{
	(void)f;
	note(arg);
}

static int leaves_a_callback(void *arg)
{
	struct co_future *t = spawn(yields_once, NULL);

	co_done_add(t, arg, note_done, WORD("freed"));
	co_unref(t);
	return co_yield();
}

/* Regression: where no task was left the loop did not run, and what their callbacks were to free was lost. */
static void test_coro_run_cancel_all_callbacks(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct co_done_node node;

	(void)state;
	assert_non_null(loop);
	trace[0] = '\0';
	expect_failures = 0;
	EXPECT_INT(co_run(loop, leaves_a_callback, &node, "main"), 0);
	EXPECT_INT(co_task_count(loop), 0);
	EXPECT_TRACE("");
	EXPECT_INT(co_loop_cancel_all(loop), 0);
	EXPECT_TRACE("freed");
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

struct late {
	struct co_done_node node;
	struct co_call call;
	int turns;              /* after the last one's end */
};

static void spawns_late(void *arg)
{
	struct late *l = arg;

	if (l->turns-- > 0)
		co_call_soon(&l->call);
	else
		co_unref(spawn(sleep_forever, NULL));
}

static void on_last_end(struct co_future *f, void *arg)
{
	(void)f;
	spawns_late(arg);
}

static int leaves_a_late_spawner(void *arg)
{
	struct late *l = arg;
	struct co_future *t = spawn(sleep_forever, NULL);

	co_call_init(&l->call, spawns_late, l);
	co_done_add(t, &l->node, on_last_end, l);
	co_unref(t);
	return co_yield();
}

/* Regression: one that came in the turns in which the loop stops was left, and all was said to be done. */
static void test_coro_run_cancel_all_leaves_none(void **state)
{
	(void)state;
	expect_failures = 0;
	alarm(20);
	for (int turns = 0; turns < 8; turns++) {
		struct co_loop *loop = co_loop_new();
		struct late l = { .turns = turns };

		assert_non_null(loop);
		EXPECT_INT(co_run(loop, leaves_a_late_spawner, &l, "main"), 0);
		EXPECT_INT(co_loop_cancel_all(loop), 0);
		EXPECT_INT(co_task_count(loop), 0);
		co_loop_free(loop);
	}
	alarm(0);
	assert_int_equal(expect_failures, 0);
}

static void never(void *arg)
{
	(void)arg;
	expect_failures++;
}

struct embedded {
	struct co_timer timer;
	struct co_turn_hook hook;
	struct co_call call;
};

static int starts_all(void *arg)
{
	struct embedded *e = arg;

	co_timer_init(&e->timer, never, NULL);
	co_call_init(&e->call, never, NULL);
	EXPECT_INT(co_timer_start_ms(&e->timer, 100000), 0);
	co_call_soon(&e->call);
	co_turn_hook_add(&e->hook, never, NULL);
	return 0;
}

static void stop_all(struct embedded *e)
{
	EXPECT(!co_timer_started(&e->timer));
	co_timer_stop(&e->timer);
	co_call_cancel(&e->call);
	co_turn_hook_remove(&e->hook);
}

/* As a handle of asyncio's that is cancelled when the loop is closed: nothing, without a loop and in the next one, which loses nothing. */
static void test_coro_run_embedded_outlives_its_loop(void **state)
{
	(void)state;
	expect_failures = 0;
	for (int next = 0; next < 2; next++) {
		struct co_loop *loop = co_loop_new();
		struct embedded old, young;

		assert_non_null(loop);
		EXPECT_INT(starts_all(&old), 0);
		co_loop_free(loop);
		if (!next)
			stop_all(&old);
		loop = co_loop_new();
		assert_non_null(loop);
		EXPECT_INT(starts_all(&young), 0);
		if (next)
			stop_all(&old);
		EXPECT(co_timer_started(&young.timer));
		co_timer_stop(&young.timer);
		co_loop_free(loop);
		stop_all(&young);
	}
	assert_int_equal(expect_failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_run_cancel_all),
		cmocka_unit_test(test_coro_run_cancel_all_stopped),
		cmocka_unit_test(test_coro_run_cancel_all_late),
		cmocka_unit_test(test_coro_run_cancel_all_of_a_family),
		cmocka_unit_test(test_coro_run_cancel_all_callbacks),
		cmocka_unit_test(test_coro_run_cancel_all_leaves_none),
		cmocka_unit_test(test_coro_run_embedded_outlives_its_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
