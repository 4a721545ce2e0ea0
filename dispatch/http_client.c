/*
 * http_client.c: which request goes over which connection. On its loop's thread. Idle connections are reused last-in first-out; what
 * finds none waits in order; connects are started for those who wait, and each that fails fails one of them. It never repeats a
 * request, never pipelines, never follows a redirect.
 */
#include "dispatch/http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "dispatch/http_conn.h"
#include "dispatch/http_tls.h"

/* One that idled longer than this is asked whether it still lives before it is written to: a peer that closed it while this turn ran
 * would make the outcome uncertain. In a busy pool nothing idles so long, and the call is saved. */
enum { PROBE_AFTER_US = 20000, REPLY_MAX_DEFAULT = 65536 };

struct http_client {
	struct http_conn_env env;
	struct http_dns dns;
	struct list idle;               /* connections, the latest first */
	struct list connecting;         /* connections, the oldest first */
	struct list waiters;            /* calls, the oldest first */
	struct co_timer idle_timer, connect_timer;
	unsigned n_connections, n_idle, n_connecting, n_waiting;
	unsigned max_connections, max_connecting;
	int64_t connect_timeout_us, idle_us;
	uint64_t requests_total, connects_total, connect_errors_total;
	char *host;
	char host_field[272];
};

static void start_connects(struct http_client *client);

static struct http_conn *conn_of(struct list *node)
{
	return list_entry(node, struct http_conn, node);
}

/* ---- connections ---- */

static bool is_connecting(const struct http_conn *conn)
{
	return conn->state == HTTP_CONN_CONNECTING || conn->state == HTTP_CONN_HANDSHAKE;
}

static void fail_waiter(struct http_client *client, enum http_failure failure)
{
	struct list *node = list_pop(&client->waiters);

	if (node == NULL)
		return;
	client->n_waiting--;
	http_call_end(list_entry(node, struct http_call, node), failure);
}

static void connect_failed(struct http_client *client, enum http_failure failure)
{
	client->connect_errors_total++;
	log_warn("can't connect to provider", LOG_STR("host", client->host_field), LOG_STR("error", http_failure_name(failure)));
	fail_waiter(client, failure);
}

/* Closes one that carries no call. */
static void drop(struct http_client *client, struct http_conn *conn, enum http_failure failure)
{
	bool connecting = is_connecting(conn);

	client->n_connections--;
	if (connecting)
		client->n_connecting--;
	http_conn_free(conn);
	if (connecting)
		connect_failed(client, failure);
}

static void arm(struct co_timer *timer, int64_t at_us)
{
	if (!co_timer_started(timer) && co_timer_start(timer, at_us) != 0)
		log_warn("no memory for a timer of the HTTP client");   /* the next connection tries again */
}

static void put_idle(struct http_client *client, struct http_conn *conn)
{
	conn->since_us = clock_mono_us();
	list_prepend(&client->idle, &conn->node);
	client->n_idle++;
	arm(&client->idle_timer, conn->since_us + client->idle_us);
}

static struct http_conn *take_idle(struct http_client *client)
{
	struct list *node = list_pop(&client->idle);

	if (node == NULL)
		return NULL;
	client->n_idle--;
	return conn_of(node);
}

/* Gives an idle connection a call. True: it is taken or gone; false: it is still free, and the call is over. */
static bool give(struct http_client *client, struct http_conn *conn, struct http_call *call)
{
	enum http_failure failure = HTTP_POOL_TIMEOUT;

	if (clock_mono_us() < call->deadline_us)
		failure = http_conn_send(conn, call);
	if (failure == HTTP_OK)
		return true;
	http_call_end(call, failure);
	if (failure != HTTP_RESET)
		return false;
	drop(client, conn, failure);
	start_connects(client);
	return true;
}

static void serve_next(struct http_client *client, struct http_conn *conn)
{
	struct list *node;

	while ((node = list_pop(&client->waiters)) != NULL) {
		client->n_waiting--;
		if (give(client, conn, list_entry(node, struct http_call, node)))
			return;
	}
	put_idle(client, conn);
}

static void on_conn(struct http_conn *conn, enum http_conn_event event, enum http_failure failure, void *arg)
{
	struct http_client *client = arg;

	switch (event) {
	case HTTP_CONN_READY:
		list_remove(&conn->node);
		client->n_connecting--;
		serve_next(client, conn);
		start_connects(client);         /* its place among the connecting ones is the next waiter's */
		break;
	case HTTP_CONN_FREE:
		serve_next(client, conn);
		break;
	case HTTP_CONN_DEAD:
		if (!list_empty(&conn->node) && !is_connecting(conn))
			client->n_idle--;
		drop(client, conn, failure);
		start_connects(client);
		break;
	}
}

static void open_one(struct http_client *client)
{
	enum http_failure failure;
	struct http_conn *conn = http_conn_new(&client->env, &failure);

	client->connects_total++;
	if (conn == NULL) {
		connect_failed(client, failure);
		return;
	}
	client->n_connections++;
	client->n_connecting++;
	list_append(&client->connecting, &conn->node);
	arm(&client->connect_timer, conn->since_us + client->connect_timeout_us);
}

/* As many as there are calls that wait for one, within the limits. */
static void start_connects(struct http_client *client)
{
	while (client->n_waiting > client->n_connecting && client->n_connecting < client->max_connecting &&
	       client->n_connections < client->max_connections) {
		if (http_dns_get(&client->dns) > 0) {
			open_one(client);
			continue;
		}
		if (!http_dns_failed(&client->dns))
			return;
		while (client->n_waiting > 0)
			fail_waiter(client, HTTP_DNS_FAILED);
	}
}

static void on_resolved(void *arg)
{
	start_connects(arg);
}

/* ---- timers: one each, for the oldest; it may find nothing due, which is cheaper than moving it with each request ---- */

static void on_connect_timer(void *arg)
{
	struct http_client *client = arg;
	int64_t now = clock_mono_us();

	while (!list_empty(&client->connecting)) {
		struct http_conn *conn = conn_of(client->connecting.next);

		if (conn->since_us + client->connect_timeout_us > now) {
			arm(&client->connect_timer, conn->since_us + client->connect_timeout_us);
			break;
		}
		http_dns_blame(&client->dns, conn->address);
		drop(client, conn, HTTP_CONNECT_TIMEOUT);
	}
	start_connects(client);
}

static void on_idle_timer(void *arg)
{
	struct http_client *client = arg;
	int64_t now = clock_mono_us();

	while (!list_empty(&client->idle)) {
		struct http_conn *conn = conn_of(client->idle.prev);

		if (conn->since_us + client->idle_us > now) {
			arm(&client->idle_timer, conn->since_us + client->idle_us);
			return;
		}
		client->n_idle--;
		drop(client, conn, HTTP_CLOSED);
	}
}

/* ---- requests ---- */

static void begin(struct http_client *client, struct http_call *call)
{
	struct http_conn *conn;

	while ((conn = take_idle(client)) != NULL) {
		if (clock_mono_us() - conn->since_us >= PROBE_AFTER_US && !http_conn_alive(conn)) {
			drop(client, conn, HTTP_CLOSED);
			continue;
		}
		if (!give(client, conn, call))
			put_idle(client, conn);
		return;
	}
	list_append(&client->waiters, &call->node);
	client->n_waiting++;
	start_connects(client);
}

/* Its task gives up: a connection that carries it can't be used any more, the reply may still come. */
static void abandon(struct http_client *client, struct http_call *call, enum http_failure failure)
{
	struct http_conn *conn = call->conn;

	if (conn == NULL) {
		list_remove(&call->node);
		client->n_waiting--;
	}
	http_call_end(call, failure);
	if (conn == NULL)
		return;
	drop(client, conn, failure);
	start_connects(client);
}

static enum http_failure failure_of_wait(int rc, const struct http_call *call)
{
	if (rc == -ECANCELED)
		return HTTP_CANCELLED;
	if (rc != -ETIMEDOUT)
		return HTTP_NO_MEMORY;
	return call->written ? HTTP_TIMEOUT : HTTP_POOL_TIMEOUT;
}

enum http_failure http_client_send(struct http_client *client, const struct http_request *request, int64_t deadline_us, bool *ret_written)
{
	struct http_call call = { .request = request, .deadline_us = deadline_us };
	bool cancelled = false;
	int rc;

	list_init(&call.node);
	co_event_init(&call.done);
	client->requests_total++;
	begin(client, &call);
	while (!call.over) {
		rc = co_event_wait(&call.done, deadline_us);
		if (rc == -ECANCELED && (call.written || call.over))
			cancelled = true;
		else if (rc < 0 && !call.over)
			abandon(client, &call, failure_of_wait(rc, &call));
	}
	if (cancelled) {
		/* Swallowed above; asked for anew it is delivered where the caller next suspends, and the number of requests stays. */
		co_task_uncancel(co_task_current());
		co_cancel(co_task_current());
	}
	*ret_written = call.written;
	return call.failure;
}

void http_client_counters(const struct http_client *client, struct http_client_counters *ret)
{
	*ret = (struct http_client_counters){
		.requests_total = client->requests_total,
		.bytes_out_total = client->env.bytes_out_total,
		.bytes_in_total = client->env.bytes_in_total,
		.connects_total = client->connects_total,
		.connect_errors_total = client->connect_errors_total,
		.malformed_total = client->env.malformed_total,
		.connections = client->n_connections,
		.idle = client->n_idle,
		.waiting = client->n_waiting,
	};
}

/* ---- set-up ---- */

/* The Host field (RFC 9110, 7.2): a default port is left out, an IPv6 address in brackets. */
static void set_host_field(struct http_client *client, const struct http_client_options *o)
{
	bool v6 = strchr(o->host, ':') != NULL;
	int n = snprintf(client->host_field, sizeof client->host_field, v6 ? "[%s]" : "%s", o->host);

	if (o->port != (o->tls ? 443 : 80))
		n += snprintf(client->host_field + n, sizeof client->host_field - (size_t)n, ":%u", o->port);
	client->env.host = client->host_field;
	client->env.host_len = (size_t)n;
}

static const char *wrong_option(const struct http_client_options *o)
{
	if (o->host == NULL || o->host[0] == '\0' || strlen(o->host) > 253)
		return "host: 1 to 253 bytes are needed";
	for (const char *p = o->host; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("/?#@[]\\\"<>", *p) != NULL)
			return "host: a byte that no host name has";
	}
	if (o->port == 0)
		return "port: 1 to 65535 is needed";
	if (o->max_connections == 0)
		return "max_connections: at least 1 is needed";
	if (o->max_connecting == 0)
		return "max_connecting: at least 1 is needed";
	if (o->connect_timeout_ms == 0)
		return "connect_timeout_ms: more than 0 is needed";
	return NULL;
}

static bool make_buffers(struct http_client *client, bool tls)
{
	client->env.in = mem_alloc(HTTP_CONN_READ);
	client->env.plain = tls ? mem_alloc(HTTP_CONN_PLAIN) : NULL;
	return client->env.in != NULL && (!tls || client->env.plain != NULL);
}

static void take_limits(struct http_client *client, const struct http_client_options *o)
{
	client->max_connections = o->max_connections;
	client->max_connecting = o->max_connecting;
	client->connect_timeout_us = o->connect_timeout_ms * INT64_C(1000);
	client->idle_us = o->idle_ms * INT64_C(1000);
}

static void set_up(struct http_client *client, const struct http_client_options *o)
{
	take_limits(client, o);
	client->env.base = co_loop_base(co_loop_current());
	client->env.dns = &client->dns;
	client->env.reply_max = o->reply_max > 0 ? o->reply_max : REPLY_MAX_DEFAULT;
	client->env.on_event = on_conn;
	client->env.arg = client;
	set_host_field(client, o);
	http_dns_init(&client->dns, client->host, o->port, on_resolved, client);
}

struct http_client *http_client_new(const struct http_client_options *o, char *err, size_t err_len)
{
	const char *wrong = wrong_option(o);
	struct http_client *client;

	if (wrong != NULL) {
		snprintf(err, err_len, "%s", wrong);
		return NULL;
	}
	client = mem_zalloc(sizeof *client);
	if (client == NULL)
		goto no_memory;
	list_init(&client->idle);
	list_init(&client->connecting);
	list_init(&client->waiters);
	co_timer_init(&client->idle_timer, on_idle_timer, client);
	co_timer_init(&client->connect_timer, on_connect_timer, client);
	client->host = mem_strdup(o->host);
	if (client->host == NULL || !make_buffers(client, o->tls))
		goto no_memory;
	set_up(client, o);
	if (!o->tls)
		return client;
	client->env.tls = http_tls_ctx_new(client->host, o->ca_file, o->tls_insecure, err, err_len);
	if (client->env.tls != NULL)
		return client;
	http_client_free(client);
	return NULL;
no_memory:
	http_client_free(client);
	snprintf(err, err_len, "out of memory");
	return NULL;
}

void http_client_set_limits(struct http_client *client, const struct http_client_options *o)
{
	CHECK(o->max_connections > 0 && o->max_connecting > 0 && o->connect_timeout_ms > 0);
	take_limits(client, o);
	/* both are armed for the oldest by the old limits */
	co_timer_stop(&client->idle_timer);
	co_timer_stop(&client->connect_timer);
	if (!list_empty(&client->idle))
		arm(&client->idle_timer, conn_of(client->idle.prev)->since_us + client->idle_us);
	if (!list_empty(&client->connecting))
		arm(&client->connect_timer, conn_of(client->connecting.next)->since_us + client->connect_timeout_us);
	start_connects(client);
}

void http_client_free(struct http_client *client)
{
	struct list *node;

	if (client == NULL)
		return;
	CHECK(list_empty(&client->waiters));
	while ((node = list_pop(&client->idle)) != NULL || (node = list_pop(&client->connecting)) != NULL) {
		http_conn_free(conn_of(node));
		client->n_connections--;
	}
	CHECK(client->n_connections == 0, "a request is under way");
	co_timer_stop(&client->idle_timer);
	co_timer_stop(&client->connect_timer);
	http_dns_fini(&client->dns);
	http_tls_ctx_free(client->env.tls);
	buf_fini(&client->env.out);
	buf_fini(&client->env.cipher);
	mem_free(client->env.in);
	mem_free(client->env.plain);
	mem_free(client->host);
	mem_free(client);
}
