/*
 * http_conn.h: one connection of HTTP/1.1: it connects, shakes hands, carries one exchange at a time. Inside of http_client.c; which
 * request goes where, and when one gives up, is decided there.
 */
#ifndef DISPATCH_HTTP_CONN_H
#define DISPATCH_HTTP_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/list.h"
#include "dispatch/coro/coro.h"
#include "dispatch/http1.h"
#include "dispatch/http_client.h"
#include "dispatch/http_dns.h"

struct http_conn;
struct http_tls;
struct http_tls_ctx;

/* A request under way; on the stack of the task that sends it. */
struct http_call {
	struct list node;               /* among those who wait for a connection, else in no list */
	const struct http_request *request;
	int64_t deadline_us;
	struct http_conn *conn;         /* that carries it; NULL: none yet, or it is over */
	struct co_event done;
	enum http_failure failure;      /* once over */
	bool over, written;
};

enum http_conn_event {
	HTTP_CONN_READY = 1,            /* connected: give it a call, or let it idle */
	HTTP_CONN_FREE,                 /* its call is over, it may carry another */
	HTTP_CONN_DEAD,                 /* to be freed; if it was connecting, `failure` says why it can't */
};
typedef void(http_conn_fn)(struct http_conn *conn, enum http_conn_event event, enum http_failure failure, void *arg);

/* What the connections of one client share. */
struct http_conn_env {
	struct event_base *base;
	struct http_dns *dns;
	struct http_tls_ctx *tls;       /* NULL: plain */
	const char *host;               /* the Host field */
	size_t host_len, reply_max;
	http_conn_fn *on_event;
	void *arg;
	char *in, *plain;               /* HTTP_CONN_READ and _PLAIN bytes: a reading that completes a reply is never copied */
	struct buf out, cipher;
	struct http_header headers[HTTP1_FIELDS_MAX];
	uint64_t bytes_out_total, bytes_in_total, malformed_total;
};
/* A reading, and what it may decrypt to together with a record that OpenSSL held the rest of. */
enum { HTTP_CONN_READ = 65536, HTTP_CONN_PLAIN = HTTP_CONN_READ + 32768 };

enum http_conn_state { HTTP_CONN_CONNECTING = 1, HTTP_CONN_HANDSHAKE, HTTP_CONN_IDLE, HTTP_CONN_BUSY };

struct http_conn {
	struct list node;               /* the client's */
	struct http_conn_env *env;
	int64_t since_us;               /* in this state, where that is connecting or idle */
	struct http_call *call;
	struct http_tls *tls;
	struct buf in, out;             /* what one readiness didn't complete */
	size_t out_pos;
	size_t address, tries;
	int fd;
	enum http_conn_state state;
	bool ending;                    /* TLS: the peer has said goodbye */
	struct http1_reader reader;
	struct event read_event, write_event;
};

/* Begins to connect; READY or DEAD follows, never from within. NULL with the reason in *ret_failure. */
struct http_conn *http_conn_new(struct http_conn_env *env, enum http_failure *ret_failure) MUST_CHECK;
/* Closes it. A call that it carries must be over. */
void http_conn_free(struct http_conn *conn);

/* Whether an idle one is still good, as far as its socket can tell. */
bool http_conn_alive(struct http_conn *conn);

/* Writes the call's request, as much as the socket takes at once. HTTP_OK: it carries the call now; else nothing was written, and the
 * connection is still good unless it is HTTP_RESET. */
enum http_failure http_conn_send(struct http_conn *conn, struct http_call *call) MUST_CHECK;

/* Ends the call and wakes its task. */
void http_call_end(struct http_call *call, enum http_failure failure);

#endif
