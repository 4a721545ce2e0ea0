/* test_country.c: country codes by their assignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dispatch/country.h"

static void expect(const char *to, const char *code)
{
	char ret[4];

	country_code(to, ret);
	assert_string_equal(ret, code);
}

static void test_country_takes_the_longest_assigned_code(void **state)
{
	(void)state;
	expect("+491701234567", "49");
	expect("+12025550123", "1");
	expect("+79161234567", "7");
	expect("+358401234567", "358");
	expect("+35312345678", "353");
	expect("+8613912345678", "86");
	expect("+85212345678", "852");
	expect("+420601123456", "420");
	expect("+211912345678", "211");
	expect("+201001234567", "20");
	expect("+9613123456", "961");
	expect("+99890123456", "998");
	expect("+34600123456", "34");
	expect("+390612345678", "39");
	expect("+67112345678", "");
}

static void test_country_of_what_is_none_is_empty(void **state)
{
	(void)state;
	expect("", "");
	expect("+", "");
	expect("+4", "");
	expect("491701234567", "");
	expect("+0123456789", "");
	expect("+2101234567", "");
	expect("+9991234567", "");
	expect("+3841234567", "");
	expect("+4x1234", "");
	expect("+25", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_country_takes_the_longest_assigned_code),
		cmocka_unit_test(test_country_of_what_is_none_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
