/* dispatch/coro/timeout.c; each test names the one of CPython's test_timeouts.py or test_waitfor.py that checks the same, if any. */
#include "tests/unit/test_coro.h"

/* test_timeout_basic */
TEST(test_coro_timeout_expires)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(2)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_until(CLOCK_NEVER)), -ETIMEDOUT);
	EXPECT(t.expired);
	EXPECT_INT(co_task_cancelling(co_task_current()), 0);
	yield_times(1);
	return 0;
}

/* test_timeout_not_called */
TEST(test_coro_timeout_not_reached)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(10000)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_ms(1)), 0);
	EXPECT(!t.expired);
	EXPECT(!co_timer_started(&t.timer));
	return 0;
}

/* test_timeout_disabled */
TEST(test_coro_timeout_never)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, CLOCK_NEVER), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_ms(1)), 0);
	return 0;
}

/* test_timeout_zero: delivered at the first suspension */
TEST(test_coro_timeout_zero)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, clock_mono_us()), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_ms(10000)), -ETIMEDOUT);
	EXPECT(t.expired);
	return 0;
}

/* test_timeout_in_the_past with no suspension inside: nothing happens */
TEST(test_coro_timeout_past_without_suspension)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, 1), 0);
	EXPECT_INT(co_timeout_leave(&t, 5), 5);
	EXPECT(!t.expired);
	yield_times(2);
	return 0;
}

/* test_foreign_exception_passed */
TEST(test_coro_timeout_other_error_passes)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(10000)), 0);
	EXPECT_INT(co_timeout_leave(&t, -EIO), -EIO);
	return 0;
}

/* test_timeout_after_cancellation..: the body takes the cancel and fails otherwise, or succeeds */
TEST(test_coro_timeout_expired_but_other_outcome)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(1)), 0);
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	EXPECT_INT(co_timeout_leave(&t, -EPIPE), -EPIPE);
	EXPECT_INT(co_timeout_enter(&t, co_in_ms(1)), 0);
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	EXPECT_INT(co_timeout_leave(&t, 3), 3);
	EXPECT_INT(co_task_cancelling(co_task_current()), 0);
	yield_times(1);
	return 0;
}

static int under_long_timeout(void *arg)
{
	struct co_timeout t;
	int rc;

	(void)arg;
	EXPECT_INT(co_timeout_enter(&t, co_in_ms(10000)), 0);
	rc = co_timeout_leave(&t, co_sleep_until(CLOCK_NEVER));
	EXPECT(!t.expired);
	return rc;
}

/* test_cancel_in_timeout..: an outer cancel is passed on */
TEST(test_coro_timeout_cancelled_from_outside)
{
	struct co_future *t = spawn(under_long_timeout, NULL);

	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_task_cancelling(t), 1);
	co_unref(t);
	return 0;
}

static int expires_at_once(void *arg)
{
	struct co_timeout t;
	int rc;

	(void)arg;
	EXPECT_INT(co_timeout_enter(&t, clock_mono_us()), 0);
	rc = co_timeout_leave(&t, co_sleep_until(CLOCK_NEVER));
	EXPECT(t.expired);
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	return rc;
}

static void cancel_it(void *arg)
{
	co_cancel(arg);
}

/* test_outer_cancel..: both fire in one turn: no timeout error, the other's cancel must not be swallowed */
TEST(test_coro_timeout_and_cancel_at_once)
{
	struct co_future *t = spawn(expires_at_once, NULL);
	struct co_call call;

	co_call_init(&call, cancel_it, t);
	yield_times(1);
	co_call_soon(&call);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	return 0;
}

/* test_nested_timeouts: the outer fires while the inner one is open */
TEST(test_coro_timeout_nested_outer_fires)
{
	struct co_timeout outer, inner;
	int rc;

	EXPECT_INT(co_timeout_enter(&outer, co_in_ms(2)), 0);
	EXPECT_INT(co_timeout_enter(&inner, co_in_ms(10000)), 0);
	rc = co_timeout_leave(&inner, co_sleep_until(CLOCK_NEVER));
	EXPECT_INT(rc, -ECANCELED);
	EXPECT(!inner.expired);
	EXPECT_INT(co_timeout_leave(&outer, rc), -ETIMEDOUT);
	EXPECT(outer.expired);
	return 0;
}

TEST(test_coro_timeout_nested_inner_fires)
{
	struct co_timeout outer, inner;
	int rc;

	EXPECT_INT(co_timeout_enter(&outer, co_in_ms(10000)), 0);
	EXPECT_INT(co_timeout_enter(&inner, co_in_ms(2)), 0);
	rc = co_timeout_leave(&inner, co_sleep_until(CLOCK_NEVER));
	EXPECT_INT(rc, -ETIMEDOUT);
	EXPECT_INT(co_timeout_leave(&outer, rc), -ETIMEDOUT);
	EXPECT(!outer.expired);
	return 0;
}

/* test_nested_timeouts_concurrent: both at once: the inner leaves the cancel to the outer */
TEST(test_coro_timeout_nested_both_fire)
{
	struct co_timeout outer, inner;
	int64_t at_us = co_in_ms(2);
	int rc;

	EXPECT_INT(co_timeout_enter(&outer, at_us), 0);
	EXPECT_INT(co_timeout_enter(&inner, at_us), 0);
	rc = co_timeout_leave(&inner, co_sleep_until(CLOCK_NEVER));
	EXPECT(inner.expired && outer.expired);
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_timeout_leave(&outer, rc), -ETIMEDOUT);
	EXPECT_INT(co_task_cancelling(co_task_current()), 0);
	return 0;
}

/* test_reschedule: later, earlier, never, now */
TEST(test_coro_timeout_reschedule)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(1)), 0);
	EXPECT_INT(co_timeout_reschedule(&t, co_in_ms(10000)), 0);
	EXPECT_INT(co_sleep_ms(3), 0);
	EXPECT_INT(co_timeout_reschedule(&t, CLOCK_NEVER), 0);
	EXPECT_INT(co_sleep_ms(1), 0);
	EXPECT_INT(co_timeout_reschedule(&t, co_in_ms(1)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_until(CLOCK_NEVER)), -ETIMEDOUT);

	EXPECT_INT(co_timeout_enter(&t, CLOCK_NEVER), 0);
	EXPECT_INT(co_timeout_reschedule(&t, 1), 0);
	EXPECT_INT(co_timeout_reschedule(&t, co_in_ms(10000)), 0);
	EXPECT_INT(co_sleep_ms(1), 0);
	EXPECT_INT(co_timeout_reschedule(&t, 1), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_until(CLOCK_NEVER)), -ETIMEDOUT);
	return 0;
}

/* test_timeout_already_cancelling: entered with a request pending */
static int already_cancelling(void *arg)
{
	struct co_timeout t;

	(void)arg;
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	EXPECT_INT(co_timeout_enter(&t, co_in_ms(1)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_until(CLOCK_NEVER)), -ETIMEDOUT);
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	return 0;
}

TEST(test_coro_timeout_already_cancelling)
{
	struct co_future *t = spawn(already_cancelling, NULL);

	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	return 0;
}

/* ---- wait_for ---- */

/* test_wait_for_with_timeout.. the result in time */
TEST(test_coro_wait_for_in_time)
{
	struct co_future *t = spawn(return_arg, (void *)4);

	EXPECT_INT(co_wait_for(t, co_in_ms(10000)), 4);
	EXPECT_INT(co_wait_for(t, CLOCK_NEVER), 4);
	EXPECT_INT(co_wait_for(t, 1), 4);       /* test_wait_for_timeout_less_then_0_or_0_future_done */
	co_unref(t);
	t = spawn(return_arg, (void *)-EIO);
	EXPECT_INT(co_wait_for(t, co_in_ms(10000)), -EIO);
	co_unref(t);
	return 0;
}

/* test_wait_for: cancels, and waits for the end */
TEST(test_coro_wait_for_timeout)
{
	struct co_future *t = spawn(sleep_forever, NULL);

	EXPECT_INT(co_wait_for(t, co_in_ms(2)), -ETIMEDOUT);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	co_unref(t);
	return 0;
}

/* test_wait_for_suppresses_cancellation / test_wait_for_raises_after_cancellation: a stubborn inner's result or error wins */
static int stubborn_error(void *arg)
{
	(void)arg;
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	return -EPIPE;
}

TEST(test_coro_wait_for_stubborn)
{
	struct co_future *t = spawn(stubborn, (void *)6);

	EXPECT_INT(co_wait_for(t, co_in_ms(2)), 6);
	co_unref(t);
	t = spawn(stubborn_error, NULL);
	EXPECT_INT(co_wait_for(t, co_in_ms(2)), -EPIPE);
	co_unref(t);
	return 0;
}

/* test_wait_for_timeout_less_then_0_or_0: never starts */
TEST(test_coro_wait_for_past_never_starts)
{
	struct co_future *t = spawn(stubborn, (void *)6);

	EXPECT_INT(co_wait_for(t, 1), -ETIMEDOUT);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	co_unref(t);
	return 0;
}

/* The same of one that runs: cancelled, waited for; stubborn or failing ones win here too. */
TEST(test_coro_wait_for_past_running)
{
	struct co_future *t = spawn(stubborn, (void *)6);

	yield_times(1);
	EXPECT_INT(co_wait_for(t, 1), 6);
	co_unref(t);
	t = spawn(stubborn_error, NULL);
	yield_times(1);
	EXPECT_INT(co_wait_for(t, 1), -EPIPE);
	co_unref(t);
	return 0;
}

static int waits_for_past(void *arg)
{
	return co_wait_for(arg, 1);
}

static int ends_slowly(void *arg)
{
	(void)arg;
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	EXPECT_INT(co_sleep_ms(5), 0);
	return -ECANCELED;
}

/* test_cancel_wait_for: while it waits for the end of the inner it can be cancelled itself */
TEST(test_coro_wait_for_past_cancelled)
{
	struct co_future *inner = spawn(ends_slowly, NULL), *t;

	yield_times(1);
	t = spawn(waits_for_past, inner);
	yield_times(2);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT(!co_done(inner));
	EXPECT_INT(co_await(inner), -ECANCELED);
	co_unref(t);
	co_unref(inner);
	return 0;
}

static int waits_for(void *arg)
{
	return co_wait_for(arg, co_in_ms(10000));
}

/* test_wait_for_cancellation..: the waiter's cancel goes to the inner */
TEST(test_coro_wait_for_cancelled)
{
	struct co_future *inner = spawn(sleep_forever, NULL), *t = spawn(waits_for, inner);

	yield_times(2);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(inner), CO_CANCELLED);
	co_unref(t);
	co_unref(inner);
	return 0;
}

/* With a shield the inner outlives the timeout. */
TEST(test_coro_wait_for_shield)
{
	struct co_future *inner = future_new(), *outer = co_shield(inner);

	CHECK(outer != NULL);
	EXPECT_INT(co_wait_for(outer, co_in_ms(1)), -ETIMEDOUT);
	EXPECT(!co_done(inner));
	co_unref(outer);
	co_unref(inner);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_timeout_expires),
		cmocka_unit_test(test_coro_timeout_not_reached),
		cmocka_unit_test(test_coro_timeout_never),
		cmocka_unit_test(test_coro_timeout_zero),
		cmocka_unit_test(test_coro_timeout_past_without_suspension),
		cmocka_unit_test(test_coro_timeout_other_error_passes),
		cmocka_unit_test(test_coro_timeout_expired_but_other_outcome),
		cmocka_unit_test(test_coro_timeout_cancelled_from_outside),
		cmocka_unit_test(test_coro_timeout_and_cancel_at_once),
		cmocka_unit_test(test_coro_timeout_nested_outer_fires),
		cmocka_unit_test(test_coro_timeout_nested_inner_fires),
		cmocka_unit_test(test_coro_timeout_nested_both_fire),
		cmocka_unit_test(test_coro_timeout_reschedule),
		cmocka_unit_test(test_coro_timeout_already_cancelling),
		cmocka_unit_test(test_coro_wait_for_in_time),
		cmocka_unit_test(test_coro_wait_for_timeout),
		cmocka_unit_test(test_coro_wait_for_stubborn),
		cmocka_unit_test(test_coro_wait_for_past_never_starts),
		cmocka_unit_test(test_coro_wait_for_past_running),
		cmocka_unit_test(test_coro_wait_for_past_cancelled),
		cmocka_unit_test(test_coro_wait_for_cancelled),
		cmocka_unit_test(test_coro_wait_for_shield),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
