/* A request's JSON: what is taken, and the words for what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/admin/body.h"

static char err[256];

static struct body *parse(const char *text)
{
	err[0] = '\0';
	return body_parse(text, strlen(text), err, sizeof err);
}

static void test_body_members(void **state)
{
	(void)state;
	struct body *body = parse("{\"s\":\"x\",\"i\":-5,\"b\":true,\"f\":1.5}");
	int64_t i = 0;
	bool b = false;

	assert_non_null(body);
	assert_string_equal(body_str(body, "s"), "x");
	assert_null(body_str(body, "i"));
	assert_null(body_str(body, "none"));
	assert_true(body_int(body, "i", &i) && i == -5);
	assert_false(body_int(body, "f", &i) || body_int(body, "s", &i));
	assert_true(body_bool(body, "b", &b) && b);
	assert_false(body_bool(body, "i", &b));
	assert_true(body_has(body, "f") && !body_has(body, "g"));
	body_free(body);
}

static void test_body_refusals(void **state)
{
	(void)state;
	static const char *const wrong[] = { "[]", "5", "{", "{\"a\":1,\"a\":2}", "{}x", "\"s\"", "null", "{\"a\":\"\xff\"}" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_null(parse(wrong[i]));
		assert_true(strlen(err) > 0);
	}
}

static void test_body_empty_is_an_empty_object(void **state)
{
	(void)state;
	struct body *body = parse("");

	assert_non_null(body);
	assert_false(body_has(body, "a"));
	body_free(body);
}

static void test_body_unknown_members(void **state)
{
	(void)state;
	static const char *const names[] = { "state", "wait" };
	struct body *body = parse("{\"state\":1,\"stat\":2}");

	assert_non_null(body);
	assert_false(body_has_only(body, names, 2, err, sizeof err));
	assert_string_equal(err, "unknown member \"stat\"; known: state, wait");
	body_free(body);
	body = parse("{\"state\":1}");
	assert_true(body_has_only(body, names, 1, err, sizeof err));
	body_free(body);
}

static void test_body_print_keeps_the_order(void **state)
{
	(void)state;
	struct body *body = parse("{ \"to\" : \"+49\", \"text\" : \"\xc3\xa9\" }");
	struct buf out = { 0 };

	assert_non_null(body);
	assert_int_equal(body_set_str(body, "id", "x"), 0);
	body_print(body, &out);
	buf_putc(&out, '\0');
	assert_string_equal(out.data, "{\"to\":\"+49\",\"text\":\"\xc3\xa9\",\"id\":\"x\"}");
	buf_fini(&out);
	body_free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body_members),
		cmocka_unit_test(test_body_refusals),
		cmocka_unit_test(test_body_empty_is_an_empty_object),
		cmocka_unit_test(test_body_unknown_members),
		cmocka_unit_test(test_body_print_keeps_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
