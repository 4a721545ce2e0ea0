/* test_coro_misuse.h: what must not be done, as a task's body and a cmocka test at once: MISUSE(name, words) { ... }. Included once by each,
 * instead of test_coro.h and test_coro_child.h. */
#ifndef TEST_CORO_MISUSE_H
#define TEST_CORO_MISUSE_H

#include "tests/unit/test_coro.h"
#include "tests/unit/test_coro_child.h"

/* In a process of its own: `body` as task "culprit"; it must end by abort() and say `words`. */
static co_body_fn *culprit;

static inline void child_runs(void)
{
	struct co_loop *loop = co_loop_new();

	CHECK(loop != NULL);
	(void)co_run(loop, culprit, NULL, "culprit");
}

static inline void aborts(co_body_fn *body, const char *words)
{
	int status;

	culprit = body;
	status = stderr_of(child_runs);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("no abort, status %x:\n%s", (unsigned)status, text);
	says(words);
}

/* And a task that did it is named. */
static inline void aborts_in_a_task(co_body_fn *body, const char *words)
{
	aborts(body, words);
	says("(in task \"");
	says("tests/unit/test_coro");
}

#define MISUSE(name, words) \
	static int name##_body(void *arg); \
	static void name(void **state) \
	{ \
		(void)state; \
		aborts_in_a_task(name##_body, words); \
	} \
	static int name##_body(void *arg __attribute__((unused)))

#endif
