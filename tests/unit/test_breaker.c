#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "daemon/base/clock.h"
#include "dispatch/breaker.h"

static void test_breaker_opens_after_consecutive_failures(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 3, 1000);
	breaker_failure(&b, 10);
	breaker_failure(&b, 10);
	breaker_success(&b);
	breaker_failure(&b, 10);
	breaker_failure(&b, 10);
	assert_true(breaker_allows(&b, 10));
	breaker_failure(&b, 20);
	assert_false(breaker_allows(&b, 1019));
	assert_int_equal(breaker_next_us(&b), 1020);
	assert_true(breaker_allows(&b, 1020));
	assert_int_equal(b.opened_total, 1);
}

static void test_breaker_lets_one_probe_through(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 1, 1000);
	breaker_failure(&b, 0);
	breaker_take(&b, 1000);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_false(breaker_allows(&b, 1001));
	breaker_untried(&b);
	assert_true(breaker_allows(&b, 1001));
	breaker_take(&b, 1001);
	breaker_failure(&b, 1002);
	assert_false(breaker_allows(&b, 2001));
	breaker_take(&b, 2002);
	breaker_success(&b);
	assert_true(breaker_allows(&b, 2003));
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_breaker_late_answers_do_not_close_it(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 1, 1000);
	breaker_failure(&b, 0);
	breaker_success(&b);
	assert_false(breaker_allows(&b, 999));
}

static void test_breaker_of_no_failures_never_opens(void **state)
{
	struct breaker b;

	(void)state;
	breaker_init(&b, 0, 1000);
	for (int i = 0; i < 1000; i++)
		breaker_failure(&b, i);
	assert_true(breaker_allows(&b, 0));
	assert_true(breaker_next_us(&b) == CLOCK_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breaker_opens_after_consecutive_failures),
		cmocka_unit_test(test_breaker_lets_one_probe_through),
		cmocka_unit_test(test_breaker_late_answers_do_not_close_it),
		cmocka_unit_test(test_breaker_of_no_failures_never_opens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
