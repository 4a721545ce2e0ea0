/*
 * provider_wire.h: the simulated provider's HTTP, as bytes: requests taken apart, replies put together. Knows no sockets.
 * It speaks what the daemon's presets expect: generic JSON, Twilio's form by its path, Kannel's query by its path.
 */
#ifndef TESTS_TOOLS_PROVIDER_WIRE_H
#define TESTS_TOOLS_PROVIDER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/tools/provider_rules.h"

enum { PROVIDER_REQUEST_MAX = 64 * 1024, PROVIDER_BIG_BYTES = 1024 * 1024 };

enum provider_style { PROVIDER_GENERIC = 1, PROVIDER_TWILIO, PROVIDER_KANNEL };

struct provider_request {
	const char *method, *path, *body;       /* into the buffer; the path with its query */
	size_t method_len, path_len, body_len;
	bool close;                             /* the client asked for it */
	enum provider_style style;
	char id[132];                           /* "-" where none was found */
	unsigned part;
};

/* Takes the request at the head of `data`. Its length; 0: not all here yet; -1: none that can be understood. */
ssize_t provider_request_parse(const char *data, size_t len, struct provider_request *ret);

/* Formats the reply to an accepted or refused request into `out` (at least 1,024 bytes); its length. `pid` is the provider's id. */
size_t provider_reply_format(const struct provider_verdict *verdict, enum provider_style style, const char *pid, char *out, size_t size);

/* A reply with this body, for the control calls. */
size_t provider_reply_plain(int status, const char *body, char *out, size_t size);

/* The 1 MB reply; heap, the caller's. NULL: out of memory. */
char *provider_reply_big(size_t *ret_len);

#endif
