/*
 * port_redis.c: redis_client.h against the simulated server. The client's own state is the process' memory and dies with it; bytes on the
 * way are the world's. As the real one it writes once a turn, answers in order, gives the connection up at a deadline and tells what
 * was pending NULL; the real one's handshake is two round trips here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/buf.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "daemon/base/random.h"
#include "dispatch/coro/coro.h"
#include "metrics/redis_client.h"
#include "metrics/redis_info.h"
#include "tests/sim/record_view.h"
#include "tests/sim/redis_sim.h"
#include "tests/sim/sim.h"
#include "tests/sim/verify.h"

enum { BACKOFF_MS = 50 };

enum client_state { CLIENT_DOWN = 1, CLIENT_CONNECTING, CLIENT_UP };

/* One connection, as the network knows it. */
struct pipe {
	struct list node;               /* in pipes */
	unsigned refs, incarnation;
	struct redis_client *client;    /* NULL once that has given it up */
	bool cut, fate_known;           /* what has not arrived yet is lost; whether that is decided */
	int64_t arrives_us, returns_us; /* of the last sent each way: order is kept */
};

struct pending {
	struct list node;
	redis_client_reply_fn *fn;
	void *arg;
	int64_t queued_us;
};

struct redis_client {
	struct redis_client_options options;
	redis_client_state_fn *on_state;
	void *arg;
	enum client_state state;
	const char *reason;
	bool refused, freeing;
	unsigned failures;
	struct pipe *pipe;              /* NULL: down */
	struct buf out;                 /* this turn's commands */
	struct co_turn_hook turn_hook;
	struct co_timer retry_timer, deadline_timer;
	struct list pending;
	size_t n_pending;
	struct redis_client_server server;
};

static struct list pipes = LIST_INIT(pipes);

static void connect_now(void *arg);

/* ---- pipes ---- */

static struct pipe *pipe_new(struct redis_client *c)
{
	struct pipe *p = sim_alloc(sizeof *p);

	p->refs = 1;
	p->incarnation = sim.incarnation;
	p->client = c;
	list_append(&pipes, &p->node);
	return p;
}

static void pipe_unref(struct pipe *p)
{
	if (--p->refs > 0)
		return;
	list_remove(&p->node);
	free(p);
}

/* The process' end of it, or NULL where that is gone. */
static struct redis_client *client_of(const struct pipe *p)
{
	return sim_same(p->incarnation) ? p->client : NULL;
}

/* ---- going down ---- */

static void retry_later(struct redis_client *c)
{
	unsigned shift = c->failures < 10 ? c->failures : 10;
	uint64_t cap_ms = (uint64_t)BACKOFF_MS << shift;

	if (cap_ms > c->options.reconnect_ms_max)
		cap_ms = c->options.reconnect_ms_max;
	c->failures++;
	CHECK(co_timer_start(&c->retry_timer, clock_mono_us() + (int64_t)(cap_ms / 2 + random_below(cap_ms / 2 + 1)) * 1000) == 0);
}

static void answer_none(struct list *pending)
{
	struct list *node;

	while ((node = list_pop(pending)) != NULL) {
		struct pending *p = list_entry(node, struct pending, node);
		redis_client_reply_fn *fn = p->fn;
		void *arg = p->arg;

		mem_free(p);
		fn(NULL, arg);
	}
}

static void drop(struct redis_client *c, const char *reason)
{
	enum client_state was = c->state;
	struct list pending;

	if (c->pipe == NULL)
		return;
	c->pipe->client = NULL;
	pipe_unref(c->pipe);
	c->pipe = NULL;
	c->state = CLIENT_DOWN;
	c->reason = reason;
	buf_reset(&c->out);
	co_timer_stop(&c->deadline_timer);
	list_init(&pending);
	list_splice(&pending, &c->pending);
	c->n_pending = 0;
	if (!c->freeing) {
		sim_trace("redis client: down, %s", reason);
		log_warn("redis is away", LOG_STR("reason", reason));
		retry_later(c);
		if (was == CLIENT_UP)
			c->on_state(false, c->arg);
	}
	answer_none(&pending);
}

void port_redis_lose_all(const char *reason)
{
	list_each(node, &pipes) {
		struct pipe *p = list_entry(node, struct pipe, node);
		struct redis_client *c = client_of(p);

		if (c != NULL) {
			p->refs++;
			p->cut = sim_chance(50);
			p->fate_known = true;
			drop(c, reason);
			pipe_unref(p);
		}
	}
}

/* ---- the way back ---- */

struct reply {
	struct pipe *pipe;
	struct redis_value value;
};

static void watch_deadline(struct redis_client *c)
{
	struct pending *first;

	if (list_empty(&c->pending))
		return;
	first = list_entry(c->pending.next, struct pending, node);
	CHECK(co_timer_start(&c->deadline_timer, first->queued_us + (int64_t)c->options.command_timeout_ms * 1000) == 0);
}

static void on_deadline(void *arg)
{
	struct redis_client *c = arg;
	struct pending *first;

	if (list_empty(&c->pending))
		return;
	first = list_entry(c->pending.next, struct pending, node);
	if (first->queued_us + (int64_t)c->options.command_timeout_ms * 1000 > clock_mono_us())
		watch_deadline(c);
	else
		drop(c, "redis: no reply");
}

static void hand_out(struct redis_client *c, const struct redis_value *v)
{
	struct pending *p = list_entry(list_pop(&c->pending), struct pending, node);
	redis_client_reply_fn *fn = p->fn;
	void *arg = p->arg;
	const char *reason = v->type == REDIS_VALUE_ERROR ? redis_info_reason(v->str, &c->refused) : NULL;

	mem_free(p);
	c->n_pending--;
	if (reason != NULL)
		drop(c, reason);
	fn(reason == NULL ? v : NULL, arg);
}

static void on_reply(void *arg)
{
	struct reply *r = arg;
	struct redis_client *c = client_of(r->pipe);

	if (c != NULL && sim_effect("redis reply"))
		hand_out(c, &r->value);
	redis_value_free(&r->value);
	pipe_unref(r->pipe);
	free(r);
}

/* ---- the way there ---- */

struct batch {
	struct pipe *pipe;
	char *bytes;
	size_t len;
};

static void send_back(struct pipe *p, struct redis_value value)
{
	struct reply *r = sim_alloc(sizeof *r);

	*r = (struct reply){ p, value };
	p->refs++;
	if (p->returns_us < sim.now_us)
		p->returns_us = sim.now_us + redis_sim_latency_us(sim.redis);
	sim_at(p->returns_us, on_reply, r);
}

/* Whoever is gone may still have bytes in the network: they mostly arrive. */
static bool arrives(struct pipe *p)
{
	if (!p->fate_known && client_of(p) == NULL) {
		p->fate_known = true;
		p->cut = sim_chance(25);
	}
	return !p->cut && sim.redis->up;
}

/* The records of a script's call, as they are now. */
static void show_records(const char *bytes, size_t len)
{
	static const char mark[] = "}:m:";
	const char *end = bytes + len, *at;

	while ((at = memmem(bytes, (size_t)(end - bytes), mark, sizeof mark - 1)) != NULL) {
		char id[160];
		struct record_view r;

		bytes = at + sizeof mark - 1;
		snprintf(id, sizeof id, "%.*s", (int)strcspn(bytes, "\r"), bytes);
		if (!record_view_get(id, &r))
			continue;
		printf("    %s: state %d claims %d at %d/%d attempts %d uncertain %d duplicates %d\n", id, (int)r.state, (int)r.claims,
		       (int)r.partition, (int)r.offset, (int)r.attempts, (int)r.uncertain, (int)r.n_duplicates);
	}
}

/* Into the hash go all bytes of the command, by their sum. */
static void trace_command(const char *bytes, size_t len, const struct redis_value *v)
{
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 16777619u;
	sim_trace("redis: %zu bytes %08x -> %d %lld %.60s", len, sum, (int)v->type, (long long)v->integer,
		  v->type == REDIS_VALUE_ERROR || v->type == REDIS_VALUE_STATUS ? v->str : "");
}

static void execute(struct pipe *p, const char *bytes, size_t len)
{
	size_t used, cut_after = SIZE_MAX, n = 0;
	struct redis_value v;

	if (!sim.healed && sim_below(1000) < sim.redis->break_permille)
		cut_after = sim_below(3);
	for (; len > 0 && arrives(p); bytes += used, len -= used) {
		if (n++ == cut_after) {
			p->cut = p->fate_known = true;
			break;
		}
		v = redis_sim_execute(sim.redis, bytes, len, &used);
		trace_command(bytes, used, &v);
		if (sim.tracing)
			show_records(bytes, used);
		if (cut_after == SIZE_MAX)
			send_back(p, v);
		else
			redis_value_free(&v);
	}
	if (cut_after != SIZE_MAX && client_of(p) != NULL) {
		sim_trace("redis: connection breaks after %zu commands of a turn", n);
		drop(client_of(p), "redis: connection lost");
	}
}

static void on_batch(void *arg)
{
	struct batch *b = arg;

	execute(b->pipe, b->bytes, b->len);
	pipe_unref(b->pipe);
	free(b->bytes);
	free(b);
}

static void on_turn_end(void *arg)
{
	struct redis_client *c = arg;
	struct batch *b;
	int64_t at_us;

	if (c->out.len == 0 || c->state != CLIENT_UP || !sim_effect("redis write"))
		return;
	b = sim_alloc(sizeof *b);
	*b = (struct batch){ c->pipe, sim_copy(c->out.data, c->out.len), c->out.len };
	c->pipe->refs++;
	buf_reset(&c->out);
	at_us = sim.now_us + redis_sim_latency_us(sim.redis);
	if (at_us > c->pipe->arrives_us)
		c->pipe->arrives_us = at_us;
	sim_at(c->pipe->arrives_us, on_batch, b);
}

int redis_client_command(struct redis_client *c, const char *resp, size_t len, redis_client_reply_fn *fn, void *arg)
{
	struct pending *p;

	if (c->state != CLIENT_UP || c->n_pending >= c->options.pending_max)
		return -EAGAIN;
	p = mem_alloc(sizeof *p);
	CHECK(p != NULL);
	*p = (struct pending){ .fn = fn, .arg = arg, .queued_us = clock_mono_us() };
	buf_put(&c->out, resp, len);
	list_append(&c->pending, &p->node);
	c->n_pending++;
	if (!co_timer_started(&c->deadline_timer))
		watch_deadline(c);
	return 0;
}

/* ---- connecting ---- */

static void on_connected(void *arg)
{
	struct pipe *p = arg;
	struct redis_client *c = client_of(p);

	if (c != NULL && sim_effect("redis connected")) {
		if (!sim.redis->up || (!sim.healed && sim_chance(5))) {
			drop(c, "redis: connection refused");
		} else {
			c->state = CLIENT_UP;
			c->reason = "redis: ready";
			c->failures = 0;
			c->server = (struct redis_client_server){ .major = 7, .minor = 2, .aof = true, .noeviction = true,
								  .fsync = sim.redis->fsync };
			snprintf(c->server.run_id, sizeof c->server.run_id, "%s", sim.redis->run_id);
			snprintf(c->server.replication_id, sizeof c->server.replication_id, "%s", sim.redis->run_id);
			sim_trace("redis client: up");
			c->on_state(true, c->arg);
		}
	}
	pipe_unref(p);
}

static void connect_now(void *arg)
{
	struct redis_client *c = arg;

	c->pipe = pipe_new(c);
	c->pipe->refs++;
	c->state = CLIENT_CONNECTING;
	sim_after(4 * redis_sim_latency_us(sim.redis), on_connected, c->pipe);
}

/* ---- outside ---- */

struct redis_client *redis_client_new(const struct redis_client_options *options, redis_client_state_fn *on_state, void *arg,
				      char *err, size_t err_len)
{
	struct redis_client *c = mem_zalloc(sizeof *c);

	if (c == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	c->options = *options;
	c->on_state = on_state;
	c->arg = arg;
	c->state = CLIENT_DOWN;
	c->reason = "redis: not connected yet";
	list_init(&c->pending);
	co_timer_init(&c->retry_timer, connect_now, c);
	co_timer_init(&c->deadline_timer, on_deadline, c);
	CHECK(co_timer_start(&c->retry_timer, clock_mono_us()) == 0);
	co_turn_hook_add(&c->turn_hook, on_turn_end, c);
	return c;
}

void redis_client_free(struct redis_client *c)
{
	if (c == NULL)
		return;
	c->freeing = true;
	drop(c, "redis: closed");
	co_timer_stop(&c->retry_timer);
	co_timer_stop(&c->deadline_timer);
	co_turn_hook_remove(&c->turn_hook);
	buf_fini(&c->out);
	mem_free(c);
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

void redis_client_reconnect(struct redis_client *c, const char *reason)
{
	drop(c, reason);
}

size_t redis_client_pending(const struct redis_client *c)
{
	return c->n_pending;
}
