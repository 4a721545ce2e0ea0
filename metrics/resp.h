/* resp.h: requests in Redis' protocol (RESP 2), written by hand into memory that the caller has made room for. Pure. */
#ifndef METRICS_RESP_H
#define METRICS_RESP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that a bulk string of `len` takes at most. */
static inline size_t resp_bulk_max(size_t len)
{
	return len + 16;
}

static inline char *resp_put_u64(char *p, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	memcpy(p, digits + i, sizeof digits - i);
	return p + (sizeof digits - i);
}

/* `$<len>\r\n`: the head of a bulk string; its bytes and `\r\n` follow. */
static inline char *resp_put_head(char *p, char type, size_t len)
{
	*p++ = type;
	if (len < 10) {
		*p++ = (char)('0' + len);
	} else if (len < 100) {
		*p++ = (char)('0' + len / 10);
		*p++ = (char)('0' + len % 10);
	} else {
		p = resp_put_u64(p, len);
	}
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static inline char *resp_put_bulk(char *p, const char *s, size_t len)
{
	p = resp_put_head(p, '$', len);
	memcpy(p, s, len);
	p += len;
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static inline char *resp_put_bulk_u64(char *p, uint64_t n)
{
	char digits[20] = "";
	char *end = resp_put_u64(digits, n);

	return resp_put_bulk(p, digits, (size_t)(end - digits));
}

#endif
