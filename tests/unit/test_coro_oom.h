/*
 * test_coro_oom.h: an alloc.c that can fail, for the programs that include it, libevent's memory included, and a run of a scenario once
 * for each allocation that it makes: first only that one fails, then all from there on. Whatever happens the scenario must come to its
 * end, and leave nothing: no future in the loop's pools, no stack, no heap.
 */
#ifndef TEST_CORO_OOM_H
#define TEST_CORO_OOM_H

#include <stdatomic.h>
#include <stdlib.h>

#include <event2/event.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"
#include "tests/unit/test_coro.h"

static atomic_long until_failure, n_live;
static atomic_bool goes_on;             /* fails from there on */

static bool fails(void)
{
	long left = atomic_fetch_sub(&until_failure, 1);

	return left == 0 || (left < 0 && atomic_load(&goes_on));
}

static void *counted(void *p)
{
	atomic_fetch_add(&n_live, p != NULL);
	return p;
}

void *mem_alloc(size_t size)
{
	errno = ENOMEM;
	return fails() ? NULL : counted(malloc(size));
}

void *mem_zalloc(size_t size)
{
	errno = ENOMEM;
	return fails() ? NULL : counted(calloc(1, size));
}

void *mem_resize(void *ptr, size_t size)
{
	errno = ENOMEM;
	if (fails())
		return NULL;
	return ptr != NULL ? realloc(ptr, size) : counted(malloc(size));
}

char *mem_strdup(const char *s)
{
	return fails() ? NULL : counted(strdup(s));
}

void mem_free(void *ptr)
{
	atomic_fetch_sub(&n_live, ptr != NULL);
	free(ptr);
}

static void enough_memory(void)
{
	atomic_store(&goes_on, false);
	atomic_store(&until_failure, 1L << 40);
}

/* Those who were cancelled, or whose callbacks are on their way, get their turns; then all there is must be idle. */
static int some_turns(void *arg)
{
	(void)arg;
	yield_times(5);
	return 0;
}

static void expect_nothing_left(struct co_loop *loop)
{
	EXPECT_INT(co_run(loop, some_turns, NULL, "end"), 0);
	co_loop_trim(loop);
	EXPECT_INT(co_task_count(loop), 0);
	EXPECT(loop->pool.chunks == NULL);
	EXPECT(list_empty(&loop->pool.big));
	EXPECT_INT(loop->stacks.n_promised, 0);
	EXPECT_INT(loop->stacks.n_free, loop->stacks.n_total);
	EXPECT(list_empty(&loop->stacks.mapped));
}

/* Whether there was a failure at all. */
static bool fail_at(co_body_fn *scenario, long k, bool then_on)
{
	long n_before = atomic_load(&n_live);
	bool failed = true;
	struct co_loop *loop;

	atomic_store(&goes_on, then_on);
	atomic_store(&until_failure, k);
	loop = co_loop_new();
	if (loop != NULL) {
		int rc;

		co_loop_on_unretrieved(loop, count_unretrieved, NULL);
		rc = co_run(loop, scenario, NULL, "scenario");
		failed = atomic_load(&until_failure) < 0;
		enough_memory();
		EXPECT(rc == 0 || (failed && rc == -ENOMEM));
		expect_nothing_left(loop);
		co_loop_abandon(loop);
	}
	enough_memory();
	EXPECT_INT(atomic_load(&n_live), n_before);
	return failed;
}

static void no_words(int severity, const char *text)
{
	(void)severity, (void)text;
}

static void every_failure(co_body_fn *scenario)
{
	static bool asked;
	long n = 0;

	if (!asked) {
		event_set_mem_functions(mem_alloc, mem_resize, mem_free);
		event_set_log_callback(no_words);
	}
	asked = true;
	expect_failures = 0;
	fail_at(scenario, 1L << 40, false);     /* what libevent keeps for good */
	for (int then_on = 0; then_on < 2 && expect_failures == 0; then_on++)
		for (n = 0; n < 20000 && fail_at(scenario, n, then_on) && expect_failures == 0; n++)
			;
	if (expect_failures > 0)
		fail_msg("at allocation %ld", n);
	assert_in_range(n, 10, 19999);
}

/* OOM_TEST(name) { ... return 0 or -ENOMEM; } */
#define OOM_TEST(name) \
	static int name##_body(void *arg); \
	static void name(void **state) \
	{ \
		(void)state; \
		every_failure(name##_body); \
	} \
	static int name##_body(void *arg __attribute__((unused)))

/* What a call may come to when memory is short. */
static bool is(int rc, int want)
{
	if (rc != want && rc != -ENOMEM)
		fprintf(stderr, "%d instead of %d\n", rc, want);
	return rc == want || rc == -ENOMEM;
}

static int64_t far(void)
{
	return clock_mono_us() + 10000000;
}

enum { N = 12 };

/* As many as there is memory for. */
static int spawn_some(struct co_future **t, int n, co_body_fn *body, void *arg)
{
	int i;

	for (i = 0; i < n; i++) {
		t[i] = co_task_new(body, arg, "t%d", i);
		if (t[i] == NULL)
			break;
	}
	return i;
}

__attribute__((unused)) static void cancel_all(struct co_future **t, int n)
{
	for (int i = 0; i < n; i++)
		co_cancel(t[i]);
}

__attribute__((unused)) static void end_all(struct co_future **t, int n)
{
	for (int i = 0; i < n; i++) {
		co_await(t[i]);
		co_unref(t[i]);
	}
}

#endif
