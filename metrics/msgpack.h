/*
 * msgpack.h: as much of MessagePack (github.com/msgpack/msgpack, spec.md) as the delivery record needs: unsigned integers, strings,
 * arrays and false. What is written is the shortest form, byte for byte what Redis' cmsgpack writes. Pure.
 */
#ifndef METRICS_MSGPACK_H
#define METRICS_MSGPACK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/base/check.h"

enum { MSGPACK_UINT_MAX = 9, MSGPACK_STR_HEAD_MAX = 5 };

/* Writers: at `p`, with room for UINT_MAX or STR_HEAD_MAX + len bytes; return the end. */
char *msgpack_put_uint(char *p, uint64_t n);
char *msgpack_put_str(char *p, const char *s, size_t len);
char *msgpack_put_array(char *p, uint16_t n);
static inline char *msgpack_put_false(char *p)
{
	*p = (char)0xc2;
	return p + 1;
}

enum msgpack_type { MSGPACK_UINT = 1, MSGPACK_INT, MSGPACK_STR, MSGPACK_ARRAY, MSGPACK_FALSE, MSGPACK_TRUE, MSGPACK_NIL, MSGPACK_FLOAT };

struct msgpack_item {
	enum msgpack_type type;
	uint64_t n;             /* UINT: value; STR: length; ARRAY: elements, which follow */
	int64_t i;              /* INT: a negative value */
	const char *s;          /* STR */
};

struct msgpack_reader {
	const char *p, *end;
};

/* The next item. 0, or -EBADMSG: cut short, or of a type that no record has (maps, extensions). */
int msgpack_next(struct msgpack_reader *r, struct msgpack_item *ret) MUST_CHECK;
/* Skips an array's elements, to any depth up to 8. */
int msgpack_skip(struct msgpack_reader *r, const struct msgpack_item *item) MUST_CHECK;

#endif
