/* msgpack.c: writes and reads MessagePack. Pure; refuses maps, extensions and what ends too early. */
#include "metrics/msgpack.h"

#include <errno.h>
#include <stdbool.h>

enum { DEPTH_MAX = 8 };

static char *put_be(char *p, uint64_t n, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (char)(n >> 8 * (bytes - 1 - i));
	return p + bytes;
}

char *msgpack_put_uint(char *p, uint64_t n)
{
	if (n < 0x80) {
		*p = (char)n;
		return p + 1;
	}
	if (n <= UINT8_MAX) {
		*p = (char)0xcc;
		return put_be(p + 1, n, 1);
	}
	if (n <= UINT16_MAX) {
		*p = (char)0xcd;
		return put_be(p + 1, n, 2);
	}
	if (n <= UINT32_MAX) {
		*p = (char)0xce;
		return put_be(p + 1, n, 4);
	}
	*p = (char)0xcf;
	return put_be(p + 1, n, 8);
}

char *msgpack_put_str(char *p, const char *s, size_t len)
{
	if (len < 32) {
		*p++ = (char)(0xa0 | len);
	} else if (len <= UINT8_MAX) {
		*p++ = (char)0xd9;
		p = put_be(p, len, 1);
	} else {
		CHECK(len <= UINT16_MAX);
		*p++ = (char)0xda;
		p = put_be(p, len, 2);
	}
	if (len > 0)
		memcpy(p, s, len);
	return p + len;
}

char *msgpack_put_array(char *p, uint16_t n)
{
	if (n < 16) {
		*p = (char)(0x90 | n);
		return p + 1;
	}
	*p = (char)0xdc;
	return put_be(p + 1, n, 2);
}

static int get_be(struct msgpack_reader *r, unsigned bytes, uint64_t *ret)
{
	uint64_t n = 0;

	if ((size_t)(r->end - r->p) < bytes)
		return -EBADMSG;
	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | (uint8_t)*r->p++;
	*ret = n;
	return 0;
}

static int get_uint(struct msgpack_reader *r, unsigned bytes, struct msgpack_item *item)
{
	item->type = MSGPACK_UINT;
	return get_be(r, bytes, &item->n);
}

static int get_int(struct msgpack_reader *r, unsigned bytes, struct msgpack_item *item)
{
	uint64_t n;

	if (get_be(r, bytes, &n) != 0)
		return -EBADMSG;
	item->i = (int64_t)(n << (64 - 8 * bytes)) >> (64 - 8 * bytes);
	item->n = n;
	item->type = item->i < 0 ? MSGPACK_INT : MSGPACK_UINT;
	return 0;
}

static int get_str(struct msgpack_reader *r, struct msgpack_item *item)
{
	item->type = MSGPACK_STR;
	if ((uint64_t)(r->end - r->p) < item->n)
		return -EBADMSG;
	item->s = r->p;
	r->p += item->n;
	return 0;
}

static int get_sized(struct msgpack_reader *r, unsigned bytes, bool array, struct msgpack_item *item)
{
	if (get_be(r, bytes, &item->n) != 0)
		return -EBADMSG;
	if (!array)
		return get_str(r, item);
	item->type = MSGPACK_ARRAY;
	return 0;
}

static int get_float(struct msgpack_reader *r, unsigned bytes, struct msgpack_item *item)
{
	item->type = MSGPACK_FLOAT;
	return get_be(r, bytes, &item->n);
}

static int get_fixed(struct msgpack_reader *r, uint8_t tag, struct msgpack_item *item)
{
	if (tag < 0x80) {
		item->type = MSGPACK_UINT;
		item->n = tag;
		return 0;
	}
	if (tag >= 0xe0) {
		item->type = MSGPACK_INT;
		item->i = (int64_t)tag - 256;
		return 0;
	}
	if ((tag & 0xf0) == 0x90) {
		item->type = MSGPACK_ARRAY;
		item->n = tag & 0x0f;
		return 0;
	}
	if ((tag & 0xe0) != 0xa0)
		return -EBADMSG;
	item->n = tag & 0x1f;
	return get_str(r, item);
}

int msgpack_next(struct msgpack_reader *r, struct msgpack_item *ret)
{
	struct msgpack_item item = { 0 };
	uint8_t tag;
	int rc = 0;

	if (r->p == r->end)
		return -EBADMSG;
	tag = (uint8_t)*r->p++;
	switch (tag) {
	case 0xc0:
		item.type = MSGPACK_NIL;
		break;
	case 0xc2:
		item.type = MSGPACK_FALSE;
		break;
	case 0xc3:
		item.type = MSGPACK_TRUE;
		break;
	case 0xca: case 0xcb:
		rc = get_float(r, 4u << (tag & 1), &item);
		break;
	case 0xcc: case 0xcd: case 0xce: case 0xcf:
		rc = get_uint(r, 1u << (tag & 3), &item);
		break;
	case 0xd0: case 0xd1: case 0xd2: case 0xd3:
		rc = get_int(r, 1u << (tag & 3), &item);
		break;
	case 0xc4: case 0xc5: case 0xc6:
		rc = get_sized(r, 1u << (tag & 3), false, &item);
		break;
	case 0xd9: case 0xda: case 0xdb:
		rc = get_sized(r, 1u << (tag - 0xd9), false, &item);
		break;
	case 0xdc: case 0xdd:
		rc = get_sized(r, 2u << (tag & 1), true, &item);
		break;
	default:
		rc = get_fixed(r, tag, &item);
		break;
	}
	if (rc == 0)
		*ret = item;
	return rc;
}

static int skip(struct msgpack_reader *r, const struct msgpack_item *item, unsigned depth)
{
	struct msgpack_item inner;

	if (item->type != MSGPACK_ARRAY)
		return 0;
	if (depth == DEPTH_MAX)
		return -EBADMSG;
	for (uint64_t i = 0; i < item->n; i++)
		if (msgpack_next(r, &inner) != 0 || skip(r, &inner, depth + 1) != 0)
			return -EBADMSG;
	return 0;
}

int msgpack_skip(struct msgpack_reader *r, const struct msgpack_item *item)
{
	return skip(r, item, 0);
}
