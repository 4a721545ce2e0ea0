/* test_table.c: tables that fit, and the ways of writing numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/base/check.h"
#include "daemon/ctl/table.h"

static const struct table_column columns[] = { { "name", false, true }, { "n", true, false }, { "what", false, true } };

static char *render(struct table *t, unsigned width, bool colour)
{
	struct buf out = { 0 };
	char *text;

	table_render(t, width, colour, &out);
	text = strndup(out.data, out.len);
	buf_fini(&out);
	table_fini(t);
	return text;
}

static void test_table_aligns_columns(void **state)
{
	struct table t;
	char *text;

	(void)state;
	table_init(&t, columns, ARRAY_LEN(columns));
	table_put(&t, "acme");
	table_put_int(&t, 1234567);
	table_put(&t, "fine");
	table_put(&t, "b");
	table_put_int(&t, 5);
	table_put(&t, "");
	text = render(&t, 80, false);
	assert_string_equal(text, "name          n  what\n"
				  "acme  1,234,567  fine\n"
				  "b             5  \n");
	free(text);
}

static void test_table_cuts_cells_to_fit_the_width(void **state)
{
	char wide[200], *text, *save = NULL;
	struct table t;

	(void)state;
	memset(wide, 'x', sizeof wide - 1);
	wide[sizeof wide - 1] = '\0';
	table_init(&t, columns, ARRAY_LEN(columns));
	table_put(&t, wide);
	table_put(&t, "1");
	table_put(&t, wide);
	text = render(&t, 80, false);
	assert_non_null(strstr(text, "x~  1  x"));
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 80);
	free(text);
}

/* A reply must not write to the terminal's state: an id with an escape sequence in it comes out as text. */
static void test_table_defuses_control_bytes(void **state)
{
	struct table t;
	char *text;

	(void)state;
	table_init(&t, columns, ARRAY_LEN(columns));
	table_put(&t, "a\033[2Jb\n");
	table_put(&t, "1");
	table_put(&t, "\302\265s");
	text = render(&t, 80, true);
	assert_non_null(strstr(text, "a?[2Jb?"));
	assert_non_null(strstr(text, "\302\265s"));
	assert_non_null(strstr(text, "\033[1m"));
	free(text);
}

static void test_table_formats(void **state)
{
	char s[28];

	(void)state;
	assert_string_equal(format_count(0, s), "0");
	assert_string_equal(format_count(999, s), "999");
	assert_string_equal(format_count(-1000, s), "-1,000");
	assert_string_equal(format_count(INT64_MIN, s), "-9,223,372,036,854,775,808");
	assert_string_equal(format_us(950, s), "950us");
	assert_string_equal(format_us(12345, s), "12.3ms");
	assert_string_equal(format_us(345678, s), "346ms");
	assert_string_equal(format_us(4560000, s), "4.56s");
	assert_string_equal(format_us(187000000, s), "3m 07s");
	assert_string_equal(format_us(7500LL * 1000000, s), "2h 05m");
	assert_string_equal(format_us(3 * 86400LL * 1000000, s), "3d 00h");
	assert_string_equal(format_bytes(999, s), "999 B");
	assert_string_equal(format_bytes(34100000, s), "34.1 MB");
	assert_string_equal(format_bytes(812000, s), "812 kB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_aligns_columns),
		cmocka_unit_test(test_table_cuts_cells_to_fit_the_width),
		cmocka_unit_test(test_table_defuses_control_bytes),
		cmocka_unit_test(test_table_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
