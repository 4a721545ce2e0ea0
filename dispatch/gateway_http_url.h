/* gateway_http_url.h: the URL a provider is configured with. Pure. */
#ifndef DISPATCH_GATEWAY_HTTP_URL_H
#define DISPATCH_GATEWAY_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct gateway_http_url {
	bool tls;
	char host[254];                 /* without brackets */
	uint16_t port;
	const char *path;               /* with its query, within the text given; "" where there is none */
};

/* 0, or -EINVAL with words in err, which never repeat the URL: its query may hold secrets. */
int gateway_http_url_parse(const char *text, struct gateway_http_url *ret, char *err, size_t err_len) MUST_CHECK;
/* This machine: plain HTTP to it shows nothing to the network. */
bool gateway_http_url_is_local(const struct gateway_http_url *url);

#endif
