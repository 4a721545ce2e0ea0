/* utf8.h: how many bytes of valid UTF-8 stand at the head of `s` (RFC 3629, section 4): the length of one character, 0 where none is. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

static inline size_t utf8_len(const char *bytes, size_t n)
{
	const unsigned char *s = (const unsigned char *)bytes;
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* too long a form, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

#endif
