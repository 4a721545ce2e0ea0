/* test_demo_report.c: the demo's verdict and its lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/ctl/demo_report.h"

static struct demo_result good_result(void)
{
	return (struct demo_result){
		.messages = 1000, .produced = 1000, .accepted = 1000, .settled = 1000, .sent = 970, .refused = 20, .failed = 10, .uncertain = 15,
		.ids_once = 970, .p50_s = 0.05, .p90_s = 0.08, .p99_s = 0.5, .elapsed_us = 1000000, .cpu_us = 50000, .peak_bytes = 20000000,
		.rate = 1000,
	};
}

static bool holds(const struct demo_result *r)
{
	struct buf why = { 0 };
	bool yes = demo_result_holds(r, &why);

	assert_true(yes == (why.len == 0));
	buf_fini(&why);
	return yes;
}

static void test_demo_report_verdict_holds(void **state)
{
	struct demo_result r = good_result();

	(void)state;
	assert_true(holds(&r));
	r.ids_once = 960;
	r.ids_more = 10;        /* resent after an uncertain send */
	assert_true(holds(&r));
	r = good_result();
	r.interrupted = true;
	r.produced = 2000;
	r.accepted = 1500;
	r.open = 1000;
	assert_true(holds(&r));
	r.ids_once--;
	assert_false(holds(&r));
	r.cut = true;
	assert_true(holds(&r));
}

static void test_demo_report_verdict_finds_each_lie(void **state)
{
	struct demo_result r = good_result();

	(void)state;
	r.ids_once = 969;
	assert_false(holds(&r));
	r = good_result();
	r.ids_once = 954;
	r.ids_more = 16;
	assert_false(holds(&r));
	r = good_result();
	r.failed = 9;
	assert_false(holds(&r));
	r = good_result();
	r.open = 1;
	assert_false(holds(&r));
	r = good_result();
	r.produced = 999;
	assert_false(holds(&r));
	r = good_result();
	r.daemon_exit = 75;
	assert_false(holds(&r));
}

static void test_demo_report_fits_80_columns(void **state)
{
	struct demo_result r = good_result();
	struct buf out = { 0 };
	char *save = NULL;

	(void)state;
	r.messages = r.produced = r.accepted = r.settled = 1000000;
	r.rate = 100000;
	r.sent = r.ledger.requests = r.ledger.taken = r.ids_once = r.lapsed = r.held = 999999;
	for (unsigned i = 0; i < DEMO_REASONS_MAX + 3; i++) {
		char error[48];

		snprintf(error, sizeof error, "a rather long reason why it was not sent %u", i);
		demo_result_reason(&r, "undelivered", error);
	}
	demo_result_reason(&r, "undelivered", "a rather long reason why it was not sent 1");
	assert_int_equal(r.n_reasons, DEMO_REASONS_MAX);
	assert_int_equal(r.reasons_more, 3);
	assert_int_equal(r.reasons[1].count, 2);
	demo_report(&r, false, &out);
	buf_putc(&out, '\0');
	assert_non_null(strstr(out.data, "accepted to sent   p50 50.0ms   p90 80.0ms   p99 500ms"));
	assert_non_null(strstr(out.data, "That is not as promised"));
	for (char *line = strtok_r(out.data, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strlen(line) > 80)
			fail_msg("too long: %s", line);
	buf_fini(&out);
}

static void test_demo_report_json_has_the_figures(void **state)
{
	struct demo_result r = good_result();
	json_t *json;

	(void)state;
	demo_result_reason(&r, "refused", "http_400");
	json = demo_report_json(&r);
	assert_non_null(json);
	assert_true(json_is_true(json_object_get(json, "holds")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "funnel"), "sent")), 970);
	assert_int_equal(json_array_size(json_object_get(json, "not_sent")), 1);
	json_decref(json);
}

static void test_demo_report_progress_fits(void **state)
{
	struct demo_progress p = { .total = 10000, .settled = 2500, .inflight = 400, .rate = 2499.6 };
	struct buf out = { 0 };

	(void)state;
	demo_progress_line(&p, 79, false, &out);
	assert_true(out.len <= 79);
	assert_int_equal(out.data[0], '[');
	buf_reset(&out);
	p.settled = 20000;      /* more than asked for must not run out of the bar */
	demo_progress_line(&p, 79, false, &out);
	assert_true(out.len <= 79);
	buf_reset(&out);
	p.settled = 2500;
	demo_progress_line(&p, 0, false, &out);
	buf_putc(&out, '\0');
	assert_string_equal(out.data, "2,500 of 10,000 settled, 2,499/s, 400 in flight");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demo_report_verdict_holds),
		cmocka_unit_test(test_demo_report_verdict_finds_each_lie),
		cmocka_unit_test(test_demo_report_fits_80_columns),
		cmocka_unit_test(test_demo_report_json_has_the_figures),
		cmocka_unit_test(test_demo_report_progress_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
