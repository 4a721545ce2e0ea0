/* json_out.c: see json_out.h. */
#include "daemon/json_out.h"

#include <string.h>

#include "daemon/base/utf8.h"

static void put_key(struct json_out *o, const char *key)
{
	if (o->comma)
		buf_putc(o->buf, ',');
	o->comma = true;
	if (key != NULL) {
		buf_put_json(o->buf, key, strlen(key));
		buf_putc(o->buf, ':');
	}
}

void json_out_begin(struct json_out *o, const char *key, char open)
{
	put_key(o, key);
	buf_putc(o->buf, open);
	o->comma = false;
}

void json_out_end(struct json_out *o, char close)
{
	buf_putc(o->buf, close);
	o->comma = true;
}

void json_out_strn(struct json_out *o, const char *key, const char *s, size_t len)
{
	struct buf clean = { 0 };
	size_t bad = 0, n;

	put_key(o, key);
	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_len(s + i, len - i);
		bad += n == 0;
	}
	if (bad == 0) {
		buf_put_json(o->buf, s, len);
		return;
	}
	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_len(s + i, len - i);
		buf_put(&clean, n ? s + i : "\xef\xbf\xbd", n ? n : 3);
	}
	buf_put_json(o->buf, clean.data ? clean.data : "", clean.len);
	o->buf->oom = o->buf->oom || clean.oom;
	buf_fini(&clean);
}

void json_out_str(struct json_out *o, const char *key, const char *s)
{
	if (s == NULL)
		json_out_raw(o, key, "null", 4);
	else
		json_out_strn(o, key, s, strlen(s));
}

void json_out_int(struct json_out *o, const char *key, int64_t n)
{
	put_key(o, key);
	buf_put_i64(o->buf, n);
}

void json_out_uint(struct json_out *o, const char *key, uint64_t n)
{
	put_key(o, key);
	buf_put_u64(o->buf, n);
}

void json_out_bool(struct json_out *o, const char *key, bool b)
{
	json_out_raw(o, key, b ? "true" : "false", b ? 4 : 5);
}

void json_out_raw(struct json_out *o, const char *key, const char *json, size_t len)
{
	put_key(o, key);
	buf_put(o->buf, json, len);
}
