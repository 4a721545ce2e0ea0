/* test_demo_jobs.c: whatever the demo puts on its topic is a valid job, read by the daemon's own reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "consumer/record.h"
#include "daemon/ctl/demo_jobs.h"
#include "dispatch/job.h"

static void test_demo_jobs_are_valid_records(void **state)
{
	const struct record_options options = { .default_ttl_s = 3600, .on_uncertain = STORE_RESEND, .shards = 16 };
	const struct record_position at = { .topic = "sms.outbound", .timestamp_ms = 1000000 };
	unsigned long_ones = 0, passwords = 0;
	struct buf json = { 0 };

	(void)state;
	for (size_t n = 0; n < 1000; n++) {
		struct record_fault fault = { 0 };
		struct job *job = NULL;
		char id[32];

		demo_jobs_make(n, &json);
		if (record_parse(&options, &at, json.data, json.len, 1000001, &job, &fault) != 0)
			fail_msg("%s: %.*s", fault.text, (int)json.len, json.data);
		snprintf(id, sizeof id, "demo-%06zu", n);
		assert_string_equal(job->msg.id, id);
		long_ones += job->msg.parts > 1;
		passwords += job->msg.on_uncertain == STORE_FAIL;
		job_free(job);
	}
	assert_int_equal(long_ones, 20);
	assert_int_equal(passwords, 100);
	buf_fini(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demo_jobs_are_valid_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
