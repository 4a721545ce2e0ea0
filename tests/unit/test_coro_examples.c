/* The first things that one writes with dispatch/coro, as short as they come; the README of that folder points here. */
#include <sys/socket.h>

#include "dispatch/coro/stream.h"
#include "tests/unit/test_coro.h"

/* ---- tasks that do two things at once ---- */

static int work(void *arg)
{
	int rc = co_sleep_ms(1);                /* a cancel comes out of here */

	if (rc < 0)
		return rc;
	return (int)(intptr_t)arg * 2;
}

TEST(test_coro_example_two_at_once)
{
	struct co_future *a = co_task_new(work, (void *)20, "work %d", 20), *b = co_task_new(work, (void *)1, "work %d", 1);
	int sum = co_await(a) + co_await(b);

	co_unref(a);
	co_unref(b);
	EXPECT_INT(sum, 42);
	return 0;
}

/* ---- all or nothing, within a time ---- */

static int all_or_nothing(void)
{
	struct co_group g;
	int rc = 0;

	co_group_enter(&g);
	for (intptr_t i = 0; i < 10 && rc == 0; i++)
		rc = co_group_spawn(&g, NULL, work, (void *)i, "part %d", (int)i);
	return co_group_leave(&g, rc);
}

TEST(test_coro_example_group_in_timeout)
{
	struct co_timeout t;
	int rc = co_timeout_enter(&t, co_in_ms(5000));

	if (rc == 0)
		rc = co_timeout_leave(&t, all_or_nothing());
	return rc;                              /* -ETIMEDOUT, the first error, or 0 */
}

/* ---- results as they come ---- */

TEST(test_coro_example_as_completed)
{
	struct co_future *tasks[5], *f = NULL;
	struct co_waitset *ws;
	int sum = 0;

	for (intptr_t i = 0; i < 5; i++)
		tasks[i] = co_task_new(work, (void *)i, "part %d", (int)i);
	ws = co_as_completed(tasks, 5);
	while (co_waitset_take(ws, &f, NULL, CLOCK_NEVER) == 0) {
		sum += co_result(f);
		co_unref(f);
	}
	co_waitset_free(ws);
	for (int i = 0; i < 5; i++)
		co_unref(tasks[i]);
	EXPECT_INT(sum, 20);
	return 0;
}

/* ---- a producer and a consumer ---- */

static int consumer(void *arg)
{
	void *item;
	int rc;

	while ((rc = co_queue_get(arg, &item, CLOCK_NEVER)) == 0) {
		note(item);
		co_queue_task_done(arg);
	}
	return rc == -ESHUTDOWN ? 0 : rc;
}

TEST(test_coro_example_queue)
{
	struct co_queue *q = co_queue_new(1);
	struct co_future *t = co_task_new(consumer, q, "consumer");

	EXPECT_INT(co_queue_put(q, WORD("one"), CLOCK_NEVER), 0);
	EXPECT_INT(co_queue_put(q, WORD("two"), CLOCK_NEVER), 0);
	EXPECT_INT(co_queue_join(q, CLOCK_NEVER), 0);
	co_queue_shutdown(q, false, NULL);
	EXPECT_INT(co_await(t), 0);
	EXPECT_TRACE("one two");
	co_unref(t);
	co_queue_free(q);
	return 0;
}

/* ---- an echo over a socket ---- */

static int echo(void *arg)
{
	const char *line;
	int n;

	while ((n = co_stream_read_until(arg, '\n', &line, CLOCK_NEVER)) > 0) {
		int rc = co_stream_write(arg, line, (size_t)n, CLOCK_NEVER);

		if (rc == 0)
			rc = co_stream_drain(arg, CLOCK_NEVER);
		if (rc < 0)
			return rc;
	}
	return n == -ENODATA ? 0 : n;
}

TEST(test_coro_example_echo)
{
	struct co_stream *here, *there;
	struct co_future *t;
	const char *line = "";
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	here = co_stream_new(ends[0], 1024);
	there = co_stream_new(ends[1], 1024);
	t = co_task_new(echo, there, "echo");
	EXPECT_INT(co_stream_write(here, "hello\n", 6, CLOCK_NEVER), 0);
	EXPECT_INT(co_stream_drain(here, CLOCK_NEVER), 0);
	EXPECT_INT(co_stream_read_until(here, '\n', &line, co_in_ms(5000)), 6);
	co_stream_free(here);
	EXPECT_INT(co_await(t), 0);
	co_stream_free(there);
	co_unref(t);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_example_two_at_once),
		cmocka_unit_test(test_coro_example_group_in_timeout),
		cmocka_unit_test(test_coro_example_as_completed),
		cmocka_unit_test(test_coro_example_queue),
		cmocka_unit_test(test_coro_example_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
