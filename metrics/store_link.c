/*
 * store_link.c: the store's side of a connection's life: scripts loaded, `sms:meta` compared, and what a server that lost data may
 * have lost written again before anything is claimed there. On the store's thread, on the loop's stack.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "metrics/counters.h"
#include "metrics/scripts.h"
#include "metrics/store_private.h"

enum { LOOK_AGAIN_US = 1000000 };

static const char meta_key[] = "sms:meta";
const char store_probe_key[] = "sms:probe";

/* ---- what may be done ---- */

bool store_is_writable(const struct store *s)
{
	return s->connected && !s->unfit && s->starting == 0 && s->meta != META_UNKNOWN && s->meta != META_WRONG;
}

static bool is_rewriting(const struct store *s)
{
	return !list_empty(&s->rewriting) || s->rewriting_under_way > 0;
}

static const char *why_not(const struct store *s)
{
	const char *reason = NULL;

	if (!redis_client_ready(s->client, &reason))
		return reason;
	if (s->unfit)
		return "redis: no WAITAOF (below 7.2), which durability = aof needs";
	if (!s->connected || s->starting > 0 || s->meta == META_UNKNOWN)
		return "redis: connecting";
	if (s->meta == META_WRONG)
		return "redis: another format or number of shards in sms:meta";
	if (s->meta == META_MISSING && s->expect_existing)
		return "redis: store is empty though the group has commits";
	if (is_rewriting(s))
		return "redis: writing again what it may have lost";
	if (s->n_retained >= STORE_RETAINED_MAX)
		return "redis: too many outcomes wait to become durable";
	return NULL;
}

bool store_is_claimable(const struct store *s, const char **ret_reason)
{
	const char *reason = why_not(s);

	if (reason != NULL && ret_reason != NULL)
		*ret_reason = reason;
	return reason == NULL;
}

static void tell(struct co_event *e, bool yes)
{
	if (yes)
		co_event_set(e);
	else
		co_event_clear(e);
}

void store_look_ready(struct store *s)
{
	tell(&s->ready, why_not(s) == NULL);
	tell(&s->writable, store_is_writable(s));
}

/* ---- what is kept until it is durable ---- */

void store_pump_rewrites(struct store *s)
{
	while (store_is_writable(s) && s->rewriting_under_way < STORE_REWRITE_CALLS) {
		struct list *node = list_pop(&s->rewriting);
		struct batch *b;

		if (node == NULL)
			break;
		b = list_entry(node, struct batch, node);
		s->rewriting_under_way++;
		b->loads = 0;
		store_send_batch(s, b);
		if (s->rewriting.next == node)
			break;          /* not now: it came straight back */
		s->counters.rewritten_total += b->n;
		counters_add(COUNTER_STORE_REWRITTEN, b->n);
	}
}

void store_retain(struct store *s, struct batch *b)
{
	bool again = b->ack != 0;

	b->ack = ++s->acks;
	b->acked_us = s->acked_us = clock_mono_us();
	list_append(&s->retained, &b->node);
	if (!again) {
		s->n_retained += b->n;
		return;
	}
	s->rewriting_under_way--;
	store_pump_rewrites(s);
	store_look_ready(s);
}

void store_rewrite_later(struct store *s, struct batch *b)
{
	s->rewriting_under_way--;
	list_prepend(&s->rewriting, &b->node);
}

void store_rewrite_all(struct store *s)
{
	struct list newer;

	if (list_empty(&s->retained))
		return;
	log_warn("redis may have lost outcomes, writing them again", LOG_UINT("messages", s->n_retained));
	list_init(&newer);
	list_splice(&newer, &s->rewriting);
	list_splice(&s->rewriting, &s->retained);
	list_splice(&s->rewriting, &newer);
}

/* ---- sms:meta ---- */

static bool is_other(const struct redis_value *v, unsigned n)
{
	return v->type != REDIS_VALUE_NIL && (v->type != REDIS_VALUE_STRING || strtoul(v->str, NULL, 10) != n);
}

/* Half a hash is one whose making was cut short: it is made whole, as a missing one is. */
void store_check_meta(struct store *s, const struct redis_value *v)
{
	if (v->type != REDIS_VALUE_ARRAY || v->n != 2 || is_other(&v->items[0], STORE_FORMAT) || is_other(&v->items[1], s->o.shards))
		s->meta = META_WRONG;
	else if (v->items[0].type == REDIS_VALUE_NIL || v->items[1].type == REDIS_VALUE_NIL)
		s->meta = META_MISSING;
	else
		s->meta = META_OK;
	if (s->meta == META_WRONG)
		log_error("sms:meta is of another store", LOG_UINT("format", STORE_FORMAT), LOG_UINT("shards", s->o.shards));
	if (s->meta == META_MISSING && s->meta_seen) {
		log_error("sms:meta is gone: the store was emptied");
		store_rewrite_all(s);
	}
	if (s->meta == META_OK && !s->meta_seen) {
		/* perhaps made just now: the next barrier covers it */
		s->found++;
		s->acked_us = clock_mono_us();
	}
	s->meta_seen = s->meta == META_OK;
}

static int ask_meta(struct store *s, redis_client_reply_fn *fn)
{
	return store_command(s, fn, s, 4, (const char *const[]){ "HMGET", meta_key, "format", "shards" });
}

static void on_meta_created(const struct redis_value *v, void *arg)
{
	struct store *s = arg;

	if (v == NULL)
		return;
	store_check_meta(s, v);
	if (s->meta == META_WRONG)
		store_fail_open(s);
	store_look_ready(s);
}

static void on_ignored(const struct redis_value *v, void *arg)
{
	(void)v;
	(void)arg;
}

void store_create_meta(struct store *s)
{
	char format[12], shards[12], created[24];
	int rc;

	snprintf(format, sizeof format, "%d", STORE_FORMAT);
	snprintf(shards, sizeof shards, "%u", s->o.shards);
	snprintf(created, sizeof created, "%lld", (long long)clock_wall_ms());
	s->meta = META_CREATING;
	rc = store_command(s, on_ignored, s, 4, (const char *const[]){ "HSETNX", meta_key, "format", format });
	rc = rc != 0 ? rc : store_command(s, on_ignored, s, 4, (const char *const[]){ "HSETNX", meta_key, "shards", shards });
	rc = rc != 0 ? rc : store_command(s, on_ignored, s, 4, (const char *const[]){ "HSETNX", meta_key, "created", created });
	rc = rc != 0 ? rc : ask_meta(s, on_meta_created);
	if (rc != 0)
		redis_client_reconnect(s->client, "redis: out of memory");
}

static void on_looked_again(const struct redis_value *v, void *arg)
{
	struct store *s = arg;

	if (v == NULL || s->meta != META_MISSING)
		return;
	store_check_meta(s, v);
	if (s->meta == META_OK)
		log_info("sms:meta is there again: the store is used");
	store_look_ready(s);
}

void store_look_again(struct store *s)
{
	int64_t now = clock_mono_us();

	if (now - s->meta_asked_us < LOOK_AGAIN_US)
		return;
	s->meta_asked_us = now;
	(void)!ask_meta(s, on_looked_again);
}

/* ---- a new connection ---- */

static void started(struct store *s)
{
	if (--s->starting > 0)
		return;
	store_pump_rewrites(s);
	store_look_ready(s);
}

static void on_meta(const struct redis_value *v, void *arg)
{
	struct store *s = arg;

	if (v == NULL)
		return;
	s->meta = META_UNKNOWN;
	store_check_meta(s, v);
	started(s);
}

static void take_sha(struct store *s, enum batch_kind kind, const struct redis_value *v)
{
	if (v == NULL)
		return;
	if (v->type != REDIS_VALUE_STRING || v->len != 40) {
		log_error("redis takes no scripts", LOG_STR("error", v->type == REDIS_VALUE_ERROR ? v->str : NULL));
		redis_client_reconnect(s->client, "redis: SCRIPT LOAD refused");
		return;
	}
	memcpy(s->sha[kind], v->str, 41);
}

static void on_claim_loaded(const struct redis_value *v, void *arg)
{
	take_sha(arg, BATCH_CLAIM, v);
}

static void on_outcome_loaded(const struct redis_value *v, void *arg)
{
	take_sha(arg, BATCH_OUTCOME, v);
}

static void on_map_loaded(const struct redis_value *v, void *arg)
{
	take_sha(arg, BATCH_MAP, v);
}

static int load(struct store *s, enum batch_kind kind)
{
	switch (kind) {
	case BATCH_CLAIM:
		return store_command(s, on_claim_loaded, s, 3, (const char *const[]){ "SCRIPT", "LOAD", scripts_claim_text });
	case BATCH_OUTCOME:
		return store_command(s, on_outcome_loaded, s, 3, (const char *const[]){ "SCRIPT", "LOAD", scripts_outcome_text });
	case BATCH_MAP:
		return store_command(s, on_map_loaded, s, 3, (const char *const[]){ "SCRIPT", "LOAD", scripts_map_text });
	}
	return -EAGAIN;
}

void store_load_script(struct store *s, enum batch_kind kind)
{
	if (load(s, kind) != 0)
		log_warn("script can't be loaded now", LOG_INT("script", kind));
}

static void compare_server(struct store *s)
{
	const struct redis_client_server *server = redis_client_server(s->client);
	bool known = s->run_id[0] != '\0';

	s->unfit = s->o.durability == STORE_AOF && (server->major < 7 || (server->major == 7 && server->minor < 2));
	if (!known && s->o.durability == STORE_LOCAL)
		log_info("durability = local: what redis has acknowledged is taken for safe once its own fsync policy says so",
			 LOG_BOOL("aof", server->aof), LOG_INT("fsync", server->fsync));
	if (!known && s->o.durability == STORE_LOCAL && !server->aof)
		log_warn("redis keeps no AOF: what it has acknowledged is lost when it dies");
	if (!known && s->o.durability == STORE_LOCAL && server->aof && server->fsync == REDIS_FSYNC_NO)
		log_warn("appendfsync is no: what redis has acknowledged is safe when the system says so, not after 2 s");
	if (known && (strcmp(s->run_id, server->run_id) != 0 || strcmp(s->replication_id, server->replication_id) != 0))
		store_rewrite_all(s);
	memcpy(s->run_id, server->run_id, sizeof s->run_id);
	memcpy(s->replication_id, server->replication_id, sizeof s->replication_id);
}

static void on_up(struct store *s)
{
	int rc = 0;

	s->connected = true;
	s->up_us = clock_mono_us();
	if (s->connections++ > 0)
		s->counters.reconnects_total++;
	compare_server(s);
	s->starting = 1;                /* for the last of these commands: replies come in order */
	for (unsigned kind = BATCH_CLAIM; kind < BATCH_KINDS && rc == 0; kind++)
		rc = load(s, (enum batch_kind)kind);
	if (rc == 0)
		rc = ask_meta(s, on_meta);
	if (rc != 0)
		redis_client_reconnect(s->client, "redis: out of memory");
	store_look_ready(s);
}

static void on_state(bool up, void *arg)
{
	struct store *s = arg;

	if (up) {
		on_up(s);
		return;
	}
	if (s->connected)
		s->generation++;
	s->connected = false;
	s->starting = 0;
	if (s->meta == META_CREATING)
		s->meta = META_MISSING;
	store_fail_open(s);
	store_look_ready(s);
}

int store_link_start(struct store *s, char *err, size_t err_len)
{
	const struct redis_client_options o = {
		.url = s->o.url, .user = s->o.user, .password = s->o.password, .probe_key = store_probe_key,
		.connect_timeout_ms = s->o.command_timeout_ms, .command_timeout_ms = s->o.command_timeout_ms,
		.reconnect_ms_max = s->o.reconnect_ms_max, .pending_max = STORE_PENDING_MAX, .allow_eviction = s->o.allow_eviction,
	};

	s->client = redis_client_new(&o, on_state, s, err, err_len);
	return s->client != NULL ? 0 : -EINVAL;
}
