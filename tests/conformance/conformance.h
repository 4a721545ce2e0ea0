/*
 * conformance.h: what the conformance cases share. A case is a body in a loop of its own on simulated time (trace_port.c), so that times
 * can be told exactly. Each names the test of CPython 3.13's Lib/test/test_asyncio that checks the same. Cases of one shape are rows of
 * a table; a row is a cmocka test of its own.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "tests/unit/test_coro.h"

/* Rows leave out what is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* What a child does: sleeps, then ends with a code. When it is cancelled: ends as cancelled, or with `stubborn` if that isn't 0, after
 * another `late_ms`. */
struct child {
	int ms, rc, stubborn, late_ms;
	bool saw_cancel;
};

__attribute__((unused)) static int child_body(void *arg)
{
	struct child *c = arg;
	int rc = c->ms > 0 ? co_sleep_ms(c->ms) : 0;

	if (rc != -ECANCELED)
		return c->rc;
	c->saw_cancel = true;
	if (c->late_ms > 0 && co_sleep_ms(c->late_ms) < 0)
		return -ECANCELED;
	return c->stubborn != 0 ? c->stubborn : rc;
}

/* A child of a compound literal: its memory is the caller's block's. */
#define CHILD(...) spawn(child_body, &(struct child){ __VA_ARGS__ })

static inline int64_t now_ms(void)
{
	return clock_mono_us() / 1000;
}

/* Lets everything that can go on do so. */
static inline void settle(void)
{
	yield_times(8);
}

static inline void end_all(struct co_future *const *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (f[i] != NULL)
			co_cancel(f[i]);
	settle();
	for (size_t i = 0; i < n; i++)
		co_unref(f[i]);
}

static inline struct co_future *done_future(int rc)
{
	struct co_future *f = future_new();

	if (rc == -ECANCELED)
		co_cancel(f);
	else if (rc < 0)
		co_set_error(f, rc);
	else
		co_set_result(f, rc);
	return f;
}

/* A done-callback that notes its word. */
__attribute__((unused)) static void note_done(struct co_future *f, void *arg)
{
	(void)f;
	note(arg);
}

__attribute__((unused)) static void note_call(void *arg)
{
	note(arg);
}

#define T(name) cmocka_unit_test(name)

/* Rows of a table as tests: `row` is a parameter of the body. */
struct row_test {
	void (*body)(const void *row);
	const void *row;
};
static struct row_test row_now;

__attribute__((unused)) static int row_body(void *arg)
{
	(void)arg;
	row_now.body(row_now.row);
	return 0;
}

#define MAX_TESTS 160

struct suite {
	struct CMUnitTest test[MAX_TESTS];
	size_t n;
};

__attribute__((unused)) static void suite_add(struct suite *s, const struct CMUnitTest *tests, size_t n)
{
	CHECK(s->n + n <= MAX_TESTS);
	memcpy(s->test + s->n, tests, n * sizeof *tests);
	s->n += n;
}

#define ADD_CASES(suite, tests) suite_add(suite, tests, ARRAY_LEN(tests))

/* The first member of a row is its name; `runner` is what ROWS() made. */
#define ADD_ROWS(suite, rows, runner) \
	for (size_t row_i = 0; row_i < ARRAY_LEN(rows); row_i++) \
		suite_add(suite, &(struct CMUnitTest){ (rows)[row_i].name, runner, NULL, NULL, (void *)(uintptr_t)&(rows)[row_i] }, 1)

/* ROWS(run_wait, struct wait_row) { ... row->... } */
#define ROWS(runner, type) \
	static void runner##_row(const type *row); \
	static void runner##_any(const void *row) \
	{ \
		runner##_row(row); \
	} \
	static void runner(void **state) \
	{ \
		row_now = (struct row_test){ runner##_any, *state }; \
		in_loop(row_body); \
	} \
	static void runner##_row(const type *row)

#define RUN_SUITE(suite) _cmocka_run_group_tests(#suite, (suite).test, (suite).n, NULL, NULL)

#endif
