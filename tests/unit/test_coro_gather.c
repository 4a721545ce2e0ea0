/* dispatch/coro/gather.c: gather and shield; each test names the one of CPython's test_tasks.py that checks the same, where there is one. */
#include "tests/unit/test_coro.h"

static void unref_all(struct co_future **t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		co_unref(t[i]);
}

static struct co_future *gather(struct co_future *const *fs, size_t n, bool return_exceptions, int *results)
{
	struct co_future *f = co_gather(fs, n, return_exceptions, results);

	CHECK(f != NULL);
	return f;
}

/* ---- gather ---- */

/* GatherTestsBase._check_success: results in argument order, whatever the order of completion */
TEST(test_coro_gather_success)
{
	struct co_future *f[] = { future_new(), future_new(), future_new() }, *g;
	int results[3] = { 0 };

	g = gather(f, 3, false, results);
	co_set_result(f[1], 20);
	co_set_result(f[0], 10);
	yield_times(2);
	EXPECT(!co_done(g));
	co_set_result(f[2], 30);
	EXPECT_INT(co_await(g), 0);
	EXPECT_INT(results[0], 10);
	EXPECT_INT(results[1], 20);
	EXPECT_INT(results[2], 30);
	EXPECT(co_value(g) == results);
	unref_all(f, 3);
	co_unref(g);
	return 0;
}

/* test_constructor_empty_sequence: completes at once */
TEST(test_coro_gather_empty)
{
	struct co_future *g = gather(NULL, 0, false, NULL);

	EXPECT(co_done(g));
	EXPECT_INT(co_await(g), 0);
	co_unref(g);
	return 0;
}

/* All done already: so is the outer. */
TEST(test_coro_gather_of_done)
{
	struct co_future *f[] = { future_new(), future_new() }, *g;
	int results[2];

	co_set_result(f[0], 1);
	co_set_result(f[1], 2);
	g = gather(f, 2, false, results);
	EXPECT(co_done(g));
	EXPECT_INT(results[0] * 10 + results[1], 12);
	co_unref(g);
	unref_all(f, 2);
	f[0] = future_new();
	co_set_error(f[0], -EIO);
	f[1] = future_new();
	g = gather(f, 2, false, results);
	EXPECT_INT(co_result(g), -EIO);
	co_unref(g);
	co_set_result(f[1], 1);
	unref_all(f, 2);
	yield_times(1);
	return 0;
}

/* test_duplicate_coroutines: repeated in the results, counted once */
TEST(test_coro_gather_duplicates)
{
	struct co_future *a = spawn(return_arg, (void *)1), *b = spawn(return_arg, (void *)2), *f[] = { a, b, a, a, b }, *g;
	int results[5];

	g = gather(f, 5, false, results);
	EXPECT_INT(co_await(g), 0);
	EXPECT_INT(results[0] * 10000 + results[1] * 1000 + results[2] * 100 + results[3] * 10 + results[4], 12112);
	co_unref(g);
	g = gather(f, 5, false, results);
	EXPECT(co_done(g));
	co_unref(g);
	co_unref(a);
	co_unref(b);
	return 0;
}

/* test_one_exception: the first ends the outer, siblings run on, their later errors count as retrieved */
TEST(test_coro_gather_one_error)
{
	struct co_future *f[] = { future_new(), future_new(), future_new(), future_new() }, *g;
	int results[4] = { 0 };

	g = gather(f, 4, false, results);
	co_set_result(f[0], 1);
	co_set_error(f[1], -EIO);
	EXPECT_INT(co_await(g), -EIO);
	EXPECT(!co_done(f[2]));
	co_set_error(f[2], -EPERM);
	co_cancel(f[3]);
	yield_times(2);
	EXPECT_INT(co_result(g), -EIO);
	co_unref(g);
	unref_all(f, 4);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_return_exceptions */
TEST(test_coro_gather_return_exceptions)
{
	struct co_future *f[] = { future_new(), future_new(), future_new() }, *g;
	int results[3];

	g = gather(f, 3, true, results);
	co_set_error(f[2], -EIO);
	co_cancel(f[1]);
	co_set_result(f[0], 5);
	EXPECT_INT(co_await(g), 0);
	EXPECT_INT(results[0], 5);
	EXPECT_INT(results[1], -ECANCELED);
	EXPECT_INT(results[2], -EIO);
	co_unref(g);
	unref_all(f, 3);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_one_cancellation: a cancelled child gives a cancelled error, the outer itself is not cancelled */
TEST(test_coro_gather_child_cancelled)
{
	struct co_future *f[] = { future_new(), future_new() }, *g;

	g = gather(f, 2, false, NULL);
	co_cancel(f[0]);
	EXPECT_INT(co_await(g), -ECANCELED);
	EXPECT_INT(co_state(g), CO_FAILED);
	EXPECT(!co_done(f[1]));
	co_unref(g);
	unref_all(f, 2);
	return 0;
}

/* test_result_exception_one_cancellation.. / test_cancel: cancelling the outer cancels every child; it ends when all have ended */
TEST(test_coro_gather_cancelled)
{
	struct co_future *f[] = { future_new(), spawn(stubborn, (void *)3), spawn(sleep_forever, NULL) }, *g;
	int results[3];

	yield_times(1);
	g = gather(f, 3, true, results);
	EXPECT(co_cancel(g));
	EXPECT(!co_done(g));
	EXPECT_INT(co_state(f[0]), CO_CANCELLED);
	EXPECT_INT(co_await(g), -ECANCELED);
	EXPECT_INT(co_state(g), CO_FAILED);
	EXPECT_INT(co_result(f[1]), 3);
	EXPECT_INT(co_state(f[2]), CO_CANCELLED);
	EXPECT(!co_cancel(g));
	co_unref(g);
	unref_all(f, 3);
	return 0;
}

/* test_cancellation_broadcast: the task that awaits the gather is cancelled, and with it the children */
TEST(test_coro_gather_waiter_cancelled)
{
	struct co_future *f[] = { spawn(sleep_forever, NULL), spawn(sleep_forever, NULL) }, *g, *t;

	g = gather(f, 2, false, NULL);
	t = spawn(await_arg, g);
	yield_times(2);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	EXPECT_INT(co_state(f[0]), CO_CANCELLED);
	EXPECT_INT(co_state(f[1]), CO_CANCELLED);
	co_unref(t);
	co_unref(g);
	unref_all(f, 2);
	return 0;
}

/* All children are done, their callbacks are not through: nothing to cancel, and the task that awaits gets it by itself. */
TEST(test_coro_gather_cancel_when_children_are_done)
{
	struct co_future *f = future_new(), *g = gather(&f, 1, false, NULL);

	co_set_result(f, 1);
	EXPECT(!co_done(g));
	EXPECT(!co_cancel(g));
	EXPECT_INT(co_await(g), 0);
	co_unref(g);
	co_unref(f);
	return 0;
}

/* test_cancel after a first error: won't cancel the rest */
TEST(test_coro_gather_cancel_done)
{
	struct co_future *f[] = { future_new(), future_new() }, *g;

	g = gather(f, 2, false, NULL);
	co_set_error(f[0], -EIO);
	EXPECT_INT(co_await(g), -EIO);
	EXPECT(!co_cancel(g));
	EXPECT(!co_done(f[1]));
	co_unref(g);
	unref_all(f, 2);
	return 0;
}

/* The outer dropped before its children end: the caller's results are left alone. */
TEST(test_coro_gather_dropped)
{
	struct co_future *f[] = { future_new(), future_new() };
	int results[2] = { 7, 7 };

	co_unref(gather(f, 2, false, results));
	co_set_result(f[0], 1);
	co_set_result(f[1], 1);
	unref_all(f, 2);
	yield_times(2);
	EXPECT_INT(results[0] + results[1], 14);
	return 0;
}

/* Children dropped by the caller are kept by the outer. */
TEST(test_coro_gather_holds_children)
{
	struct co_future *f[] = { spawn(return_arg, (void *)1), spawn(return_arg, (void *)2) }, *g;
	int results[2] = { 0 };

	g = gather(f, 2, false, results);
	unref_all(f, 2);
	EXPECT_INT(co_await(g), 0);
	EXPECT_INT(results[0] * 10 + results[1], 12);
	co_unref(g);
	return 0;
}

TEST(test_coro_gather_of_gathers)
{
	struct co_future *f[] = { future_new(), future_new(), future_new() }, *inner[2], *outer;
	int results[2];

	inner[0] = gather(f, 2, false, NULL);
	inner[1] = gather(f + 1, 2, false, NULL);
	outer = gather(inner, 2, true, results);
	unref_all(inner, 2);
	EXPECT(co_cancel(outer));
	for (int i = 0; i < 3; i++)
		EXPECT_INT(co_state(f[i]), CO_CANCELLED);
	EXPECT_INT(co_await(outer), -ECANCELED);
	EXPECT_INT(results[0], -ECANCELED);
	co_unref(outer);
	unref_all(f, 3);
	return 0;
}

TEST(test_coro_gather_many)
{
	enum { N = 1000 };
	static struct co_future *f[N];
	static int results[N];
	struct co_future *g;

	for (int i = 0; i < N; i++)
		f[i] = spawn(return_arg, (void *)(intptr_t)i);
	g = gather(f, N, false, results);
	unref_all(f, N);
	EXPECT_INT(co_await(g), 0);
	for (int i = 0; i < N; i++)
		EXPECT_INT(results[i], i);
	co_unref(g);
	return 0;
}

/* ---- shield ---- */

static struct co_future *shield(struct co_future *inner)
{
	struct co_future *outer = co_shield(inner);

	CHECK(outer != NULL);
	return outer;
}

/* test_shield_result */
TEST(test_coro_shield_result)
{
	struct co_future *inner = future_new(), *outer = shield(inner);

	co_set_result(inner, 42);
	EXPECT_INT(co_await(outer), 42);
	co_unref(outer);
	co_unref(inner);
	return 0;
}

TEST(test_coro_shield_value)
{
	struct co_future *inner = future_new(), *outer = shield(inner);
	int thing;

	co_set_value(inner, &thing);
	co_unref(inner);
	EXPECT_INT(co_await(outer), 0);
	EXPECT(co_value(outer) == &thing);
	co_unref(outer);
	return 0;
}

/* test_shield_shortcut: of a done inner the inner itself */
TEST(test_coro_shield_shortcut)
{
	struct co_future *inner = future_new(), *outer;

	co_set_result(inner, 1);
	outer = shield(inner);
	EXPECT(outer == inner);
	co_unref(outer);
	co_unref(inner);
	return 0;
}

/* test_shield_exception */
TEST(test_coro_shield_error)
{
	struct co_future *inner = future_new(), *outer = shield(inner);

	co_set_error(inner, -EIO);
	EXPECT_INT(co_await(outer), -EIO);
	co_unref(outer);
	co_unref(inner);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_shield_cancel_inner: the outer is cancelled */
TEST(test_coro_shield_cancel_inner)
{
	struct co_future *inner = future_new(), *outer = shield(inner);

	co_cancel(inner);
	yield_times(1);
	EXPECT_INT(co_state(outer), CO_CANCELLED);
	co_unref(outer);
	co_unref(inner);
	return 0;
}

/* test_shield_cancel_outer: the inner runs on */
TEST(test_coro_shield_cancel_outer)
{
	struct co_future *inner = spawn(stubborn, (void *)5), *outer = shield(inner), *t = spawn(await_arg, outer);

	yield_times(2);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(outer), CO_CANCELLED);
	EXPECT(!co_done(inner));
	EXPECT_INT(co_task_cancelling(inner), 0);
	co_cancel(inner);
	EXPECT_INT(co_await(inner), 5);
	co_unref(t);
	co_unref(outer);
	co_unref(inner);
	return 0;
}

/* test_shield_cancel_outer_exception: an inner's error that nobody retrieves is reported once, when the last reference goes */
TEST(test_coro_shield_cancel_outer_error)
{
	struct co_future *inner = future_new(), *outer = shield(inner);

	co_cancel(outer);
	yield_times(1);
	co_set_error(inner, -EIO);
	yield_times(2);
	co_unref(outer);
	EXPECT_INT(unretrieved, 0);
	co_unref(inner);
	EXPECT_INT(unretrieved, 1);
	return 0;
}

/* Both end in one turn, the outer's cancel first: the error counts as seen, as CPython has it. */
TEST(test_coro_shield_both_at_once)
{
	struct co_future *inner = future_new(), *outer = shield(inner);

	co_cancel(outer);
	co_set_error(inner, -EIO);
	yield_times(2);
	co_unref(outer);
	co_unref(inner);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* The outer is dropped and the inner ends later, or never. */
TEST(test_coro_shield_dropped)
{
	struct co_future *inner = future_new();

	co_unref(shield(inner));
	co_set_result(inner, 1);
	yield_times(2);
	co_unref(inner);
	inner = future_new();
	co_unref(shield(inner));
	co_unref(inner);
	return 0;
}

static void note_cancelled(struct co_future *f, void *arg)
{
	(void)arg;
	note(co_state(f) == CO_CANCELLED ? "cancelled" : "done");
}

/* test_shield_effect with a second shield, and callbacks on both */
TEST(test_coro_shield_twice)
{
	struct co_future *inner = future_new(), *a = shield(inner), *b = shield(inner);
	struct co_done_node on_a, on_b;

	co_done_add(a, &on_a, note_cancelled, NULL);
	co_done_add(b, &on_b, note_cancelled, NULL);
	co_cancel(a);
	yield_times(1);
	EXPECT_TRACE("cancelled");
	co_set_result(inner, 2);
	yield_times(2);
	EXPECT_TRACE("done");
	EXPECT_INT(co_result(b), 2);
	co_unref(a);
	co_unref(b);
	co_unref(inner);
	return 0;
}

/* test_shield_gather, test_gather_shield */
TEST(test_coro_shield_gather)
{
	struct co_future *f[] = { future_new(), future_new() }, *g = gather(f, 2, false, NULL), *outer = shield(g), *kept[2], *g2;

	co_cancel(outer);
	yield_times(1);
	co_set_result(f[0], 1);
	co_set_result(f[1], 2);
	EXPECT_INT(co_await(g), 0);
	co_unref(outer);
	co_unref(g);
	unref_all(f, 2);

	f[0] = future_new();
	f[1] = future_new();
	kept[0] = shield(f[0]);
	kept[1] = shield(f[1]);
	g2 = gather(kept, 2, false, NULL);
	EXPECT(co_cancel(g2));
	EXPECT_INT(co_await(g2), -ECANCELED);
	EXPECT(!co_done(f[0]) && !co_done(f[1]));
	co_unref(g2);
	unref_all(kept, 2);
	unref_all(f, 2);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_gather_success),
		cmocka_unit_test(test_coro_gather_empty),
		cmocka_unit_test(test_coro_gather_of_done),
		cmocka_unit_test(test_coro_gather_duplicates),
		cmocka_unit_test(test_coro_gather_one_error),
		cmocka_unit_test(test_coro_gather_return_exceptions),
		cmocka_unit_test(test_coro_gather_child_cancelled),
		cmocka_unit_test(test_coro_gather_cancelled),
		cmocka_unit_test(test_coro_gather_waiter_cancelled),
		cmocka_unit_test(test_coro_gather_cancel_when_children_are_done),
		cmocka_unit_test(test_coro_gather_cancel_done),
		cmocka_unit_test(test_coro_gather_dropped),
		cmocka_unit_test(test_coro_gather_holds_children),
		cmocka_unit_test(test_coro_gather_of_gathers),
		cmocka_unit_test(test_coro_gather_many),
		cmocka_unit_test(test_coro_shield_result),
		cmocka_unit_test(test_coro_shield_value),
		cmocka_unit_test(test_coro_shield_shortcut),
		cmocka_unit_test(test_coro_shield_error),
		cmocka_unit_test(test_coro_shield_cancel_inner),
		cmocka_unit_test(test_coro_shield_cancel_outer),
		cmocka_unit_test(test_coro_shield_cancel_outer_error),
		cmocka_unit_test(test_coro_shield_both_at_once),
		cmocka_unit_test(test_coro_shield_dropped),
		cmocka_unit_test(test_coro_shield_twice),
		cmocka_unit_test(test_coro_shield_gather),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
