/* dispatch/coro/future.c; each test names the one of CPython's test_futures.py that checks the same, where there is one. */
#include "tests/unit/test_coro.h"

static void note_done(struct co_future *f, void *arg)
{
	EXPECT(co_done(f));
	note(arg);
}

/* test_initial_state */
TEST(test_coro_future_initial_state)
{
	struct co_future *f = future_new();

	EXPECT_INT(co_state(f), CO_PENDING);
	EXPECT(!co_done(f));
	EXPECT(co_cancel(f));
	EXPECT_INT(co_state(f), CO_CANCELLED);
	co_unref(f);
	return 0;
}

/* test_result */
TEST(test_coro_future_result)
{
	struct co_future *f = future_new();

	co_set_result(f, 42);
	EXPECT_INT(co_state(f), CO_DONE);
	EXPECT_INT(co_result(f), 42);
	EXPECT_INT(co_await(f), 42);
	co_unref(f);
	return 0;
}

TEST(test_coro_future_value)
{
	struct co_future *f = future_new();
	int thing;

	co_set_value(f, &thing);
	EXPECT_INT(co_result(f), 0);
	EXPECT(co_value(f) == &thing);
	co_unref(f);
	return 0;
}

/* test_exception */
TEST(test_coro_future_error)
{
	struct co_future *f = future_new();

	co_set_error(f, -EIO);
	EXPECT_INT(co_state(f), CO_FAILED);
	EXPECT_INT(co_result(f), -EIO);
	EXPECT_INT(co_await(f), -EIO);
	co_unref(f);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_cancel */
TEST(test_coro_future_cancel)
{
	struct co_future *f = future_new();

	EXPECT(co_cancel(f));
	EXPECT_INT(co_result(f), -ECANCELED);
	EXPECT(!co_cancel(f));
	co_unref(f);
	f = future_new();
	co_set_result(f, 1);
	EXPECT(!co_cancel(f));
	EXPECT_INT(co_result(f), 1);
	co_unref(f);
	return 0;
}

/* test_tb_logger_exception_unretrieved: once, when the last reference goes */
TEST(test_coro_future_error_unretrieved)
{
	struct co_future *f = future_new();

	co_set_error(f, -EIO);
	co_unref(co_ref(f));
	EXPECT_INT(unretrieved, 0);
	co_unref(f);
	EXPECT_INT(unretrieved, 1);
	return 0;
}

/* test_tb_logger_result_retrieved, test_tb_logger_exception_retrieved; a cancel of the done future counts as looking too */
TEST(test_coro_future_error_retrieved)
{
	struct co_future *f = future_new();

	co_set_error(f, -EIO);
	EXPECT_INT(co_result(f), -EIO);
	co_unref(f);
	f = future_new();
	co_set_error(f, -EIO);
	EXPECT(!co_cancel(f));
	co_unref(f);
	f = future_new();
	EXPECT(co_cancel(f));
	co_unref(f);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_callbacks_remove_all_when_called / test_add_done_callback: in order, by the loop, never inline */
TEST(test_coro_future_callbacks_in_order)
{
	struct co_future *f = future_new();
	struct co_done_node n[3];

	for (int i = 0; i < 3; i++)
		co_done_add(f, &n[i], note_done, letter(i));
	co_set_result(f, 0);
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("a b c");
	co_unref(f);
	return 0;
}

/* test_add_done_callback on a future that is done: through the loop as well */
TEST(test_coro_future_callback_of_done)
{
	struct co_future *f = future_new();
	struct co_done_node n;

	co_set_result(f, 0);
	co_done_add(f, &n, note_done, WORD("late"));
	EXPECT_TRACE("");
	co_unref(f);            /* the call that is under way holds it */
	yield_times(1);
	EXPECT_TRACE("late");
	return 0;
}

/* test_add_done_callback twice: runs twice */
TEST(test_coro_future_callback_twice)
{
	struct co_future *f = future_new();
	struct co_done_node n[2];

	co_done_add(f, &n[0], note_done, WORD("x"));
	co_done_add(f, &n[1], note_done, WORD("x"));
	EXPECT(co_cancel(f));
	yield_times(1);
	EXPECT_TRACE("x x");
	co_unref(f);
	return 0;
}

/* test_remove_done_callback; here a callback that is scheduled already can be taken back too, for its node is about to go */
TEST(test_coro_future_callback_removed)
{
	struct co_future *f = future_new();
	struct co_done_node n[3];

	for (int i = 0; i < 3; i++)
		co_done_add(f, &n[i], note_done, letter(i));
	co_done_remove(&n[1]);
	co_done_remove(&n[1]);
	co_set_result(f, 0);
	co_done_remove(&n[2]);
	yield_times(2);
	EXPECT_TRACE("a");
	co_done_remove(&n[0]);
	co_unref(f);
	return 0;
}

struct removal {
	struct co_done_node first, second;
};

static void remove_second(struct co_future *f, void *arg)
{
	struct removal *r = arg;

	(void)f;
	note("first");
	co_done_remove(&r->second);
}

TEST(test_coro_future_callback_removes_next)
{
	struct co_future *f = future_new();
	struct removal r;

	co_done_add(f, &r.first, remove_second, &r);
	co_done_add(f, &r.second, note_done, WORD("second"));
	co_set_result(f, 0);
	yield_times(2);
	EXPECT_TRACE("first");
	co_unref(f);
	return 0;
}

/* A pending future that nobody can complete any more lets its callbacks go. */
TEST(test_coro_future_dropped_while_pending)
{
	struct co_future *f = future_new();
	struct co_done_node n;

	co_done_add(f, &n, note_done, WORD("never"));
	co_unref(f);
	EXPECT(n.f == NULL);
	co_done_remove(&n);
	yield_times(2);
	EXPECT_TRACE("");
	return 0;
}

static int await_and_note(void *arg)
{
	int rc = co_await(arg);

	note(rc == 5 ? "woken" : "odd");
	return 0;
}

/* Waiters and callbacks share one line. */
TEST(test_coro_future_waiters_in_order)
{
	struct co_future *f = future_new(), *t[2];
	struct co_done_node n;

	t[0] = spawn(await_and_note, f);
	yield_times(1);
	co_done_add(f, &n, note_done, WORD("callback"));
	t[1] = spawn(await_and_note, f);
	yield_times(1);
	co_set_result(f, 5);
	co_await(t[1]);
	EXPECT_TRACE("woken callback woken");
	co_unref(t[0]);
	co_unref(t[1]);
	co_unref(f);
	return 0;
}

/* The reference of a task that waits keeps what it waits for. */
TEST(test_coro_future_waiter_holds_it)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	co_set_result(f, 9);
	co_unref(f);
	EXPECT_INT(co_await(t), 9);
	co_unref(t);
	return 0;
}

/* One waiter of many leaves a shared future without a search: 20,000 of them would take minutes otherwise. */
TEST(test_coro_future_remove_is_constant)
{
	enum { N = 200000 };
	struct co_future *f = future_new();
	static struct co_done_node n[N];

	for (int i = 0; i < N; i++)
		co_done_add(f, &n[i], note_done, WORD("never"));
	for (int i = 0; i < N; i++)
		co_done_remove(&n[i * 7919LL % N]);
	co_set_result(f, 0);
	yield_times(2);
	EXPECT_TRACE("");
	co_unref(f);
	return 0;
}

TEST(test_coro_future_unref_takes_null)
{
	co_unref(NULL);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_future_initial_state),
		cmocka_unit_test(test_coro_future_result),
		cmocka_unit_test(test_coro_future_value),
		cmocka_unit_test(test_coro_future_error),
		cmocka_unit_test(test_coro_future_cancel),
		cmocka_unit_test(test_coro_future_error_unretrieved),
		cmocka_unit_test(test_coro_future_error_retrieved),
		cmocka_unit_test(test_coro_future_callbacks_in_order),
		cmocka_unit_test(test_coro_future_callback_of_done),
		cmocka_unit_test(test_coro_future_callback_twice),
		cmocka_unit_test(test_coro_future_callback_removed),
		cmocka_unit_test(test_coro_future_callback_removes_next),
		cmocka_unit_test(test_coro_future_dropped_while_pending),
		cmocka_unit_test(test_coro_future_waiters_in_order),
		cmocka_unit_test(test_coro_future_waiter_holds_it),
		cmocka_unit_test(test_coro_future_remove_is_constant),
		cmocka_unit_test(test_coro_future_unref_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
