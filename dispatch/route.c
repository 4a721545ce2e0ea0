/*
 * route.c: owns a worker's providers: their gateways, limits, breakers and who waits for them. Runs on the worker's thread. It sends
 * nothing and retries nothing.
 *
 * Whoever asks gets a place at once or queues. A place that falls free, or time that makes one (a rate's next token, the end of a
 * pause, a breaker's probe), goes to the first in the queue that may use it; newcomers never overtake it.
 */
#include "dispatch/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/list.h"
#include "daemon/base/random.h"
#include "dispatch/breaker.h"
#include "dispatch/coro/coro.h"
#include "dispatch/gateway_http.h"
#include "dispatch/throttle.h"

enum {
	THROTTLED_PAUSE_MS = 1000,              /* where the provider didn't say how long */
	THROTTLED_PAUSE_MS_MAX = 3600 * 1000,   /* a longer word is a mistake more often than a wish */
	DAILY_CAP_RECHECK_US = 10 * 1000000,
};

enum { GIVEN = 0, REFUSED = 1 };                /* how a wait in the queue ends */

struct route_provider {
	struct provider_options options;
	struct gateway *gateway;
	struct breaker breaker;
	struct throttle throttle;
	struct throttle_pool own_pool;
	char *allow_to;                         /* ours since a reload, and then options.allow_to; NULL: the configuration's */
	unsigned inflight, inflight_max;
	int64_t held_until_us;                  /* throttled by its word until then */
	int64_t short_until_us;                 /* out of tokens or over its cap until then, by our own limits */
	bool paused;
	uint64_t verdicts[GATEWAY_UNSENT + 1];
};

struct waiter {
	struct list node;
	const struct route_request *req;
	uint64_t mask;                          /* the providers that may take it */
	struct co_future *given_future;         /* GIVEN, REFUSED */
	struct route_provider *given;
	uint32_t ticket;
	const char *why;                        /* since a reload none may take it */
};

struct route {
	struct route_provider *providers;
	size_t n;
	unsigned index, count;                  /* this worker's part of each limit */
	struct list waiters;
	size_t n_waiting;
	struct co_timer timer;
};

static void wake(void *arg);

bool route_prefix_allows(const char *prefixes, const char *to)
{
	if (prefixes == NULL || *prefixes == '\0')
		return true;
	if (*to == '+')
		to++;
	while (*prefixes) {
		size_t len;

		prefixes += strspn(prefixes, " ,\t+");
		len = strcspn(prefixes, " ,\t");
		if (len > 0 && strncmp(prefixes, to, len) == 0)
			return true;
		prefixes += len;
	}
	return false;
}

static unsigned share_of(const struct route *r, unsigned total)
{
	unsigned share = total / r->count + (r->index < total % r->count);

	return share > 0 ? share : 1;
}

static int provider_init(const struct route *r, struct route_provider *p, const struct provider_options *options, char *err, size_t err_len)
{
	p->options = *options;
	p->inflight_max = share_of(r, options->max_inflight);
	throttle_pool_init(&p->own_pool, options->rate, options->daily_cap);
	throttle_init(&p->throttle, options->pool != NULL ? options->pool : &p->own_pool);
	breaker_init(&p->breaker, options->breaker_failures, (int64_t)options->breaker_open_ms * 1000);
	if (strcmp(options->type, "http") != 0) {
		snprintf(err, err_len, "provider %s: type = %s: there is only http", options->name, options->type);
		return -EINVAL;
	}
	p->gateway = gateway_http_new(options, r->count, err, err_len);
	return p->gateway != NULL ? 0 : -EINVAL;
}

struct route *route_new(const struct provider_options *providers, size_t n, unsigned index, unsigned count, char *err, size_t err_len)
{
	struct route *r = mem_zalloc(sizeof *r);

	CHECK(n <= ROUTE_PROVIDERS_MAX && index < count);
	if (r == NULL || (r->providers = mem_zalloc(sizeof *r->providers * (n ? n : 1))) == NULL)
		goto oom;
	r->index = index;
	r->count = count;
	list_init(&r->waiters);
	co_timer_init(&r->timer, wake, r);
	for (; r->n < n; r->n++) {
		if (provider_init(r, &r->providers[r->n], &providers[r->n], err, err_len) != 0)
			goto fail;
	}
	return r;
oom:
	snprintf(err, err_len, "out of memory");
fail:
	route_free(r);
	return NULL;
}

void route_free(struct route *r)
{
	if (r == NULL)
		return;
	CHECK(list_empty(&r->waiters));
	co_timer_stop(&r->timer);
	for (size_t i = 0; i < r->n; i++) {
		r->providers[i].gateway->ops->free(r->providers[i].gateway);
		mem_free(r->providers[i].allow_to);
	}
	mem_free(r->providers);
	mem_free(r);
}

/* ---- who may take it ---- */

static uint64_t bit_of(const struct route *r, const struct route_provider *p)
{
	return 1ull << (p - r->providers);
}

static uint64_t match(const struct route *r, const struct route_request *req, const char **ret_why)
{
	uint64_t mask = 0;
	bool pinned_found = false;

	for (size_t i = 0; i < r->n; i++) {
		const struct provider_options *o = &r->providers[i].options;

		if (req->pinned != NULL && (strlen(o->name) != req->pinned_len || memcmp(o->name, req->pinned, req->pinned_len) != 0))
			continue;
		pinned_found = true;
		if (route_prefix_allows(o->allow_to, req->to))
			mask |= 1ull << i;
	}
	if (mask == 0)
		*ret_why = pinned_found ? "not_allowed" : "no_such_provider";
	return mask;
}

/* Whether it has room, apart from its rate and its cap, which only taking tells. */
static bool has_room(const struct route_provider *p, int64_t now_us)
{
	return p->inflight < p->inflight_max && !p->paused && now_us >= p->held_until_us && now_us >= p->short_until_us &&
	       breaker_allows(&p->breaker, now_us);
}

static uint64_t with_room(const struct route *r, uint64_t mask, int64_t now_us)
{
	uint64_t open = 0;

	for (size_t i = 0; i < r->n; i++)
		if (mask >> i & 1 && has_room(&r->providers[i], now_us))
			open |= 1ull << i;
	return open;
}

static struct route_provider *by_weight(const struct route *r, uint64_t open)
{
	uint64_t total = 0, pick;

	if ((open & (open - 1)) == 0)
		return &r->providers[__builtin_ctzll(open)];
	for (size_t i = 0; i < r->n; i++)
		total += open >> i & 1 ? r->providers[i].options.weight : 0;
	pick = random_below(total);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t weight = open >> i & 1 ? r->providers[i].options.weight : 0;

		if (pick < weight)
			return &r->providers[i];
		pick -= weight;
	}
	return &r->providers[__builtin_ctzll(open)];
}

/* Takes a place, tokens and the day's share; false: it is held from now on. */
static bool take(struct route_provider *p, unsigned parts, int64_t now_us, uint32_t *ret_ticket)
{
	int64_t again_us = throttle_take(&p->throttle, parts, now_us);

	if (again_us != 0) {
		p->short_until_us = again_us;
		return false;
	}
	if (!throttle_day_take(&p->throttle, parts, clock_wall_ms())) {
		p->short_until_us = now_us + DAILY_CAP_RECHECK_US;
		return false;
	}
	*ret_ticket = breaker_take(&p->breaker, now_us);
	p->inflight++;
	return true;
}

static struct route_provider *try_admit(struct route *r, uint64_t mask, unsigned parts, uint32_t *ret_ticket)
{
	int64_t now_us = clock_mono_us();
	uint64_t open = with_room(r, mask, now_us);

	while (open != 0) {
		struct route_provider *p = by_weight(r, open);

		if (take(p, parts, now_us, ret_ticket))
			return p;
		open &= ~bit_of(r, p);
	}
	return NULL;
}

/* ---- the queue ---- */

/* Until when it takes nothing more, by its word or our limits. */
static int64_t until_us(const struct route_provider *p)
{
	return p->held_until_us > p->short_until_us ? p->held_until_us : p->short_until_us;
}

/* When time alone may make room: the earliest end of a hold or of a breaker's rest. */
static void arm(struct route *r, int64_t now_us)
{
	int64_t at_us = CLOCK_NEVER;

	for (size_t i = 0; i < r->n; i++) {
		const struct route_provider *p = &r->providers[i];
		int64_t held_us = until_us(p), probe_us = breaker_next_us(&p->breaker);

		at_us = held_us > now_us && held_us < at_us ? held_us : at_us;
		at_us = probe_us > now_us && probe_us < at_us ? probe_us : at_us;
	}
	if (at_us != CLOCK_NEVER)
		(void)!co_timer_start(&r->timer, at_us);        /* no memory for it: the next route_done() looks again */
}

/* Gives what room there is to those who wait, first come first served among those who can use it. */
static void wake(void *arg)
{
	struct route *r = arg;
	int64_t now_us = clock_mono_us();
	uint64_t open;

	if (list_empty(&r->waiters))
		return;
	open = with_room(r, UINT64_MAX, now_us);
	list_each(node, &r->waiters) {
		struct waiter *w = list_entry(node, struct waiter, node);

		if (open == 0)
			break;
		/* Done: its wait was cancelled, timed out or refused in this turn, and it leaves the queue itself. */
		if ((w->mask & open) == 0 || co_done(w->given_future))
			continue;
		w->given = try_admit(r, w->mask, w->req->parts, &w->ticket);
		if (w->given != NULL) {
			list_remove(&w->node);
			r->n_waiting--;
			co_set_result(w->given_future, GIVEN);
		}
		open = with_room(r, open, now_us);
	}
	if (!list_empty(&r->waiters))
		arm(r, now_us);
}

static void give_back(struct route *r, struct route_provider *p, uint32_t ticket, unsigned parts)
{
	p->inflight--;
	breaker_untried(&p->breaker, ticket);
	throttle_day_return(&p->throttle, parts, clock_wall_ms());
	wake(r);
}

static int wait_for_room(struct route *r, const struct route_request *req, uint64_t mask, int64_t deadline_us,
			 struct route_provider **ret_provider, uint32_t *ret_ticket, const char **ret_why)
{
	struct waiter w = { .req = req, .mask = mask, .given_future = co_future_new() };
	int rc;

	if (w.given_future == NULL)
		return -ENOMEM;
	list_append(&r->waiters, &w.node);
	r->n_waiting++;
	wake(r);
	rc = co_wait_for(w.given_future, deadline_us);
	co_unref(w.given_future);
	if (rc == GIVEN) {
		*ret_provider = w.given;
		*ret_ticket = w.ticket;
		return 0;
	}
	if (w.given != NULL) {                  /* given in the turn in which the wait was cancelled */
		give_back(r, w.given, w.ticket, req->parts);
	} else {
		list_remove(&w.node);
		r->n_waiting--;
	}
	if (rc != REFUSED)
		return rc;
	*ret_why = w.why;
	return -ENOENT;
}

int route_admit(struct route *r, const struct route_request *req, int64_t deadline_us, struct route_provider **ret_provider,
		uint32_t *ret_ticket, const char **ret_why)
{
	uint64_t mask = match(r, req, ret_why), others;
	struct route_provider *p = NULL;
	uint32_t ticket = 0;

	if (mask == 0)
		return -ENOENT;
	if (list_empty(&r->waiters)) {
		others = req->avoid != NULL ? mask & ~bit_of(r, req->avoid) : mask;
		p = try_admit(r, others, req->parts, &ticket);
		if (p == NULL && others != mask)
			p = try_admit(r, mask, req->parts, &ticket);
	}
	if (p == NULL)
		return wait_for_room(r, req, mask, deadline_us, ret_provider, ret_ticket, ret_why);
	*ret_provider = p;
	*ret_ticket = ticket;
	return 0;
}

static void hold(struct route_provider *p, int64_t retry_after_ms, int64_t now_us)
{
	int64_t ms = retry_after_ms > 0 ? retry_after_ms : THROTTLED_PAUSE_MS;

	if (ms > THROTTLED_PAUSE_MS_MAX)
		ms = THROTTLED_PAUSE_MS_MAX;
	if (p->held_until_us < now_us + ms * 1000)
		p->held_until_us = now_us + ms * 1000;
}

void route_done(struct route *r, struct route_provider *p, uint32_t ticket, const struct gateway_outcome *outcome, unsigned parts)
{
	int64_t now_us = clock_mono_us();

	CHECK(p->inflight > 0);
	p->verdicts[outcome->verdict]++;
	switch (outcome->verdict) {
	case GATEWAY_UNSENT:
		give_back(r, p, ticket, parts);
		return;
	case GATEWAY_THROTTLED:
		hold(p, outcome->retry_after_ms, now_us);
		breaker_success(&p->breaker, ticket);
		throttle_day_return(&p->throttle, parts, clock_wall_ms());
		break;
	case GATEWAY_ACCEPTED:
	case GATEWAY_REFUSED:
		breaker_success(&p->breaker, ticket);
		break;
	case GATEWAY_TRANSIENT:
		throttle_day_return(&p->throttle, parts, clock_wall_ms());
		breaker_failure(&p->breaker, ticket, now_us);
		break;
	case GATEWAY_UNCERTAIN:
		breaker_failure(&p->breaker, ticket, now_us);
		break;
	}
	p->inflight--;
	wake(r);
}

struct gateway *route_gateway(const struct route_provider *p)
{
	return p->gateway;
}

const struct provider_options *route_options(const struct route_provider *p)
{
	return &p->options;
}

/* ---- the operator's side ---- */

/* Who waits may have got another choice, or none: then its wait ends with that. */
static void match_waiters(struct route *r)
{
	list_each(node, &r->waiters) {
		struct waiter *w = list_entry(node, struct waiter, node);

		w->mask = match(r, w->req, &w->why);
		if (w->mask == 0 && !co_done(w->given_future))
			co_set_result(w->given_future, REFUSED);
	}
}

static void take_options(struct provider_options *to, const struct provider_options *from)
{
	to->weight = from->weight;
	to->max_inflight = from->max_inflight;
	to->rate = from->rate;
	to->daily_cap = from->daily_cap;
	to->timeout_ms = from->timeout_ms;
	to->connect_timeout_ms = from->connect_timeout_ms;
	to->max_connecting = from->max_connecting;
	to->idle_ms = from->idle_ms;
	to->breaker_failures = from->breaker_failures;
	to->breaker_open_ms = from->breaker_open_ms;
	to->split_provider = from->split_provider;
	to->dry_run = from->dry_run;
}

void route_reconfigure(struct route *r, size_t index, const struct provider_options *options, char *allow_to)
{
	struct route_provider *p;

	CHECK(index < r->n);
	p = &r->providers[index];
	if (options->rate != p->options.rate || options->daily_cap != p->options.daily_cap) {
		p->short_until_us = 0;
		throttle_forget(&p->throttle);
		throttle_pool_set(&p->own_pool, options->rate, options->daily_cap);
	}
	take_options(&p->options, options);
	mem_free(p->allow_to);
	p->options.allow_to = p->allow_to = allow_to;
	p->inflight_max = share_of(r, options->max_inflight);
	breaker_set(&p->breaker, options->breaker_failures, (int64_t)options->breaker_open_ms * 1000, clock_mono_us());
	p->gateway->ops->set_limits(p->gateway, &p->options, r->count);
}

void route_reconfigured(struct route *r)
{
	match_waiters(r);
	wake(r);
}

int route_pause(struct route *r, const char *name, bool paused)
{
	int rc = name != NULL ? -ENOENT : 0;

	for (size_t i = 0; i < r->n; i++) {
		if (name != NULL && strcmp(name, r->providers[i].options.name) != 0)
			continue;
		r->providers[i].paused = paused;
		rc = 0;
	}
	wake(r);
	return rc;
}

void route_status(const struct route *r, route_status_fn *visit, void *arg)
{
	int64_t now_us = clock_mono_us();

	for (size_t i = 0; i < r->n; i++) {
		const struct route_provider *p = &r->providers[i];
		struct route_status s = {
			.name = p->options.name, .breaker = breaker_state_name(p->breaker.state), .paused = p->paused,
			.inflight = p->inflight, .inflight_max = p->inflight_max, .weight = p->options.weight, .rate = p->options.rate,
			.daily_cap = p->options.daily_cap, .throttled_us = until_us(p) > now_us ? until_us(p) - now_us : 0,
			.day_used = throttle_day_used(p->throttle.pool, clock_wall_ms()),
			.accepted_total = p->verdicts[GATEWAY_ACCEPTED], .refused_total = p->verdicts[GATEWAY_REFUSED],
			.throttled_total = p->verdicts[GATEWAY_THROTTLED], .transient_total = p->verdicts[GATEWAY_TRANSIENT],
			.uncertain_total = p->verdicts[GATEWAY_UNCERTAIN], .unsent_total = p->verdicts[GATEWAY_UNSENT],
		};

		p->gateway->ops->counters(p->gateway, &s.gateway);
		visit(&s, arg);
	}
}

size_t route_waiting(const struct route *r)
{
	return r->n_waiting;
}
