/*
 * gateway_reply.h: what a provider's reply says: its id for the message, its error code. Names in it are found by JSON path: keys and
 * array indexes with dots between ("messages.0.sid"). Pure.
 */
#ifndef DISPATCH_GATEWAY_REPLY_H
#define DISPATCH_GATEWAY_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

enum { GATEWAY_REPLY_STEPS_MAX = 8, GATEWAY_REPLY_PATH_MAX = 127, GATEWAY_REPLY_CODE_MAX = 24 };

struct gateway_reply_path {
	unsigned n;                     /* 0: nothing is looked for */
	char text[GATEWAY_REPLY_PATH_MAX + 1];  /* steps, each NUL-terminated */
	uint8_t steps[GATEWAY_REPLY_STEPS_MAX]; /* where each begins */
};

/* NULL or "" looks for nothing. -EINVAL: empty steps, more than 8, or more than 127 bytes. */
int gateway_reply_path_init(struct gateway_reply_path *path, const char *text) MUST_CHECK;

/* The provider's id: a string of 1 to `max` printable ASCII bytes without space, or a whole number. Its length, 0 where there is none;
 * `ret` holds max + 1 bytes and is NUL-terminated then. */
size_t gateway_reply_id(const struct gateway_reply_path *path, const char *body, size_t len, char *ret, size_t max);

/* The id in Kannel's text "0: Accepted for delivery: <id>"; most Kannels leave it out. */
size_t gateway_reply_kannel_id(const char *body, size_t len, char *ret, size_t max);

/* The error code, as a word for logs and records: 1 to 24 of [A-Za-z0-9_.-]. What is longer, holds anything else or could be a phone
 * number (8 digits in a row) is left out. Its length. */
size_t gateway_reply_code(const struct gateway_reply_path *path, const char *body, size_t len, char ret[GATEWAY_REPLY_CODE_MAX + 1]);

#endif
