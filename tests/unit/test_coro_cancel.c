/* dispatch/coro/task.c: cancelling; each test names the one of CPython's test_tasks.py that checks the same, where there is one. */
#include "tests/unit/test_coro.h"

static int note_arg(void *arg)
{
	note(arg);
	return 0;
}

/* test_cancel */
TEST(test_coro_cancel_waiting)
{
	struct co_future *t = spawn(sleep_forever, NULL);

	yield_times(1);
	EXPECT(co_cancel(t));
	EXPECT(!co_done(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	EXPECT(!co_cancel(t));
	co_unref(t);
	return 0;
}

/* test_cancel_before_first_run / test_cancel_done...: the body never runs */
TEST(test_coro_cancel_before_first_run)
{
	struct co_future *t = spawn(note_arg, WORD("ran"));

	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_TRACE("");
	co_unref(t);
	return 0;
}

/* test_cancel_inner_future: what it awaits is cancelled by another */
TEST(test_coro_cancel_inner_future)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	co_cancel(f);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	co_unref(t);
	co_unref(f);
	return 0;
}

/* test_cancel_both_task_and_inner_future */
TEST(test_coro_cancel_both)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	co_cancel(f);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	co_unref(f);
	return 0;
}

/* Forwarded: the cancel of a task cancels the future it awaits. */
TEST(test_coro_cancel_forwarded)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_state(f), CO_CANCELLED);
	co_await(t);
	co_unref(t);
	co_unref(f);
	return 0;
}

/* test_cancel_task_catching: the future is done, the cancel comes before the task woke: the result is lost to the cancel */
TEST(test_coro_cancel_after_wake)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	co_set_result(f, 3);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	co_unref(f);
	return 0;
}

/* test_cancel_task_ignoring */
TEST(test_coro_cancel_ignored)
{
	struct co_future *t = spawn(stubborn, (void *)42);

	yield_times(1);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), 42);
	EXPECT_INT(co_state(t), CO_DONE);
	EXPECT_INT(co_task_cancelling(t), 1);
	co_unref(t);
	return 0;
}

static int fails_otherwise(void *arg)
{
	(void)arg;
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	return -EPIPE;
}

TEST(test_coro_cancel_turned_into_error)
{
	struct co_future *t = spawn(fails_otherwise, NULL);

	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -EPIPE);
	EXPECT_INT(co_state(t), CO_FAILED);
	co_unref(t);
	return 0;
}

/* Several requests while parked: one delivery. */
static int counts_deliveries(void *arg)
{
	int *n = arg;

	for (int i = 0; i < 3; i++)
		*n += co_yield() == -ECANCELED;
	return 0;
}

TEST(test_coro_cancel_often_delivers_once)
{
	int n = 0;
	struct co_future *t = spawn(counts_deliveries, &n);

	yield_times(1);
	EXPECT(co_cancel(t));
	EXPECT(co_cancel(t));
	EXPECT(co_cancel(t));
	EXPECT_INT(co_task_cancelling(t), 3);
	EXPECT_INT(co_await(t), 0);
	EXPECT_INT(n, 1);
	co_unref(t);
	return 0;
}

static int cancels_itself(void *arg)
{
	(void)arg;
	EXPECT(co_cancel(co_task_current()));
	EXPECT_INT(co_yield(), -ECANCELED);
	EXPECT_INT(co_yield(), 0);
	return 5;
}

/* test_cancel_current_task */
TEST(test_coro_cancel_current)
{
	struct co_future *t = spawn(cancels_itself, NULL);

	EXPECT_INT(co_await(t), 5);
	co_unref(t);
	return 0;
}

static int cancels_itself_and_awaits(void *arg)
{
	EXPECT(co_cancel(co_task_current()));
	return co_await(arg);
}

/* A cancel that waits for delivery goes to what the task awaits next. */
TEST(test_coro_cancel_current_then_await)
{
	struct co_future *f = future_new(), *t = spawn(cancels_itself_and_awaits, f);

	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(f), CO_CANCELLED);
	co_unref(t);
	co_unref(f);
	return 0;
}

static int cancels_itself_and_returns(void *arg)
{
	EXPECT(co_cancel(co_task_current()));
	return (int)(intptr_t)arg;
}

/* test_cancel_at_end: cancelled right before it returns: the result is lost, an error is not */
TEST(test_coro_cancel_at_end)
{
	struct co_future *t = spawn(cancels_itself_and_returns, (void *)5);

	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	co_unref(t);
	t = spawn(cancels_itself_and_returns, (void *)-EIO);
	EXPECT_INT(co_await(t), -EIO);
	EXPECT_INT(co_state(t), CO_FAILED);
	co_unref(t);
	return 0;
}

static int awaits_done_after_cancel(void *arg)
{
	EXPECT(co_cancel(co_task_current()));
	EXPECT_INT(co_await(arg), 6);           /* no suspension, no delivery */
	EXPECT_INT(co_yield(), -ECANCELED);
	return 0;
}

TEST(test_coro_cancel_not_delivered_by_done_future)
{
	struct co_future *f = future_new(), *t = spawn(awaits_done_after_cancel, f);

	co_set_result(f, 6);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	co_unref(f);
	return 0;
}

/* test_uncancel_basic */
TEST(test_coro_cancel_taken_back)
{
	struct co_future *t = spawn(sleep_forever, NULL);

	yield_times(1);
	EXPECT_INT(co_task_cancelling(t), 0);
	EXPECT(co_task_uncancel(t));
	co_cancel(t);
	co_cancel(t);
	EXPECT_INT(co_task_cancelling(t), 2);
	EXPECT(!co_task_uncancel(t));
	EXPECT(co_task_uncancel(t));
	EXPECT(co_task_uncancel(t));
	EXPECT_INT(co_task_cancelling(t), 0);
	EXPECT_INT(co_await(t), -ECANCELED);    /* the sleep was cancelled already */
	co_unref(t);
	return 0;
}

static int takes_cancel_back(void *arg)
{
	(void)arg;
	co_cancel(co_task_current());
	EXPECT(co_task_uncancel(co_task_current()));
	return co_yield() == 0 ? 8 : -1;
}

/* test_uncancel_resets_must_cancel (3.13; 3.12 delivers) */
TEST(test_coro_cancel_uncancel_resets_must_cancel)
{
	struct co_future *t = spawn(takes_cancel_back, NULL);

	EXPECT_INT(co_await(t), 8);
	co_unref(t);
	return 0;
}

/* A cancel travels to the end of a chain of tasks, however long, and counts in each. */
TEST(test_coro_cancel_chain)
{
	enum { N = 3000 };
	static struct co_future *t[N];

	t[0] = spawn(sleep_forever, NULL);
	for (int i = 1; i < N; i++)
		t[i] = spawn(await_arg, t[i - 1]);
	yield_times(1);
	EXPECT(co_cancel(t[N - 1]));
	EXPECT_INT(co_await(t[N - 1]), -ECANCELED);
	for (int i = 0; i < N; i++) {
		EXPECT_INT(co_state(t[i]), CO_CANCELLED);
		EXPECT_INT(co_task_cancelling(t[i]), 1);
		co_unref(t[i]);
	}
	return 0;
}

/* The inner task may ignore it; the outer gets the inner's result. */
TEST(test_coro_cancel_ignored_by_inner)
{
	struct co_future *inner = spawn(stubborn, (void *)11), *outer = spawn(await_arg, inner);

	yield_times(2);
	EXPECT(co_cancel(outer));
	EXPECT_INT(co_await(outer), 11);
	EXPECT_INT(co_task_cancelling(outer), 1);
	co_unref(inner);
	co_unref(outer);
	return 0;
}

/* The cancel of n waiters of one future takes n steps, not n^2. */
TEST(test_coro_cancel_storm)
{
	enum { N = 5000 };
	struct co_future *f = future_new(), *shield[N / 10], *t[N / 10];

	for (int i = 0; i < N / 10; i++) {
		shield[i] = co_shield(f);
		t[i] = spawn(await_arg, shield[i]);
	}
	yield_times(1);
	for (int i = N / 10; i-- > 0;)
		EXPECT(co_cancel(t[i]));
	for (int i = 0; i < N / 10; i++) {
		EXPECT_INT(co_await(t[i]), -ECANCELED);
		co_unref(t[i]);
		co_unref(shield[i]);
	}
	EXPECT(!co_done(f));
	co_unref(f);
	return 0;
}

/* ---- awaiting to the very end ---- */

static int awaits_through(void *arg)
{
	int rc = co_await_through(arg);

	note(rc == 4 ? "four" : "other");
	rc = co_yield();
	note(rc == -ECANCELED ? "cancelled" : "not cancelled");
	return rc;
}

/* A cancel leaves what is awaited alone, and is delivered where the task suspends next; several are one. */
TEST(test_coro_cancel_awaits_through)
{
	for (int n_cancels = 0; n_cancels < 3; n_cancels++) {
		struct co_future *f = future_new(), *t = spawn(awaits_through, f);

		yield_times(2);
		for (int i = 0; i < n_cancels; i++) {
			EXPECT(co_cancel(t));
			yield_times(3);
			EXPECT(!co_done(t) && !co_done(f));
		}
		co_set_result(f, 4);
		EXPECT_INT(co_await(t), n_cancels > 0 ? -ECANCELED : 0);
		EXPECT_TRACE(n_cancels > 0 ? "four cancelled" : "four not cancelled");
		co_unref(t);
		co_unref(f);
	}
	return 0;
}

static int awaits_through_in_a_timeout(void *arg)
{
	struct co_timeout t;
	int rc = co_timeout_enter(&t, co_in_ms(1));

	EXPECT_INT(rc, 0);
	EXPECT_INT(co_await_through(arg), 1);
	EXPECT_INT(co_task_cancelling(co_task_current()), 2);
	rc = co_timeout_leave(&t, co_yield());
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	return rc;
}

/* Regression: of several cancels one was handed back, the timeout around took it for its own, and the other was lost. */
TEST(test_coro_cancel_through_and_a_timeout)
{
	struct co_future *f = future_new(), *t = spawn(awaits_through_in_a_timeout, f);

	EXPECT_INT(co_sleep_ms(3), 0);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_sleep_ms(1), 0);
	co_set_result(f, 1);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	co_unref(f);
	return 0;
}

/* Regression: a cancel in the turn in which the future is cancelled as well was lost. */
TEST(test_coro_cancel_through_both_at_once)
{
	struct co_future *f = future_new(), *t = spawn(awaits_through, f);

	yield_times(2);
	co_cancel(t);
	co_cancel(f);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_TRACE("other cancelled");
	co_unref(t);
	co_unref(f);
	return 0;
}

/* Of a done future at once; one that is itself cancelled gives that as its outcome, and the caller is not cancelled. */
TEST(test_coro_cancel_through_the_cancelled)
{
	struct co_future *f = future_new(), *t = spawn(awaits_through, f);

	yield_times(2);
	co_cancel(f);
	EXPECT_INT(co_await(t), 0);
	EXPECT_TRACE("other not cancelled");
	EXPECT_INT(co_await_through(f), -ECANCELED);
	EXPECT_INT(co_yield(), 0);
	co_unref(t);
	co_unref(f);
	return 0;
}

static int awaits_arg_for_forty_two(void *arg)
{
	int rc = co_await(arg);

	return rc < 0 ? rc : 42;
}

static int only_awaits_through(void *arg)
{
	return co_await_through(arg);
}

/* Regression: it took no reference of its own. Its owner dropped the task meanwhile, and the outcome was read where another task was by then. */
TEST(test_coro_cancel_through_what_is_dropped)
{
	enum { TURNS = 10 };
	struct co_future *go = future_new(), *f = spawn(awaits_arg_for_forty_two, go), *t = spawn(only_awaits_through, f), *others[TURNS];

	yield_times(2);
	co_unref(f);
	co_set_result(go, 0);
	for (int i = 0; i < TURNS; i++) {
		others[i] = spawn(sleep_forever, NULL);
		yield_times(1);
	}
	EXPECT(co_done(t));
	EXPECT(co_done(t) && co_result(t) == 42);
	for (int i = 0; i < TURNS; i++) {
		co_cancel(others[i]);
		EXPECT_INT(co_await(others[i]), -ECANCELED);
		co_unref(others[i]);
	}
	co_unref(t);
	co_unref(go);
	return 0;
}

static int cancels_itself_and_awaits_through(void *arg)
{
	co_cancel_text(co_task_current(), "stop");
	return awaits_through(arg);
}

/* Regression: a cancel that was put off lost its words to those of the future's own cancel. */
TEST(test_coro_cancel_through_keeps_its_words)
{
	struct co_future *f, *t;

	for (int before = 0; before < 2; before++) {
		f = future_new();
		t = spawn(before ? cancels_itself_and_awaits_through : awaits_through, f);
		yield_times(2);
		if (!before)
			co_cancel_text(t, "stop");
		yield_times(3);
		co_cancel_text(f, "another's");
		EXPECT_INT(co_await(t), -ECANCELED);
		EXPECT_TRACE("other cancelled");
		EXPECT(strcmp(co_error_text(t), "stop") == 0);
		EXPECT(strcmp(co_error_text(f), "another's") == 0);
		co_unref(t);
		co_unref(f);
	}
	return 0;
}

/* Regression: a request that was taken back meanwhile was delivered all the same. */
TEST(test_coro_cancel_through_taken_back)
{
	struct co_future *f = future_new(), *t = spawn(awaits_through, f);

	yield_times(2);
	EXPECT(co_cancel(t));
	yield_times(3);
	EXPECT(co_task_uncancel(t));
	co_set_result(f, 4);
	EXPECT_INT(co_await(t), 0);
	EXPECT_TRACE("four not cancelled");
	co_unref(t);
	co_unref(f);
	return 0;
}

static int swallows_and_awaits_through(void *arg)
{
	EXPECT_INT(co_sleep_ms(100000), -ECANCELED);
	return awaits_through(arg);
}

/* Regression: one that had been counted before was taken back and another came in its place, which was lost. */
TEST(test_coro_cancel_through_instead_of_another)
{
	struct co_future *f = future_new(), *t = spawn(swallows_and_awaits_through, f);

	yield_times(1);
	EXPECT(co_cancel(t));
	yield_times(3);
	EXPECT(co_task_uncancel(t));
	EXPECT(co_cancel(t));
	yield_times(2);
	co_set_result(f, 4);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_TRACE("four cancelled");
	co_unref(t);
	co_unref(f);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_cancel_waiting),
		cmocka_unit_test(test_coro_cancel_before_first_run),
		cmocka_unit_test(test_coro_cancel_inner_future),
		cmocka_unit_test(test_coro_cancel_both),
		cmocka_unit_test(test_coro_cancel_forwarded),
		cmocka_unit_test(test_coro_cancel_after_wake),
		cmocka_unit_test(test_coro_cancel_ignored),
		cmocka_unit_test(test_coro_cancel_turned_into_error),
		cmocka_unit_test(test_coro_cancel_often_delivers_once),
		cmocka_unit_test(test_coro_cancel_current),
		cmocka_unit_test(test_coro_cancel_current_then_await),
		cmocka_unit_test(test_coro_cancel_at_end),
		cmocka_unit_test(test_coro_cancel_not_delivered_by_done_future),
		cmocka_unit_test(test_coro_cancel_taken_back),
		cmocka_unit_test(test_coro_cancel_uncancel_resets_must_cancel),
		cmocka_unit_test(test_coro_cancel_chain),
		cmocka_unit_test(test_coro_cancel_ignored_by_inner),
		cmocka_unit_test(test_coro_cancel_storm),
		cmocka_unit_test(test_coro_cancel_awaits_through),
		cmocka_unit_test(test_coro_cancel_through_and_a_timeout),
		cmocka_unit_test(test_coro_cancel_through_both_at_once),
		cmocka_unit_test(test_coro_cancel_through_the_cancelled),
		cmocka_unit_test(test_coro_cancel_through_what_is_dropped),
		cmocka_unit_test(test_coro_cancel_through_keeps_its_words),
		cmocka_unit_test(test_coro_cancel_through_taken_back),
		cmocka_unit_test(test_coro_cancel_through_instead_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
