#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dispatch/throttle.h"

/* Sends as fast as two workers may for `us`; how many went. */
static unsigned run(struct throttle_pool *pool, int64_t from_us, int64_t us, int64_t step_us)
{
	struct throttle a, b;
	unsigned sent = 0;

	throttle_init(&a, pool);
	throttle_init(&b, pool);
	for (int64_t now = from_us; now < from_us + us; now += step_us) {
		sent += throttle_take(&a, 1, now) == 0;
		sent += throttle_take(&b, 1, now) == 0;
	}
	return sent;
}

static void test_throttle_keeps_the_rate_over_workers(void **state)
{
	static const unsigned rates[] = { 1, 7, 100, 1000, 20000 };
	struct throttle_pool pool;

	(void)state;
	for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
		unsigned sent;

		throttle_pool_init(&pool, rates[i], 0);
		sent = run(&pool, 1000000, 10000000, 13);
		assert_in_range(sent, rates[i] * 10 - rates[i] / 10 - 1, rates[i] * 10 + rates[i] / 50 + 1);
	}
}

static void test_throttle_does_not_save_up_while_idle(void **state)
{
	struct throttle_pool pool;

	(void)state;
	throttle_pool_init(&pool, 1000, 0);
	run(&pool, 1000000, 1000000, 100);
	/* A minute of silence must not become a burst of more than two slices. */
	assert_true(run(&pool, 62000000, 100, 1) <= 20);
}

static void test_throttle_unlimited_never_waits(void **state)
{
	struct throttle_pool pool;
	struct throttle t;

	(void)state;
	throttle_pool_init(&pool, 0, 0);
	throttle_init(&t, &pool);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(throttle_take(&t, 10, 5), 0);
}

static void test_throttle_many_parts_leave_a_debt(void **state)
{
	struct throttle_pool pool;
	struct throttle t;
	int64_t due;

	(void)state;
	throttle_pool_init(&pool, 10, 0);
	throttle_init(&t, &pool);
	assert_int_equal(throttle_take(&t, 10, 1000000), 0);
	due = throttle_take(&t, 1, 1000001);
	assert_true(due >= 1900000 && due <= 2000000);
	assert_int_equal(throttle_take(&t, 1, due), 0);
}

static void test_throttle_daily_cap_turns_over_at_midnight(void **state)
{
	struct throttle_pool pool;
	struct throttle t;
	int64_t day = 86400000, now = 20000 * day;

	(void)state;
	throttle_pool_init(&pool, 0, 5);
	throttle_init(&t, &pool);
	assert_true(throttle_day_take(&t, 3, now));
	assert_false(throttle_day_take(&t, 3, now));
	assert_true(throttle_day_take(&t, 2, now));
	assert_int_equal(throttle_day_used(&pool, now), 5);
	throttle_day_return(&t, 1, now);
	assert_true(throttle_day_take(&t, 1, now + day - 1));
	assert_false(throttle_day_take(&t, 1, now + day - 1));
	assert_true(throttle_day_take(&t, 5, now + day));
	assert_int_equal(throttle_day_used(&pool, now + 2 * day), 0);
}

static void test_throttle_goes_by_another_rate(void **state)
{
	struct throttle_pool pool;
	struct throttle t;

	(void)state;
	throttle_pool_init(&pool, 1, 0);
	throttle_init(&t, &pool);
	assert_int_equal(throttle_take(&t, 60, 1000000), 0);
	assert_int_equal(throttle_take(&t, 1, 1000001), 61000000);
	/* a minute's debt at one a second is not to be paid at a thousand */
	throttle_pool_set(&pool, 1000, 0);
	assert_in_range(run(&pool, 2000000, 1000000, 13), 980, 1030);
	throttle_pool_set(&pool, 10, 0);
	assert_in_range(run(&pool, 4000000, 1000000, 13), 9, 11);
	throttle_pool_set(&pool, 0, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(throttle_take(&t, 1, 6000000), 0);
}

/* What was sent while there was no cap was not counted; giving it back must not make room that there isn't. */
static void test_throttle_takes_a_cap_while_it_runs(void **state)
{
	struct throttle_pool pool;
	struct throttle t;

	(void)state;
	throttle_pool_init(&pool, 0, 0);
	throttle_init(&t, &pool);
	assert_true(throttle_day_take(&t, 5, 1000));
	throttle_pool_set(&pool, 0, 3);
	assert_true(throttle_day_take(&t, 2, 1000));
	throttle_day_return(&t, 5, 1000);
	assert_int_equal(throttle_day_used(&pool, 1000), 0);
	assert_true(throttle_day_take(&t, 3, 1000));
	assert_false(throttle_day_take(&t, 1, 1000));
	throttle_pool_set(&pool, 0, 4);
	assert_true(throttle_day_take(&t, 1, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_throttle_keeps_the_rate_over_workers),
		cmocka_unit_test(test_throttle_does_not_save_up_while_idle),
		cmocka_unit_test(test_throttle_unlimited_never_waits),
		cmocka_unit_test(test_throttle_many_parts_leave_a_debt),
		cmocka_unit_test(test_throttle_daily_cap_turns_over_at_midnight),
		cmocka_unit_test(test_throttle_goes_by_another_rate),
		cmocka_unit_test(test_throttle_takes_a_cap_while_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
