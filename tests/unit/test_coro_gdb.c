/* dispatch/coro/gdb.py, on this very program: it starts itself under gdb with an argument that makes it stop among its tasks. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/test_coro.h"

static char self[512], text[65536];

__attribute__((noinline)) static int sleeps_in_a_frame(void *arg)
{
	volatile int kept = 7;

	(void)arg;
	return co_sleep_until(CLOCK_NEVER) + kept;
}

enum { WAITS_AT = __LINE__ + 6 };

__attribute__((noinline)) static int waits_between(void *arg)
{
	volatile int before = 1, after = 0;

	co_await(arg);
	after++;
	return before + after;
}

static int victim(void *arg)
{
	struct co_future *a = co_task_new(sleeps_in_a_frame, arg, "sleeper %d", 1), *b = co_task_new(await_arg, a, "awaiter");
	struct co_future *c = co_task_new(waits_between, a, "between");

	CHECK(a != NULL && b != NULL && c != NULL);
	co_yield();
	raise(SIGTRAP);
	co_cancel(b);
	co_await(b);
	co_await(c);
	co_unref(a);
	co_unref(b);
	co_unref(c);
	return 21;
}

static int run_gdb(void)
{
	char command[1024];
	size_t n;
	FILE *out;

	snprintf(command, sizeof command,
		 "timeout 60 gdb -nx -batch -ex 'source dispatch/coro/gdb.py' -ex run -ex co-tasks -ex 'co-bt 1' -ex 'co-switch 1' -ex bt "
		 "-ex 'co-bt 3' -ex 'co-switch 3' -ex bt -ex co-switch -ex 'signal 0' --args %s victim 2>&1", self);
	out = popen(command, "r");
	if (out == NULL)
		return -errno;
	n = fread(text, 1, sizeof text - 1, out);
	text[n] = '\0';
	return pclose(out);
}

static void says(const char *words)
{
	if (strstr(text, words) == NULL)
		fail_msg("no \"%s\" in:\n%s", words, text);
}

static void test_coro_gdb_lists_and_switches(void **state)
{
	char line[64];

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(CO_UCONTEXT) || !defined(__x86_64__)
	skip();
#endif
	/* Without gdb, or where it may not trace, or under another tracer. */
	if (access("dispatch/coro/gdb.py", R_OK) != 0 || system("gdb -nx -batch -ex run --args true 2>&1 | grep -q 'exited normally'") != 0) {
		fprintf(stderr, "skipped: no gdb that can run a program here\n");
		skip();
	}
	run_gdb();
	says("waiting  sleeper 1: awaits sleep, spawned at tests/unit/test_coro_gdb.c:");
	says("waiting  awaiter: awaits task, spawned at ");
	says("running  main: ");
	if (strstr(strstr(text, "sleeper 1"), "sleeps_in_a_frame") == NULL)
		fail_msg("no frame in:\n%s", text);
	/* The line it waits in, not that it goes on at. */
	snprintf(line, sizeof line, " waits_between at tests/unit/test_coro_gdb.c:%d\n", WAITS_AT);
	says(line);
	snprintf(line, sizeof line, ") at tests/unit/test_coro_gdb.c:%d\n", WAITS_AT);
	says(line);
	says("exited with code 025");   /* back on its own stack it ran on to its end */
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_gdb_lists_and_switches),
	};

	if (argc > 1)
		return co_run(co_loop_new(), victim, NULL, "main");
	snprintf(self, sizeof self, "%s", argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
