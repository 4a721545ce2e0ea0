/* Unit tests of metrics/exposition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/buf.h"
#include "metrics/counters.h"
#include "metrics/exposition.h"

static struct buf out;

static int reset(void **state)
{
	(void)state;
	counters_reset();
	buf_fini(&out);
	return 0;
}

static const char *text(void)
{
	buf_putc(&out, '\0');
	assert_false(out.oom);
	return out.data;
}

static void test_exposition_has_every_counter_with_help_and_type(void **state)
{
	char line[256];
	static const char *const words[] = { "", "counter", "gauge", "histogram" };

	(void)state;
	counters_add(COUNTER_STORE_CLAIMS, 42);
	counters_set(COUNTER_STORE_PENDING, -1);
	exposition_counters(&out);
	text();
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		enum counter id = (enum counter)i;

		snprintf(line, sizeof line, "# TYPE %s %s\n", counters_name(id), words[counters_kind(id)]);
		assert_non_null(strstr(out.data, line));
		snprintf(line, sizeof line, "# HELP %s ", counters_name(id));
		assert_non_null(strstr(out.data, line));
	}
	assert_non_null(strstr(out.data, "\nsmstrack_store_claims_total 42\n"));
	assert_non_null(strstr(out.data, "\nsmstrack_store_pending -1\n"));
}

static void test_exposition_histogram_is_cumulative_in_seconds(void **state)
{
	(void)state;
	counters_observe(COUNTER_ACCEPTED_TO_SENT, 1100);
	counters_observe(COUNTER_ACCEPTED_TO_SENT, 1900);
	counters_observe(COUNTER_ACCEPTED_TO_SENT, 7200000000);
	exposition_counters(&out);
	text();
	assert_non_null(strstr(out.data, "smstrack_accepted_to_sent_seconds_bucket{le=\"0.001\"} 0\n"));
	assert_non_null(strstr(out.data, "smstrack_accepted_to_sent_seconds_bucket{le=\"0.00125\"} 1\n"));
	assert_non_null(strstr(out.data, "smstrack_accepted_to_sent_seconds_bucket{le=\"0.002\"} 2\n"));
	assert_non_null(strstr(out.data, "smstrack_accepted_to_sent_seconds_bucket{le=\"1048.576\"} 2\n"));
	assert_non_null(strstr(out.data, "smstrack_accepted_to_sent_seconds_bucket{le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(out.data, "smstrack_accepted_to_sent_seconds_sum 7200.003\n"));
	assert_non_null(strstr(out.data, "smstrack_accepted_to_sent_seconds_count 3\n"));
}

static void test_exposition_labels_are_escaped(void **state)
{
	const struct exposition_label labels[] = { { "provider", "a\"b\\c\nd" }, { "topic", "t" } };

	(void)state;
	exposition_family(&out, "smstrack_x", COUNTERS_GAUGE, "One\\two\nlines.");
	exposition_u64(&out, "smstrack_x", labels, 2, 9);
	exposition_seconds(&out, "smstrack_y_seconds", labels + 1, 1, -1500000);
	exposition_seconds(&out, "smstrack_y_seconds", NULL, 0, 2000000);
	assert_string_equal(text(), "# HELP smstrack_x One\\\\two\\nlines.\n# TYPE smstrack_x gauge\n"
				    "smstrack_x{provider=\"a\\\"b\\\\c\\nd\",topic=\"t\"} 9\n"
				    "smstrack_y_seconds{topic=\"t\"} -1.5\nsmstrack_y_seconds 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exposition_has_every_counter_with_help_and_type, reset, reset),
		cmocka_unit_test_setup_teardown(test_exposition_histogram_is_cumulative_in_seconds, reset, reset),
		cmocka_unit_test_setup_teardown(test_exposition_labels_are_escaped, reset, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
