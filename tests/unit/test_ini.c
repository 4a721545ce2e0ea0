/* The INI reader: what it takes, what it refuses, and that every complaint has its line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/ini.h"

static char seen[4096];

static void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *fmt, ...)
{
	size_t n = strlen(seen);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(seen + n, sizeof seen - n, fmt, ap);
	va_end(ap);
}

static void on_section(const char *section, const char *name, int line, void *arg)
{
	(void)arg;
	add("%d[%s|%s]", line, section, name);
}

static void on_value(const char *key, const char *value, int line, void *arg)
{
	(void)arg;
	add("%d{%s|%s}", line, key, value);
}

static void on_error(int line, const char *what, void *arg)
{
	(void)arg;
	(void)what;
	add("%d!", line);
}

static int parse(const char *data, size_t len)
{
	const struct ini_handler handler = { on_section, on_value, on_error, NULL };

	seen[0] = '\0';
	return ini_parse(data, len, &handler);
}

#define EXPECT(text, rc, want) \
	do { \
		assert_int_equal(parse(text, sizeof(text) - 1), rc); \
		assert_string_equal(seen, want); \
	} while (0)

static void test_ini_sections_and_values(void **state)
{
	(void)state;
	EXPECT("[a]\nk=v\n  key.with-dots_2 =  v w  \n[provider acme]\r\nk = 1\r\n", 0,
	       "1[a|]2{k|v}3{key.with-dots_2|v w}4[provider|acme]5{k|1}");
	EXPECT("[  provider   acme  ]\nlast = no newline", 0, "1[provider|acme]2{last|no newline}");
	EXPECT("", 0, "");
	EXPECT("\xef\xbb\xbf[a]\n", 0, "1[a|]");
	EXPECT("k =\n", 0, "1{k|}");
}

static void test_ini_comments(void **state)
{
	(void)state;
	EXPECT("; c\n # d\n[a] ; e\nk = v ; f\nl = v#g;h\nm = v\t# i\nn = ; j\n", 0, "3[a|]4{k|v}5{l|v#g;h}6{m|v}7{n|}");
}

static void test_ini_quotes(void **state)
{
	(void)state;
	EXPECT("k = \"  a ; b # c  \" ; d\n", 0, "1{k|  a ; b # c  }");
	EXPECT("k = \"a \\\" b \\\\ c \\n\"\n", 0, "1{k|a \" b \\ c \\n}");
	EXPECT("k = a \"b\" c\n", 0, "1{k|a \"b\" c}");
	EXPECT("k = \"open\nl = \"a\" b\nm = 1\n", -EINVAL, "1!2!3{m|1}");
}

static void test_ini_errors_have_lines_and_do_not_stop(void **state)
{
	(void)state;
	EXPECT("[a\nnonsense\n[b] c\n= v\nk k = v\n[]\n[a b c]\nk = v\n", -EINVAL, "1!2!3!4!5!6!7!8{k|v}");
	assert_int_equal(parse("k = \0v\nl = 1\n", 13), -EINVAL);
	assert_string_equal(seen, "1!2{l|1}");
}

static void test_ini_long_lines(void **state)
{
	(void)state;
	size_t len = INI_LINE_MAX + 1;
	char *text = malloc(len + 8);

	memset(text, 'x', len);
	memcpy(text, "k = ", 4);
	assert_int_equal(parse(text, INI_LINE_MAX), 0);
	memcpy(text + len, "\nl=1", 4);
	assert_int_equal(parse(text, len + 4), -EINVAL);
	assert_string_equal(seen, "1!2{l|1}");
	free(text);
}

static void test_ini_read_file(void **state)
{
	(void)state;
	char path[] = "/tmp/test_ini.XXXXXX";
	int fd = mkstemp(path);
	struct buf buf = { 0 };

	assert_true(fd >= 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "0123456789", 10), 10);
	close(fd);
	assert_int_equal(ini_read_file(path, 10000, &buf), 0);
	assert_int_equal(buf.len, 10000);
	assert_int_equal(ini_read_file(path, 9999, &buf), -EFBIG);
	unlink(path);
	assert_int_equal(ini_read_file(path, 9999, &buf), -ENOENT);
	assert_int_equal(ini_read_file("/tmp", 9999, &buf), -EISDIR);
	buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ini_sections_and_values),
		cmocka_unit_test(test_ini_comments),
		cmocka_unit_test(test_ini_quotes),
		cmocka_unit_test(test_ini_errors_have_lines_and_do_not_stop),
		cmocka_unit_test(test_ini_long_lines),
		cmocka_unit_test(test_ini_read_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
