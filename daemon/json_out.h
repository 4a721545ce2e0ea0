/*
 * json_out.h: writes JSON into a buffer, member by member, commas and escapes included. Pure. Keys are literals. What is not UTF-8 in
 * a value becomes U+FFFD.
 *
 *	json_out_begin(&o, NULL, '{');
 *	json_out_str(&o, "state", "running");
 *	json_out_begin(&o, "workers", '[');
 *	...
 *	json_out_end(&o, ']');
 *	json_out_end(&o, '}');
 */
#ifndef DAEMON_JSON_OUT_H
#define DAEMON_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"

struct json_out {
	struct buf *buf;
	bool comma;                     /* the next member needs one before it */
};

static inline struct json_out json_out_to(struct buf *buf)
{
	return (struct json_out){ .buf = buf };
}

/* `key` NULL inside arrays and at the top. */
void json_out_begin(struct json_out *o, const char *key, char open);
void json_out_end(struct json_out *o, char close);
void json_out_str(struct json_out *o, const char *key, const char *s);         /* NULL: null */
void json_out_strn(struct json_out *o, const char *key, const char *s, size_t len);
void json_out_int(struct json_out *o, const char *key, int64_t n);
void json_out_uint(struct json_out *o, const char *key, uint64_t n);
void json_out_bool(struct json_out *o, const char *key, bool b);
/* JSON text that is known to be valid. */
void json_out_raw(struct json_out *o, const char *key, const char *json, size_t len);

#endif
