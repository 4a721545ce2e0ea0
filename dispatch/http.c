/* http.c: the parts of http_client.h that are the same whatever carries the requests. Any thread. */
#include <stddef.h>
#include <strings.h>

#include "dispatch/http_client.h"

const char *http_failure_name(enum http_failure failure)
{
	switch (failure) {
	case HTTP_OK: return "ok";
	case HTTP_CONNECT_REFUSED: return "connect_refused";
	case HTTP_CONNECT_FAILED: return "connect_failed";
	case HTTP_CONNECT_TIMEOUT: return "connect_timeout";
	case HTTP_DNS_FAILED: return "dns_failed";
	case HTTP_TLS_FAILED: return "tls_failed";
	case HTTP_POOL_TIMEOUT: return "pool_timeout";
	case HTTP_CANCELLED: return "cancelled";
	case HTTP_RESET: return "reset";
	case HTTP_TIMEOUT: return "timeout";
	case HTTP_MALFORMED: return "malformed_reply";
	case HTTP_TOO_LARGE: return "reply_too_large";
	case HTTP_CLOSED: return "closed";
	case HTTP_FORBIDDEN: return "forbidden";
	case HTTP_INVALID: return "invalid_request";
	case HTTP_NO_MEMORY: return "no_memory";
	}
	return "unknown";
}

const struct http_header *http_reply_header(const struct http_reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->n_headers; i++) {
		if (strcasecmp(reply->headers[i].name, name) == 0)
			return &reply->headers[i];
	}
	return NULL;
}
