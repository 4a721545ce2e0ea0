#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "daemon/base/clock.h"
#include "dispatch/breaker.h"

/* A send that is admitted now and ends without an answer. */
static void fail_once(struct breaker *b, int64_t now_us)
{
	breaker_failure(b, breaker_take(b, now_us), now_us);
}

static void test_breaker_opens_after_consecutive_failures(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 3, 1000);
	fail_once(&b, 10);
	fail_once(&b, 10);
	breaker_success(&b, breaker_take(&b, 10));
	fail_once(&b, 10);
	fail_once(&b, 10);
	assert_true(breaker_allows(&b, 10));
	fail_once(&b, 20);
	assert_false(breaker_allows(&b, 1019));
	assert_int_equal(breaker_next_us(&b), 1020);
	assert_true(breaker_allows(&b, 1020));
	assert_int_equal(b.opened_total, 1);
}

static void test_breaker_lets_one_probe_through(void **state)
{
	struct breaker b;
	uint32_t probe;

	(void)state;
	breaker_init(&b, 1, 1000);
	fail_once(&b, 0);
	probe = breaker_take(&b, 1000);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_false(breaker_allows(&b, 1001));
	breaker_untried(&b, probe);
	assert_true(breaker_allows(&b, 1001));
	fail_once(&b, 1002);
	assert_false(breaker_allows(&b, 2001));
	breaker_success(&b, breaker_take(&b, 2002));
	assert_true(breaker_allows(&b, 2003));
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_breaker_late_answers_do_not_close_it(void **state)
{
	struct breaker b;
	uint32_t old;

	(void)state;
	breaker_init(&b, 1, 1000);
	old = breaker_take(&b, 0);
	fail_once(&b, 0);
	breaker_success(&b, old);
	assert_false(breaker_allows(&b, 999));
	/* nor when the probe is out */
	breaker_take(&b, 1000);
	breaker_success(&b, old);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_false(breaker_allows(&b, 1000));
}

static void test_breaker_late_failures_are_no_probes(void **state)
{
	struct breaker b;
	uint32_t old[2], probe;

	(void)state;
	breaker_init(&b, 1, 1000);
	old[0] = breaker_take(&b, 0);
	old[1] = breaker_take(&b, 0);
	fail_once(&b, 0);
	probe = breaker_take(&b, 1000);
	breaker_failure(&b, old[0], 1001);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_int_equal(b.opened_total, 1);
	breaker_success(&b, probe);
	/* nor do they open it anew once the probe was answered */
	breaker_failure(&b, old[1], 1002);
	assert_int_equal(b.state, BREAKER_CLOSED);
}

/* What was taken before it opened and is given back later must not let a second probe out. */
static void test_breaker_an_old_send_given_back_frees_no_probe(void **state)
{
	struct breaker b;
	uint32_t old, first, second;

	(void)state;
	breaker_init(&b, 1, 1000);
	old = breaker_take(&b, 0);
	fail_once(&b, 0);
	first = breaker_take(&b, 1000);
	breaker_untried(&b, old);
	assert_false(breaker_allows(&b, 1000));
	/* a probe that was given back is an old send too */
	breaker_untried(&b, first);
	second = breaker_take(&b, 1000);
	breaker_failure(&b, first, 1000);
	breaker_untried(&b, first);
	assert_false(breaker_allows(&b, 1000));
	breaker_success(&b, second);
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_breaker_of_no_failures_never_opens(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 0, 1000);
	for (int i = 0; i < 1000; i++)
		fail_once(&b, i);
	assert_true(breaker_allows(&b, 0));
	assert_true(breaker_next_us(&b) == CLOCK_NEVER);
}

static void test_breaker_goes_by_other_limits(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 3, 1000);
	fail_once(&b, 0);
	breaker_set(&b, 2, 1000, 0);
	fail_once(&b, 0);
	assert_int_equal(b.state, BREAKER_OPEN);
	/* an open one doesn't rest for longer than it would now, and no shorter than it did */
	breaker_set(&b, 2, 100, 50);
	assert_int_equal(breaker_next_us(&b), 150);
	breaker_set(&b, 2, 5000, 60);
	assert_int_equal(breaker_next_us(&b), 150);
	breaker_set(&b, 0, 5000, 60);
	assert_int_equal(b.state, BREAKER_CLOSED);
	for (int i = 0; i < 100; i++)
		fail_once(&b, 70);
	assert_int_equal(b.state, BREAKER_CLOSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breaker_opens_after_consecutive_failures),
		cmocka_unit_test(test_breaker_lets_one_probe_through),
		cmocka_unit_test(test_breaker_late_answers_do_not_close_it),
		cmocka_unit_test(test_breaker_late_failures_are_no_probes),
		cmocka_unit_test(test_breaker_an_old_send_given_back_frees_no_probe),
		cmocka_unit_test(test_breaker_of_no_failures_never_opens),
		cmocka_unit_test(test_breaker_goes_by_other_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
