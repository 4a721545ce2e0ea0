/* http.c: the parts of http_client.h that are the same whatever carries the requests. Any thread. */
#include <stddef.h>
#include <strings.h>

#include "dispatch/http_client.h"
#include "dispatch/http_date.h"

enum { RETRY_AFTER_S_MAX = 86400 };

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

int64_t http_reply_retry_after_ms(const struct http_reply *reply, int64_t now_ms)
{
	const struct http_header *h = http_reply_header(reply, "Retry-After"), *date;
	int64_t s = 0, now_s;

	if (h == NULL || h->value_len == 0)
		return 0;
	if (h->value[0] >= '0' && h->value[0] <= '9') {
		for (size_t i = 0; i < h->value_len; i++) {
			if (h->value[i] < '0' || h->value[i] > '9')
				return 0;
			s = s < RETRY_AFTER_S_MAX ? s * 10 + (h->value[i] - '0') : s;
		}
	} else {
		date = http_reply_header(reply, "Date");
		now_s = date != NULL ? http_date_parse(date->value, date->value_len) : -1;
		s = http_date_parse(h->value, h->value_len) - (now_s >= 0 ? now_s : now_ms / 1000);
	}
	if (s < 0)
		return 0;
	return (s < RETRY_AFTER_S_MAX ? s : RETRY_AFTER_S_MAX) * 1000;
}
