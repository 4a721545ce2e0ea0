/* test_gateway_http_url.c: which URLs a provider may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dispatch/gateway_http_url.h"

static struct gateway_http_url url;
static char err[256];

static void expect(const char *text, bool tls, const char *host, unsigned port, const char *path, bool local)
{
	assert_int_equal(gateway_http_url_parse(text, &url, err, sizeof err), 0);
	assert_int_equal(url.tls, tls);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.path, path);
	assert_int_equal(gateway_http_url_is_local(&url), local);
}

static void test_gateway_http_url_parses(void **state)
{
	(void)state;
	expect("https://sms.example.com/send", true, "sms.example.com", 443, "/send", false);
	expect("HTTP://127.1.2.3:8080/a?b=c&d", false, "127.1.2.3", 8080, "/a?b=c&d", true);
	expect("http://localhost", false, "localhost", 80, "", true);
	expect("http://[::1]:65535/", false, "::1", 65535, "/", true);
	expect("https://[2001:db8::1]", true, "2001:db8::1", 443, "", false);
	expect("http://localhost.example.com/", false, "localhost.example.com", 80, "/", false);
	expect("http://128.0.0.1/", false, "128.0.0.1", 80, "/", false);
}

static void test_gateway_http_url_explains_what_is_wrong(void **state)
{
	static const char *const bad[][2] = {
		{ "ftp://x/", "https://" }, { "x", "https://" }, { "", "https://" }, { "http://", "host" }, { "http:///x", "host" },
		{ "http://:80/", "host" }, { "http://h:/", "port" }, { "http://h:0/", "port" }, { "http://h:65536/", "port" },
		{ "http://h:99999999999999/", "port" }, { "http://h:8x/", "port" }, { "http://u:geheim@h/", "password_file" },
		{ "http://[::1/", "]" }, { "http://[::1]x/", "port" }, { "http://h?x", "/" }, { "http://h/#x", "%23" }, { "http://h/a b", "%XX" },
		{ "http://h/\xc3\xa4", "%XX" }, { "http://h\xc3\xa4/", "xn--" }, { "http://h\\x/", "host name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_true(gateway_http_url_parse(bad[i][0], &url, err, sizeof err) < 0);
		assert_non_null(strstr(err, bad[i][1]));
		assert_null(strstr(err, "geheim"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gateway_http_url_parses),
		cmocka_unit_test(test_gateway_http_url_explains_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
