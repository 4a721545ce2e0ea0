/* What the log promises: one parseable line an event, limits per call site, nothing of a phone number but its end. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/base/log.h"

static char path[] = "/tmp/test_log.XXXXXX";
static char rotated[64];

static int setup(void **state)
{
	(void)state;
	strcpy(path + sizeof path - 7, "XXXXXX");
	int fd = mkstemp(path);

	if (fd < 0)
		return -1;
	close(fd);
	snprintf(rotated, sizeof rotated, "%s.1", path);
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_KV);
	return log_open(path);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(rotated);
	return log_open(NULL);
}

static char *slurp(const char *name)
{
	static char data[1 << 20];
	FILE *f = fopen(name, "r");
	size_t n;

	assert_non_null(f);
	n = fread(data, 1, sizeof data - 1, f);
	data[n] = '\0';
	fclose(f);
	return data;
}

static size_t count_lines(const char *s)
{
	size_t n = 0;

	while ((s = strchr(s, '\n')) != NULL) {
		n++;
		s++;
	}
	return n;
}

static void test_log_kv_line(void **state)
{
	(void)state;
	log_info("redis connected", LOG_STR("host", "127.0.0.1"), LOG_INT("port", -6379), LOG_STR("odd", "a b=\"c\""), LOG_STR("none", NULL),
		 LOG_STR("empty", ""), LOG_BOOL("tls", true), LOG_STRN("cut", "abcdef", 3));
	const char *s = slurp(path);

	assert_non_null(strstr(s, " level=info msg=\"redis connected\" host=127.0.0.1 port=-6379 odd=\"a b=\\\"c\\\"\" none=- empty=\"\" tls=true cut=abc\n"));
	assert_memory_equal(s, "ts=2", 4);
	assert_int_equal(strchr(s, ' ') - s, strlen("ts=2025-01-01T00:00:00.000Z"));
}

static void test_log_json_line_is_json(void **state)
{
	(void)state;
	json_error_t error;

	log_set_format(LOG_FORMAT_JSON);
	log_error("bad \"thing\"", LOG_STR("raw", "a\x01\xff\xc3\xa9\n"), LOG_UINT("n", UINT64_MAX / 2), LOG_STR("none", NULL), LOG_INT("min", INT64_MIN));
	json_t *line = json_loads(slurp(path), 0, &error);

	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "msg")), "bad \"thing\"");
	assert_string_equal(json_string_value(json_object_get(line, "raw")), "a\x01\xef\xbf\xbd\xc3\xa9\n");
	assert_true(json_integer_value(json_object_get(line, "min")) == INT64_MIN);
	assert_true(json_is_null(json_object_get(line, "none")));
	json_decref(line);
}

static void test_log_phone_is_masked(void **state)
{
	(void)state;
	log_info("to", LOG_PHONE("to", "+4915112345678"), LOG_PHONE("short", "123"), LOG_PHONE("long", "+49151123456780000000000000000000000"));
	const char *s = slurp(path);

	assert_non_null(strstr(s, "to=+**********678 "));
	assert_non_null(strstr(s, "short=*** "));
	assert_null(strstr(s, "151"));
}

static void test_log_long_lines_are_cut_and_stay_whole(void **state)
{
	(void)state;
	static char big[9000];
	json_error_t error;

	log_set_format(LOG_FORMAT_JSON);
	memset(big, '\x01', sizeof big - 1);
	log_info("big", LOG_STR("a", big), LOG_STR("b", "small"), LOG_STR("c", big));
	memset(big, 'x', sizeof big - 1);
	log_info("big", LOG_STR("a", big), LOG_STR("b", big), LOG_STR("c", big), LOG_STR("d", big), LOG_STR("e", big), LOG_INT("n", 1));
	char *s = slurp(path);

	for (char *line = strtok(s, "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(strlen(line) < LOG_LINE_MAX);
		json_t *object = json_loads(line, 0, &error);

		assert_non_null(object);
		assert_true(json_is_true(json_object_get(object, "cut")));
		json_decref(object);
	}
}

static void test_log_levels(void **state)
{
	(void)state;
	enum log_level level = LOG_LEVEL_INFO;

	log_debug("hidden");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("hidden");
	log_report("asked for");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("shown");
	const char *s = slurp(path);

	assert_null(strstr(s, "hidden"));
	assert_non_null(strstr(s, "msg=\"asked for\""));
	assert_non_null(strstr(s, "level=debug msg=shown"));
	assert_int_equal(log_level_parse("warn", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_WARN);
}

static void test_log_site_is_limited_and_counted(void **state)
{
	(void)state;
	struct log_counters before, after;

	log_counters(&before);
	for (int i = 0; i < 100; i++)
		log_warn("storm", LOG_INT("i", i));
	log_warn("another site");
	log_counters(&after);
	assert_int_equal(count_lines(slurp(path)), LOG_BURST + 1);
	assert_int_equal(after.suppressed_total - before.suppressed_total, 100 - LOG_BURST);
	for (int i = 0; i < 100; i++)
		log_report("asked for");
	assert_int_equal(count_lines(slurp(path)), LOG_BURST + 101);
}

static void test_log_site_says_what_it_suppressed(void **state)
{
	(void)state;
	static struct log_site site;    /* sites are never let go */

	for (int i = 0; i < LOG_BURST + 5; i++)
		log_write(&site, LOG_LEVEL_WARN, "storm", NULL, 0);
	site.window_us -= LOG_WINDOW_MS * 1000L;       /* as if that time had passed */
	log_write(&site, LOG_LEVEL_WARN, "storm", NULL, 0);
	assert_non_null(strstr(slurp(path), "suppressed=5\n"));
	for (int i = 0; i < LOG_BURST + 6; i++)
		log_write(&site, LOG_LEVEL_WARN, "storm", NULL, 0);
	log_tick();
	assert_null(strstr(slurp(path), "lines suppressed"));
	site.window_us -= LOG_WINDOW_MS * 1000L;
	log_tick();
	assert_non_null(strstr(slurp(path), "msg=\"lines suppressed\" of=storm count=7\n"));
}

static void test_log_reopen_after_rotation(void **state)
{
	(void)state;
	log_info("before");
	assert_int_equal(rename(path, rotated), 0);
	log_info("between");
	assert_int_equal(log_reopen(), 0);
	log_info("after");
	assert_non_null(strstr(slurp(rotated), "msg=between"));
	assert_null(strstr(slurp(rotated), "msg=after"));
	assert_non_null(strstr(slurp(path), "msg=after"));
	assert_true(log_open("/nonexistent/dir/file") == -ENOENT);
	log_info("still here");
	assert_non_null(strstr(slurp(path), "still here"));
}

static void *writer(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_report("line of a thread", LOG_STR("pad", "0123456789012345678901234567890123456789"), LOG_INT("thread", *(int *)arg), LOG_INT("i", i));
	return NULL;
}

static void test_log_threads_do_not_mix(void **state)
{
	(void)state;
	pthread_t threads[4];
	int ids[4] = { 0, 1, 2, 3 };
	size_t seen = 0;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, writer, &ids[i]), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(log_reopen(), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (char *line = strtok(slurp(path), "\n"); line; line = strtok(NULL, "\n")) {
		int thread, i, used = 0;

		assert_int_equal(sscanf(line, "ts=%*s level=info msg=\"line of a thread\" pad=%*s thread=%d i=%d%n", &thread, &i, &used), 2);
		assert_int_equal(line[used], '\0');
		seen++;
	}
	assert_int_equal(seen, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_log_kv_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_json_line_is_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_phone_is_masked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_long_lines_are_cut_and_stay_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_site_is_limited_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_site_says_what_it_suppressed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_reopen_after_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_threads_do_not_mix, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
