/* Unit tests of metrics/msgpack. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/msgpack.h"

static char data[70000];

static void test_msgpack_uint_takes_the_shortest_form(void **state)
{
	static const struct {
		uint64_t n;
		size_t len;
		uint8_t tag;
	} cases[] = {
		{ 0, 1, 0 }, { 127, 1, 0x7f }, { 128, 2, 0xcc }, { 255, 2, 0xcc }, { 256, 3, 0xcd }, { 65535, 3, 0xcd },
		{ 65536, 5, 0xce }, { UINT32_MAX, 5, 0xce }, { (uint64_t)UINT32_MAX + 1, 9, 0xcf }, { UINT64_MAX, 9, 0xcf },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *end = msgpack_put_uint(data, cases[i].n);
		struct msgpack_reader r = { data, end };
		struct msgpack_item item;

		assert_int_equal(end - data, cases[i].len);
		assert_int_equal((uint8_t)data[0], cases[i].tag);
		assert_int_equal(msgpack_next(&r, &item), 0);
		assert_int_equal(item.type, MSGPACK_UINT);
		assert_true(item.n == cases[i].n);
		assert_ptr_equal(r.p, end);
	}
}

static void test_msgpack_str_round_trip(void **state)
{
	static const size_t lens[] = { 0, 1, 31, 32, 255, 256, 65535 };
	static char text[65536];

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		char *end = msgpack_put_str(data, text, lens[i]);
		struct msgpack_reader r = { data, end };
		struct msgpack_item item;

		assert_int_equal(msgpack_next(&r, &item), 0);
		assert_int_equal(item.type, MSGPACK_STR);
		assert_int_equal(item.n, lens[i]);
		assert_memory_equal(item.s, text, lens[i]);
		/* Cut anywhere, it is refused. */
		r = (struct msgpack_reader){ data, end - 1 };
		assert_int_equal(msgpack_next(&r, &item), -EBADMSG);
	}
}

static void test_msgpack_array_is_skipped_whole(void **state)
{
	char *p = msgpack_put_array(data, 20);
	struct msgpack_reader r;
	struct msgpack_item item;

	(void)state;
	for (int i = 0; i < 18; i++)
		p = msgpack_put_uint(p, 1000);
	p = msgpack_put_array(p, 2);
	p = msgpack_put_false(p);
	p = msgpack_put_str(p, "in", 2);
	p = msgpack_put_false(p);
	p = msgpack_put_uint(p, 7);
	r = (struct msgpack_reader){ data, p };
	assert_int_equal(msgpack_next(&r, &item), 0);
	assert_int_equal(item.type, MSGPACK_ARRAY);
	assert_int_equal(item.n, 20);
	assert_int_equal(msgpack_skip(&r, &item), 0);
	assert_int_equal(msgpack_next(&r, &item), 0);
	assert_int_equal(item.n, 7);
	assert_int_equal(msgpack_next(&r, &item), -EBADMSG);
}

static void test_msgpack_reads_what_it_never_writes(void **state)
{
	static const char signed_ints[] = "\xff\xd0\x80\xd1\xff\xff\xd1\x7f\xff\xc3\xc0\xcb\x3f\xf0\0\0\0\0\0\0\xc4\x01z";
	struct msgpack_reader r = { signed_ints, signed_ints + sizeof signed_ints - 1 };
	static const enum msgpack_type types[] = { MSGPACK_INT, MSGPACK_INT, MSGPACK_INT, MSGPACK_UINT, MSGPACK_TRUE, MSGPACK_NIL,
						   MSGPACK_FLOAT, MSGPACK_STR };
	static const int64_t values[] = { -1, -128, -1, 32767 };
	struct msgpack_item item;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		assert_int_equal(msgpack_next(&r, &item), 0);
		assert_int_equal(item.type, types[i]);
		if (i < ARRAY_LEN(values))
			assert_int_equal(item.i, values[i]);
	}
	assert_ptr_equal(r.p, r.end);
}

static void test_msgpack_garbage_is_refused(void **state)
{
	static const char *const bad[] = { "\x80", "\xc1", "\xc7\x01\x01\x01", "\xde\x00\x01", "\xcc", "\xdc\x00", "\xd9\x05xyz" };
	char deep[32];
	struct msgpack_reader r;
	struct msgpack_item item;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		r = (struct msgpack_reader){ bad[i], bad[i] + (strlen(bad[i]) > 0 ? strlen(bad[i]) : 1) };
		assert_int_equal(msgpack_next(&r, &item), -EBADMSG);
	}
	memset(deep, (char)0x91, sizeof deep);
	r = (struct msgpack_reader){ deep, deep + sizeof deep };
	assert_int_equal(msgpack_next(&r, &item), 0);
	assert_int_equal(msgpack_skip(&r, &item), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msgpack_uint_takes_the_shortest_form),
		cmocka_unit_test(test_msgpack_str_round_trip),
		cmocka_unit_test(test_msgpack_array_is_skipped_whole),
		cmocka_unit_test(test_msgpack_reads_what_it_never_writes),
		cmocka_unit_test(test_msgpack_garbage_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
