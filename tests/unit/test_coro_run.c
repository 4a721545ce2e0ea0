/* dispatch/coro/loop.c: a program's beginning and end, and its deadlines. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_run_cancel_all),
		cmocka_unit_test(test_coro_run_deadlines_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
