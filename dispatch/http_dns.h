/*
 * http_dns.h: the addresses of one host. Names are resolved in the offload pool and kept for HTTP_DNS_FRESH_S; when that is over they
 * are resolved anew while the old ones serve on, for at most HTTP_DNS_STALE_S. (getaddrinfo doesn't tell the TTL.)
 */
#ifndef DISPATCH_HTTP_DNS_H
#define DISPATCH_HTTP_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

#include "daemon/base/check.h"

enum { HTTP_DNS_MAX = 8, HTTP_DNS_FRESH_S = 30, HTTP_DNS_STALE_S = 3600, HTTP_DNS_RETRY_MS = 1000 };

struct http_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa;
	socklen_t len;
};

struct http_dns_job;

/* Embedded; on its loop's thread. */
struct http_dns {
	const char *host;               /* the owner's */
	uint16_t port;
	bool literal;
	size_t n, first;                /* addresses; the one that worked last */
	struct http_address addresses[HTTP_DNS_MAX];
	int64_t resolved_us, failed_us; /* 0: never */
	struct http_dns_job *job;       /* under way; NULL: none */
	void (*on_done)(void *arg);
	void *arg;
};

/* `on_done(arg)` is called on the loop when resolving has ended either way, never from within http_dns_get(). */
void http_dns_init(struct http_dns *dns, const char *host, uint16_t port, void (*on_done)(void *arg), void *arg);
void http_dns_fini(struct http_dns *dns);

/* How many addresses may be tried now; they are addresses[(first + i) % n]. 0: none. Where they are old or missing it starts
 * resolving. */
size_t http_dns_get(struct http_dns *dns);
/* Whether there is nothing to wait for: no address, and none is being resolved. */
bool http_dns_failed(const struct http_dns *dns);
/* That address didn't answer: the next one is tried first from now on. */
void http_dns_blame(struct http_dns *dns, size_t index);

#endif
