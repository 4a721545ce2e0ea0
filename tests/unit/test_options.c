/* The option table against itself and against the files that are made from it. Run from the top of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "daemon/ini.h"
#include "daemon/options.h"

static void test_options_table_is_sound(void **state)
{
	(void)state;
	char err[256];

	for (size_t i = 0; i < options_count; i++) {
		const struct options_entry *o = &options_table[i];
		struct config config = { 0 };
		struct provider_options provider = { 0 };
		const struct option_section *section = options_find_section(o->section);
		void *base = section != NULL && section->named ? (void *)&provider : (void *)&config;

		if (section == NULL || options_find(o->section, o->key) != o || o->help == NULL || o->help[strlen(o->help) - 1] != '.')
			fail_msg("[%s] %s: no section, twice in the table, or no help", o->section, o->key);
		if (o->def == NULL && o->example == NULL)
			fail_msg("[%s] %s: neither a default nor an example", o->section, o->key);
		if (o->type != OPTION_SECRET && !options_set(o, base, o->def ? o->def : o->example, err, sizeof err))
			fail_msg("[%s] %s: its own default is wrong: %s", o->section, o->key, err);
		if (o->type == OPTION_UINT && (o->size != 4 && o->size != 8))
			fail_msg("[%s] %s: a field of %zu bytes", o->section, o->key, o->size);
		if ((o->type == OPTION_UINT || o->type == OPTION_STRING) && o->max <= o->min)
			fail_msg("[%s] %s: no range", o->section, o->key);
	}
}

static void expect_file(const char *path, const struct buf *want)
{
	struct buf is = { 0 };

	if (ini_read_file(path, INI_FILE_MAX, &is) < 0)
		fail_msg("%s can't be read from here", path);
	if (is.len != want->len || memcmp(is.data, want->data, is.len) != 0)
		fail_msg("%s is not what the table makes of it: build/smstrackd --print-sample (--print-man) writes it", path);
	buf_fini(&is);
}

static void test_options_sample_is_the_tables(void **state)
{
	(void)state;
	struct buf out = { 0 };

	options_print_sample(&out);
	assert_false(out.oom);
	expect_file("etc/smstrackd.conf", &out);
	buf_fini(&out);
}

static void test_options_man_page_is_the_tables(void **state)
{
	(void)state;
	struct buf out = { 0 };

	options_print_man(&out);
	assert_false(out.oom);
	expect_file("etc/man/smstrackd.conf.5", &out);
	buf_fini(&out);
}

static void test_options_sample_is_valid(void **state)
{
	(void)state;
	struct buf out = { 0 }, errors = { 0 };
	struct config *config;

	options_print_sample(&out);
	config = config_parse("etc/smstrackd.conf", out.data, out.len, &errors);
	if (config == NULL)
		fail_msg("%.*s", (int)errors.len, errors.data);
	assert_int_equal(errors.len, 0);
	assert_int_equal(config->n_providers, 1);
	config_free(config);
	buf_fini(&out);
	buf_fini(&errors);
}

static void test_options_nearest(void **state)
{
	(void)state;
	assert_string_equal(options_nearest("daemon", "in_flight"), "inflight");
	assert_string_equal(options_nearest("daemon", "inflihgt"), "inflight");
	assert_string_equal(options_nearest("daemon", "log-level"), "log_level");
	assert_string_equal(options_nearest("redis", "password"), "password_file");
	assert_string_equal(options_nearest("provider", "timeout"), "timeout_ms");
	assert_string_equal(options_nearest("kafak", NULL), "kafka");
	assert_string_equal(options_nearest("Providers", NULL), "provider");
	assert_null(options_nearest("daemon", "colour_of_the_sky"));
	assert_null(options_nearest("daemon", "x"));
}

static bool sets(const char *section, const char *key, const char *text, void *base)
{
	char err[256];

	return options_set(options_find(section, key), base, text, err, sizeof err);
}

static void test_options_set_numbers(void **state)
{
	(void)state;
	struct config c = { 0 };
	struct provider_options p = { 0 };

	assert_true(sets("daemon", "inflight", "1000000", &c));
	assert_int_equal(c.daemon.inflight, 1000000);
	assert_true(sets("daemon", "workers", "auto", &c));
	assert_true(sets("provider", "daily_cap", "1000000000000", &p));
	assert_true(p.daily_cap == 1000000000000ULL);
	static const char *const wrong[] = { "0", "1000001", "-1", "+5", "5x", "", " 5", "0x10", "1e3", "99999999999999999999", "auto" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(sets("daemon", "inflight", wrong[i], &c));
	assert_int_equal(c.daemon.inflight, 1000000);
}

static void test_options_set_words(void **state)
{
	(void)state;
	struct config c = { 0 };
	struct provider_options p = { 0 };

	assert_true(sets("daemon", "log_level", "error", &c) && c.daemon.log_level == LOG_LEVEL_ERROR);
	assert_true(sets("daemon", "log_format", "json", &c) && c.daemon.log_format == LOG_FORMAT_JSON);
	assert_true(sets("send", "on_uncertain", "hold", &c) && c.send.on_uncertain == STORE_HOLD);
	assert_true(sets("kafka", "start", "latest", &c) && c.kafka.source.start == KAFKA_START_LATEST);
	assert_false(sets("daemon", "log_level", "erro", &c));
	assert_false(sets("daemon", "log_level", "", &c));
	assert_true(sets("provider", "split", "provider", &p) && p.split_provider);
	assert_true(sets("provider", "split", "us", &p) && !p.split_provider);
	assert_true(sets("provider", "dry_run", "on", &p) && p.dry_run);
	assert_true(sets("provider", "dry_run", "false", &p) && !p.dry_run);
	assert_false(sets("provider", "dry_run", "maybe", &p));
	assert_true(sets("redis", "durability", "replicas:2", &c) && c.store.durability == STORE_REPLICAS && c.store.replicas == 2);
	assert_true(sets("redis", "durability", "aof", &c) && c.store.durability == STORE_AOF);
	assert_false(sets("redis", "durability", "replicas:", &c));
	assert_false(sets("redis", "durability", "replicas:0", &c));
	assert_false(sets("redis", "durability", "replicas:2x", &c));
	assert_false(sets("daemon", "run_dir", "relative", &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_table_is_sound),
		cmocka_unit_test(test_options_sample_is_the_tables),
		cmocka_unit_test(test_options_man_page_is_the_tables),
		cmocka_unit_test(test_options_sample_is_valid),
		cmocka_unit_test(test_options_nearest),
		cmocka_unit_test(test_options_set_numbers),
		cmocka_unit_test(test_options_set_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
