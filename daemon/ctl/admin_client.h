/*
 * admin_client.h: one request to the daemon's admin socket: blocking, on a connection of its own, with one deadline for all of it.
 */
#ifndef CTL_ADMIN_CLIENT_H
#define CTL_ADMIN_CLIENT_H

#include <stddef.h>

#include "daemon/base/check.h"

enum { ADMIN_ERR_MAX = 200, ADMIN_REPLY_MAX = 32 << 20 };

struct admin_reply {
	int status;
	char *body;             /* NUL-terminated, never NULL */
	size_t body_len;
};

/* Asks the daemon at the UNIX socket `path`. `body` is JSON or NULL. 0 with *ret (admin_reply_fini when done), else err has words and
 * the code is -ENOENT or -ECONNREFUSED (nobody there), -EACCES, -ETIMEDOUT, -EPROTO (no HTTP), -ENAMETOOLONG, or another errno. */
int admin_call(const char *path, const char *method, const char *target, const char *body, int timeout_ms, struct admin_reply *ret,
	       char err[ADMIN_ERR_MAX]) MUST_CHECK;
void admin_reply_fini(struct admin_reply *reply);

#endif
