/* dispatch/coro/wait.c: wait and sleep; each test names the one of CPython's test_tasks.py that checks the same, where there is one. */
#include <stdlib.h>

#include "tests/unit/test_coro.h"

static int sleep_then(void *arg)
{
	intptr_t ms = (intptr_t)arg;
	int rc = co_sleep_ms(ms < 0 ? -ms : ms);

	return rc < 0 ? rc : ms < 0 ? -EIO : (int)ms;
}

static void unref_all(struct co_future **t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		co_unref(t[i]);
}

static void cancel_all(struct co_future **t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		co_cancel(t[i]);
		co_await(t[i]);
	}
	unref_all(t, n);
}

/* test_wait_errors: an empty set */
TEST(test_coro_wait_empty)
{
	EXPECT_INT(co_wait(NULL, 0, CO_ALL_COMPLETED, CLOCK_NEVER), -EINVAL);
	return 0;
}

/* test_wait */
TEST(test_coro_wait_all)
{
	struct co_future *t[] = { spawn(sleep_then, (void *)3), spawn(sleep_then, (void *)1) };

	EXPECT_INT(co_wait(t, 2, CO_ALL_COMPLETED, CLOCK_NEVER), 2);
	EXPECT_INT(co_result(t[0]), 3);
	EXPECT_INT(co_result(t[1]), 1);
	unref_all(t, 2);
	return 0;
}

/* test_wait_duplicate_coroutines: duplicates collapse */
TEST(test_coro_wait_duplicates)
{
	struct co_future *t = spawn(sleep_then, (void *)1), *f = future_new(), *three[] = { t, t, t }, *many[] = { f, t, f, t, t, f, f };

	EXPECT_INT(co_wait(three, 3, CO_ALL_COMPLETED, CLOCK_NEVER), 1);
	EXPECT_INT(co_wait(many, 7, CO_FIRST_COMPLETED, CLOCK_NEVER), 1);
	co_set_result(f, 1);
	EXPECT_INT(co_wait(many, 7, CO_ALL_COMPLETED, CLOCK_NEVER), 2);
	co_unref(t);
	co_unref(f);
	return 0;
}

static int waits_for_done(void *arg)
{
	struct co_future *f = arg;

	note("wait");
	EXPECT_INT(co_wait(&f, 1, CO_ALL_COMPLETED, CLOCK_NEVER), 1);
	note("waited");
	return 0;
}

static int three_turns(void *arg)
{
	(void)arg;
	note("1");
	co_yield();
	note("2");
	co_yield();
	note("3");
	return 0;
}

/* CPython's wait suspends even where all are done: two turns, callback and wake-up. */
TEST(test_coro_wait_of_done_takes_two_turns)
{
	struct co_future *f = future_new(), *a = spawn(waits_for_done, f), *b = spawn(three_turns, NULL);

	co_set_result(f, 1);
	co_await(a);
	co_await(b);
	EXPECT_TRACE("wait 1 2 waited 3");
	co_unref(a);
	co_unref(b);
	co_unref(f);
	return 0;
}

/* test_wait_first_completed */
TEST(test_coro_wait_first_completed)
{
	struct co_future *t[] = { spawn(sleep_forever, NULL), spawn(sleep_then, (void *)1) };

	EXPECT_INT(co_wait(t, 2, CO_FIRST_COMPLETED, CLOCK_NEVER), 1);
	EXPECT(!co_done(t[0]));
	EXPECT(co_done(t[1]));
	cancel_all(t, 2);
	return 0;
}

/* test_wait_really_done: there is possibility that some tasks in the pending list became done but their callbacks haven't all been called */
TEST(test_coro_wait_first_completed_counts_all_done)
{
	struct co_future *t[] = { spawn(return_arg, (void *)1), spawn(return_arg, (void *)2), spawn(sleep_forever, NULL) };

	EXPECT_INT(co_wait(t, 3, CO_FIRST_COMPLETED, CLOCK_NEVER), 2);
	cancel_all(t, 3);
	return 0;
}

/* A cancelled member triggers FIRST_COMPLETED. */
TEST(test_coro_wait_first_completed_by_cancel)
{
	struct co_future *t[] = { future_new(), future_new() };

	co_cancel(t[1]);
	EXPECT_INT(co_wait(t, 2, CO_FIRST_COMPLETED, CLOCK_NEVER), 1);
	EXPECT_INT(co_state(t[1]), CO_CANCELLED);
	EXPECT(!co_done(t[0]));
	unref_all(t, 2);
	return 0;
}

/* test_wait_first_exception: an error ends it; counts as retrieved */
TEST(test_coro_wait_first_exception)
{
	struct co_future *t[] = { spawn(sleep_forever, NULL), spawn(sleep_then, (void *)-1), spawn(return_arg, (void *)1) };

	EXPECT_INT(co_wait(t, 3, CO_FIRST_EXCEPTION, CLOCK_NEVER), 2);
	EXPECT(!co_done(t[0]));
	EXPECT_INT(co_state(t[1]), CO_FAILED);
	co_cancel(t[0]);
	EXPECT_INT(co_wait(t, 3, CO_ALL_COMPLETED, CLOCK_NEVER), 3);
	unref_all(t, 3);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_wait_first_exception_in_wait */
TEST(test_coro_wait_first_exception_in_wait)
{
	struct co_future *t[] = { spawn(sleep_forever, NULL), spawn(return_arg, (void *)-EIO) };

	EXPECT_INT(co_wait(t, 2, CO_FIRST_EXCEPTION, CLOCK_NEVER), 1);
	cancel_all(t, 2);
	return 0;
}

/* A cancelled member only counts down. */
TEST(test_coro_wait_first_exception_not_by_cancel)
{
	struct co_future *t[] = { future_new(), spawn(sleep_then, (void *)3), future_new() };

	co_cancel(t[0]);
	co_cancel(t[2]);
	EXPECT_INT(co_wait(t, 3, CO_FIRST_EXCEPTION, CLOCK_NEVER), 3);
	EXPECT_INT(co_result(t[1]), 3);
	unref_all(t, 3);
	return 0;
}

/* A "cancelled error" of gather's outer is an error. */
TEST(test_coro_wait_first_exception_by_gather)
{
	struct co_future *f = future_new(), *t[] = { co_gather(&f, 1, false, NULL), future_new() };

	co_cancel(f);
	EXPECT_INT(co_wait(t, 2, CO_FIRST_EXCEPTION, CLOCK_NEVER), 1);
	EXPECT_INT(co_state(t[0]), CO_FAILED);
	unref_all(t, 2);
	co_unref(f);
	return 0;
}

/* With no error it equals ALL_COMPLETED. */
TEST(test_coro_wait_first_exception_without)
{
	struct co_future *t[] = { spawn(sleep_then, (void *)2), spawn(return_arg, (void *)1) };

	EXPECT_INT(co_wait(t, 2, CO_FIRST_EXCEPTION, CLOCK_NEVER), 2);
	unref_all(t, 2);
	return 0;
}

/* ALL_COMPLETED never raises a member's error, and leaves it unretrieved. */
struct failing {
	int turns, err;
};

static int fails_later(void *arg)
{
	const struct failing *f = arg;

	yield_times(f->turns);
	return f->err;
}

static void fail_in_turns(struct co_future **t, const int *turns, int n)
{
	static struct failing f[4];

	for (int i = 0; i < n; i++) {
		f[i] = (struct failing){ turns[i], -EIO - i };
		t[i] = spawn(fails_later, &f[i]);
	}
}

/* _on_completion of wait(): who completes between the first error and the waiter's turn is looked at all the same. */
TEST(test_coro_wait_first_exception_sees_late_errors)
{
	struct co_future *t[4];

	fail_in_turns(t, (int[]){ 2, 2, 3 }, 3);
	t[3] = spawn(sleep_forever, NULL);
	EXPECT_INT(co_wait(t, 4, CO_FIRST_EXCEPTION, CLOCK_NEVER), 3);
	co_cancel(t[3]);
	yield_times(2);
	for (int i = 0; i < 4; i++)
		co_unref(t[i]);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* The same where all end: the last of them counts down to none left, and nobody looks at its error. */
TEST(test_coro_wait_first_exception_last_error_unseen)
{
	const int turns[][3] = { { 2, 3, 3 }, { 3, 2, 3 }, { 2, 2, 2 } };

	for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
		struct co_future *t[3];

		fail_in_turns(t, turns[i], 3);
		EXPECT_INT(co_wait(t, 3, CO_FIRST_EXCEPTION, CLOCK_NEVER), 3);
		for (int k = 0; k < 3; k++)
			co_unref(t[k]);
		EXPECT_INT(unretrieved, i + 1);
	}
	return 0;
}

TEST(test_coro_wait_all_with_error)
{
	struct co_future *t[] = { spawn(return_arg, (void *)-EIO), spawn(return_arg, (void *)1) };

	EXPECT_INT(co_wait(t, 2, CO_ALL_COMPLETED, CLOCK_NEVER), 2);
	unref_all(t, 2);
	EXPECT_INT(unretrieved, 1);
	return 0;
}

/* test_wait_with_timeout, test_wait_concurrent_complete: members go on */
TEST(test_coro_wait_timeout)
{
	struct co_future *t[] = { spawn(return_arg, (void *)1), spawn(stubborn, (void *)2) };

	EXPECT_INT(co_wait(t, 2, CO_ALL_COMPLETED, co_in_ms(5)), 1);
	EXPECT(!co_done(t[1]));
	EXPECT_INT(co_task_cancelling(t[1]), 0);
	cancel_all(t, 2);
	return 0;
}

/* A deadline that is past still looks: who is done by the time it fires counts. */
TEST(test_coro_wait_timeout_past)
{
	struct co_future *t[] = { future_new(), future_new() };

	co_set_result(t[0], 1);
	EXPECT_INT(co_wait(t, 2, CO_ALL_COMPLETED, 1), 1);
	unref_all(t, 2);
	return 0;
}

struct waiting {
	struct co_future *t[6];
	size_t n;
};

static int waits(void *arg)
{
	struct waiting *w = arg;

	return co_wait(w->t, w->n, CO_ALL_COMPLETED, CLOCK_NEVER);
}

/* The waiter is cancelled, members are untouched, callbacks are gone. */
TEST(test_coro_wait_cancelled)
{
	struct waiting w = { .n = 6 };
	struct co_future *t;

	for (int i = 0; i < 6; i++)
		w.t[i] = i % 2 ? future_new() : spawn(sleep_forever, NULL);
	t = spawn(waits, &w);
	yield_times(2);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	for (int i = 0; i < 6; i++) {
		EXPECT(!co_done(w.t[i]));
		if (i % 2 == 0)
			EXPECT_INT(co_task_cancelling(w.t[i]), 0);
	}
	co_unref(t);
	for (int i = 0; i < 6; i++)
		if (i % 2)
			co_set_result(w.t[i], 1);
	cancel_all(w.t, 6);
	return 0;
}

/* Callers may drop their references while the wait holds its own. */
TEST(test_coro_wait_holds_members)
{
	struct waiting w = { .t = { spawn(return_arg, (void *)1), spawn(sleep_then, (void *)2) }, .n = 2 };
	struct co_future *t = spawn(waits, &w);

	yield_times(1);
	unref_all(w.t, 2);
	EXPECT_INT(co_await(t), 2);
	co_unref(t);
	return 0;
}

/* ---- the first completed of many, one of which is done on entry ---- */

static int waits_for_first(void *arg)
{
	struct waiting *w = arg;
	int n;

	note("wait");
	n = co_wait(w->t, w->n, CO_FIRST_COMPLETED, CLOCK_NEVER);
	note("waited");
	return n;
}

static struct waiting six_futures(void)
{
	struct waiting w = { .n = 6 };

	for (int i = 0; i < 6; i++)
		w.t[i] = future_new();
	return w;
}

/* Two turns as well; who completes meanwhile counts, each once. */
TEST(test_coro_wait_first_of_many_is_done)
{
	struct waiting w = six_futures();
	struct co_future *a, *b, *twice = w.t[4];

	co_unref(w.t[5]);
	w.t[5] = twice;
	co_set_result(w.t[2], 1);
	a = spawn(waits_for_first, &w);
	b = spawn(three_turns, NULL);
	yield_times(1);
	co_set_result(twice, 1);
	EXPECT_INT(co_await(a), 2);
	co_await(b);
	EXPECT_TRACE("wait 1 2 waited 3");
	co_unref(a);
	co_unref(b);
	co_set_result(w.t[0], 1);
	co_set_result(w.t[1], 1);
	co_set_result(w.t[3], 1);
	unref_all(w.t, 5);
	return 0;
}

/* Others drop the last references of members, pending and done, and two waits have them. */
TEST(test_coro_wait_first_of_many_holds_members)
{
	struct waiting w = six_futures();
	struct co_future *a, *b, *none = future_new();

	co_set_result(w.t[2], 1);
	a = spawn(waits_for_first, &w);
	b = spawn(waits_for_first, &w);
	yield_times(1);
	co_unref(none);                 /* nobody's member */
	co_set_result(w.t[4], 1);
	unref_all(w.t, 6);
	EXPECT_INT(co_await(a), 2);
	EXPECT_INT(co_await(b), 2);
	EXPECT_TRACE("wait wait waited waited");
	co_unref(a);
	co_unref(b);
	return 0;
}

/* A member that is a gather, or a shield of one: regression, the wait did not count as its reader, and results were not written. */
TEST(test_coro_wait_first_of_many_reads_a_gather)
{
	for (int shields = 0; shields < 2; shields++) {
		struct waiting w = six_futures();
		struct co_future *child[] = { future_new(), future_new() }, *gather, *t;
		int results[] = { -7, -7 };

		gather = co_gather(child, 2, true, results);
		co_unref(w.t[1]);
		w.t[1] = shields ? co_shield(gather) : co_ref(gather);
		CHECK(gather != NULL && w.t[1] != NULL);
		co_set_result(w.t[0], 1);
		t = spawn(waits_for_first, &w);
		yield_times(1);
		co_unref(gather);
		unref_all(w.t, 6);
		co_set_result(child[0], 11);
		co_set_result(child[1], 22);
		EXPECT(co_await(t) >= 1);
		EXPECT_INT(results[0], 11);
		EXPECT_INT(results[1], 22);
		EXPECT_TRACE("wait waited");
		co_unref(t);
		unref_all(child, 2);
	}
	return 0;
}

/* Cancelled, with and without a member that was dropped: what was not taken is not given back. */
TEST(test_coro_wait_first_of_many_cancelled)
{
	for (int drops = 0; drops < 2; drops++) {
		struct waiting w = six_futures();
		struct co_future *t, *none = future_new();

		co_set_result(w.t[0], 1);
		t = spawn(waits_for_first, &w);
		yield_times(1);
		EXPECT(co_cancel(t));
		if (drops)
			co_unref(none);
		EXPECT_INT(co_await(t), -ECANCELED);
		EXPECT_TRACE("wait waited");
		co_unref(t);
		for (int i = 1; i < 6; i++)
			co_set_result(w.t[i], 1);
		unref_all(w.t, 6);
		if (!drops)
			co_unref(none);
	}
	return 0;
}

/* wait in a loop, the classic */
TEST(test_coro_wait_first_completed_loop)
{
	struct co_future *t[5];
	size_t n = 5;
	int sum = 0;

	for (size_t i = 0; i < n; i++)
		t[i] = spawn(sleep_then, (void *)(intptr_t)(5 - i));
	while (n > 0) {
		int done = co_wait(t, n, CO_FIRST_COMPLETED, CLOCK_NEVER);

		EXPECT(done >= 1);
		for (size_t i = 0; i < n;) {
			if (!co_done(t[i])) {
				i++;
				continue;
			}
			sum += co_result(t[i]);
			co_unref(t[i]);
			t[i] = t[--n];
			done--;
		}
		EXPECT_INT(done, 0);
	}
	EXPECT_INT(sum, 15);
	return 0;
}

/* ---- sleep ---- */

/* test_sleep */
TEST(test_coro_wait_sleep)
{
	int64_t start_us = clock_mono_us();

	EXPECT_INT(co_sleep_ms(5), 0);
	EXPECT(clock_mono_exact_us() - start_us >= 5000);
	EXPECT(clock_mono_us() - start_us >= 5000);
	return 0;
}

/* test_sleep_cancel */
TEST(test_coro_wait_sleep_cancelled)
{
	struct co_future *t = spawn(sleep_then, (void *)100000);

	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	return 0;
}

static int sleeps_in_past(void *arg)
{
	note("sleep");
	EXPECT_INT(co_sleep_until((intptr_t)arg), 0);
	note("slept");
	return 0;
}

TEST(test_coro_wait_sleep_past_yields_once)
{
	struct co_future *a = spawn(sleeps_in_past, (void *)1), *b = spawn(three_turns, NULL);

	co_await(a);
	co_await(b);
	EXPECT_TRACE("sleep 1 slept 2 3");
	co_unref(a);
	co_unref(b);
	return 0;
}

static int sleep_and_note(void *arg)
{
	char *word = arg;

	co_sleep_ms(word[0] - 'a');
	note(word);
	return 0;
}

TEST(test_coro_wait_sleeps_end_in_time_order)
{
	struct co_future *t[] = { spawn(sleep_and_note, WORD("c")), spawn(sleep_and_note, WORD("e")), spawn(sleep_and_note, WORD("b")) };

	EXPECT_INT(co_wait(t, 3, CO_ALL_COMPLETED, CLOCK_NEVER), 3);
	EXPECT_TRACE("b c e");
	unref_all(t, 3);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_wait_empty),
		cmocka_unit_test(test_coro_wait_all),
		cmocka_unit_test(test_coro_wait_duplicates),
		cmocka_unit_test(test_coro_wait_of_done_takes_two_turns),
		cmocka_unit_test(test_coro_wait_first_completed),
		cmocka_unit_test(test_coro_wait_first_completed_counts_all_done),
		cmocka_unit_test(test_coro_wait_first_completed_by_cancel),
		cmocka_unit_test(test_coro_wait_first_exception),
		cmocka_unit_test(test_coro_wait_first_exception_in_wait),
		cmocka_unit_test(test_coro_wait_first_exception_not_by_cancel),
		cmocka_unit_test(test_coro_wait_first_exception_by_gather),
		cmocka_unit_test(test_coro_wait_first_exception_without),
		cmocka_unit_test(test_coro_wait_first_exception_sees_late_errors),
		cmocka_unit_test(test_coro_wait_first_exception_last_error_unseen),
		cmocka_unit_test(test_coro_wait_all_with_error),
		cmocka_unit_test(test_coro_wait_timeout),
		cmocka_unit_test(test_coro_wait_timeout_past),
		cmocka_unit_test(test_coro_wait_cancelled),
		cmocka_unit_test(test_coro_wait_holds_members),
		cmocka_unit_test(test_coro_wait_first_of_many_is_done),
		cmocka_unit_test(test_coro_wait_first_of_many_holds_members),
		cmocka_unit_test(test_coro_wait_first_of_many_reads_a_gather),
		cmocka_unit_test(test_coro_wait_first_of_many_cancelled),
		cmocka_unit_test(test_coro_wait_first_completed_loop),
		cmocka_unit_test(test_coro_wait_sleep),
		cmocka_unit_test(test_coro_wait_sleep_cancelled),
		cmocka_unit_test(test_coro_wait_sleep_past_yields_once),
		cmocka_unit_test(test_coro_wait_sleeps_end_in_time_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
