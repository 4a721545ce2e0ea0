/*
 * route.h: which provider takes a message, and when: routing and admission in one. One a worker. Providers' limits are the
 * process's, shared out to workers. Order: pinned by the job, else by weight among those that match and have room now; when none
 * has, the message waits here, first come first served.
 */
#ifndef DISPATCH_ROUTE_H
#define DISPATCH_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"
#include "dispatch/gateway.h"
#include "dispatch/provider.h"

enum { ROUTE_PROVIDERS_MAX = 64 };

struct route;
struct route_provider;
struct throttle_pool;

/* Makes a gateway for each provider. `index` of `count` workers says which share of each limit is ours. NULL with words in err. */
struct route *route_new(const struct provider_options *providers, size_t n, unsigned index, unsigned count, char *err, size_t err_len) MUST_CHECK;
void route_free(struct route *r);               /* takes NULL; nothing may be admitted or waiting */

/* What a message asks for. */
struct route_request {
	const char *to, *pinned;                /* pinned: a provider's name, or NULL */
	size_t pinned_len;
	unsigned parts;
	const struct route_provider *avoid;     /* the one that just failed it; taken again only where no other can */
};

/* [suspends] until a provider has room for the message, which then holds a place there until route_done(), which wants the ticket
 * (breaker.h). 0; -ENOENT: none may ever take it (*ret_why says why, a literal); -ETIMEDOUT; -ECANCELED; -ENOMEM. */
int route_admit(struct route *r, const struct route_request *req, int64_t deadline_us, struct route_provider **ret_provider,
		uint32_t *ret_ticket, const char **ret_why) MUST_CHECK;

/* Gives the place back and tells how it went: limits, pause and breaker follow from the outcome. `parts`: the admitted ones without
 * those that were accepted; they don't count against the day where the outcome says that nothing else was taken. */
void route_done(struct route *r, struct route_provider *p, uint32_t ticket, const struct gateway_outcome *outcome, unsigned parts);

struct gateway *route_gateway(const struct route_provider *p);
const struct provider_options *route_options(const struct route_provider *p);

/* Provider number `index` (as in route_new()) goes on by what of `options` can change while it runs: weight, limits, times, allow_to,
 * split, dry_run; the rest of it isn't looked at. What is admitted goes on. `allow_to` stands for the options' own and becomes the route's:
 * heap, or NULL for all numbers. A shared pool is the caller's to set before. */
void route_reconfigure(struct route *r, size_t index, const struct provider_options *options, char *allow_to);
/* After the last of them, in the same turn: holds for who waits as well, who would else be refused by half of a change. */
void route_reconfigured(struct route *r);

/* The operator's pause: nothing new goes to it until resumed. All where name is NULL. -ENOENT. */
int route_pause(struct route *r, const char *name, bool paused);

struct route_status {
	const char *name, *breaker;
	bool paused;
	unsigned inflight, inflight_max;
	unsigned weight, rate;                  /* as configured, of the process */
	uint64_t daily_cap;
	int64_t throttled_us;                   /* for how long it holds us back yet */
	uint64_t day_used;
	uint64_t accepted_total, refused_total, throttled_total, transient_total, uncertain_total, unsent_total;
	struct gateway_counters gateway;
};
typedef void(route_status_fn)(const struct route_status *status, void *arg);
void route_status(const struct route *r, route_status_fn *visit, void *arg);
size_t route_waiting(const struct route *r);

/* Whether a number starts with one of the prefixes (space separated, with or without "+"); NULL or empty: it does. */
bool route_prefix_allows(const char *prefixes, const char *to);

#endif
