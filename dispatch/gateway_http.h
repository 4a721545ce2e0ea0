/* gateway_http.h: gateway.h over HTTP: requests by template, presets for known providers (README.md). */
#ifndef DISPATCH_GATEWAY_HTTP_H
#define DISPATCH_GATEWAY_HTTP_H

#include <stddef.h>

#include "daemon/base/check.h"

struct gateway;
struct provider_options;

/* A gateway of the calling thread's loop. The provider's max_inflight and max_connecting are those of the process: this one takes the
 * share of one of `worker_share_count` workers. The name in `options` must outlive it, the rest is copied. NULL with words in err: which
 * option of which provider is wrong, and what would be right; never a secret. */
struct gateway *gateway_http_new(const struct provider_options *options, unsigned worker_share_count, char *err, size_t err_len) MUST_CHECK;

#endif
