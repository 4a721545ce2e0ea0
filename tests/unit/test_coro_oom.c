/* dispatch/coro when memory is short: every allocation of a scenario that uses all of it fails once; it must end in an error or go on, and
 * leak nothing. This program brings its own alloc.c. */
#include <stdlib.h>

#include "daemon/base/alloc.h"
#include "tests/unit/test_coro.h"

static long until_failure;

static bool fails(void)
{
	return until_failure-- == 0;
}

void *mem_alloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

void *mem_zalloc(size_t size)
{
	return fails() ? NULL : calloc(1, size);
}

void *mem_resize(void *ptr, size_t size)
{
	return fails() ? NULL : realloc(ptr, size);
}

char *mem_strdup(const char *s)
{
	return fails() ? NULL : strdup(s);
}

void mem_free(void *ptr)
{
	free(ptr);
}

enum { N = 12 };

static int short_sleep(void *arg)
{
	int rc = co_sleep_until(clock_mono_us() + 10);

	(void)arg;
	EXPECT(rc == 0 || rc == -ENOMEM || rc == -ECANCELED);
	return 0;
}

static void released(void *arg)
{
	++*(int *)arg;
}

static int use_waitset(struct co_future *const *t)
{
	struct co_waitset *ws = co_waitset_new();
	struct co_future *f;

	if (ws == NULL)
		return -ENOMEM;
	for (int i = 0; i < N; i++)
		(void)!co_waitset_add(ws, co_ref(t[i]), NULL);
	co_waitset_close(ws);
	while ((f = co_waitset_next(ws, NULL)) != NULL)
		co_unref(f);
	co_waitset_free(ws);
	return 0;
}

static int use_queue(void)
{
	struct co_queue *q = co_queue_new(0);
	void *item;
	int rc = 0;

	if (q == NULL)
		return -ENOMEM;
	for (int i = 0; i < 40 && rc == 0; i++)
		rc = co_queue_put(q, q, CLOCK_NEVER);
	while (co_queue_try_get(q, &item) == 0)
		EXPECT(item == q);
	co_queue_free(q);
	return rc;
}

static int use_futures(struct co_future *const *t)
{
	struct co_future *g = co_gather(t, N, true, NULL), *s = co_shield(t[N - 1]), *f = co_future_new();
	int rc;

	if (g != NULL)
		EXPECT_INT(co_await(g), 0);
	if (s != NULL)
		EXPECT_INT(co_await(s), 0);
	if (f != NULL)
		co_set_result(f, 1);
	rc = g == NULL || s == NULL || f == NULL ? -ENOMEM : 0;
	co_unref(g);
	co_unref(s);
	co_unref(f);
	return rc;
}

static int scenario(void *arg)
{
	struct co_future *t[N];
	struct co_timeout scope;
	int n, rc, n_released = 0;

	(void)arg;
	for (n = 0; n < N; n++) {
		t[n] = co_task_new(short_sleep, NULL, "t%d", n);
		if (t[n] == NULL)
			break;
	}
	rc = n < N ? -ENOMEM : use_waitset(t);
	if (rc == 0)
		rc = use_futures(t);
	if (n > 0 && co_wait(t, (size_t)n, CO_ALL_COMPLETED, clock_mono_us() + 10000000) < 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = use_queue();
	if (rc == 0)
		rc = co_timeout_enter(&scope, clock_mono_us() + 10000000);
	if (rc == 0)
		rc = co_timeout_leave(&scope, co_yield());
	if (rc == 0) {
		rc = co_offload(return_arg, &n_released, released, CLOCK_NEVER) == -ENOMEM ? -ENOMEM : 0;
		EXPECT_INT(n_released, 1);
	}
	if (rc == 0)
		rc = co_post(co_loop_current(), released, &n_released);
	co_yield();
	for (int i = 0; i < n; i++)
		co_unref(t[i]);
	return rc;
}

static void test_coro_oom_everywhere(void **state)
{
	bool failed = true;
	int n_failures = 0;

	(void)state;
	expect_failures = 0;
	for (long k = 0; failed && k < 10000; k++) {
		struct co_loop *loop;
		int rc = -ENOMEM;

		until_failure = k;
		loop = co_loop_new();
		if (loop != NULL) {
			rc = co_run(loop, scenario, NULL, "scenario");
			failed = until_failure < 0;
			co_loop_abandon(loop);
		}
		n_failures += rc != 0;
		if (!failed)
			assert_int_equal(rc, 0);
	}
	assert_false(failed);
	assert_true(n_failures >= 10);
	assert_int_equal(expect_failures, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_oom_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
