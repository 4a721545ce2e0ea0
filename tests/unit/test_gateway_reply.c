/* test_gateway_reply.c: what is found in replies, and what is not taken from them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dispatch/gateway_reply.h"

static void expect_id(const char *text, const char *body, const char *want)
{
	struct gateway_reply_path path;
	char id[65] = "";
	size_t n;

	assert_int_equal(gateway_reply_path_init(&path, text), 0);
	n = gateway_reply_id(&path, body, strlen(body), id, 64);
	assert_int_equal(n, strlen(want));
	assert_string_equal(id, want);
}

static void test_gateway_reply_finds_ids(void **state)
{
	(void)state;
	expect_id("id", "{\"id\":\"p-1\"}", "p-1");
	expect_id("id", " { \"x\": 1, \"id\" : \"p-1\" } ", "p-1");
	expect_id("id", "{\"id\":\"a\\u0062\\/c\"}", "ab/c");
	expect_id("id", "{\"id\":12345678901}", "12345678901");
	expect_id("id", "{\"id\":-7}", "-7");
	expect_id("id", "{\"id\":\"a\",\"b\":\"c\"}", "a");
	expect_id("sid", "{\"id\":\"no\",\"sid\":\"SM1\"}", "SM1");
	expect_id("messages.1.sid", "{\"messages\":[{\"sid\":\"a\"},{\"sid\":\"b\"}]}", "b");
	expect_id("0", "[\"x\"]", "x");
	expect_id("a.0.b", "{\"a\":{\"0\":{\"b\":\"key\"}}}", "key");
}

static void test_gateway_reply_takes_no_id_from_nonsense(void **state)
{
	static const char *const bodies[] = { "", "x", "{\"id\":\"\"}", "{\"id\":\"a b\"}", "{\"id\":\"a\\nb\"}", "{\"id\":null}", "{\"id\":1.5}",
		"{\"id\":[\"a\"]}", "{\"id\":\"a\",\"id\":\"b\"}", "{\"id\":\"a\"} x", "{\"id\":\"a\"", "{\"id\":\"\xc3\xa4\"}", "{\"ID\":\"a\"}",
		"{\"id\":\"0123456789012345678901234567890123456789012345678901234567890123x\"}", "[1]", "\"id\"", "{\"id\":\"a\\u0000\"}",
		"{\"id\":\"", "{\"id\":\"}", "{\"id\":\"\"}\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		expect_id("id", bodies[i], "");
	expect_id("a.1", "{\"a\":[\"x\"]}", "");
	expect_id("a.x", "{\"a\":[\"x\"]}", "");
	expect_id("a.99999999999999999999", "{\"a\":[\"x\"]}", "");
	expect_id("a.b.c", "{\"a\":\"x\"}", "");
	expect_id("", "{\"id\":\"a\"}", "");
}

static void test_gateway_reply_checks_paths(void **state)
{
	static const char *const bad[] = { ".", "a.", ".a", "a..b", "1.2.3.4.5.6.7.8.9" };
	struct gateway_reply_path path;
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(gateway_reply_path_init(&path, bad[i]), -EINVAL);
	memset(longest, 'a', sizeof longest);
	longest[128] = '\0';
	assert_int_equal(gateway_reply_path_init(&path, longest), -EINVAL);
	assert_int_equal(gateway_reply_path_init(&path, "1.2.3.4.5.6.7.8"), 0);
	assert_int_equal(gateway_reply_path_init(&path, NULL), 0);
}

static void expect_code(const char *body, const char *want)
{
	struct gateway_reply_path path;
	char code[GATEWAY_REPLY_CODE_MAX + 1] = "";

	assert_int_equal(gateway_reply_path_init(&path, "code"), 0);
	assert_int_equal(gateway_reply_code(&path, body, strlen(body), code), strlen(want));
	assert_string_equal(code, want);
}

static void test_gateway_reply_finds_codes(void **state)
{
	(void)state;
	expect_code("{\"code\":21211,\"message\":\"The 'To' number is not valid\"}", "21211");
	expect_code("{\"code\":\"BAD_NUMBER\"}", "BAD_NUMBER");
	expect_code("{\"code\":\"invalid number +491701234567\"}", "");
	expect_code("{\"code\":\"491701234567\"}", "");
	expect_code("{\"code\":491701234567}", "");
	expect_code("{\"code\":\"a-code-that-is-longer-than-24\"}", "");
	expect_code("not json", "");
	expect_code("", "");
}

static void expect_kannel(const char *body, const char *want)
{
	char id[65] = "";

	assert_int_equal(gateway_reply_kannel_id(body, strlen(body), id, 64), strlen(want));
	assert_string_equal(id, want);
}

static void test_gateway_reply_reads_kannels_text(void **state)
{
	(void)state;
	expect_kannel("0: Accepted for delivery", "");
	expect_kannel("0: Accepted for delivery: 5f1d0a2e-9a7c-4b6e-8d54-9a2f6b1c0e11\n", "5f1d0a2e-9a7c-4b6e-8d54-9a2f6b1c0e11");
	expect_kannel("3: Queued for later delivery", "");
	expect_kannel("", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gateway_reply_finds_ids),
		cmocka_unit_test(test_gateway_reply_takes_no_id_from_nonsense),
		cmocka_unit_test(test_gateway_reply_checks_paths),
		cmocka_unit_test(test_gateway_reply_finds_codes),
		cmocka_unit_test(test_gateway_reply_reads_kannels_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
