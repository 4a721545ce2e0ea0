/*
 * http_client.h: requests to one origin over a bounded pool of connections, TLS or plain. HTTP/1.1 today; HTTP/2 joins behind the
 * same calls. A client belongs to one loop. It never follows redirects, never repeats a request by itself and never pipelines:
 * whatever happens to a request is its caller's to judge, so each failure says whether a byte had been written.
 * The simulation links another implementation in this one's place.
 */
#ifndef DISPATCH_HTTP_CLIENT_H
#define DISPATCH_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct http_client_options {
	const char *host;               /* name or address literal; resolved in the offload pool, cached */
	uint16_t port;
	bool tls;
	bool tls_insecure;              /* the option with the ugly name: no verification */
	const char *ca_file;            /* NULL: the system's store */
	unsigned max_connections, max_connecting;
	unsigned connect_timeout_ms, idle_ms;   /* idle_ms: an idle connection is closed by us after that */
	size_t reply_max;               /* bytes, head and body; more is a malformed reply */
};

struct http_header {
	const char *name, *value;
	size_t value_len;
};

struct http_reply {
	int status;
	const struct http_header *headers;      /* values not NUL-terminated, names as received; look up with http_reply_header */
	size_t n_headers;
	const char *body;                       /* chunks joined */
	size_t body_len;
};

/* Called once, on the loop's stack, with a complete reply; the pointers are good during the call only. */
typedef void(http_reply_fn)(const struct http_reply *reply, void *arg);

struct http_request {
	const char *method, *path;
	size_t path_len;
	const char *head;               /* the constant headers, "Name: value\r\n"...; Host and Content-Length are added */
	size_t head_len;
	const struct http_header *headers;      /* what differs from request to request */
	size_t n_headers;
	const char *body;
	size_t body_len;
	http_reply_fn *on_reply;
	/* Asked in the turn of the first byte, before it: false ends it as HTTP_FORBIDDEN. On the task's stack or the loop's, so it
	 * doesn't suspend. It may fill in the rest of the request: nothing of it is read before, and nothing after it has been
	 * serialised, which is at once. May be NULL. */
	bool (*may_write)(void *arg);
	void *arg;                              /* for both */
};

enum http_failure {
	HTTP_OK = 0,                    /* on_reply was called */
	HTTP_CONNECT_REFUSED = 1, HTTP_CONNECT_FAILED, HTTP_CONNECT_TIMEOUT, HTTP_DNS_FAILED, HTTP_TLS_FAILED,
	HTTP_POOL_TIMEOUT,              /* the deadline passed while it waited for a connection */
	HTTP_CANCELLED,                 /* before the first byte; later a cancel waits for the end */
	HTTP_RESET, HTTP_TIMEOUT, HTTP_MALFORMED, HTTP_TOO_LARGE, HTTP_CLOSED,
	HTTP_FORBIDDEN,                 /* may_write said no: nothing was written */
	HTTP_INVALID,                   /* it holds a byte that would break the framing: nothing was written, nor ever will be */
	HTTP_NO_MEMORY,
};

struct http_client;

/* NULL with words in `err` (name of the wrong option, or the CA file that can't be read). */
struct http_client *http_client_new(const struct http_client_options *options, char *err, size_t err_len) MUST_CHECK;
/* Takes NULL; requests must have ended. */
void http_client_free(struct http_client *client);

/* Other limits from now on: max_connections, max_connecting, connect_timeout_ms and idle_ms are taken, the rest isn't looked at. What is
 * beyond a lower one goes as it falls idle. */
void http_client_set_limits(struct http_client *client, const struct http_client_options *options);

/* [suspends] One request. The request's memory is read until the first byte is written or the call returns, not later.
 * *ret_written says whether any byte of it may have reached the provider: exact, not a guess; it may be true with HTTP_NO_MEMORY too.
 * A cancel before the first byte ends it as HTTP_CANCELLED, and that request is used up (co_task_cancelling() still counts it). One that
 * comes later waits: the call runs to its reply or deadline, and the caller's next suspending call returns -ECANCELED. */
enum http_failure http_client_send(struct http_client *client, const struct http_request *request, int64_t deadline_us, bool *ret_written);
const char *http_failure_name(enum http_failure failure);       /* "connect_refused", ...: a literal */

/* The first header of that name (any case), or NULL. */
const struct http_header *http_reply_header(const struct http_reply *reply, const char *name);
/* Its Retry-After (seconds, or a date: measured against the reply's own Date where it has one, else against `now_ms`), at most a day; 0
 * where it doesn't say. */
int64_t http_reply_retry_after_ms(const struct http_reply *reply, int64_t now_ms);

struct http_client_counters {
	uint64_t requests_total, bytes_out_total, bytes_in_total, connects_total, connect_errors_total, malformed_total;
	unsigned connections, idle, waiting;
};
void http_client_counters(const struct http_client *client, struct http_client_counters *ret);

#endif
