#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dispatch/retry.h"

static const struct retry_limits limits = { .max_attempts = 3, .backoff_ms = 100, .backoff_max_ms = 350 };

static void test_retry_settles_what_is_final(void **state)
{
	struct retry_decision d;

	(void)state;
	d = retry_decide(&limits, GATEWAY_ACCEPTED, 0);
	assert_int_equal(d.next, RETRY_SETTLE);
	assert_int_equal(d.state, STORE_SENT);
	d = retry_decide(&limits, GATEWAY_REFUSED, 0);
	assert_int_equal(d.next, RETRY_SETTLE);
	assert_int_equal(d.state, STORE_REFUSED);
	assert_int_equal(retry_decide(&limits, GATEWAY_UNCERTAIN, 1).next, RETRY_ASK_POLICY);
}

static void test_retry_gives_up_after_max_attempts(void **state)
{
	(void)state;
	assert_int_equal(retry_decide(&limits, GATEWAY_TRANSIENT, 2).next, RETRY_LATER);
	assert_int_equal(retry_decide(&limits, GATEWAY_TRANSIENT, 3).next, RETRY_SETTLE);
	assert_int_equal(retry_decide(&limits, GATEWAY_TRANSIENT, 3).state, STORE_FAILED);
	/* Being held back uses no attempt up. */
	assert_int_equal(retry_decide(&limits, GATEWAY_THROTTLED, 99).next, RETRY_LATER);
	assert_int_equal(retry_decide(&limits, GATEWAY_UNSENT, 99).next, RETRY_LATER);
}

static void test_retry_backoff_is_jittered_over_the_whole_range(void **state)
{
	static const int64_t ceiling_us[] = { 100000, 200000, 350000, 350000 };

	(void)state;
	for (unsigned n = 1; n <= 4; n++) {
		int64_t low = INT64_MAX, high = 0;

		for (int i = 0; i < 2000; i++) {
			int64_t us = retry_backoff_us(&limits, n);

			low = us < low ? us : low;
			high = us > high ? us : high;
		}
		assert_true(low >= 0 && low < ceiling_us[n - 1] / 20);
		assert_true(high <= ceiling_us[n - 1] && high > ceiling_us[n - 1] * 19 / 20);
	}
}

static void test_retry_backoff_does_not_overflow(void **state)
{
	struct retry_limits big = { .max_attempts = 1000, .backoff_ms = 4000000, .backoff_max_ms = 4000000000u };

	(void)state;
	for (unsigned n = 1; n < 1000; n++)
		assert_in_range(retry_backoff_us(&big, n), 0, 4000000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retry_settles_what_is_final),
		cmocka_unit_test(test_retry_gives_up_after_max_attempts),
		cmocka_unit_test(test_retry_backoff_is_jittered_over_the_whole_range),
		cmocka_unit_test(test_retry_backoff_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
