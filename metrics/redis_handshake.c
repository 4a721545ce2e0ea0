/*
 * redis_handshake.c: AUTH, SELECT, INFO, CONFIG GET, and a write that expires by itself: a server that takes that takes ours.
 * Knows no socket: it sends and ends through its owner. Refuses replicas, servers below 7.0, and those that evict.
 */
#include "metrics/redis_handshake.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "metrics/resp.h"

enum { NEEDS_MAJOR = 7, PROBE_LIFE_S = 60 };

static void finish(struct redis_handshake *h, const char *reason, bool refused)
{
	if (h->over)
		return;
	h->over = true;
	h->done(h->arg, reason, refused);
}

static void say(struct redis_handshake *h, redis_client_reply_fn *fn, unsigned argc, const char *const *argv)
{
	struct buf b = { 0 };
	size_t need = 16;
	char *p, *start;
	int rc = -1;

	if (h->over)
		return;
	for (unsigned i = 0; i < argc; i++)
		need += resp_bulk_max(strlen(argv[i]));
	p = start = buf_room(&b, need);
	if (p != NULL) {
		p = resp_put_head(p, '*', argc);
		for (unsigned i = 0; i < argc; i++)
			p = resp_put_bulk(p, argv[i], strlen(argv[i]));
		rc = h->send(h->arg, start, (size_t)(p - start), fn, h);
	}
	buf_fini(&b);
	if (rc != 0)
		finish(h, "redis: out of memory", false);
}

/* AUTH, SELECT: nothing but OK will do; known errors have ended the connection already. */
static void on_ok(const struct redis_value *v, void *arg)
{
	if (v != NULL && v->type == REDIS_VALUE_ERROR)
		finish(arg, "redis: handshake refused", false);
}

static void on_info(const struct redis_value *v, void *arg)
{
	struct redis_handshake *h = arg;

	if (v == NULL || h->over)
		return;
	if (v->type == REDIS_VALUE_STRING)
		redis_info_parse(&h->info, v->str, v->len);
	else
		finish(h, "redis: INFO refused", true);
}

/* CONFIG may be forbidden: then the policy stays unknown, and the store assumes everysec. */
static void on_fsync(const struct redis_value *v, void *arg)
{
	struct redis_handshake *h = arg;
	const struct redis_value *policy;

	if (v == NULL || v->type != REDIS_VALUE_ARRAY || v->n < 2 || v->items[1].type != REDIS_VALUE_STRING)
		return;
	policy = &v->items[1];
	if (strcmp(policy->str, "always") == 0)
		h->info.server.fsync = REDIS_FSYNC_ALWAYS;
	else if (strcmp(policy->str, "everysec") == 0)
		h->info.server.fsync = REDIS_FSYNC_EVERYSEC;
	else if (strcmp(policy->str, "no") == 0)
		h->info.server.fsync = REDIS_FSYNC_NO;
}

static const char *unfit(const struct redis_handshake *h, bool *ret_refused)
{
	const struct redis_info *info = &h->info;

	*ret_refused = true;
	if (info->server.major < NEEDS_MAJOR)
		return "redis: version below 7";
	if (!info->server.noeviction && !h->allow_eviction)
		return "redis: maxmemory-policy is not noeviction";
	*ret_refused = false;
	if (info->loading)
		return "redis: LOADING";
	if (info->replica)
		return info->link_down ? "redis: MASTERDOWN" : "redis: READONLY";
	return NULL;
}

/* The last step: a write that went through. */
static void on_probe(const struct redis_value *v, void *arg)
{
	struct redis_handshake *h = arg;
	const char *reason;
	bool refused;

	if (v == NULL || h->over)
		return;
	reason = unfit(h, &refused);
	if (reason == NULL && v->type == REDIS_VALUE_ERROR) {
		refused = strncmp(v->str, "NOPERM", 6) == 0;
		reason = refused ? "redis: NOPERM" : "redis: write refused";
	}
	finish(h, reason, refused);
}

void redis_handshake_start(struct redis_handshake *h)
{
	static const char *const sections[] = { "server", "persistence", "replication", "memory" };
	char number[12];

	h->over = false;
	h->info = (struct redis_info){ .server.fsync = REDIS_FSYNC_UNKNOWN };
	if (h->password != NULL && h->user != NULL)
		say(h, on_ok, 3, (const char *const[]){ "AUTH", h->user, h->password });
	else if (h->password != NULL)
		say(h, on_ok, 2, (const char *const[]){ "AUTH", h->password });
	if (h->db != 0) {
		snprintf(number, sizeof number, "%u", h->db);
		say(h, on_ok, 2, (const char *const[]){ "SELECT", number });
	}
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		say(h, on_info, 2, (const char *const[]){ "INFO", sections[i] });
	say(h, on_fsync, 3, (const char *const[]){ "CONFIG", "GET", "appendfsync" });
	snprintf(number, sizeof number, "%d", PROBE_LIFE_S);
	say(h, on_probe, 5, (const char *const[]){ "SET", h->probe_key, "1", "EX", number });
}
