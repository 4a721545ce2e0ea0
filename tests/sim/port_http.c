/*
 * port_http.c: http_client.h against the simulated providers. A request may wait for a connection (and be cancelled there), is written in
 * one go in the turn in which may_write() said yes, and ends by its reply, a reset or its deadline, never by a cancel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"
#include "dispatch/http_client.h"
#include "tests/sim/faults.h"
#include "tests/sim/sim.h"
#include "tests/sim/smsc.h"

struct http_client {
	unsigned provider;
	unsigned under_way;
	struct http_client_counters counters;
};

/* A request on the wire: the world's. */
struct exchange {
	unsigned incarnation, provider;
	struct http_client *client;
	char *body;
	size_t len;
	struct co_future *future;       /* of whoever waits; the process' */
	bool waiting, on_way;           /* freed when neither is so; a process that died waits no more */
	struct co_timer deadline;
	http_reply_fn *on_reply;
	void *arg;
	struct smsc_reply reply;
};

struct http_client *http_client_new(const struct http_client_options *options, char *err, size_t err_len)
{
	struct http_client *c = mem_zalloc(sizeof *c);

	if (c == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	for (; c->provider < SMSC_PROVIDERS; c->provider++)
		if (strncmp(options->host, smsc_names[c->provider], strlen(smsc_names[c->provider])) == 0)
			return c;
	CHECK(false, "nobody is at %s", options->host);
	return NULL;
}

void http_client_free(struct http_client *client)
{
	if (client == NULL)
		return;
	CHECK(client->under_way == 0);
	mem_free(client);
}

/* Its servers take any number of connections. */
void http_client_set_limits(struct http_client *client, const struct http_client_options *options)
{
	(void)client;
	(void)options;
}

void http_client_counters(const struct http_client *client, struct http_client_counters *ret)
{
	*ret = client->counters;
}

/* ---- the way back ---- */

static void end(struct exchange *x, enum http_failure failure)
{
	co_timer_stop(&x->deadline);
	co_set_result(x->future, (int)failure);
}

static void exchange_free(struct exchange *x)
{
	free(x->body);
	free(x);
}

static void give(struct exchange *x)
{
	char seconds[16];
	struct http_header headers[2] = { { "Content-Type", "application/json", 16 } };
	struct http_reply reply = { .status = x->reply.status, .headers = headers, .n_headers = 1, .body = x->reply.body,
				    .body_len = strlen(x->reply.body) };

	if (x->reply.retry_after_s > 0) {
		int n = snprintf(seconds, sizeof seconds, "%u", x->reply.retry_after_s);

		headers[reply.n_headers++] = (struct http_header){ "Retry-After", seconds, (size_t)n };
	}
	faults_on_reply(sim.faults);
	x->on_reply(&reply, x->arg);
	end(x, HTTP_OK);
}

static void answered(struct exchange *x)
{
	switch (x->reply.word) {
	case SMSC_SAYS_YES:
	case SMSC_SAYS_NO:
	case SMSC_SAYS_LATER:
	case SMSC_SAYS_BROKEN:
		give(x);
		break;
	case SMSC_SAYS_GARBAGE:
		end(x, HTTP_MALFORMED);
		break;
	case SMSC_RESETS:
		end(x, sim_chance(50) ? HTTP_RESET : HTTP_CLOSED);
		break;
	case SMSC_HANGS:
		break;
	}
}

static void on_answer(void *arg)
{
	struct exchange *x = arg;

	x->on_way = false;
	if (!sim_same(x->incarnation) || !x->waiting)
		exchange_free(x);
	else if (!co_done(x->future) && sim_effect("http reply"))
		answered(x);
}

static void on_deadline(void *arg)
{
	struct exchange *x = arg;

	co_set_result(x->future, HTTP_TIMEOUT);
}

/* ---- the way there ---- */

static void on_arrival(void *arg)
{
	struct exchange *x = arg;
	const struct smsc_mood *mood = &sim.smsc->moods[x->provider];

	if (!sim.healed && sim_below(1000) < mood->reset_early) {
		sim_trace("%s: resets before the request is whole", smsc_names[x->provider]);
		x->reply.word = SMSC_RESETS;
		sim_after(sim_between(100, 5000), on_answer, x);
		return;
	}
	sim_at(sim_on_grid(sim.now_us + smsc_receive(sim.smsc, x->provider, x->body, x->len, &x->reply)), on_answer, x);
}

/* [suspends] 0: connected. Mostly there is an idle connection. */
static enum http_failure connect_it(const struct http_client *c, int64_t deadline_us)
{
	const struct smsc_mood *mood = &sim.smsc->moods[c->provider];
	int64_t ready_us = clock_mono_us() + sim_between(200, 20000);
	bool refused = sim_below(1000) < mood->refuse_connect;

	if (!refused && sim_chance(60))
		return HTTP_OK;
	if (co_sleep_until(ready_us < deadline_us ? ready_us : deadline_us) != 0)
		return HTTP_CANCELLED;
	if (ready_us >= deadline_us)
		return HTTP_POOL_TIMEOUT;
	return !refused ? HTTP_OK : sim_chance(70) ? HTTP_CONNECT_REFUSED : HTTP_CONNECT_TIMEOUT;
}

static struct exchange *write_it(struct http_client *c, const struct http_request *request, int64_t deadline_us)
{
	struct exchange *x = sim_alloc(sizeof *x);

	*x = (struct exchange){ .incarnation = sim.incarnation, .provider = c->provider, .client = c, .len = request->body_len,
				.on_reply = request->on_reply, .arg = request->arg };
	x->body = sim_copy(request->body, request->body_len);
	x->future = co_future_new();
	CHECK(x->future != NULL);
	co_timer_init(&x->deadline, on_deadline, x);
	CHECK(co_timer_start(&x->deadline, deadline_us) == 0);
	x->waiting = true;
	x->on_way = sim_effect("http write");
	if (x->on_way)
		sim_after(sim_between(50, 3000), on_arrival, x);
	return x;
}

enum http_failure http_client_send(struct http_client *client, const struct http_request *request, int64_t deadline_us, bool *ret_written)
{
	enum http_failure failure = connect_it(client, deadline_us);
	struct exchange *x;

	*ret_written = false;
	if (failure != HTTP_OK)
		return failure;
	if (clock_mono_us() >= deadline_us)
		return HTTP_POOL_TIMEOUT;
	if (request->may_write != NULL && !request->may_write(request->arg))
		return HTTP_FORBIDDEN;
	*ret_written = true;
	client->under_way++;
	client->counters.requests_total++;
	x = write_it(client, request, deadline_us);
	failure = (enum http_failure)co_await_through(x->future);
	co_unref(x->future);
	co_timer_stop(&x->deadline);
	x->waiting = false;
	if (!x->on_way)
		exchange_free(x);
	client->under_way--;
	return failure;
}
