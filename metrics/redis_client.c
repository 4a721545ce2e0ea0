/*
 * redis_client.c: the one file that knows hiredis (0.14.1's asynchronous API). Owns the connection from the first connect to the
 * last reconnect: the sockets' events, the deadlines, the backoff; what is said first is redis_handshake.c's. On its loop's thread.
 * Refuses: commands while the connection isn't usable, more than pending_max of them.
 *
 * Writes: hiredis asks for write events; what it asks for during a turn is done once, at the turn's end (on_turn_end).
 */
#include "metrics/redis_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "daemon/base/random.h"
#include "dispatch/coro/coro.h"
#include "metrics/counters.h"
#include "metrics/redis_handshake.h"
#include "metrics/redis_info.h"
#include "metrics/redis_resolve.h"
#include "metrics/redis_url.h"

enum { BACKOFF_MS = 50 };

enum client_state { CLIENT_DOWN = 1, CLIENT_RESOLVING, CLIENT_CONNECTING, CLIENT_HANDSHAKE, CLIENT_UP };

struct pending {
	struct list node;
	struct redis_client *client;
	redis_client_reply_fn *fn;
	void *arg;
	int64_t queued_us;
};

struct redis_client {
	struct redis_url url;
	char *user, *password, *probe_key;
	unsigned connect_timeout_ms, command_timeout_ms, reconnect_ms_max, pending_max;
	bool allow_eviction;
	redis_client_state_fn *on_state;
	void *arg;

	enum client_state state;
	const char *reason;                     /* why not CLIENT_UP; a literal */
	bool refused, unfit;                    /* unfit: what `refused` becomes when the connection goes down */
	unsigned failures;                      /* attempts since a connection held */
	struct redis_resolve *resolve;
	redisAsyncContext *ac;
	struct event read_event, write_event;
	bool connected, write_wanted, freeing;
	struct co_turn_hook turn_hook;
	struct co_timer retry_timer, deadline_timer;
	int64_t connect_deadline_us, up_us;

	struct list pending, unused;            /* struct pending: in the order of commands; recycled ones */
	size_t n_pending;
	struct redis_value *values;             /* the reply being handed out, as views */
	size_t values_cap;
	struct redis_handshake handshake;
	struct redis_client_server server;
};

static void connect_now(void *arg);

/* ---- going down ---- */

static void retry_later(struct redis_client *c)
{
	unsigned shift = c->failures < 10 ? c->failures : 10;
	uint64_t cap_ms = (uint64_t)BACKOFF_MS << shift;

	if (cap_ms > c->reconnect_ms_max)
		cap_ms = c->reconnect_ms_max;
	c->failures++;
	/* Half fixed, half random: never at once, never all workers together. A failed start is tried again by on_turn_end. */
	if (co_timer_start(&c->retry_timer, clock_mono_us() + (int64_t)(cap_ms / 2 + random_below(cap_ms / 2 + 1)) * 1000) != 0)
		log_warn("no memory for a timer", LOG_STR("for", "redis retry"));
}

/* The connection is gone, or given up: `ac` is no longer ours to free. */
static void on_down(struct redis_client *c, const char *reason)
{
	enum client_state was = c->state;

	event_del(&c->read_event);
	event_del(&c->write_event);
	c->connected = c->write_wanted = false;
	c->state = CLIENT_DOWN;
	co_timer_stop(&c->deadline_timer);
	if (c->freeing)
		return;
	c->refused = c->unfit;
	c->unfit = false;
	/* A connection that is refused again and again as soon as it is up doesn't count as a success. */
	if (was == CLIENT_UP && clock_mono_us() - c->up_us > (int64_t)c->reconnect_ms_max * 1000)
		c->failures = 0;
	if (was == CLIENT_UP || reason != c->reason)
		log_warn("redis is away", LOG_STR("reason", reason), LOG_UINT("failures", c->failures));
	c->reason = reason;
	counters_add(COUNTER_REDIS_LOST, 1);
	counters_set(COUNTER_REDIS_UP, 0);
	retry_later(c);
	c->on_state(false, c->arg);
}

/* Gives it up: hiredis answers what is pending with NULL, now or when the callback that we are in returns. */
static void drop(struct redis_client *c, const char *reason)
{
	redisAsyncContext *ac = c->ac;

	if (ac == NULL)
		return;
	c->ac = NULL;
	ac->data = NULL;
	on_down(c, reason);
	redisAsyncFree(ac);
}

/* ---- replies ---- */

static size_t count_values(const redisReply *r)
{
	size_t n = 0;

	if (r->type == REDIS_REPLY_ARRAY)
		for (size_t i = 0; i < r->elements; i++)
			n += 1 + count_values(r->element[i]);
	return n;
}

static struct redis_value *fill_values(struct redis_value *to, struct redis_value *next, const redisReply *r)
{
	*to = (struct redis_value){ .str = r->str, .len = r->len, .integer = r->integer };
	switch (r->type) {
	case REDIS_REPLY_STRING:
		to->type = REDIS_VALUE_STRING;
		break;
	case REDIS_REPLY_STATUS:
		to->type = REDIS_VALUE_STATUS;
		break;
	case REDIS_REPLY_ERROR:
		to->type = REDIS_VALUE_ERROR;
		break;
	case REDIS_REPLY_INTEGER:
		to->type = REDIS_VALUE_INTEGER;
		break;
	case REDIS_REPLY_ARRAY:
		to->type = REDIS_VALUE_ARRAY;
		to->items = next;
		to->n = r->elements;
		next += r->elements;
		for (size_t i = 0; i < r->elements; i++)
			next = fill_values((struct redis_value *)to->items + i, next, r->element[i]);
		break;
	default:        /* an int of hiredis' own */
		to->type = REDIS_VALUE_NIL;
		break;
	}
	return next;
}

/* NULL: out of memory; the caller treats it as a lost reply. */
static const struct redis_value *view(struct redis_client *c, const redisReply *r)
{
	size_t need = 1 + count_values(r);
	struct redis_value *grown;

	if (need > c->values_cap) {
		grown = mem_resize(c->values, need * 2 * sizeof *grown);
		if (grown == NULL)
			return NULL;
		c->values = grown;
		c->values_cap = need * 2;
	}
	fill_values(c->values, c->values + 1, r);
	return c->values;
}

static void on_reply(redisAsyncContext *ac, void *reply, void *privdata)
{
	struct pending *p = privdata;
	struct redis_client *c = p->client;
	redis_client_reply_fn *fn = p->fn;
	void *arg = p->arg;
	const redisReply *r = reply;
	const char *reason;
	bool refused;

	list_remove(&p->node);
	c->n_pending--;
	list_prepend(&c->unused, &p->node);
	if (r != NULL && r->type == REDIS_REPLY_ERROR && ac->data != NULL) {
		reason = redis_info_reason(r->str, &refused);
		if (reason != NULL && !(c->state == CLIENT_HANDSHAKE && strncmp(r->str, "NOPERM", 6) == 0)) {
			c->unfit = refused;
			r = NULL;
			drop(c, reason);
		}
	}
	fn(r != NULL ? view(c, r) : NULL, arg);
}

static void watch_deadline(struct redis_client *c)
{
	struct pending *first;
	int64_t at_us = c->connect_deadline_us;

	if (c->state != CLIENT_CONNECTING) {
		if (list_empty(&c->pending))
			return;
		first = list_entry(c->pending.next, struct pending, node);
		at_us = first->queued_us + (int64_t)c->command_timeout_ms * 1000;
	}
	if (co_timer_start(&c->deadline_timer, at_us) != 0)
		log_warn("no memory for a timer", LOG_STR("for", "redis deadline"));
}

static void on_deadline(void *arg)
{
	struct redis_client *c = arg;
	struct pending *first;

	if (c->state == CLIENT_CONNECTING) {
		drop(c, "redis: connect timed out");
		return;
	}
	if (list_empty(&c->pending))
		return;
	first = list_entry(c->pending.next, struct pending, node);
	if (first->queued_us + (int64_t)c->command_timeout_ms * 1000 > clock_mono_us()) {
		watch_deadline(c);
		return;
	}
	counters_add(COUNTER_REDIS_TIMEOUTS, c->n_pending);
	drop(c, "redis: no reply");
}

static int queue(struct redis_client *c, const char *resp, size_t len, redis_client_reply_fn *fn, void *arg)
{
	struct list *node = list_pop(&c->unused);
	struct pending *p;

	p = node != NULL ? list_entry(node, struct pending, node) : mem_zalloc(sizeof *p);
	if (p == NULL)
		return -EAGAIN;
	list_init(&p->node);
	p->client = c;
	p->fn = fn;
	p->arg = arg;
	p->queued_us = clock_mono_us();
	if (redisAsyncFormattedCommand(c->ac, on_reply, p, resp, len) != REDIS_OK) {
		list_prepend(&c->unused, &p->node);
		return -EAGAIN;
	}
	list_append(&c->pending, &p->node);
	c->n_pending++;
	counters_add(COUNTER_REDIS_COMMANDS, 1);
	if (!co_timer_started(&c->deadline_timer))
		watch_deadline(c);
	return 0;
}

/* ---- the handshake ---- */

static int hand_over(void *arg, const char *resp, size_t len, redis_client_reply_fn *fn, void *fn_arg)
{
	struct redis_client *c = arg;

	return c->ac != NULL ? queue(c, resp, len, fn, fn_arg) : -EAGAIN;
}

static void on_shaken(void *arg, const char *reason, bool refused)
{
	struct redis_client *c = arg;

	if (reason != NULL) {
		c->unfit = refused;
		drop(c, reason);
		return;
	}
	c->server = c->handshake.info.server;
	c->state = CLIENT_UP;
	c->up_us = clock_mono_us();
	c->unfit = c->refused = false;
	c->reason = "redis: ready";
	counters_add(COUNTER_REDIS_CONNECTS, 1);
	counters_set(COUNTER_REDIS_UP, 1);
	log_info("redis connected", LOG_STR("run_id", c->server.run_id), LOG_UINT("major", c->server.major),
		 LOG_UINT("minor", c->server.minor));
	c->on_state(true, c->arg);
}

static void shake_hands(struct redis_client *c)
{
	c->state = CLIENT_HANDSHAKE;
	co_timer_stop(&c->deadline_timer);
	c->handshake = (struct redis_handshake){
		.user = c->user, .password = c->password, .probe_key = c->probe_key, .db = c->url.db, .allow_eviction = c->allow_eviction,
		.send = hand_over, .done = on_shaken, .arg = c,
	};
	redis_handshake_start(&c->handshake);
}

/* ---- the socket's events, and hiredis' wishes ---- */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct redis_client *c = arg;

	(void)fd;
	if (c->ac == NULL)
		return;
	if ((what & EV_READ) != 0)
		redisAsyncHandleRead(c->ac);
	else
		redisAsyncHandleWrite(c->ac);
}

static void on_turn_end(void *arg)
{
	struct redis_client *c = arg;

	if (c->write_wanted && c->connected) {
		c->write_wanted = false;
		redisAsyncHandleWrite(c->ac);
		/* Asked for again: the socket is full. Now it is the event's turn. */
		if (c->write_wanted && c->ac != NULL)
			event_add(&c->write_event, NULL);
	}
	if (c->state == CLIENT_DOWN && !co_timer_started(&c->retry_timer))
		retry_later(c);
}

static void add_read(void *arg)
{
	struct redisAsyncContext *ac = arg;
	struct redis_client *c = ac->data;

	if (c != NULL && !event_pending(&c->read_event, EV_READ, NULL))
		event_add(&c->read_event, NULL);
}

static void del_read(void *arg)
{
	struct redisAsyncContext *ac = arg;
	struct redis_client *c = ac->data;

	if (c != NULL)
		event_del(&c->read_event);
}

static void add_write(void *arg)
{
	struct redisAsyncContext *ac = arg;
	struct redis_client *c = ac->data;

	if (c == NULL)
		return;
	c->write_wanted = true;
	if (!c->connected)
		event_add(&c->write_event, NULL);
}

static void del_write(void *arg)
{
	struct redisAsyncContext *ac = arg;
	struct redis_client *c = ac->data;

	if (c == NULL)
		return;
	c->write_wanted = false;
	event_del(&c->write_event);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
	struct redis_client *c = ac->data;
	int one = 1, err = errno;

	if (c == NULL)
		return;
	if (status != REDIS_OK) {
		c->ac = NULL;                   /* hiredis frees it behind this callback */
		((redisAsyncContext *)ac)->data = NULL;
		on_down(c, redis_info_connect_reason(err));
		return;
	}
	c->connected = true;
	event_del(&c->write_event);
	if (c->url.path[0] == '\0')
		(void)setsockopt(ac->c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	shake_hands(c);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
	struct redis_client *c = ac->data;

	(void)status;
	if (c == NULL)
		return;
	c->ac = NULL;
	((redisAsyncContext *)ac)->data = NULL;
	on_down(c, "redis: connection lost");
}

/* ---- connecting ---- */

static void start_connect(struct redis_client *c, const char *address)
{
	redisAsyncContext *ac = c->url.path[0] != '\0' ? redisAsyncConnectUnix(c->url.path)
						       : redisAsyncConnect(address, (int)c->url.port);
	struct event_base *base = co_loop_base(co_loop_current());
	int err = errno;

	if (ac == NULL || ac->err != 0) {
		c->state = CLIENT_CONNECTING;
		on_down(c, ac == NULL ? "redis: out of memory" : redis_info_connect_reason(err));
		if (ac != NULL)
			redisAsyncFree(ac);
		return;
	}
	c->ac = ac;
	c->state = CLIENT_CONNECTING;
	c->connect_deadline_us = clock_mono_us() + (int64_t)c->connect_timeout_ms * 1000;
	ac->data = c;
	ac->ev.data = ac;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	CHECK(event_assign(&c->read_event, base, ac->c.fd, EV_READ | EV_PERSIST, on_socket, c) == 0);
	CHECK(event_assign(&c->write_event, base, ac->c.fd, EV_WRITE, on_socket, c) == 0);
	watch_deadline(c);
	(void)redisAsyncSetDisconnectCallback(ac, on_disconnect);
	(void)redisAsyncSetConnectCallback(ac, on_connect);     /* asks for the write event that tells of the end */
}

static void on_resolved(int rc, const char *address, void *arg)
{
	struct redis_client *c = arg;

	c->resolve = NULL;
	if (rc == 0)
		start_connect(c, address);
	else
		on_down(c, "redis: host not found");
}

static void connect_now(void *arg)
{
	struct redis_client *c = arg;
	unsigned char scratch[sizeof(struct in6_addr)];
	const char *host = c->url.host;

	CHECK(c->ac == NULL && c->resolve == NULL);
	if (host[0] == '\0' || inet_pton(AF_INET, host, scratch) == 1 || inet_pton(AF_INET6, host, scratch) == 1) {
		start_connect(c, host);
		return;
	}
	c->state = CLIENT_RESOLVING;
	c->resolve = redis_resolve_start(host, c->failures, clock_mono_us() + (int64_t)c->connect_timeout_ms * 1000, on_resolved, c);
	if (c->resolve == NULL)
		on_down(c, "redis: out of memory");
}

/* ---- outside ---- */

static bool copy_options(struct redis_client *c, const struct redis_client_options *o)
{
	const char *user = o->user != NULL ? o->user : c->url.user[0] != '\0' ? c->url.user : NULL;

	c->user = user != NULL ? mem_strdup(user) : NULL;
	c->password = o->password != NULL ? mem_strdup(o->password) : NULL;
	c->probe_key = mem_strdup(o->probe_key);
	c->connect_timeout_ms = o->connect_timeout_ms;
	c->command_timeout_ms = o->command_timeout_ms;
	c->reconnect_ms_max = o->reconnect_ms_max;
	c->pending_max = o->pending_max;
	c->allow_eviction = o->allow_eviction;
	return (user == NULL || c->user != NULL) && (o->password == NULL || c->password != NULL) && c->probe_key != NULL;
}

static void free_parts(struct redis_client *c)
{
	struct list *node;

	while ((node = list_pop(&c->unused)) != NULL)
		mem_free(list_entry(node, struct pending, node));
	mem_free(c->values);
	mem_free(c->user);
	mem_free(c->password);
	mem_free(c->probe_key);
	mem_free(c);
}

struct redis_client *redis_client_new(const struct redis_client_options *options, redis_client_state_fn *on_state, void *arg,
				      char *err, size_t err_len)
{
	struct redis_client *c = mem_zalloc(sizeof *c);

	if (c == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	list_init(&c->pending);
	list_init(&c->unused);
	if (redis_url_parse(options->url, &c->url, err, err_len) != 0)
		goto fail;
	if (!copy_options(c, options)) {
		snprintf(err, err_len, "out of memory");
		goto fail;
	}
	c->on_state = on_state;
	c->arg = arg;
	c->state = CLIENT_DOWN;
	c->reason = "redis: not connected yet";
	co_timer_init(&c->retry_timer, connect_now, c);
	co_timer_init(&c->deadline_timer, on_deadline, c);
	CHECK(event_assign(&c->read_event, co_loop_base(co_loop_current()), -1, 0, on_socket, c) == 0);
	CHECK(event_assign(&c->write_event, co_loop_base(co_loop_current()), -1, 0, on_socket, c) == 0);
	if (co_timer_start(&c->retry_timer, clock_mono_us()) != 0) {
		snprintf(err, err_len, "out of memory");
		goto fail;
	}
	co_turn_hook_add(&c->turn_hook, on_turn_end, c);
	return c;
fail:
	free_parts(c);
	return NULL;
}

void redis_client_free(struct redis_client *c)
{
	if (c == NULL)
		return;
	c->freeing = true;
	redis_resolve_cancel(c->resolve);
	drop(c, "redis: closed");
	co_timer_stop(&c->retry_timer);
	co_timer_stop(&c->deadline_timer);
	co_turn_hook_remove(&c->turn_hook);
	counters_set(COUNTER_REDIS_UP, 0);
	free_parts(c);
}

bool redis_client_ready(const struct redis_client *c, const char **ret_reason)
{
	if (c->state == CLIENT_UP)
		return true;
	*ret_reason = c->reason;
	return false;
}

bool redis_client_refused(const struct redis_client *c)
{
	return c->state != CLIENT_UP && c->refused;
}

const struct redis_client_server *redis_client_server(const struct redis_client *c)
{
	return &c->server;
}

int redis_client_command(struct redis_client *c, const char *resp, size_t len, redis_client_reply_fn *fn, void *arg)
{
	if (c->state != CLIENT_UP)
		return -EAGAIN;
	if (c->n_pending >= c->pending_max) {
		counters_add(COUNTER_REDIS_REFUSED, 1);
		return -EAGAIN;
	}
	return queue(c, resp, len, fn, arg);
}

void redis_client_reconnect(struct redis_client *c, const char *reason)
{
	drop(c, reason);
}

size_t redis_client_pending(const struct redis_client *c)
{
	return c->n_pending;
}
