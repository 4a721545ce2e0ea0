/* Unit tests of metrics/counters and metrics/shard. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/counters.h"
#include "metrics/shard.h"

static int reset(void **state)
{
	(void)state;
	counters_reset();
	return 0;
}

static void *add_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100000; i++)
		counters_add(COUNTER_STORE_CLAIMS, 1);
	counters_set(COUNTER_STORE_PENDING, 7);
	counters_observe(COUNTER_ACCEPTED_TO_SENT, 1500);
	return NULL;
}

static void test_counters_sum_over_threads(void **state)
{
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	counters_add(COUNTER_STORE_CLAIMS, 5);
	assert_int_equal(counters_total(COUNTER_STORE_CLAIMS), 400005);
}

static void test_counters_gauge_of_an_ended_thread_is_gone(void **state)
{
	pthread_t t;

	(void)state;
	counters_set(COUNTER_STORE_PENDING, 3);
	assert_int_equal(pthread_create(&t, NULL, add_many, NULL), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(counters_gauge(COUNTER_STORE_PENDING), 3);
	counters_set(COUNTER_STORE_PENDING, -2);
	assert_int_equal(counters_gauge(COUNTER_STORE_PENDING), -2);
}

static void test_counters_bounds_grow_and_hold_their_values(void **state)
{
	struct counters_histogram h;

	(void)state;
	for (unsigned i = 1; i < COUNTERS_BUCKETS; i++)
		assert_true(counters_bound_us(i) > counters_bound_us(i - 1));
	assert_int_equal(counters_bound_us(1), 1250);
	assert_int_equal(counters_bound_us(COUNTERS_BUCKETS - 2), INT64_C(1048576000));
	for (unsigned i = 0; i < COUNTERS_BUCKETS - 1; i++) {
		counters_reset();
		counters_observe(COUNTER_ACCEPTED_TO_SENT, counters_bound_us(i));
		counters_observe(COUNTER_ACCEPTED_TO_SENT, counters_bound_us(i) + 1);
		counters_histogram(COUNTER_ACCEPTED_TO_SENT, &h);
		assert_int_equal(h.buckets[i], 1);
		assert_int_equal(h.buckets[i + 1], 1);
	}
	counters_reset();
	counters_observe(COUNTER_ACCEPTED_TO_SENT, -5);
	counters_observe(COUNTER_ACCEPTED_TO_SENT, INT64_MAX);
	counters_histogram(COUNTER_ACCEPTED_TO_SENT, &h);
	assert_int_equal(h.buckets[0], 1);
	assert_int_equal(h.buckets[COUNTERS_BUCKETS - 1], 1);
	assert_int_equal(h.count, 2);
}

static void test_counters_quantile_is_within_a_step(void **state)
{
	struct counters_histogram h;
	int64_t q;

	(void)state;
	counters_histogram(COUNTER_ACCEPTED_TO_SENT, &h);
	assert_int_equal(counters_quantile_us(&h, 0.5), 0);
	for (int i = 1; i <= 10000; i++)
		counters_observe(COUNTER_ACCEPTED_TO_SENT, i * 100);
	counters_histogram(COUNTER_ACCEPTED_TO_SENT, &h);
	q = counters_quantile_us(&h, 0.5);
	assert_in_range(q, 450000, 550000);
	q = counters_quantile_us(&h, 0.99);
	assert_in_range(q, 900000, 1030000);
}

static void test_counters_names_are_unique_and_carry_their_unit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		const char *name = counters_name((enum counter)i);
		size_t len = strlen(name);

		assert_int_equal(strncmp(name, "smstrack_", 9), 0);
		assert_true(strlen(counters_help((enum counter)i)) > 0);
		assert_int_equal(counters_kind((enum counter)i) == COUNTERS_TOTAL, len > 6 && strcmp(name + len - 6, "_total") == 0);
		if (counters_kind((enum counter)i) == COUNTERS_SECONDS)
			assert_true(len > 8 && strcmp(name + len - 8, "_seconds") == 0);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(name, counters_name((enum counter)k));
	}
}

static void test_shard_of_is_crc32(void **state)
{
	(void)state;
	/* CRC-32's check value: "123456789" gives 0xcbf43926. */
	assert_int_equal(shard_of("123456789", 9, 256), 0x26);
	assert_int_equal(shard_of("123456789", 9, 16), 0x6);
	assert_int_equal(shard_of("", 0, 16), 0);
	assert_int_equal(shard_of("x", 1, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_counters_sum_over_threads, reset),
		cmocka_unit_test_setup(test_counters_gauge_of_an_ended_thread_is_gone, reset),
		cmocka_unit_test_setup(test_counters_bounds_grow_and_hold_their_values, reset),
		cmocka_unit_test_setup(test_counters_quantile_is_within_a_step, reset),
		cmocka_unit_test(test_counters_names_are_unique_and_carry_their_unit),
		cmocka_unit_test(test_shard_of_is_crc32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
