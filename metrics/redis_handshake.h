/* redis_handshake.h: what is said on a new connection before it counts as usable: who we are, what the server is, one write. */
#ifndef METRICS_REDIS_HANDSHAKE_H
#define METRICS_REDIS_HANDSHAKE_H

#include "metrics/redis_info.h"

struct redis_handshake {
	/* The caller's, set before the start. */
	const char *user, *password, *probe_key;        /* user, password: NULL: none */
	unsigned db;
	bool allow_eviction;
	int (*send)(void *arg, const char *resp, size_t len, redis_client_reply_fn *fn, void *fn_arg);
	/* Once: reason NULL, the connection is usable and info.server filled; else a literal. `refused`: waiting won't cure it. */
	void (*done)(void *arg, const char *reason, bool refused);
	void *arg;

	struct redis_info info;
	bool over;
};

/* Sends it all at once. Where the connection is lost (replies NULL), `done` is not called. */
void redis_handshake_start(struct redis_handshake *h);

#endif
