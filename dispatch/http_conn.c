/*
 * http_conn.c: the socket of one connection. On its loop's thread. A connection has one read event for its whole life; requests are
 * written at once, and only what the socket doesn't take waits for writability. Reading goes into a buffer that all connections share;
 * only a reply that comes in pieces is kept here. What it can't make sense of ends the connection.
 */
#include "dispatch/http_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "dispatch/http_tls.h"

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

void http_call_end(struct http_call *call, enum http_failure failure)
{
	CHECK(!call->over);
	if (call->conn != NULL)
		call->conn->call = NULL;
	call->conn = NULL;
	call->failure = failure;
	call->over = true;
	co_event_set(&call->done);
}

static void tell(struct http_conn *c, enum http_conn_event event, enum http_failure failure)
{
	c->env->on_event(c, event, failure, c->env->arg);
}

/* The connection is done for; its call, if any, ends as `failure`. The client frees it. */
static void die(struct http_conn *c, enum http_failure failure)
{
	if (c->call != NULL)
		http_call_end(c->call, failure);
	tell(c, HTTP_CONN_DEAD, failure);
}

/* ---- connecting ---- */

static enum http_failure failure_of_connect(int err)
{
	return err == ECONNREFUSED ? HTTP_CONNECT_REFUSED : err == ETIMEDOUT ? HTTP_CONNECT_TIMEOUT : err == ENOMEM ? HTTP_NO_MEMORY :
		HTTP_CONNECT_FAILED;
}

/* A socket on its way to one address: 0 or a positive errno. */
static int dial(struct http_conn *c, const struct http_address *a)
{
	int one = 1, fd = socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, &a->sa.any, a->len) != 0 && errno != EINPROGRESS) {
		err = errno;
		close(fd);
		return err;
	}
	if (event_assign(&c->write_event, c->env->base, fd, EV_WRITE, on_writable, c) != 0 ||
	    event_assign(&c->read_event, c->env->base, fd, EV_READ | EV_PERSIST, on_readable, c) != 0 ||
	    event_add(&c->write_event, NULL) != 0) {
		close(fd);
		return ENOMEM;
	}
	c->fd = fd;
	return 0;
}

static void hang_up(struct http_conn *c)
{
	if (c->fd < 0)
		return;
	event_del(&c->read_event);
	event_del(&c->write_event);
	close(c->fd);
	c->fd = -1;
}

/* Tries the host's addresses in turn until one is on its way: 0, or the errno of the last. */
static int dial_next(struct http_conn *c)
{
	struct http_dns *dns = c->env->dns;
	int err = EADDRNOTAVAIL;

	while (c->tries < dns->n) {
		c->address = (dns->first + c->tries++) % dns->n;
		err = dial(c, &dns->addresses[c->address]);
		if (err == 0 || err == EMFILE || err == ENFILE || err == ENOMEM)
			return err;
	}
	return err;
}

struct http_conn *http_conn_new(struct http_conn_env *env, enum http_failure *ret_failure)
{
	struct http_conn *c = mem_zalloc(sizeof *c);
	int err;

	if (c == NULL) {
		*ret_failure = HTTP_NO_MEMORY;
		return NULL;
	}
	list_init(&c->node);
	c->env = env;
	c->fd = -1;
	c->state = HTTP_CONN_CONNECTING;
	c->since_us = clock_mono_us();
	if (env->tls != NULL)
		c->tls = http_tls_new(env->tls);
	err = env->tls != NULL && c->tls == NULL ? ENOMEM : dial_next(c);
	if (err == 0)
		return c;
	http_conn_free(c);
	*ret_failure = failure_of_connect(err);
	return NULL;
}

void http_conn_free(struct http_conn *c)
{
	CHECK(c->call == NULL);
	hang_up(c);
	list_remove(&c->node);
	http_tls_free(c->tls);
	buf_fini(&c->in);
	buf_fini(&c->out);
	mem_free(c);
}

/* ---- writing ---- */

/* Writes what the socket takes: how many bytes, 0 where it is full, or a negative errno. */
static ssize_t write_some(struct http_conn *c, const char *data, size_t len)
{
	ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->env->bytes_out_total += (size_t)n;
	return n;
}

/* Writes, and keeps what the socket doesn't take for when it does. How many bytes went out, or a negative errno; where the rest can't
 * be kept, what went out is cut off: the peer can't take half a request for one. */
static ssize_t write_or_keep(struct http_conn *c, const char *data, size_t len)
{
	ssize_t n = c->out.len > c->out_pos ? 0 : write_some(c, data, len);

	if (n < 0 || (size_t)n == len)
		return n;
	buf_put(&c->out, data + n, len - (size_t)n);
	if (!c->out.oom && event_add(&c->write_event, NULL) == 0)
		return n;
	shutdown(c->fd, SHUT_RDWR);
	return n > 0 ? n : -ENOMEM;
}

enum http_failure http_conn_send(struct http_conn *c, struct http_call *call)
{
	const struct http_request *q = call->request;
	struct http_conn_env *env = c->env;
	struct buf *wire = &env->out;
	ssize_t n;
	int rc;

	CHECK(c->state == HTTP_CONN_IDLE && c->call == NULL);
	if (q->may_write != NULL && !q->may_write(q->arg))
		return HTTP_FORBIDDEN;
	buf_reset(&env->out);
	rc = http1_put_request(&env->out, q, env->host, env->host_len);
	if (rc != 0)
		return rc == -EINVAL ? HTTP_INVALID : HTTP_NO_MEMORY;
	if (c->tls != NULL) {
		wire = &env->cipher;
		buf_reset(wire);
		if (http_tls_write(c->tls, env->out.data, env->out.len, wire) != 0)
			return HTTP_RESET;
	}
	n = write_or_keep(c, wire->data, wire->len);
	if (n < 0)
		return HTTP_RESET;
	http1_reader_init(&c->reader, env->reply_max);
	c->state = HTTP_CONN_BUSY;
	c->call = call;
	call->conn = c;
	call->written = n > 0;
	return HTTP_OK;
}

static void connected(struct http_conn *c)
{
	struct http_conn_env *env = c->env;
	int rc;

	if (event_add(&c->read_event, NULL) != 0) {
		die(c, HTTP_NO_MEMORY);
		return;
	}
	if (c->tls == NULL) {
		c->state = HTTP_CONN_IDLE;
		tell(c, HTTP_CONN_READY, HTTP_OK);
		return;
	}
	c->state = HTTP_CONN_HANDSHAKE;
	buf_reset(&env->cipher);
	rc = http_tls_handshake(c->tls, &env->cipher);
	if (rc < 0 || write_or_keep(c, env->cipher.data, env->cipher.len) < 0)
		die(c, HTTP_TLS_FAILED);
}

static void on_connect(struct http_conn *c)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	if (err == 0) {
		connected(c);
		return;
	}
	hang_up(c);
	http_dns_blame(c->env->dns, c->address);
	if (c->tries < c->env->dns->n && dial_next(c) == 0)
		return;
	die(c, failure_of_connect(err));
}

/* Goes on with what the socket didn't take. No byte is written past the call's deadline. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;
	ssize_t n;

	(void)fd;
	(void)what;
	if (c->state == HTTP_CONN_CONNECTING) {
		on_connect(c);
		return;
	}
	if (c->call != NULL && clock_mono_us() >= c->call->deadline_us)
		return;                 /* its task is being woken */
	n = write_some(c, c->out.data + c->out_pos, c->out.len - c->out_pos);
	if (n < 0) {
		die(c, HTTP_RESET);
		return;
	}
	c->out_pos += (size_t)n;
	if (n > 0 && c->call != NULL)
		c->call->written = true;
	if (c->out_pos < c->out.len) {
		if (event_add(&c->write_event, NULL) != 0)
			die(c, HTTP_NO_MEMORY);
		return;
	}
	c->out_pos = 0;
	buf_fini(&c->out);
}

/* ---- reading ---- */

/* The reply is complete: decoded where it lies, then the task is woken. */
static void reply_done(struct http_conn *c, char *data, size_t len)
{
	struct http_conn_env *env = c->env;
	struct http_call *call = c->call;
	struct http_reply reply;
	bool keep = c->reader.keep_alive && c->reader.pos == len && c->out.len == 0 && !c->ending;

	http1_reply(&c->reader, data, env->headers, &reply);
	call->request->on_reply(&reply, call->request->arg);
	buf_fini(&c->in);
	http_call_end(call, HTTP_OK);
	c->state = HTTP_CONN_IDLE;
	tell(c, keep ? HTTP_CONN_FREE : HTTP_CONN_DEAD, HTTP_OK);
}

static void reply_failed(struct http_conn *c, enum http_failure failure)
{
	if (failure == HTTP_MALFORMED || failure == HTTP_TOO_LARGE)
		c->env->malformed_total++;
	die(c, failure);
}

/* Keeps what is no whole reply yet. */
static bool keep_bytes(struct http_conn *c, const char *data, size_t len)
{
	buf_put(&c->in, data, len);
	if (!c->in.oom)
		return true;
	reply_failed(c, HTTP_NO_MEMORY);
	return false;
}

/* Bytes of the reply. False: the connection isn't to be read any further (and may be freed). */
static bool take_bytes(struct http_conn *c, char *data, size_t len)
{
	bool kept = c->in.len > 0;

	if (c->call == NULL || !c->call->written) {     /* nobody asked: it can't be told whose answer the next reply is */
		reply_failed(c, HTTP_MALFORMED);
		return false;
	}
	if (kept) {
		if (!keep_bytes(c, data, len))
			return false;
		data = c->in.data;
		len = c->in.len;
	}
	switch (http1_read(&c->reader, data, len)) {
	case HTTP1_MORE:
		return kept || keep_bytes(c, data, len);
	case HTTP1_DONE:
		reply_done(c, data, len);
		return false;
	case HTTP1_BAD:
		reply_failed(c, HTTP_MALFORMED);
		return false;
	case HTTP1_BIG:
		reply_failed(c, HTTP_TOO_LARGE);
		return false;
	}
	return false;
}

/* The peer has closed. `clean`: nobody in between can have cut it short. */
static void take_end(struct http_conn *c, bool clean)
{
	if (c->state == HTTP_CONN_HANDSHAKE)
		die(c, HTTP_TLS_FAILED);
	else if (c->call != NULL && c->call->written && clean && http1_read_end(&c->reader, c->in.len) == HTTP1_DONE)
		reply_done(c, c->in.data, c->in.len);
	else
		die(c, HTTP_CLOSED);
}

static void tls_failed(struct http_conn *c)
{
	log_warn("provider's TLS failed", LOG_STR("host", c->env->host), LOG_STR("error", http_tls_error(c->tls)));
	die(c, c->state == HTTP_CONN_HANDSHAKE ? HTTP_TLS_FAILED : HTTP_MALFORMED);
}

/* Goes on with the handshake. True: it is over, and what came behind it may be read. */
static bool take_handshake(struct http_conn *c)
{
	struct buf *out = &c->env->cipher;
	int rc;

	buf_reset(out);
	rc = http_tls_handshake(c->tls, out);
	if (out->len > 0 && write_or_keep(c, out->data, out->len) < 0)
		rc = rc < 0 ? rc : -ENOMEM;
	if (rc < 0)
		tls_failed(c);
	return rc > 0;
}

/* What came behind the handshake (tickets), or for an idle connection: false if it isn't good any more. */
static bool take_idle(struct http_conn *c)
{
	struct buf *out = &c->env->cipher;
	ssize_t n;

	buf_reset(out);
	n = http_tls_read(c->tls, c->env->plain, HTTP_CONN_READ, out);
	if (out->len > 0 && write_or_keep(c, out->data, out->len) < 0)
		return false;
	return n == -EAGAIN;
}

static void handshake_readable(struct http_conn *c)
{
	if (!take_handshake(c))
		return;
	if (!take_idle(c)) {
		tls_failed(c);          /* still as one that couldn't connect, or a peer that ends each one at once is tried for ever */
		return;
	}
	c->state = HTTP_CONN_IDLE;
	tell(c, HTTP_CONN_READY, HTTP_OK);
}

/* All that the records hold is taken before the reply is: once it is complete, the connection may be gone or carry the next call. */
static void busy_readable(struct http_conn *c)
{
	struct buf *out = &c->env->cipher;
	size_t len = 0;
	ssize_t n;

	buf_reset(out);
	do {
		n = http_tls_read(c->tls, c->env->plain + len, HTTP_CONN_PLAIN - len, out);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 && len < HTTP_CONN_PLAIN);
	c->ending = n != -EAGAIN;
	if (out->len > 0 && write_or_keep(c, out->data, out->len) < 0) {
		die(c, HTTP_RESET);
		return;
	}
	if (len > 0 && !take_bytes(c, c->env->plain, len))
		return;
	if (n == 0)
		take_end(c, true);
	else if (n != -EAGAIN)
		tls_failed(c);
}

static void take_cipher(struct http_conn *c, const char *data, size_t len)
{
	http_tls_feed(c->tls, data, len);
	if (c->state == HTTP_CONN_HANDSHAKE)
		handshake_readable(c);
	else if (c->state == HTTP_CONN_BUSY)
		busy_readable(c);
	else if (!take_idle(c))
		die(c, HTTP_CLOSED);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;
	ssize_t n = recv(c->fd, c->env->in, HTTP_CONN_READ, 0);

	(void)fd;
	(void)what;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			die(c, c->state == HTTP_CONN_HANDSHAKE ? HTTP_TLS_FAILED : HTTP_RESET);
		return;
	}
	if (n == 0) {
		take_end(c, c->tls == NULL);
		return;
	}
	c->env->bytes_in_total += (size_t)n;
	if (c->tls != NULL)
		take_cipher(c, c->env->in, (size_t)n);
	else
		take_bytes(c, c->env->in, (size_t)n);
}

bool http_conn_alive(struct http_conn *c)
{
	ssize_t n = recv(c->fd, c->env->in, HTTP_CONN_READ, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0 || c->tls == NULL)
		return false;
	c->env->bytes_in_total += (size_t)n;
	http_tls_feed(c->tls, c->env->in, (size_t)n);
	return take_idle(c);
}
