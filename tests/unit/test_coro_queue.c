/* dispatch/coro/queue.c beyond the plain queue (test_coro_sync.c), and words that go with errors and cancels; each test names the one of
 * CPython's test_queues.py or test_futures.py that checks the same, where there is one. */
#include "tests/unit/test_coro.h"

static void put(struct co_queue *q, intptr_t v)
{
	EXPECT_INT(co_queue_try_put(q, (void *)v), 0);
}

static intptr_t get(struct co_queue *q)
{
	void *item = NULL;

	EXPECT_INT(co_queue_try_get(q, &item), 0);
	return (intptr_t)item;
}

/* LifoQueueTests.test_order */
TEST(test_coro_queue_lifo)
{
	struct co_queue *q = co_queue_new_lifo(0);

	for (int i = 0; i < 40; i++)
		put(q, i);
	for (int i = 40; i-- > 0;)
		EXPECT_INT(get(q), i);
	put(q, 1);
	put(q, 2);
	EXPECT_INT(get(q), 2);
	put(q, 3);
	EXPECT_INT(get(q), 3);
	EXPECT_INT(get(q), 1);
	co_queue_free(q);
	return 0;
}

static bool less(const void *a, const void *b)
{
	return (intptr_t)a < (intptr_t)b;
}

/* PriorityQueueTests.test_order */
TEST(test_coro_queue_priority)
{
	struct co_queue *q = co_queue_new_priority(0, less);
	unsigned seed = 1;

	for (int round = 0; round < 3; round++) {
		intptr_t last = -1;

		for (int i = 0; i < 100; i++) {
			seed = seed * 1103515245 + 12345;
			put(q, seed >> 16 & 63);
		}
		for (int i = 0; i < 100; i++) {
			intptr_t v = get(q);

			EXPECT(v >= last);
			last = v;
		}
	}
	EXPECT_INT(co_queue_size(q), 0);
	co_queue_free(q);
	return 0;
}

struct tag {
	int key, nr;
};

static bool less_key(const void *a, const void *b)
{
	return ((const struct tag *)a)->key < ((const struct tag *)b)->key;
}

/* heapq hands out six equal ones in this order */
TEST(test_coro_queue_priority_of_equals)
{
	static struct tag tags[6];
	static const int want[] = { 1, 3, 6, 5, 2, 4 };
	struct co_queue *q = co_queue_new_priority(0, less_key);

	for (int i = 0; i < 6; i++) {
		tags[i] = (struct tag){ .key = 1, .nr = i + 1 };
		put(q, (intptr_t)&tags[i]);
	}
	for (int i = 0; i < 6; i++)
		EXPECT_INT(((struct tag *)get(q))->nr, want[i]);
	co_queue_free(q);
	return 0;
}

static int works(void *arg)
{
	void *item;
	int rc;

	while ((rc = co_queue_get(arg, &item, CLOCK_NEVER)) == 0) {
		note("work");
		yield_times(1);
		co_queue_task_done(arg);
	}
	EXPECT_INT(rc, -ESHUTDOWN);
	return 0;
}

/* QueueJoinTests.test_task_done, test_join_empty_queue; QueueShutdownTests.test_shutdown_empty */
TEST(test_coro_queue_join)
{
	struct co_queue *q = co_queue_new(0);
	struct co_future *t = spawn(works, q);

	EXPECT_INT(co_queue_join(q, CLOCK_NEVER), 0);
	put(q, 1);
	put(q, 2);
	EXPECT_INT(co_queue_join(q, CLOCK_NEVER), 0);
	EXPECT_TRACE("work work");
	put(q, 3);
	EXPECT_INT(get(q), 3);
	EXPECT_INT(co_queue_join(q, co_in_ms(1)), -ETIMEDOUT);
	co_queue_task_done(q);
	EXPECT_INT(co_queue_join(q, CLOCK_NEVER), 0);
	co_queue_shutdown(q, false, NULL);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	co_queue_free(q);
	return 0;
}

static int puts_one(void *arg)
{
	return co_queue_put(arg, NULL, CLOCK_NEVER);
}

/* test_shutdown_nonempty: what is in comes out, then no more; who waits to put is told */
TEST(test_coro_queue_shutdown)
{
	struct co_queue *q = co_queue_new(1);
	struct co_future *t = spawn(puts_one, q);
	void *item;

	put(q, 7);
	yield_times(1);
	co_queue_shutdown(q, false, NULL);
	EXPECT_INT(co_await(t), -ESHUTDOWN);
	EXPECT_INT(co_queue_try_put(q, NULL), -ESHUTDOWN);
	EXPECT_INT(get(q), 7);
	EXPECT_INT(co_queue_try_get(q, &item), -ESHUTDOWN);
	EXPECT_INT(co_queue_get(q, &item, CLOCK_NEVER), -ESHUTDOWN);
	co_unref(t);
	co_queue_free(q);
	return 0;
}

static void note_item(void *item)
{
	note(item);
}

/* test_shutdown_immediate: emptied, and joined */
TEST(test_coro_queue_shutdown_immediate)
{
	struct co_queue *q = co_queue_new(0);
	void *item;

	put(q, (intptr_t)letter(0));
	put(q, (intptr_t)letter(1));
	co_queue_shutdown(q, true, note_item);
	EXPECT_TRACE("a b");
	EXPECT_INT(co_queue_join(q, CLOCK_NEVER), 0);
	EXPECT_INT(co_queue_try_get(q, &item), -ESHUTDOWN);
	co_queue_free(q);
	return 0;
}

/* ---- under one loop after the other ---- */

/* `first` under a loop that is abandoned then, `next` under another. */
static void under_two_loops(co_body_fn *first, co_body_fn *next)
{
	struct co_queue *q = co_queue_new(1);
	struct co_loop *loop = co_loop_new();

	assert_true(q != NULL && loop != NULL);
	expect_failures = 0;
	EXPECT_INT(co_run(loop, first, q, "first"), 0);
	co_loop_abandon(loop);
	loop = co_loop_new();
	assert_non_null(loop);
	EXPECT_INT(co_run(loop, next, q, "next"), 0);
	co_queue_free(q);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

static int gets_one(void *arg)
{
	void *item;

	return co_queue_get(arg, &item, CLOCK_NEVER);
}

static int joins(void *arg)
{
	return co_queue_join(arg, CLOCK_NEVER);
}

static int leaves_a_getter(void *arg)
{
	co_unref(spawn(gets_one, arg));
	return co_yield();
}

static int leaves_a_putter(void *arg)
{
	put(arg, 1);
	co_unref(spawn(puts_one, arg));
	return co_yield();
}

static int leaves_a_joiner(void *arg)
{
	put(arg, 1);
	co_unref(spawn(joins, arg));
	return co_yield();
}

static int puts_and_gets(void *arg)
{
	put(arg, 7);
	EXPECT_INT(get(arg), 7);
	return 0;
}

static int gets_what_is_there(void *arg)
{
	void *item;

	EXPECT_INT(get(arg), 1);
	EXPECT_INT(co_queue_try_get(arg, &item), -EAGAIN);
	return 0;
}

static int does_what_is_there(void *arg)
{
	EXPECT_INT(get(arg), 1);
	co_queue_task_done(arg);
	return co_queue_join(arg, co_in_ms(10000));
}

/* Regression: who stood in line was on a stack that went with its loop, and was woken there under the next one. */
static void test_coro_queue_under_the_next_loop(void **state)
{
	(void)state;
	under_two_loops(leaves_a_getter, puts_and_gets);
	under_two_loops(leaves_a_putter, gets_what_is_there);
	under_two_loops(leaves_a_joiner, does_what_is_there);
}

/* The turn is the last one: whom it wakes never looks. */
static int leaves_a_woken_getter(void *arg)
{
	int rc = leaves_a_getter(arg);

	co_loop_stop(co_loop_current());
	put(arg, 7);
	return rc;
}

static int gets_and_waits(void *arg)
{
	void *item;

	EXPECT_INT(get(arg), 7);
	EXPECT_INT(co_queue_get(arg, &item, co_in_ms(1)), -ETIMEDOUT);
	return 0;
}

/* Regression: who had been woken and had not looked yet when the loop went was waited for when the queue was freed under the next. */
static void test_coro_queue_woken_under_the_last_loop(void **state)
{
	(void)state;
	under_two_loops(leaves_a_woken_getter, gets_and_waits);
}

/* ---- words ---- */

static int fails_with_words(void *arg)
{
	(void)arg;
	return co_fail(-5000, "no id in the reply");
}

static int fails_without(void *arg)
{
	int rc = co_sleep_until(CLOCK_NEVER);

	return rc == -ECANCELED ? (int)(intptr_t)arg : rc;
}

TEST(test_coro_error_text)
{
	struct co_future *f = future_new(), *t = spawn(fails_with_words, NULL);

	EXPECT(strcmp(co_error_text(f), "") == 0);
	co_set_error_text(f, -EIO, "the wire is cut");
	EXPECT_INT(co_await(f), -EIO);
	EXPECT(strcmp(co_error_text(f), "the wire is cut") == 0);
	EXPECT_INT(co_await(t), -5000);
	EXPECT(strcmp(co_error_text(t), "no id in the reply") == 0);
	co_unref(t);
	co_unref(f);
	f = future_new();
	co_set_error(f, -EIO);
	EXPECT(strcmp(co_error_text(f), strerror(EIO)) == 0);
	EXPECT_INT(co_result(f), -EIO);
	co_unref(f);
	f = future_new();
	co_set_error(f, -7000);
	EXPECT(strcmp(co_error_text(f), "no words for it") == 0);
	EXPECT_INT(co_result(f), -7000);
	co_unref(f);
	return 0;
}

/* test_cancel_with_message_..: goes with the cancel to all that await; an error made of a cancel doesn't speak its words */
TEST(test_coro_cancel_text)
{
	struct co_future *f = future_new(), *inner = spawn(await_arg, f), *outer = spawn(await_arg, inner);
	struct co_future *own = spawn(fails_without, (void *)-EPERM);

	yield_times(2);
	EXPECT(co_cancel_text(outer, "no time left"));
	EXPECT_INT(co_await(outer), -ECANCELED);
	EXPECT(strcmp(co_error_text(outer), "no time left") == 0);
	EXPECT(strcmp(co_error_text(inner), "no time left") == 0);
	EXPECT(strcmp(co_error_text(f), "no time left") == 0);
	EXPECT(!co_cancel_text(outer, "late"));
	EXPECT(co_cancel_text(own, "no time left"));
	EXPECT_INT(co_await(own), -EPERM);
	EXPECT(strcmp(co_error_text(own), strerror(EPERM)) == 0);
	co_unref(own);
	co_unref(outer);
	co_unref(inner);
	co_unref(f);
	f = future_new();
	inner = spawn(await_arg, f);
	yield_times(1);
	co_cancel_text(f, "from below");
	EXPECT_INT(co_await(inner), -ECANCELED);
	EXPECT(strcmp(co_error_text(inner), "from below") == 0);
	co_unref(inner);
	co_unref(f);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_queue_lifo),
		cmocka_unit_test(test_coro_queue_priority),
		cmocka_unit_test(test_coro_queue_priority_of_equals),
		cmocka_unit_test(test_coro_queue_join),
		cmocka_unit_test(test_coro_queue_shutdown),
		cmocka_unit_test(test_coro_queue_shutdown_immediate),
		cmocka_unit_test(test_coro_queue_under_the_next_loop),
		cmocka_unit_test(test_coro_queue_woken_under_the_last_loop),
		cmocka_unit_test(test_coro_error_text),
		cmocka_unit_test(test_coro_cancel_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
