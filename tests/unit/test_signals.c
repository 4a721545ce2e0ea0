/* Signals as batches: what is pending in one turn counts once, in the order in which it is handled. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/signals.h"
#include "dispatch/coro/coro.h"

#define BIT(e) (1u << (e))

static int fd;
static uint32_t batch;

static int wait_body(void *arg)
{
	(void)arg;
	return signals_wait(fd, &batch);
}

static uint32_t next_batch(void)
{
	struct co_loop *loop = co_loop_new();

	assert_non_null(loop);
	batch = 0;
	assert_int_equal(co_run(loop, wait_body, NULL, "test"), 0);
	co_loop_free(loop);
	return batch;
}

static int setup(void **state)
{
	(void)state;
	signals_block();
	fd = signals_open();
	return fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(fd);
}

static void test_signals_storm_is_one_batch(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		kill(getpid(), SIGUSR1);
		kill(getpid(), SIGHUP);
		kill(getpid(), SIGTTIN);
	}
	assert_int_equal(next_batch(), BIT(LIFECYCLE_USR1) | BIT(LIFECYCLE_HUP) | BIT(LIFECYCLE_TTIN));
	kill(getpid(), SIGQUIT);
	assert_int_equal(next_batch(), BIT(LIFECYCLE_QUIT));
}

static void test_signals_term_and_int_of_a_turn_are_one(void **state)
{
	(void)state;
	kill(getpid(), SIGINT);
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGTERM);
	assert_int_equal(next_batch(), BIT(LIFECYCLE_TERM));
	kill(getpid(), SIGINT);
	assert_int_equal(next_batch(), BIT(LIFECYCLE_INT));
}

/* The kernel drops a pending CONT for a TSTP and the other way round: the last one counts. */
static void test_signals_last_of_tstp_and_cont_counts(void **state)
{
	(void)state;
	kill(getpid(), SIGTSTP);
	kill(getpid(), SIGCONT);
	assert_int_equal(next_batch(), BIT(LIFECYCLE_CONT));
	kill(getpid(), SIGCONT);
	kill(getpid(), SIGTSTP);
	assert_int_equal(next_batch(), BIT(LIFECYCLE_TSTP));
}

static void test_signals_order_has_each_once_and_term_last(void **state)
{
	(void)state;
	uint32_t seen = 0;
	size_t n = 0;

	for (; signals_order[n] != 0; n++)
		seen |= BIT(signals_order[n]);
	assert_int_equal(n, 10);
	assert_int_equal(__builtin_popcount(seen), 10);
	assert_int_equal(signals_order[n - 1], LIFECYCLE_TERM);
}

static void test_signals_release_ends_the_process(void **state)
{
	(void)state;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signals_release(75);
		kill(getpid(), SIGTERM);
		_exit(1);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 75);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_storm_is_one_batch),
		cmocka_unit_test(test_signals_term_and_int_of_a_turn_are_one),
		cmocka_unit_test(test_signals_last_of_tstp_and_cont_counts),
		cmocka_unit_test(test_signals_order_has_each_once_and_term_last),
		cmocka_unit_test(test_signals_release_ends_the_process),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
