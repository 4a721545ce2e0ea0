/*
 * gsm7.c: GSM 03.38 (now 3GPP TS 23.038, 6.2.1) and the cutting of texts. Owns the alphabet. Any thread: it keeps nothing.
 * It doesn't transcode: HTTP providers take UTF-8. No national shift tables: whether a handset has them is unknowable.
 */
#include "dispatch/gsm7.h"

#include "daemon/base/check.h"

/* Septets of each character below U+0100: 1 default alphabet, 2 extension table (escape and character), 0 in neither. */
static const uint8_t latin_septets[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 1,
	0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1,
	1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0,
};

static unsigned septets(uint32_t c)
{
	if (c < 0x100)
		return latin_septets[c];
	switch (c) {
	case 0x393: case 0x394: case 0x398: case 0x39b: case 0x39e: case 0x3a0: case 0x3a3: case 0x3a6: case 0x3a8: case 0x3a9:
		return 1;
	case 0x20ac:
		return 2;
	}
	return 0;
}

/* The character at s, its bytes in *ret_len; U+FFFD and 1 for a byte that begins none (RFC 3629: no surrogates, no overlong forms). */
static uint32_t decode(const unsigned char *s, size_t left, size_t *ret_len)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	uint32_t c = n == 2 ? s[0] & 0x1f : n == 3 ? s[0] & 0x0f : s[0] & 0x07;

	*ret_len = 1;
	if (n == 1)
		return s[0];
	if (n == 0 || n > left)
		return 0xfffd;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0xfffd;
	*ret_len = n;
	return c;
}

static unsigned units_of(uint32_t c, bool ucs2)
{
	return ucs2 ? c >= 0x10000 ? 2 : 1 : septets(c);
}

bool gsm7_fits(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0, n; i < len; i += n) {
		if (septets(decode(s + i, len - i, &n)) == 0)
			return false;
	}
	return true;
}

/* Septets and UTF-16 units in one pass: most texts are short, all ASCII, and measured twice on their way. */
static size_t measure(const unsigned char *s, size_t len, bool *ret_ucs2)
{
	size_t all_septets = 0, units = 0;
	bool fits = true;

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t c = s[i];
		unsigned cost;

		n = 1;
		if (c >= 0x80)
			c = decode(s + i, len - i, &n);
		cost = septets(c);
		fits = fits && cost != 0;
		all_septets += cost;
		units += units_of(c, true);
	}
	*ret_ucs2 = !fits;
	return fits ? all_septets : units;
}

unsigned gsm7_split(const char *text, size_t len, enum gsm7_ref ref, struct gsm7_slice *slices, unsigned max, bool *ret_ucs2)
{
	const unsigned char *s = (const unsigned char *)text;
	bool ucs2;
	size_t total = measure(s, len, &ucs2), start = 0;
	unsigned limit, used = 0, parts = 1;

	if (ref == GSM7_REF8)
		limit = ucs2 ? GSM7_UCS2_PART8 : GSM7_PART8;
	else
		limit = ucs2 ? GSM7_UCS2_PART16 : GSM7_PART16;
	for (size_t i = 0, n; total > (ucs2 ? GSM7_UCS2_SINGLE : GSM7_SINGLE) && i < len; i += n) {
		unsigned units = units_of(decode(s + i, len - i, &n), ucs2);

		if (used + units > limit) {
			if (parts <= max)
				slices[parts - 1] = (struct gsm7_slice){ start, i - start };
			parts++;
			start = i;
			used = 0;
		}
		used += units;
	}
	if (parts <= max)
		slices[parts - 1] = (struct gsm7_slice){ start, len - start };
	*ret_ucs2 = ucs2;
	return parts;
}

unsigned gsm7_parts(const char *text, size_t len)
{
	bool ucs2;

	return gsm7_split(text, len, GSM7_REF8, NULL, 0, &ucs2);
}

/* FNV-1a, 32 bits. */
static uint32_t hash(const char *s, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h;
}

size_t gsm7_udh(const char *id, size_t id_len, enum gsm7_ref ref, unsigned part, unsigned parts, uint8_t ret[GSM7_UDH_MAX])
{
	uint32_t h = hash(id, id_len);
	uint16_t folded = (uint16_t)(h ^ h >> 16);
	size_t n = 0;

	CHECK(part >= 1 && part <= parts && parts <= 255);
	if (ref == GSM7_REF8) {
		ret[n++] = 5;           /* what follows */
		ret[n++] = 0;           /* element: concatenated, 8-bit reference */
		ret[n++] = 3;
		ret[n++] = (uint8_t)(folded ^ folded >> 8);
	} else {
		ret[n++] = 6;
		ret[n++] = 8;           /* element: concatenated, 16-bit reference */
		ret[n++] = 4;
		ret[n++] = (uint8_t)(folded >> 8);
		ret[n++] = (uint8_t)folded;
	}
	ret[n++] = (uint8_t)parts;
	ret[n++] = (uint8_t)part;
	return n;
}
