/* redis_url.h: where a Redis is, from its url. Pure. */
#ifndef METRICS_REDIS_URL_H
#define METRICS_REDIS_URL_H

#include <stddef.h>

#include "daemon/base/check.h"

struct redis_url {
	char user[64], host[256];       /* "": none; host without the brackets of an IPv6 address */
	char path[108];                 /* of a UNIX socket; "": TCP */
	unsigned port, db;
};

/* 0, or -EINVAL with words in err: what is wrong and what would be right. A password in the url is refused: urls get logged. */
int redis_url_parse(const char *url, struct redis_url *ret, char *err, size_t err_len) MUST_CHECK;

#endif
