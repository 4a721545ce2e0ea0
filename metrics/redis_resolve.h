/* redis_resolve.h: from a host name to an address without blocking the loop. */
#ifndef METRICS_REDIS_RESOLVE_H
#define METRICS_REDIS_RESOLVE_H

#include <stdint.h>

#include "daemon/base/check.h"

struct redis_resolve;

/* rc 0: `address` is a literal; -EHOSTUNREACH: there is none; -ETIMEDOUT. Called on the loop's stack or a task's. */
typedef void(redis_resolve_fn)(int rc, const char *address, void *arg);

/* Looks the name up in the offload pool; `skip` rotates among several addresses. NULL: out of memory, fn is not called. */
struct redis_resolve *redis_resolve_start(const char *host, unsigned skip, int64_t deadline_us, redis_resolve_fn *fn, void *arg) MUST_CHECK;
/* Before fn was called: it won't be. Takes NULL. After fn was called the pointer is gone. */
void redis_resolve_cancel(struct redis_resolve *r);

#endif
