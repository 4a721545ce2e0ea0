/* dispatch/coro/waitset.c: completion order, closing, cancelling. */
#include "tests/unit/test_coro.h"

static struct co_waitset *waitset_new(void)
{
	struct co_waitset *ws = co_waitset_new();

	CHECK(ws != NULL);
	return ws;
}

static int sleep_then(void *arg)
{
	co_sleep_ms((intptr_t)arg);
	return (int)(intptr_t)arg;
}

/* Handed out in the order of completion, with the tag of each. */
TEST(test_coro_waitset_completion_order)
{
	struct co_waitset *ws = waitset_new();
	static int tags[3];

	for (int i = 0; i < 3; i++)
		EXPECT_INT(co_waitset_add(ws, spawn(sleep_then, (void *)(intptr_t)(5 - 2 * i)), &tags[i]), 0);
	EXPECT_INT(co_waitset_size(ws), 3);
	for (int i = 2; i >= 0; i--) {
		void *tag;
		struct co_future *f = co_waitset_next(ws, &tag);

		EXPECT(f != NULL && tag == &tags[i]);
		EXPECT_INT(co_result(f), 5 - 2 * i);
		co_unref(f);
	}
	EXPECT_INT(co_waitset_size(ws), 0);
	co_waitset_close(ws);
	EXPECT(co_waitset_next(ws, NULL) == NULL);
	co_waitset_free(ws);
	return 0;
}

/* Members done before they are added are handed out too, without a suspension; so are cancelled and failed ones. */
TEST(test_coro_waitset_done_members)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *f[3] = { future_new(), future_new(), future_new() };

	co_set_result(f[0], 1);
	co_cancel(f[1]);
	co_set_error(f[2], -EIO);
	for (int i = 0; i < 3; i++)
		EXPECT_INT(co_waitset_add(ws, f[i], NULL), 0);
	co_unref(spawn(return_arg, NULL));
	for (int i = 0; i < 3; i++) {
		struct co_future *got = co_waitset_next(ws, NULL);

		EXPECT(got == f[i]);
		EXPECT_INT(co_result(got), i == 0 ? 1 : i == 1 ? -ECANCELED : -EIO);
		co_unref(got);
	}
	EXPECT_INT(co_task_count(co_loop_current()), 2);        /* the other has not run: nothing suspended */
	co_waitset_free(ws);
	yield_times(2);
	return 0;
}

static int takes_all(void *arg)
{
	struct co_waitset *ws = arg;
	struct co_future *f;
	int n = 0;

	while ((f = co_waitset_next(ws, NULL)) != NULL) {
		co_unref(f);
		n++;
	}
	return n;
}

/* next suspends while the set is empty and open, and returns NULL only once it is closed and empty. */
TEST(test_coro_waitset_close)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *f = future_new(), *t = spawn(takes_all, ws);

	yield_times(3);
	EXPECT(!co_done(t));
	EXPECT_INT(co_waitset_add(ws, co_ref(f), NULL), 0);
	co_waitset_close(ws);
	EXPECT_INT(co_waitset_add(ws, future_new(), NULL), -ESHUTDOWN);
	yield_times(3);
	EXPECT(!co_done(t));
	co_set_result(f, 1);
	EXPECT_INT(co_await(t), 1);
	co_unref(f);
	co_unref(t);
	co_waitset_free(ws);
	return 0;
}

TEST(test_coro_waitset_close_empty)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *t = spawn(takes_all, ws);

	yield_times(2);
	co_waitset_close(ws);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	co_waitset_free(ws);
	return 0;
}

/* Several tasks share one set; each completion goes to one, closing to all. */
TEST(test_coro_waitset_many_waiters)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *t[3], *f[7];
	int sum = 0;

	for (int i = 0; i < 3; i++)
		t[i] = spawn(takes_all, ws);
	yield_times(1);
	for (int i = 0; i < 7; i++) {
		f[i] = future_new();
		EXPECT_INT(co_waitset_add(ws, co_ref(f[i]), NULL), 0);
	}
	for (int i = 0; i < 7; i++) {
		co_set_result(f[i], 0);
		co_unref(f[i]);
		if (i % 3 == 0)
			yield_times(2);
	}
	co_waitset_close(ws);
	for (int i = 0; i < 3; i++) {
		sum += co_await(t[i]);
		co_unref(t[i]);
	}
	EXPECT_INT(sum, 7);
	co_waitset_free(ws);
	return 0;
}

static int takes_one(void *arg)
{
	struct co_future *f = co_waitset_next(arg, NULL);
	int rc = f == NULL ? -ECANCELED : co_result(f);

	co_unref(f);
	return rc;
}

/* Cancelled: NULL, members untouched. */
TEST(test_coro_waitset_cancelled)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *f = future_new(), *t = spawn(takes_one, ws);

	EXPECT_INT(co_waitset_add(ws, co_ref(f), NULL), 0);
	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT(!co_done(f));
	co_unref(t);
	co_set_result(f, 2);
	t = spawn(takes_one, ws);
	EXPECT_INT(co_await(t), 2);
	co_unref(t);
	co_unref(f);
	co_waitset_free(ws);
	return 0;
}

/* Woken and cancelled in one turn: the member stays in the set, and the wake-up goes on to the next waiter. */
TEST(test_coro_waitset_woken_and_cancelled)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *f = future_new(), *a = spawn(takes_one, ws), *b = spawn(takes_one, ws);

	EXPECT_INT(co_waitset_add(ws, co_ref(f), NULL), 0);
	yield_times(1);
	co_set_result(f, 8);
	co_cancel(a);
	EXPECT_INT(co_await(a), -ECANCELED);
	EXPECT_INT(co_await(b), 8);
	co_unref(a);
	co_unref(b);
	co_unref(f);
	co_waitset_free(ws);
	return 0;
}

/* Freed with members: they are let go and not cancelled. */
TEST(test_coro_waitset_free_with_members)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *f[2] = { future_new(), future_new() };

	EXPECT_INT(co_waitset_add(ws, co_ref(f[0]), NULL), 0);
	EXPECT_INT(co_waitset_add(ws, co_ref(f[1]), NULL), 0);
	EXPECT_INT(co_waitset_add(ws, future_new(), NULL), 0);
	co_set_result(f[0], 1);
	co_waitset_free(ws);
	EXPECT(!co_done(f[1]));
	co_set_result(f[1], 1);
	co_unref(f[0]);
	co_unref(f[1]);
	co_waitset_free(NULL);
	return 0;
}

/* One future in two sets, and twice in one. */
TEST(test_coro_waitset_shared_member)
{
	struct co_waitset *a = waitset_new(), *b = waitset_new();
	struct co_future *f = future_new();

	EXPECT_INT(co_waitset_add(a, co_ref(f), NULL), 0);
	EXPECT_INT(co_waitset_add(b, co_ref(f), NULL), 0);
	EXPECT_INT(co_waitset_add(b, co_ref(f), NULL), 0);
	co_set_result(f, 1);
	co_unref(co_waitset_next(a, NULL));
	co_unref(co_waitset_next(b, NULL));
	co_unref(co_waitset_next(b, NULL));
	co_waitset_free(a);
	co_waitset_free(b);
	co_unref(f);
	return 0;
}

/* The reference goes along: a detached task's outcome is still there when its turn comes. */
TEST(test_coro_waitset_keeps_members)
{
	struct co_waitset *ws = waitset_new();
	struct co_future *f;

	EXPECT_INT(co_waitset_add(ws, spawn(return_arg, (void *)13), NULL), 0);
	yield_times(5);
	f = co_waitset_next(ws, NULL);
	EXPECT_INT(co_result(f), 13);
	co_unref(f);
	co_waitset_free(ws);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_waitset_completion_order),
		cmocka_unit_test(test_coro_waitset_done_members),
		cmocka_unit_test(test_coro_waitset_close),
		cmocka_unit_test(test_coro_waitset_close_empty),
		cmocka_unit_test(test_coro_waitset_many_waiters),
		cmocka_unit_test(test_coro_waitset_cancelled),
		cmocka_unit_test(test_coro_waitset_woken_and_cancelled),
		cmocka_unit_test(test_coro_waitset_free_with_members),
		cmocka_unit_test(test_coro_waitset_shared_member),
		cmocka_unit_test(test_coro_waitset_keeps_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
