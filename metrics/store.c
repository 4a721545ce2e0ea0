/*
 * store.c: the calls that a send makes: claim and outcome, each a message in one of the turn's batches. On its worker's thread.
 * Refuses to claim where outcomes are not safe: away, emptied, rewriting, or too much not yet durable.
 */
#include "metrics/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "metrics/counters.h"
#include "metrics/resp.h"
#include "metrics/shard.h"
#include "metrics/store_private.h"
#include "metrics/store_record.h"

enum { LEASE_MS_MAX = 0xffffff, MAP_SLACK_S = 3600, EXPIRED = 16, CLAIM_HEAD = 7, RECORD_HEAD_MAX = 7 };

const char *store_state_name(enum store_state state)
{
	static const char *const names[] = {
		[STORE_QUEUED] = "queued", [STORE_SENDING] = "sending", [STORE_SENT] = "sent", [STORE_DELIVERED] = "delivered",
		[STORE_UNDELIVERED] = "undelivered", [STORE_EXPIRED] = "expired", [STORE_REJECTED] = "rejected",
		[STORE_UNKNOWN] = "unknown", [STORE_REFUSED] = "refused", [STORE_FAILED] = "failed", [STORE_LAPSED] = "lapsed",
		[STORE_CANCELLED] = "cancelled", [STORE_HELD] = "held",
	};

	return (size_t)state < ARRAY_LEN(names) ? names[state] : NULL;
}

uint8_t store_shard(const struct store *s, const char *id, size_t len)
{
	return shard_of(id, len, s->o.shards);
}

/* ---- calls ---- */

static struct store_call *call_new(struct store *s)
{
	struct list *node = list_pop(&s->unused_calls);
	struct store_call *call = node != NULL ? list_entry(node, struct store_call, node) : mem_alloc(sizeof *call);

	if (call == NULL)
		return NULL;
	memset(call, 0, sizeof *call);
	list_init(&call->node);
	list_append(&s->calls, &call->node);
	co_event_init(&call->answered);
	return call;
}

static void call_free(struct store *s, struct store_call *call)
{
	list_remove(&call->node);
	list_prepend(&s->unused_calls, &call->node);
}

void store_call_answered(struct store *s, struct store_call *call)
{
	if (call->abandoned)
		call_free(s, call);
	else
		co_event_set(&call->answered);
}

/* [suspends] 0 or -ECANCELED; then the call is not the caller's any more. */
static int call_wait(struct store *s, struct store_call *call)
{
	int rc = co_event_wait(&call->answered, CLOCK_NEVER);

	if (rc == 0)
		return 0;
	if (call->open == 0)
		call_free(s, call);
	else
		call->abandoned = true;
	return rc;
}

/* ---- claim ---- */

static void stamp_claim(struct store_message *m)
{
	int64_t now_ms = clock_wall_ms();

	m->last.claimed_ms = now_ms;
	m->last.accepted_ms = m->accepted_ms > 0 && m->accepted_ms < now_ms ? m->accepted_ms : now_ms;
}

static bool expired(const struct store_message *m)
{
	return m->expires_ms > 0 && clock_wall_ms() >= m->expires_ms;
}

/* A record is written where the longest head of its bulk string would end; then it moves up to the head it needs. */
static char *end_record(char *p, const char *record, size_t len)
{
	p = resp_put_head(p, '$', len);
	memmove(p, record, len);
	p += len;
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static int add_claim(struct store *s, struct store_call *call, struct store_message *m, int64_t lease_ms, int64_t cohort_ms)
{
	const struct batch_label label = { .campaign = m->campaign, .campaign_len = m->campaign_len, .country = m->country };
	struct batch *b = store_open_batch(s, BATCH_CLAIM);
	char head[CLAIM_HEAD], *p, *start, *record;
	size_t len;

	if (b == NULL)
		return -EAGAIN;
	batch_add_record(b, call, m->shard, m->id, m->id_len);
	call->open++;
	head[0] = expired(m) ? 1 : 0;
	head[1] = (char)m->on_uncertain;
	head[2] = (char)batch_cohort(b, m->shard, (uint32_t)(cohort_ms / 60000));
	head[3] = (char)batch_label(b, &label);
	head[4] = (char)(lease_ms >> 16);
	head[5] = (char)(lease_ms >> 8);
	head[6] = (char)lease_ms;
	start = buf_room(&b->args, resp_bulk_max(sizeof head) + resp_bulk_max(store_record_max(&s->o, m, NULL)));
	if (start == NULL)
		return 0;               /* the batch is marked: it fails as a whole */
	p = resp_put_bulk(start, head, sizeof head);
	record = p + RECORD_HEAD_MAX;
	len = (size_t)(store_record_put_claim(record, &s->o, m, 1, 0, 0) - record);
	m->last.sending_len = (uint16_t)(len + STORE_LEASE_BYTES);
	buf_add(&b->args, (size_t)(end_record(p, record, len) - start));
	return 0;
}

/* What the record has become, for the token and the stamps of what follows. */
static void learn(struct store *s, struct store_message *m, const struct store_call *call)
{
	char *record;

	m->last.unconfirmed = false;
	if (!call->facts) {
		m->last.claims = 1;
		m->last.uncertain = 0;
		return;
	}
	m->last.claims = call->claims;
	m->last.uncertain = call->uncertain;
	m->last.accepted_ms = call->accepted_ms;
	m->last.claimed_ms = call->claimed_ms;
	m->last.sending_len = 0;
	buf_reset(&s->out);
	record = buf_room(&s->out, store_record_max(&s->o, m, NULL));
	if (record != NULL)
		m->last.sending_len = (uint16_t)(store_record_put_claim(record, &s->o, m, call->claims, call->attempts,
									call->uncertain) - record + STORE_LEASE_BYTES);
}

static int write_outcome(struct store *s, struct store_message *m, const struct store_outcome *outcome, int64_t cohort_ms,
			 enum store_answer *ret_answer);

/* [suspends] An ending that the claim found is written as an outcome: so that it is kept until the barrier, as all endings are. */
static int settle_claim(struct store *s, struct store_message *m, const struct store_call *call, enum store_state state,
			const char *error)
{
	const struct store_outcome outcome = { .step = STORE_SETTLE, .state = state, .error = error, .at_ms = clock_wall_ms(),
					       .attempts = call->attempts };

	if (call->facts)
		learn(s, m, call);
	return write_outcome(s, m, &outcome, m->last.claimed_ms, NULL);
}

/* [suspends] The same id at another position is counted, once for each position. */
static int count_duplicate(struct store *s, struct store_message *m, const struct store_call *call)
{
	const struct store_outcome outcome = { .step = (enum store_step)STORE_DUPLICATED, .at_ms = clock_wall_ms() };

	return write_outcome(s, m, &outcome, call->claimed_ms, NULL);
}

static void give_claim(const struct store_call *call, int64_t lease_ms, struct store_claim *ret)
{
	ret->answer = STORE_GO;
	ret->taken_over = call->taken_over;
	ret->accepted_parts = call->accepted_parts;
	ret->attempts = call->attempts;
	ret->lease_boot_ms = call->boot_ms + lease_ms;
}

/* [suspends] Does what an answer asks for; the call is freed by the caller. */
static int take_answer(struct store *s, struct store_message *m, const struct store_call *call, int64_t lease_ms, struct store_claim *ret)
{
	*ret = (struct store_claim){ .answer = (enum store_answer)call->answer };
	switch (ret->answer) {
	case STORE_BUSY:
		ret->wait_ms = call->wait_ms;
		return 0;
	case STORE_DUPLICATE:
		ret->state = (enum store_state)call->state;
		ret->redelivery = call->redelivery;
		return call->redelivery ? 0 : count_duplicate(s, m, call);
	case STORE_IS_CANCELLED:
		return settle_claim(s, m, call, STORE_CANCELLED, "cancelled");
	case STORE_IS_LAPSED:
		return settle_claim(s, m, call, STORE_LAPSED, "expired");
	case STORE_IS_HELD:
		return settle_claim(s, m, call, STORE_HELD, "uncertain");
	case STORE_IS_FAILED:
		return settle_claim(s, m, call, STORE_FAILED, "uncertain");
	case STORE_BAD_RECORD:
		return 0;
	case STORE_GO:
		break;
	}
	learn(s, m, call);
	give_claim(call, lease_ms, ret);
	return 0;
}

static int64_t lease_of(const struct store *s, int64_t deadline_us)
{
	int64_t ms = (deadline_us - clock_mono_us()) / 1000;

	if (ms < 0)
		ms = 0;
	if (ms > LEASE_MS_MAX - (int64_t)s->o.lease_slack_ms)
		ms = LEASE_MS_MAX - (int64_t)s->o.lease_slack_ms;
	return ms + s->o.lease_slack_ms;
}

/* [suspends] One claim; *ret_cohort_ms: the record's cohort is another, claim again with it. */
static int claim_once(struct store *s, struct store_message *m, int64_t deadline_us, int64_t cohort_ms, struct store_claim *ret,
		      int64_t *ret_cohort_ms)
{
	int64_t lease_ms = lease_of(s, deadline_us);
	struct store_call *call, copy;
	int rc;

	if (!store_is_claimable(s, NULL))
		return -EAGAIN;
	call = call_new(s);
	if (call == NULL)
		return -EAGAIN;
	rc = add_claim(s, call, m, lease_ms, cohort_ms);
	if (rc != 0) {
		call_free(s, call);
		return rc;
	}
	rc = call_wait(s, call);
	if (rc != 0) {
		m->last.unconfirmed = true;
		return rc;
	}
	copy = *call;
	call_free(s, call);
	if (copy.rc != 0) {
		m->last.unconfirmed = true;
		return copy.rc;
	}
	if (copy.answer == STORE_COHORT) {
		*ret_cohort_ms = copy.claimed_ms;
		return 0;
	}
	return take_answer(s, m, &copy, lease_ms, ret);
}

int store_claim(struct store *s, struct store_message *m, int64_t deadline_us, struct store_claim *ret)
{
	struct store_claim answer = { 0 };
	int64_t cohort_ms, other_ms;
	int rc;

	if (m->last.claims == 0)
		stamp_claim(m);
	cohort_ms = m->last.claimed_ms;
	for (;;) {
		other_ms = -1;
		rc = claim_once(s, m, deadline_us, cohort_ms, &answer, &other_ms);
		if (rc != 0)
			return rc;
		if (other_ms < 0)
			break;
		cohort_ms = other_ms;
	}
	*ret = answer;
	return 0;
}

/* ---- outcome ---- */

static int add_outcome(struct store *s, struct store_call *call, const struct store_message *m, const struct store_outcome *outcome,
		       int64_t cohort_ms)
{
	const struct batch_label label = { .provider = outcome->provider, .campaign = m->campaign, .campaign_len = m->campaign_len,
					   .country = m->country, .with_provider = true };
	struct batch *b = store_open_batch(s, BATCH_OUTCOME);
	size_t max, token_len, len;
	char *p, *start, *record;
	unsigned sending_len = m->parts <= 1 ? m->last.sending_len : 0;

	if (b == NULL)
		return -EAGAIN;
	batch_add_record(b, call, m->shard, m->id, m->id_len);
	call->open++;
	max = store_record_max(&s->o, m, outcome);
	start = buf_room(&b->args, 4 + BATCH_HEAD_MAX + 2 + resp_bulk_max(max));
	if (start == NULL)
		return 0;               /* the batch is marked: it fails as a whole */
	p = resp_put_head(start, '$', BATCH_HEAD_MAX);
	p[0] = (char)outcome->step;
	p[1] = (char)(m->on_uncertain + (expired(m) ? EXPIRED : 0));
	p[2] = (char)batch_cohort(b, m->shard, (uint32_t)(cohort_ms / 60000));
	p[3] = (char)batch_label(b, &label);
	p[5] = (char)(sending_len >> 8);
	p[6] = (char)sending_len;
	p[7] = outcome->step == STORE_RELEASE ? (char)m->last.unconfirmed : (char)outcome->part;
	record = p + BATCH_HEAD_MAX + 2 + RECORD_HEAD_MAX;
	len = (size_t)(store_record_put_outcome(record, &s->o, m, outcome, &token_len) - record);
	p[4] = token_len <= UINT8_MAX ? (char)token_len : 0;
	if (token_len > UINT8_MAX)
		p[5] = p[6] = 0;
	p += BATCH_HEAD_MAX;
	*p++ = '\r';
	*p++ = '\n';
	buf_add(&b->args, (size_t)(end_record(p, record, len) - start));
	return 0;
}

static int add_maps(struct store *s, struct store_call *call, const struct store_message *m, const struct store_outcome *outcome)
{
	bool accepted = outcome->step == STORE_PART || (outcome->step == STORE_SETTLE && outcome->state == STORE_SENT);

	if (!accepted || outcome->provider == NULL)
		return 0;
	for (unsigned i = 0; i < outcome->n_ids; i++) {
		const struct store_provider_id *pid = &outcome->ids[i];
		struct batch *b;

		if (pid->len == 0)
			continue;
		b = store_open_batch(s, BATCH_MAP);
		if (b == NULL)
			return -EAGAIN;
		batch_add_map(b, call, store_shard(s, pid->s, pid->len), outcome->provider, pid->s, pid->len, m->id, m->id_len);
		call->open++;
	}
	return 0;
}

/* [suspends] */
static int write_outcome(struct store *s, struct store_message *m, const struct store_outcome *outcome, int64_t cohort_ms,
			 enum store_answer *ret_answer)
{
	struct store_call *call;
	int rc, answer;

	if (!store_is_writable(s))
		return -EAGAIN;
	call = call_new(s);
	if (call == NULL)
		return -EAGAIN;
	if (outcome->step == STORE_RELEASE && m->last.unconfirmed)
		store_send_open(s, BATCH_CLAIM);        /* the claim may be in it still: it must not come behind its release */
	rc = add_outcome(s, call, m, outcome, cohort_ms);
	if (rc == 0)
		rc = add_maps(s, call, m, outcome);
	if (call->open == 0) {
		call_free(s, call);
		return rc;
	}
	if (rc != 0)
		call->rc = rc;
	rc = call_wait(s, call);
	if (rc != 0)
		return rc;
	rc = call->rc;
	answer = call->answer;
	call_free(s, call);
	if (rc != 0)
		return rc;
	if (ret_answer != NULL)
		*ret_answer = answer != 0 ? (enum store_answer)answer : STORE_GO;
	return 0;
}

int store_outcome(struct store *s, struct store_message *m, const struct store_outcome *outcome, enum store_answer *ret_answer)
{
	int rc;

	if (m->last.claimed_ms == 0)
		stamp_claim(m);
	rc = write_outcome(s, m, outcome, m->last.claimed_ms, outcome->step == STORE_UNCERTAIN ? ret_answer : NULL);
	if (rc == 0 && outcome->step == STORE_UNCERTAIN && m->last.uncertain < UINT8_MAX)
		m->last.uncertain++;
	return rc;
}

/* ---- the store ---- */

bool store_ready(const struct store *s, const char **ret_reason)
{
	return store_is_claimable(s, ret_reason);
}

bool store_refused(const struct store *s)
{
	return redis_client_refused(s->client) || s->unfit || s->meta == META_WRONG;
}

/* The event may lag behind what it tells of: waiting for one that is still set would never suspend. */
int store_wait_ready(struct store *s, int64_t deadline_us)
{
	int rc = 0;

	while (rc == 0 && !store_is_claimable(s, NULL)) {
		store_look_ready(s);
		rc = co_event_wait(&s->ready, deadline_us);
	}
	return rc;
}

int store_wait_writable(struct store *s, int64_t deadline_us)
{
	int rc = 0;

	while (rc == 0 && !store_is_writable(s)) {
		store_look_ready(s);
		rc = co_event_wait(&s->writable, deadline_us);
	}
	return rc;
}

void store_expect_existing(struct store *s)
{
	if (!s->expect_existing && s->meta == META_MISSING)
		log_error("redis is empty though the group has commits: nothing is sent until `smstrack store init`");
	s->expect_existing = true;
	s->meta_asked_us = 0;           /* what is known may be old: another worker makes it as well */
	store_look_ready(s);
}

int store_accept_empty(struct store *s)
{
	if (!store_is_writable(s))
		return -EAGAIN;
	if (s->meta == META_OK)
		return -EEXIST;
	s->expect_existing = false;
	if (s->meta == META_MISSING)
		store_create_meta(s);   /* at once: an idle daemon's next start must find it */
	store_look_ready(s);
	return 0;
}

void store_counters(const struct store *s, struct store_counters *ret)
{
	*ret = s->counters;
	ret->retained = s->n_retained;
}

static bool copy_options(struct store *s, const struct store_options *o)
{
	s->o = *o;
	if (o->claim_batch == 0 || o->claim_batch > STORE_BATCH)
		s->o.claim_batch = STORE_BATCH;
	s->o.url = mem_strdup(o->url);
	s->o.instance = mem_strdup(o->instance);
	s->o.user = o->user != NULL ? mem_strdup(o->user) : NULL;
	s->o.password = o->password != NULL ? mem_strdup(o->password) : NULL;
	return s->o.url != NULL && s->o.instance != NULL && (o->user == NULL || s->o.user != NULL) &&
	       (o->password == NULL || s->o.password != NULL);
}

static void put_number(struct buf *b, int64_t n)
{
	char text[48];

	buf_put(b, text, (size_t)(resp_put_bulk_u64(text, n > 0 ? (uint64_t)n : 1) - text));
}

/* What is the same in every call, as it will be sent. */
static bool put_constants(struct store *s)
{
	for (unsigned kind = BATCH_CLAIM; kind <= BATCH_OUTCOME; kind++) {
		char text[48];

		put_number(&s->args[kind], s->o.retention_s);
		put_number(&s->args[kind], s->o.rates_retention_s);
		buf_put(&s->args[kind], text, (size_t)(resp_put_bulk_u64(text, s->o.max_resends) - text));
	}
	put_number(&s->args[BATCH_MAP], s->o.receipt_deadline_s + MAP_SLACK_S);
	return !s->args[BATCH_CLAIM].oom && !s->args[BATCH_OUTCOME].oom && !s->args[BATCH_MAP].oom;
}

struct store *store_new(const struct store_options *options, char *err, size_t err_len)
{
	struct store *s = mem_zalloc(sizeof *s);

	if (s == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	for (unsigned kind = 0; kind < BATCH_KINDS; kind++)
		list_init(&s->full[kind]);
	list_init(&s->spare);
	list_init(&s->retained);
	list_init(&s->rewriting);
	list_init(&s->calls);
	list_init(&s->unused_calls);
	list_init(&s->turn_hook.node);
	co_event_init(&s->ready);
	co_event_init(&s->writable);
	s->meta = META_UNKNOWN;
	if (!copy_options(s, options) || !put_constants(s)) {
		snprintf(err, err_len, "out of memory");
		goto fail;
	}
	if (options->shards < 1 || options->shards > 256) {
		snprintf(err, err_len, "shards is %u; right would be 1 to 256", options->shards);
		goto fail;
	}
	/* Before the client's own hook: what this one queues, that one writes. */
	co_turn_hook_add(&s->turn_hook, store_on_turn_end, s);
	if (store_link_start(s, err, err_len) != 0)
		goto fail;
	return s;
fail:
	store_free(s);
	return NULL;
}

static void free_batches(struct list *batches)
{
	struct list *node;

	while ((node = list_pop(batches)) != NULL)
		batch_free(list_entry(node, struct batch, node));
}

static void free_calls(struct list *calls)
{
	struct list *node;

	while ((node = list_pop(calls)) != NULL)
		mem_free(list_entry(node, struct store_call, node));
}

void store_free(struct store *s)
{
	if (s == NULL)
		return;
	redis_client_free(s->client);
	if (s->turn_hook.fn != NULL)
		co_turn_hook_remove(&s->turn_hook);
	free_batches(&s->spare);
	free_batches(&s->retained);
	free_batches(&s->rewriting);
	for (unsigned kind = BATCH_CLAIM; kind < BATCH_KINDS; kind++) {
		batch_free(s->open[kind]);
		free_batches(&s->full[kind]);
		buf_fini(&s->args[kind]);
	}
	free_calls(&s->calls);
	free_calls(&s->unused_calls);
	buf_fini(&s->out);
	mem_free((char *)s->o.url);
	mem_free((char *)s->o.instance);
	mem_free((char *)s->o.user);
	mem_free((char *)s->o.password);
	mem_free(s);
}
