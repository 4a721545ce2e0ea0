/* test_gsm7.c: how texts are counted and cut, and the header of the parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dispatch/gsm7.h"

static char text[4096];

/* `n` times `unit`. */
static size_t fill(const char *unit, size_t n)
{
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		strcat(text, unit);
	return strlen(text);
}

static void expect_parts(const char *unit, size_t n, unsigned parts)
{
	assert_int_equal(gsm7_parts(text, fill(unit, n)), parts);
}

static void test_gsm7_counts_septets(void **state)
{
	(void)state;
	expect_parts("a", 0, 1);
	expect_parts("a", 160, 1);
	expect_parts("a", 161, 2);
	expect_parts("a", 306, 2);
	expect_parts("a", 307, 3);
	expect_parts("a", 1530, 10);
	expect_parts("a", 1531, 11);
	expect_parts("€", 80, 1);
	expect_parts("€", 81, 2);
	expect_parts("€", 152, 2);      /* 76 escapes a part: the 153rd septet stays empty */
	expect_parts("€", 153, 3);
}

static void test_gsm7_counts_utf16_units(void **state)
{
	(void)state;
	expect_parts("я", 70, 1);
	expect_parts("я", 71, 2);
	expect_parts("я", 134, 2);
	expect_parts("я", 135, 3);
	expect_parts("😀", 35, 1);
	expect_parts("😀", 36, 2);
	expect_parts("😀", 66, 2);       /* 33 pairs a part: a pair is never split over 67 */
	expect_parts("😀", 67, 3);
}

static void test_gsm7_knows_its_alphabet(void **state)
{
	static const char all[] =
		"@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
		"¿abcdefghijklmnopqrstuvwxyzäöñüà\f^{}\\[~]|€";
	static const char *const others[] = { "`", "ç", "ê", "Α", "\t", "\x1b", "\x7f", "’", "\xff", "😀" };

	(void)state;
	assert_true(gsm7_fits(all, sizeof all - 1));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(gsm7_fits(others[i], strlen(others[i])));
}

static void expect_cut(enum gsm7_ref ref, unsigned max_units)
{
	struct gsm7_slice slices[32];
	bool ucs2;
	size_t len = strlen(text), at = 0;
	unsigned n = gsm7_split(text, len, ref, slices, 32, &ucs2);

	assert_true(n <= 32);
	for (unsigned i = 0; i < n; i++) {
		size_t units = 0;

		assert_int_equal(slices[i].start, at);
		at += slices[i].len;
		assert_true(at == len || (text[at] & 0xc0) != 0x80);
		for (size_t k = slices[i].start; k < at; k++) {
			unsigned char c = (unsigned char)text[k];

			if ((c & 0xc0) != 0x80)
				units += ucs2 ? (c >= 0xf0 ? 2 : 1) : (c == '[' || c == 0xe2 ? 2 : 1);
		}
		assert_true(units <= max_units);
	}
	assert_int_equal(at, len);
}

static void test_gsm7_never_splits_an_escape_or_a_pair(void **state)
{
	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		fill("[", 300);
		memcpy(text, "aaaa", lead);
		expect_cut(GSM7_REF8, 153);
		expect_cut(GSM7_REF16, 152);
		fill("😀", 300);
		memmove(text + lead, text, 1200);
		memcpy(text, "aaaa", lead);
		text[1200 + lead] = '\0';
		expect_cut(GSM7_REF8, 67);
		expect_cut(GSM7_REF16, 66);
	}
}

static void test_gsm7_survives_any_bytes(void **state)
{
	struct gsm7_slice slices[64];
	bool ucs2;

	(void)state;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		size_t len = (size_t)random() % 400, at = 0;
		unsigned n;

		for (size_t i = 0; i < len; i++)
			text[i] = (char)(random() % 3 ? random() : "\xf0\x9f\x98\x80"[i & 3]);
		n = gsm7_split(text, len, GSM7_REF8, slices, 64, &ucs2);
		assert_true(n >= 1 && n <= 64);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(slices[i].start, at);
			at += slices[i].len;
		}
		assert_int_equal(at, len);
	}
}

static void test_gsm7_tells_the_count_beyond_the_room(void **state)
{
	struct gsm7_slice slices[2];
	bool ucs2;
	size_t len = fill("a", 1000);

	(void)state;
	assert_int_equal(gsm7_split(text, len, GSM7_REF8, slices, 2, &ucs2), 7);
	assert_int_equal(slices[1].start, 153);
	assert_int_equal(slices[1].len, 153);
	assert_false(ucs2);
}

static void test_gsm7_headers_join_by_id(void **state)
{
	uint8_t a[GSM7_UDH_MAX], b[GSM7_UDH_MAX], c[GSM7_UDH_MAX];

	(void)state;
	assert_int_equal(gsm7_udh("msg-1", 5, GSM7_REF8, 1, 3, a), 6);
	assert_int_equal(gsm7_udh("msg-1", 5, GSM7_REF8, 2, 3, b), 6);
	assert_int_equal(gsm7_udh("msg-2", 5, GSM7_REF8, 2, 3, c), 6);
	assert_memory_equal(a, "\x05\x00\x03", 3);
	assert_int_equal(a[3], b[3]);
	assert_int_not_equal(b[3], c[3]);
	assert_memory_equal(a + 4, "\x03\x01", 2);
	assert_memory_equal(b + 4, "\x03\x02", 2);
	assert_int_equal(gsm7_udh("msg-1", 5, GSM7_REF16, 2, 3, a), 7);
	assert_memory_equal(a, "\x06\x08\x04", 3);
	assert_memory_equal(a + 5, "\x03\x02", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gsm7_counts_septets),
		cmocka_unit_test(test_gsm7_counts_utf16_units),
		cmocka_unit_test(test_gsm7_knows_its_alphabet),
		cmocka_unit_test(test_gsm7_never_splits_an_escape_or_a_pair),
		cmocka_unit_test(test_gsm7_survives_any_bytes),
		cmocka_unit_test(test_gsm7_tells_the_count_beyond_the_room),
		cmocka_unit_test(test_gsm7_headers_join_by_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
