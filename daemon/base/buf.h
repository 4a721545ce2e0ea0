/* buf.h: a growing byte buffer. An allocation that fails marks it (`oom`) and later puts do nothing, so callers check once, at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;             /* not NUL-terminated */
	size_t len, cap;
	bool oom;
};

void buf_fini(struct buf *b);
/* Empties it and keeps the memory. */
void buf_reset(struct buf *b);
/* Room for `n` more bytes: where to write them, or NULL; buf_add says how many were written. */
char *buf_room(struct buf *b, size_t n);
static inline void buf_add(struct buf *b, size_t n)
{
	b->len += n;
}
void buf_put(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_put_u64(struct buf *b, uint64_t n);
void buf_put_i64(struct buf *b, int64_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* `s` between quotes, escaped as JSON (RFC 8259, section 7); bytes >= 0x80 go through as they are. */
void buf_put_json(struct buf *b, const char *s, size_t len);

#endif
