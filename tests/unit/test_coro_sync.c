/* dispatch/coro/sync.c and queue.c; each test names the one of CPython's test_locks.py or test_queues.py that checks the same, if any. */
#include "tests/unit/test_coro.h"

static void unref_all(struct co_future **t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		co_unref(t[i]);
}

static struct co_semaphore sem;

static int acquires(void *arg)
{
	int rc = co_semaphore_acquire(&sem, CLOCK_NEVER);

	note(rc == 0 ? arg : WORD("-"));
	return rc;
}

/* ---- semaphore ---- */

/* SemaphoreTests.test_acquire: first come, first served */
TEST(test_coro_semaphore_fifo)
{
	struct co_future *t[5];

	co_semaphore_init(&sem, 2);
	for (int i = 0; i < 5; i++)
		t[i] = spawn(acquires, letter(i));
	yield_times(2);
	EXPECT_TRACE("a b");
	co_semaphore_release(&sem);
	co_semaphore_release(&sem);
	yield_times(2);
	EXPECT_TRACE("c d");
	co_semaphore_release(&sem);
	EXPECT_INT(co_await(t[4]), 0);
	EXPECT_TRACE("e");
	EXPECT_INT(sem.value, 0);
	unref_all(t, 5);
	return 0;
}

/* test_acquire_no_hang / try */
TEST(test_coro_semaphore_try)
{
	co_semaphore_init(&sem, 1);
	EXPECT(co_semaphore_try(&sem));
	EXPECT(!co_semaphore_try(&sem));
	co_semaphore_release(&sem);
	EXPECT(co_semaphore_try(&sem));
	return 0;
}

/* test_acquire_fifo_order_..: who waits goes first even where a unit is free */
TEST(test_coro_semaphore_try_does_not_overtake)
{
	struct co_future *t;

	co_semaphore_init(&sem, 0);
	t = spawn(acquires, letter(0));
	yield_times(1);
	co_semaphore_release(&sem);
	co_semaphore_release(&sem);
	EXPECT(!co_semaphore_try(&sem));
	EXPECT_INT(co_await(t), 0);
	EXPECT(co_semaphore_try(&sem));
	co_unref(t);
	return 0;
}

/* test_acquire_cancel */
TEST(test_coro_semaphore_cancel)
{
	struct co_future *t[3];

	co_semaphore_init(&sem, 0);
	for (int i = 0; i < 3; i++)
		t[i] = spawn(acquires, letter(i));
	yield_times(1);
	co_cancel(t[0]);
	EXPECT_INT(co_await(t[0]), -ECANCELED);
	EXPECT_TRACE("-");
	co_semaphore_release(&sem);
	EXPECT_INT(co_await(t[1]), 0);
	co_cancel(t[2]);
	EXPECT_INT(co_await(t[2]), -ECANCELED);
	co_semaphore_release(&sem);
	EXPECT_INT(sem.value, 1);
	EXPECT_TRACE("b -");
	unref_all(t, 3);
	return 0;
}

/* test_acquire_cancel_before_awoken, test_acquire_hang: released to a task that is cancelled in the same turn: the next one gets it */
TEST(test_coro_semaphore_cancel_after_wake)
{
	struct co_future *t[2];

	co_semaphore_init(&sem, 0);
	t[0] = spawn(acquires, letter(0));
	t[1] = spawn(acquires, letter(1));
	yield_times(1);
	co_semaphore_release(&sem);
	co_cancel(t[0]);
	EXPECT_INT(co_await(t[0]), -ECANCELED);
	EXPECT_INT(co_await(t[1]), 0);
	EXPECT_TRACE("- b");
	EXPECT_INT(sem.value, 0);
	unref_all(t, 2);
	return 0;
}

/* test_release_no_waiters after a cancel in the same turn: the unit is kept */
TEST(test_coro_semaphore_cancel_then_release)
{
	struct co_future *t;

	co_semaphore_init(&sem, 0);
	t = spawn(acquires, letter(0));
	yield_times(1);
	co_cancel(t);
	co_semaphore_release(&sem);
	EXPECT(co_semaphore_try(&sem));         /* the cancelled one has no right to it any more */
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	return 0;
}

TEST(test_coro_semaphore_deadline)
{
	co_semaphore_init(&sem, 0);
	EXPECT_INT(co_semaphore_acquire(&sem, co_in_ms(2)), -ETIMEDOUT);
	EXPECT_INT(co_semaphore_acquire(&sem, 1), -ETIMEDOUT);
	co_semaphore_release(&sem);
	EXPECT_INT(co_semaphore_acquire(&sem, 1), 0);
	EXPECT_INT(sem.value, 0);
	return 0;
}

/* ---- event ---- */

static struct co_event event;

static int waits(void *arg)
{
	int rc = co_event_wait(&event, CLOCK_NEVER);

	note(rc == 0 ? arg : WORD("-"));
	return rc;
}

/* EventTests.test_wait, test_wait_on_set, test_clear */
TEST(test_coro_event_wait)
{
	struct co_future *t[3];

	co_event_init(&event);
	for (int i = 0; i < 3; i++)
		t[i] = spawn(waits, letter(i));
	yield_times(2);
	EXPECT_TRACE("");
	co_event_set(&event);
	co_event_set(&event);
	EXPECT_INT(co_await(t[2]), 0);
	EXPECT_TRACE("a b c");
	EXPECT_INT(co_event_wait(&event, CLOCK_NEVER), 0);
	co_event_clear(&event);
	EXPECT_INT(co_event_wait(&event, co_in_ms(1)), -ETIMEDOUT);
	unref_all(t, 3);
	return 0;
}

/* test_clear_with_waiters: set and cleared in one turn still wakes */
TEST(test_coro_event_clear_with_waiters)
{
	struct co_future *t;

	co_event_init(&event);
	t = spawn(waits, letter(0));
	yield_times(1);
	co_event_set(&event);
	co_event_clear(&event);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	return 0;
}

/* test_wait_cancel */
TEST(test_coro_event_cancel)
{
	struct co_future *t[2];

	co_event_init(&event);
	t[0] = spawn(waits, letter(0));
	t[1] = spawn(waits, letter(1));
	yield_times(1);
	co_cancel(t[0]);
	EXPECT_INT(co_await(t[0]), -ECANCELED);
	co_event_set(&event);
	EXPECT_INT(co_await(t[1]), 0);
	unref_all(t, 2);
	return 0;
}

/* The shutdown event: 10,000 waiters leave it one by one, in any order. */
TEST(test_coro_event_many_leave)
{
	enum { N = 2000 };
	static struct co_future *t[N];

	co_event_init(&event);
	for (int i = 0; i < N; i++)
		t[i] = spawn(waits, letter(0));
	yield_times(1);
	for (int i = 0; i < N; i++)
		co_cancel(t[i * 7LL % N]);
	for (int i = 0; i < N; i++)
		EXPECT_INT(co_await(t[i]), -ECANCELED);
	unref_all(t, N);
	EXPECT(list_empty(&event.waiters));
	trace[0] = '\0';
	return 0;
}

/* ---- queue ---- */

static struct co_queue *queue;

static int gets(void *arg)
{
	void *item = NULL;
	int rc = co_queue_get(queue, &item, CLOCK_NEVER);

	(void)arg;
	note(rc == 0 ? item : WORD("-"));
	return rc;
}

static int puts_item(void *arg)
{
	int rc = co_queue_put(queue, arg, CLOCK_NEVER);

	note(rc == 0 ? "put" : "-");
	return rc;
}

static void queue_open(size_t max)
{
	queue = co_queue_new(max);
	CHECK(queue != NULL);
}

/* QueueGetTests.test_blocking_get, test_nonblocking_get, test_nonblocking_get_exception */
TEST(test_coro_queue_get)
{
	void *item = NULL;

	queue_open(0);
	EXPECT_INT(co_queue_try_get(queue, &item), -EAGAIN);
	EXPECT_INT(co_queue_try_put(queue, letter(0)), 0);
	EXPECT_INT(co_queue_size(queue), 1);
	EXPECT_INT(co_queue_get(queue, &item, CLOCK_NEVER), 0);
	EXPECT(item == letter(0));
	EXPECT_INT(co_queue_get(queue, &item, co_in_ms(1)), -ETIMEDOUT);
	co_queue_free(queue);
	return 0;
}

/* test_blocking_get_wait: getters in order */
TEST(test_coro_queue_getters_in_order)
{
	struct co_future *t[2];

	queue_open(0);
	t[0] = spawn(gets, NULL);
	t[1] = spawn(gets, NULL);
	yield_times(1);
	EXPECT_INT(co_queue_put(queue, letter(0), CLOCK_NEVER), 0);
	EXPECT_INT(co_queue_put(queue, letter(1), CLOCK_NEVER), 0);
	EXPECT_INT(co_await(t[1]), 0);
	EXPECT_TRACE("a b");
	unref_all(t, 2);
	co_queue_free(queue);
	return 0;
}

/* QueuePutTests.test_blocking_put_wait, test_nonblocking_put_exception */
TEST(test_coro_queue_bounded)
{
	struct co_future *t;
	void *item;

	queue_open(2);
	EXPECT_INT(co_queue_try_put(queue, letter(0)), 0);
	EXPECT_INT(co_queue_try_put(queue, letter(1)), 0);
	EXPECT_INT(co_queue_try_put(queue, letter(2)), -EAGAIN);
	EXPECT_INT(co_queue_put(queue, letter(2), co_in_ms(1)), -ETIMEDOUT);
	t = spawn(puts_item, letter(2));
	yield_times(2);
	EXPECT_TRACE("");
	for (int i = 0; i < 3; i++) {
		EXPECT_INT(co_queue_get(queue, &item, CLOCK_NEVER), 0);
		EXPECT(item == letter(i));
	}
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	co_queue_free(queue);
	return 0;
}

/* test_get_cancelled.. / test_get_cancelled_race: woken and cancelled in one turn: the next getter gets the item */
TEST(test_coro_queue_get_cancelled)
{
	struct co_future *t[3];

	queue_open(0);
	for (int i = 0; i < 3; i++)
		t[i] = spawn(gets, NULL);
	yield_times(1);
	co_cancel(t[0]);
	EXPECT_INT(co_await(t[0]), -ECANCELED);
	EXPECT_INT(co_queue_try_put(queue, letter(5)), 0);
	co_cancel(t[1]);
	EXPECT_INT(co_await(t[1]), -ECANCELED);
	EXPECT_INT(co_await(t[2]), 0);
	EXPECT_TRACE("- - f");
	unref_all(t, 3);
	co_queue_free(queue);
	return 0;
}

/* test_put_cancelled, test_put_cancelled_race */
TEST(test_coro_queue_put_cancelled)
{
	struct co_future *t[3];
	void *item;

	queue_open(1);
	EXPECT_INT(co_queue_try_put(queue, letter(0)), 0);
	for (int i = 0; i < 3; i++)
		t[i] = spawn(puts_item, letter(i + 1));
	yield_times(1);
	co_cancel(t[0]);
	EXPECT_INT(co_await(t[0]), -ECANCELED);
	EXPECT_INT(co_queue_try_get(queue, &item), 0);
	co_cancel(t[1]);
	EXPECT_INT(co_await(t[1]), -ECANCELED);
	EXPECT_INT(co_await(t[2]), 0);
	EXPECT_TRACE("- - put");
	EXPECT_INT(co_queue_get(queue, &item, CLOCK_NEVER), 0);
	EXPECT(item == letter(3));
	EXPECT_INT(co_queue_size(queue), 0);
	unref_all(t, 3);
	co_queue_free(queue);
	return 0;
}

/* A getter that was woken finds the queue empty, for another was quicker, and waits again. */
TEST(test_coro_queue_getter_overtaken)
{
	struct co_future *t;
	void *item;

	queue_open(0);
	t = spawn(gets, NULL);
	yield_times(1);
	EXPECT_INT(co_queue_try_put(queue, letter(0)), 0);
	EXPECT_INT(co_queue_try_get(queue, &item), 0);
	yield_times(2);
	EXPECT(!co_done(t));
	EXPECT_INT(co_queue_try_put(queue, letter(1)), 0);
	EXPECT_INT(co_await(t), 0);
	EXPECT_TRACE("b");
	co_unref(t);
	co_queue_free(queue);
	return 0;
}

/* The ring grows and wraps. */
TEST(test_coro_queue_grows)
{
	enum { N = 1000 };
	static char items[N];
	void *item;
	int put = 0, got = 0;

	queue_open(0);
	while (got < N) {
		for (int k = 0; k < 7 && put < N; k++)
			EXPECT_INT(co_queue_try_put(queue, &items[put++]), 0);
		for (int k = 0; k < (put < N ? 3 : 9) && got < put; k++) {
			EXPECT_INT(co_queue_try_get(queue, &item), 0);
			EXPECT(item == &items[got++]);
		}
	}
	EXPECT_INT(co_queue_size(queue), 0);
	co_queue_free(queue);
	co_queue_free(NULL);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_semaphore_fifo),
		cmocka_unit_test(test_coro_semaphore_try),
		cmocka_unit_test(test_coro_semaphore_try_does_not_overtake),
		cmocka_unit_test(test_coro_semaphore_cancel),
		cmocka_unit_test(test_coro_semaphore_cancel_after_wake),
		cmocka_unit_test(test_coro_semaphore_cancel_then_release),
		cmocka_unit_test(test_coro_semaphore_deadline),
		cmocka_unit_test(test_coro_event_wait),
		cmocka_unit_test(test_coro_event_clear_with_waiters),
		cmocka_unit_test(test_coro_event_cancel),
		cmocka_unit_test(test_coro_event_many_leave),
		cmocka_unit_test(test_coro_queue_get),
		cmocka_unit_test(test_coro_queue_getters_in_order),
		cmocka_unit_test(test_coro_queue_bounded),
		cmocka_unit_test(test_coro_queue_get_cancelled),
		cmocka_unit_test(test_coro_queue_put_cancelled),
		cmocka_unit_test(test_coro_queue_getter_overtaken),
		cmocka_unit_test(test_coro_queue_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
