/* test_metrics_text.c: reading what /metrics says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/ctl/metrics_text.h"

static const char text[] =
	"# HELP sent_total Sent.\n"
	"# TYPE sent_total counter\n"
	"sent_total 12\n"
	"sent_total_more 99\n"
	"end_total{provider=\"a}b\",state=\"sent\"} 5\n"
	"end_total{provider=\"c\",state=\"refused\"} 2\n"
	"end_total{provider=\"d\",xstate=\"sent\"} 100\n"
	"lat_seconds_bucket{le=\"0.1\"} 50\n"
	"lat_seconds_bucket{le=\"0.2\"} 90\n"
	"lat_seconds_bucket{le=\"1\"} 99\n"
	"lat_seconds_bucket{le=\"+Inf\"} 100\n"
	"lat_seconds_sum 20.5\n"
	"lat_seconds_count 100\n";

static void near(double got, double want)
{
	assert_true(fabs(got - want) < 1e-9);
}

static void test_metrics_text_sums_by_name_and_label(void **state)
{
	(void)state;
	near(metrics_text_sum(text, "sent_total", NULL), 12);
	near(metrics_text_sum(text, "end_total", NULL), 107);
	near(metrics_text_sum(text, "end_total", "state=\"sent\""), 5);
	near(metrics_text_sum(text, "none_total", NULL), 0);
	near(metrics_text_sum("", "sent_total", NULL), 0);
	near(metrics_text_sum("sent_total", "sent_total", NULL), 0);
	near(metrics_text_sum("sent_total{x=\"1\"", "sent_total", NULL), 0);
}

static void collect(const char *label, double value, void *arg)
{
	char *out = arg;

	snprintf(out + strlen(out), 100 - strlen(out), "%s=%g ", label, value);
}

static void test_metrics_text_lists_a_label(void **state)
{
	char out[100] = "";

	(void)state;
	metrics_text_each(text, "end_total", "state", collect, out);
	assert_string_equal(out, "sent=5 refused=2 =100 ");
	out[0] = '\0';
	metrics_text_each(text, "end_total", "provider", collect, out);
	assert_string_equal(out, "a}b=5 c=2 d=100 ");
}

static void test_metrics_text_interpolates_quantiles(void **state)
{
	(void)state;
	near(metrics_text_quantile(text, "lat_seconds", 0.25), 0.05);
	near(metrics_text_quantile(text, "lat_seconds", 0.50), 0.1);
	near(metrics_text_quantile(text, "lat_seconds", 0.70), 0.15);
	near(metrics_text_quantile(text, "lat_seconds", 0.99), 1.0);
	near(metrics_text_quantile(text, "lat_seconds", 1.00), 1.0);
	assert_true(metrics_text_quantile(text, "none_seconds", 0.5) < 0);
	assert_true(metrics_text_quantile("x_bucket{le=\"1\"} 0\nx_bucket{le=\"+Inf\"} 0\n", "x", 0.5) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_text_sums_by_name_and_label),
		cmocka_unit_test(test_metrics_text_lists_a_label),
		cmocka_unit_test(test_metrics_text_interpolates_quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
