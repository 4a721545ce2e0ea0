/* test_coro.h: what the units of dispatch/coro share: a body in a loop of its own, checks that are safe on a task's stack (cmocka's jump
 * off it), and a trace of what happened in which order. */
#ifndef TEST_CORO_H
#define TEST_CORO_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dispatch/coro/coro.h"

static int expect_failures;

#define EXPECT(cond) \
	((cond) ? (void)0 : (void)(expect_failures++, fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #cond)))
#define EXPECT_INT(got, want) expect_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

static inline void expect_int(const char *file, int line, const char *what, long long got, long long want)
{
	if (got == want)
		return;
	expect_failures++;
	fprintf(stderr, "%s:%d: %s is %lld, expected %lld\n", file, line, what, got, want);
}

static char trace[1024];

static inline void note(const char *word)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof trace - n, "%s%s", n > 0 ? " " : "", word);
}

static inline void expect_trace(const char *file, int line, const char *want)
{
	if (strcmp(trace, want) != 0) {
		expect_failures++;
		fprintf(stderr, "%s:%d: trace is \"%s\", expected \"%s\"\n", file, line, trace, want);
	}
	trace[0] = '\0';
}
#define EXPECT_TRACE(want) expect_trace(__FILE__, __LINE__, want)

/* A word as a callback's argument. */
#define WORD(s) ((void *)(uintptr_t)(s))

static inline void *letter(int i)
{
	static char words[26][2];

	words[i % 26][0] = (char)('a' + i % 26);
	return words[i % 26];
}

static unsigned unretrieved;

static inline void count_unretrieved(const char *name, int err, void *arg)
{
	(void)name, (void)err, (void)arg;
	unretrieved++;
}

/* Runs body as a task in a loop of its own; all tasks must be done at its end. */
static inline void in_loop(co_body_fn *body)
{
	struct co_loop *loop = co_loop_new();
	int rc;

	assert_non_null(loop);
	trace[0] = '\0';
	expect_failures = 0;
	unretrieved = 0;
	co_loop_on_unretrieved(loop, count_unretrieved, NULL);
	rc = co_run(loop, body, NULL, "test");
	EXPECT_INT(rc, 0);
	EXPECT_INT(co_task_count(loop), 0);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

/* TEST(name) { ... return 0; } is a task's body and a cmocka test at once. */
#define TEST(name) \
	static int name##_body(void *arg); \
	static void name(void **state) \
	{ \
		(void)state; \
		in_loop(name##_body); \
	} \
	static int name##_body(void *arg __attribute__((unused)))

static inline struct co_future *spawn(co_body_fn *body, void *arg)
{
	struct co_future *task = co_task_new_static(body, arg, "child");

	CHECK(task != NULL);
	return task;
}

static inline struct co_future *future_new(void)
{
	struct co_future *f = co_future_new();

	CHECK(f != NULL);
	return f;
}

static inline void yield_times(int n)
{
	while (n-- > 0)
		EXPECT_INT(co_yield(), 0);
}

/* Bodies that many tests use. */
__attribute__((unused)) static int return_arg(void *arg)
{
	return (int)(intptr_t)arg;
}

__attribute__((unused)) static int await_arg(void *arg)
{
	return co_await(arg);
}

__attribute__((unused)) static int sleep_forever(void *arg)
{
	(void)arg;
	return co_sleep_until(CLOCK_NEVER);
}

/* Catches one cancel and returns the argument all the same. */
__attribute__((unused)) static int stubborn(void *arg)
{
	int rc = co_sleep_until(CLOCK_NEVER);

	EXPECT_INT(rc, -ECANCELED);
	return (int)(intptr_t)arg;
}

#endif
