/* buf.c: byte buffers; memory only grows until buf_fini(). Any thread, one at a time a buffer. */
#include "daemon/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"

void buf_fini(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->oom = false;
}

char *buf_room(struct buf *b, size_t n)
{
	size_t cap;
	char *data;

	if (b->oom)
		return NULL;
	if (b->cap - b->len >= n)
		return b->data + b->len;
	cap = (b->len + n) * 2;
	if (cap < 256)
		cap = 256;
	data = mem_resize(b->data, cap);
	if (data == NULL) {
		b->oom = true;
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return data + b->len;
}

void buf_put(struct buf *b, const void *data, size_t len)
{
	char *p = buf_room(b, len);

	if (p == NULL || len == 0)
		return;
	memcpy(p, data, len);
	b->len += len;
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
	char *p = buf_room(b, 1);

	if (p == NULL)
		return;
	*p = c;
	b->len++;
}

void buf_put_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	buf_put(b, digits + i, sizeof digits - i);
}

void buf_put_i64(struct buf *b, int64_t n)
{
	if (n < 0)
		buf_putc(b, '-');
	buf_put_u64(b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *p;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (p = buf_room(b, (size_t)n + 1)) == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_put_json(struct buf *b, const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *p = buf_room(b, len * 6 + 2), *start = p;

	if (p == NULL)
		return;
	*p++ = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\') {
			*p++ = '\\';
			*p++ = (char)c;
		} else if (c < 0x20) {
			memcpy(p, "\\u00", 4);
			p[4] = hex[c >> 4];
			p[5] = hex[c & 15];
			p += 6;
		} else {
			*p++ = (char)c;
		}
	}
	*p++ = '"';
	b->len += (size_t)(p - start);
}
