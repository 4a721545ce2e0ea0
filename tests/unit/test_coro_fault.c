/* dispatch/coro/fault.c and watchdog.c beside others: handlers that pass on to ours, a loop that is busy and not blocked. */
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#include "dispatch/coro/runtime.h"
#include "tests/unit/test_coro.h"
#include "tests/unit/test_coro_child.h"

/* ---- a crash reporter ---- */

static struct sigaction ours;
static int n_reports;

static void reporter(int sig, siginfo_t *info, void *ucontext)
{
	if (++n_reports == 100)
		_exit(3);               /* they call each other for ever */
	if ((ours.sa_flags & SA_SIGINFO) != 0)
		ours.sa_sigaction(sig, info, ucontext);
}

static void *has_a_loop(void *arg)
{
	(void)arg;
	co_loop_free(co_loop_new());
	return NULL;
}

static void child_reports_and_faults(void)
{
	struct sigaction theirs = { .sa_sigaction = reporter, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct co_loop *loop = co_loop_new();
	volatile int *nothing = NULL;
	pthread_t thread;

	CHECK(loop != NULL && sigaction(SIGSEGV, &theirs, &ours) == 0);
	CHECK(pthread_create(&thread, NULL, has_a_loop, NULL) == 0);
	pthread_join(thread, NULL);
	*nothing = 1;
}

/* Regression: a handler that came between two loops and passes on to the one before it was taken for that one, and the process hung. */
static void test_coro_fault_among_others(void **state)
{
	int status;

	(void)state;
#if CO_ASAN || CO_TSAN
	skip();
#endif
	if (RUNNING_ON_VALGRIND)
		skip();
	status = stderr_of(child_reports_and_faults);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* ---- busy, not blocked ---- */

static void busy(evutil_socket_t fd, short what, void *arg)
{
	int64_t until_us = clock_mono_exact_us() + 300;

	(void)fd, (void)what;
	while (clock_mono_exact_us() < until_us)
		;
	++*(unsigned *)arg;
}

/* Regression: libevent's callbacks were not seen to come on, however short each of them was. */
TEST(test_coro_fault_watchdog_of_a_busy_loop)
{
	struct co_loop *loop = co_loop_current();
	int ends[2], told[2];
	unsigned n = 0;
	struct event *ev;

	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(told, O_CLOEXEC | O_NONBLOCK) == 0 && write(ends[1], "x", 1) == 1);
	ev = event_new(co_loop_base(loop), ends[0], EV_READ | EV_PERSIST, busy, &n);
	CHECK(ev != NULL && event_add(ev, NULL) == 0);
	EXPECT_INT(co_watchdog_start(loop, 400, told[1]), 0);
	EXPECT_INT(co_sleep_ms(1000), 0);
	co_watchdog_stop(loop);
	EXPECT(n > 10);
	EXPECT(read(told[0], text, sizeof text) < 0);
	event_free(ev);
	for (int i = 0; i < 2; i++) {
		close(ends[i]);
		close(told[i]);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_fault_among_others),
		cmocka_unit_test(test_coro_fault_watchdog_of_a_busy_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
