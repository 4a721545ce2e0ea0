/* How many descriptors a configuration may need, and what fits into a given number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "daemon/limits.h"

static void test_limits_fit_is_the_inverse_of_need(void **state)
{
	(void)state;
	struct provider_options providers[2] = { { .name = "a", .max_inflight = 1000 }, { .name = "b", .max_inflight = 50 } };
	struct config config = { .daemon = { .workers = 4 }, .providers = providers, .n_providers = 2 };

	assert_true(limits_files_needed(&config, &config, 1) > 2);
	assert_true(limits_files_needed(&config, &config, 500) - limits_files_needed(&config, &config, 100) == 400);
	assert_true(limits_files_needed(&config, &config, 5000) == limits_files_needed(&config, &config, 1000));
	for (unsigned inflight = 1; inflight < 1000; inflight += 37)
		assert_int_equal(limits_inflight_max(&config, &config, limits_files_needed(&config, &config, inflight)), inflight);
	assert_int_equal(limits_inflight_max(&config, &config, limits_files_needed(&config, &config, 1000)), 1000000);
	assert_int_equal(limits_inflight_max(&config, &config, 10), 0);
}

/* A reload has raised one provider's limit; the other is gone from the file and runs on as it was. */
static void test_limits_are_those_read_last(void **state)
{
	struct provider_options booted[2] = { { .name = "a", .max_inflight = 100 }, { .name = "b", .max_inflight = 50 } };
	struct provider_options reloaded[1] = { { .name = "a", .max_inflight = 300 } };
	struct config config = { .daemon = { .workers = 4 }, .providers = booted, .n_providers = 2 };
	struct config read = { .daemon = { .workers = 9 }, .providers = reloaded, .n_providers = 1 };

	(void)state;
	assert_true(limits_files_needed(&config, &read, 1000) == limits_files_needed(&config, &config, 1000) + 200);
}

static void test_limits_raise_to_the_hard_limit(void **state)
{
	(void)state;
	struct rlimit limit;
	uint64_t files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	files = limits_raise_files();
	assert_true(files == limit.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(limit.rlim_cur == limit.rlim_max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_fit_is_the_inverse_of_need),
		cmocka_unit_test(test_limits_are_those_read_last),
		cmocka_unit_test(test_limits_raise_to_the_hard_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
