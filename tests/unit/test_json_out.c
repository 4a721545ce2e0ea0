/* JSON that is written by hand is read back by a parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/json_out.h"

static void test_json_out_members_and_nesting(void **state)
{
	(void)state;
	struct buf buf = { 0 };
	struct json_out o = json_out_to(&buf);

	json_out_begin(&o, NULL, '{');
	json_out_str(&o, "a", "x\"y\\z\n");
	json_out_str(&o, "none", NULL);
	json_out_begin(&o, "list", '[');
	json_out_int(&o, NULL, INT64_MIN);
	json_out_uint(&o, NULL, 7);
	json_out_begin(&o, NULL, '{');
	json_out_end(&o, '}');
	json_out_end(&o, ']');
	json_out_begin(&o, "empty", '[');
	json_out_end(&o, ']');
	json_out_bool(&o, "yes", true);
	json_out_raw(&o, "raw", "{\"b\":1}", 7);
	json_out_end(&o, '}');
	buf_putc(&buf, '\0');
	assert_string_equal(buf.data, "{\"a\":\"x\\\"y\\\\z\\u000a\",\"none\":null,\"list\":[-9223372036854775808,7,{}],\"empty\":[],\"yes\":true,"
				      "\"raw\":{\"b\":1}}");
	buf_fini(&buf);
}

static void test_json_out_bytes_that_are_no_utf8(void **state)
{
	(void)state;
	static const char odd[] = "a\xff" "b\xc3\xa9\xe2\x82\xac\xed\xa0\x80\xf0\x9f\x98\x80\xc0\x80\xf5" "z\xe2\x82";
	struct buf buf = { 0 };
	struct json_out o = json_out_to(&buf);
	json_error_t error;
	json_t *json;

	json_out_begin(&o, NULL, '[');
	json_out_strn(&o, NULL, odd, sizeof odd - 1);
	json_out_strn(&o, NULL, "", 0);
	json_out_end(&o, ']');
	json = json_loadb(buf.data, buf.len, 0, &error);
	assert_non_null(json);
	assert_non_null(strstr(json_string_value(json_array_get(json, 0)), "b\xc3\xa9\xe2\x82\xac\xef\xbf\xbd"));
	assert_non_null(strstr(json_string_value(json_array_get(json, 0)), "\xf0\x9f\x98\x80"));
	assert_string_equal(json_string_value(json_array_get(json, 1)), "");
	json_decref(json);
	buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_out_members_and_nesting),
		cmocka_unit_test(test_json_out_bytes_that_are_no_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
