/* test_http_date.c: the three forms of dates, and Retry-After. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dispatch/http_client.h"
#include "dispatch/http_date.h"

static int64_t parse(const char *s)
{
	return http_date_parse(s, strlen(s));
}

static void test_http_date_reads_all_forms(void **state)
{
	(void)state;
	assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	assert_int_equal(parse("Sun Nov  6 08:49:37 1994"), 784111777);
	assert_int_equal(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
	assert_int_equal(parse("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
	assert_int_equal(parse("Fri, 01 Mar 2024 00:00:00 GMT"), 1709251200);
	assert_int_equal(parse("Tue, 29 Feb 2000 12:00:00 GMT"), 951825600);
	assert_int_equal(parse("Fri Dec 31 23:59:59 2038"), 2177452799);
}

static void test_http_date_refuses_the_rest(void **state)
{
	static const char *const bad[] = { "", "Sun", "Sun,", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 32 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1894 08:49:37 GMT", "1994-11-06T08:49:37Z", "Sun, 06 Nov-1994 08:49:37 GMT", "-1" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(parse(bad[i]), -1);
}

static int64_t retry_after(const char *value, const char *date)
{
	const struct http_header headers[] = { { "retry-after", value, strlen(value) }, { "date", date, date != NULL ? strlen(date) : 0 } };
	const struct http_reply reply = { .status = 429, .headers = headers, .n_headers = date != NULL ? 2 : 1 };

	return http_reply_retry_after_ms(&reply, INT64_C(784111770000));
}

static void test_http_date_tells_when_to_retry(void **state)
{
	const struct http_reply none = { .status = 429 };

	(void)state;
	assert_int_equal(http_reply_retry_after_ms(&none, 0), 0);
	assert_int_equal(retry_after("120", NULL), 120000);
	assert_int_equal(retry_after("0", NULL), 0);
	assert_int_equal(retry_after("99999999999999999999999", NULL), 86400000);
	assert_int_equal(retry_after("12x", NULL), 0);
	assert_int_equal(retry_after("-5", NULL), 0);
	assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", NULL), 7000);
	assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT"), 30000);   /* by its own clock */
	assert_int_equal(retry_after("Sun, 06 Nov 1994 08:49:00 GMT", NULL), 0);
	assert_int_equal(retry_after("soon", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_date_reads_all_forms),
		cmocka_unit_test(test_http_date_refuses_the_rest),
		cmocka_unit_test(test_http_date_tells_when_to_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
