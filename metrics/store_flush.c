/*
 * store_flush.c: sends the batches of a turn at its end and takes their answers apart. On the store's thread, on the loop's stack.
 * Only so many calls of a kind are under way; what comes meanwhile waits, so that under load calls fill up by themselves and an idle
 * store answers without delay.
 */
#include <errno.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "metrics/counters.h"
#include "metrics/store_private.h"

/* Where a claim's answer has what it found settled (claim.lua, duplicate()). */
enum { FOUND_PROVIDER = 6, FOUND_CAMPAIGN, FOUND_COUNTRY, FOUND_RECORD, FOUND_IDS, LABEL_WORD_MAX = 64 };

/* The next batch of a kind that has messages, taken out; NULL: none. */
static struct batch *next_batch(struct store *s, unsigned kind)
{
	struct list *node = list_pop(&s->full[kind]);
	struct batch *b = s->open[kind];

	if (node != NULL)
		return list_entry(node, struct batch, node);
	if (b == NULL || b->n == 0)
		return NULL;
	s->open[kind] = NULL;
	return b;
}

void store_send_open(struct store *s, enum batch_kind kind)
{
	struct batch *b;

	while ((b = next_batch(s, kind)) != NULL)
		store_send_batch(s, b);
}

struct batch *store_open_batch(struct store *s, enum batch_kind kind)
{
	struct batch *b = s->open[kind];
	struct list *node;

	if (b != NULL && b->n < (kind == BATCH_CLAIM ? s->o.claim_batch : STORE_BATCH))
		return b;
	if (b != NULL)
		list_append(&s->full[kind], &b->node);
	node = list_pop(&s->spare);
	if (node != NULL) {
		s->n_spare--;
		b = list_entry(node, struct batch, node);
		batch_reset(b, kind);
	} else {
		b = batch_new(s, kind);
	}
	s->open[kind] = b;
	return b;
}

void store_recycle_batch(struct store *s, struct batch *b)
{
	if (s->n_spare >= STORE_SPARE_MAX) {
		batch_free(b);
		return;
	}
	s->n_spare++;
	list_prepend(&s->spare, &b->node);
}

/* ---- answers ---- */

static void finish_entries(struct store *s, struct batch *b, int rc)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct store_call *call = b->entries[i].call;

		if (call == NULL)
			continue;
		b->entries[i].call = NULL;
		if (rc != 0)
			call->rc = rc;
		call->boot_ms = b->boot_ms;
		if (--call->open == 0)
			store_call_answered(s, call);
	}
}

static int64_t integer(const struct redis_value *detail, size_t i)
{
	return i < detail->n && detail->items[i].type == REDIS_VALUE_INTEGER ? detail->items[i].integer : 0;
}

static void take_facts(struct store_call *call, const struct redis_value *d)
{
	if (d->n < 9)
		return;
	call->facts = true;
	call->claims = (uint16_t)integer(d, 2);
	call->attempts = (uint8_t)integer(d, 3);
	call->accepted_parts = (uint16_t)integer(d, 4);
	call->taken_over = integer(d, 5) != 0;
	call->uncertain = (uint8_t)integer(d, 6);
	call->accepted_ms = integer(d, 7);
	call->claimed_ms = integer(d, 8);
}

/* A record that is read again and found sent is mapped again from what it holds, before its offset is done. */
static void map_again(struct store *s, const struct batch *b, unsigned i, struct store_call *call, const struct redis_value *d)
{
	const char *provider = d->items[FOUND_PROVIDER].str, *id;
	size_t id_len;

	if (provider[0] == '\0')
		return;
	id = batch_id(b, i, &id_len);
	for (size_t k = FOUND_IDS; k < d->n; k++) {
		const struct redis_value *pid = &d->items[k];
		struct batch *map;

		if (pid->type != REDIS_VALUE_STRING || pid->len > STORE_PROVIDER_ID_MAX)
			continue;
		map = store_open_batch(s, BATCH_MAP);
		if (map == NULL) {
			call->rc = -EAGAIN;
			return;
		}
		batch_add_map(map, call, store_shard(s, pid->str, pid->len), provider, pid->str, pid->len, id, id_len);
		call->open++;
	}
}

/*
 * A settled record of our own position: another wrote it, and may be dead. Should Redis lose it before the offset is committed, nobody
 * else would know: so it is written again as it stands, which changes nothing, and is kept until the barrier as all outcomes are.
 */
static void repeat_outcome(struct store *s, const struct batch *b, unsigned i, struct store_call *call, const struct redis_value *d)
{
	const struct redis_value *campaign = &d->items[FOUND_CAMPAIGN];
	const struct batch_label label = { .provider = d->items[FOUND_PROVIDER].str, .campaign = campaign->str, .campaign_len = campaign->len,
					   .country = d->items[FOUND_COUNTRY].str, .with_provider = true };
	struct batch *again = store_open_batch(s, BATCH_OUTCOME);

	if (again == NULL) {
		call->rc = -EAGAIN;
		return;
	}
	batch_add_repeat(again, call, b, i, (uint32_t)(call->claimed_ms / 60000), &label, d->items[FOUND_RECORD].str, d->items[FOUND_RECORD].len);
	call->open++;
}

static bool is_found(const struct redis_value *d)
{
	for (size_t k = FOUND_PROVIDER; k < FOUND_IDS; k++)
		if (k >= d->n || d->items[k].type != REDIS_VALUE_STRING)
			return false;
	/* What is stored may be another's: nothing longer than we write goes into a label. */
	return d->items[FOUND_RECORD].len > 4 && d->items[FOUND_PROVIDER].len <= LABEL_WORD_MAX &&
	       d->items[FOUND_CAMPAIGN].len <= LABEL_WORD_MAX && d->items[FOUND_COUNTRY].len <= LABEL_WORD_MAX;
}

static void log_bad(struct store *s, const struct batch *b, unsigned i, const struct redis_value *d)
{
	const char *id;
	size_t len;

	id = batch_id(b, i, &len);
	s->counters.errors_total++;
	counters_add(COUNTER_STORE_ERRORS, 1);
	counters_add(COUNTER_STORE_BAD_RECORDS, 1);
	log_error("delivery record can't be used", LOG_STRN("id", id, len), LOG_STR("why", d->n > 2 ? d->items[2].str : NULL));
}

static void take_claim(struct store *s, struct batch *b, unsigned i, const struct redis_value *d)
{
	struct store_call *call = b->entries[i].call, nobody;

	if (call == NULL)
		call = &nobody;
	call->answer = (uint8_t)integer(d, 1);
	switch (call->answer) {
	case STORE_BUSY:
		call->wait_ms = integer(d, 2);
		break;
	case STORE_DUPLICATE:
		call->state = (uint8_t)integer(d, 2);
		call->redelivery = integer(d, 3) != 0;
		call->accepted_ms = integer(d, 4);
		call->claimed_ms = integer(d, 5);
		s->found++;
		s->acked_us = clock_mono_us();
		if (call->redelivery && call != &nobody && is_found(d)) {
			repeat_outcome(s, b, i, call, d);
			map_again(s, b, i, call, d);
		}
		break;
	case STORE_COHORT:
		call->claimed_ms = integer(d, 2);
		break;
	case STORE_BAD_RECORD:
		log_bad(s, b, i, d);
		break;
	default:                /* a byte from outside; the rest bring facts, or nothing */
		take_facts(call, d);
		if (d->n > 5 && integer(d, 5) != 0) {
			s->counters.taken_over_total++;
			s->counters.uncertain_total++;
			counters_add(COUNTER_STORE_TAKEN_OVER, 1);
			counters_add(COUNTER_STORE_UNCERTAIN, 1);
		}
		break;
	}
}

/* The record's cohort is another than we said: the same again with its counters declared. */
static void say_again(struct store *s, struct batch *b, unsigned i, int64_t claimed_ms)
{
	struct batch *again = store_open_batch(s, BATCH_OUTCOME);

	if (again == NULL) {
		if (b->entries[i].call != NULL)
			b->entries[i].call->rc = -EAGAIN;
		return;
	}
	if (b->entries[i].call != NULL)
		b->entries[i].call->open++;
	batch_add_again(again, b->entries[i].call, b, i, (uint32_t)(claimed_ms / 60000));
}

static void take_outcome(struct store *s, struct batch *b, unsigned i, const struct redis_value *d)
{
	int64_t answer = integer(d, 1);

	if (answer == STORE_COHORT) {
		say_again(s, b, i, integer(d, 2));
		return;
	}
	if (answer == STORE_BAD_RECORD) {
		log_bad(s, b, i, d);
		return;
	}
	if (answer == STORE_DUPLICATE) {
		s->counters.duplicates_total++;
		counters_add(COUNTER_STORE_DUPLICATES, 1);
	} else if (answer != 0 && b->entries[i].call != NULL) {
		b->entries[i].call->answer = (uint8_t)answer;
	}
	s->counters.extra_sends_total += (uint64_t)integer(d, 2);
	s->counters.uncertain_total += (uint64_t)integer(d, 3);
	counters_add(COUNTER_STORE_EXTRA_SENDS, (uint64_t)integer(d, 2));
	counters_add(COUNTER_STORE_UNCERTAIN, (uint64_t)integer(d, 3));
}

static void take_details(struct store *s, struct batch *b, const struct redis_value *v)
{
	for (size_t k = 0; v->type == REDIS_VALUE_ARRAY && k < v->n; k++) {
		const struct redis_value *d = &v->items[k];
		int64_t i = d->type == REDIS_VALUE_ARRAY ? integer(d, 0) : 0;

		if (i < 1 || i > b->n)
			continue;
		if (b->kind == BATCH_CLAIM)
			take_claim(s, b, (unsigned)i - 1, d);
		else
			take_outcome(s, b, (unsigned)i - 1, d);
	}
}

static void count_answers(struct store *s, const struct batch *b)
{
	if (b->kind == BATCH_CLAIM) {
		s->counters.claims_total += b->n;
		counters_add(COUNTER_STORE_CLAIMS, b->n);
	} else if (b->kind == BATCH_OUTCOME) {
		s->counters.outcomes_total += b->n - b->n_repeats;
		counters_add(COUNTER_STORE_OUTCOMES, b->n - b->n_repeats);
	}
}

static bool is_rewrite(const struct batch *b)
{
	return b->ack != 0;
}

/* Redis has not run it: claims are free to be asked again, outcomes come again by their callers, rewritten ones by us. */
static void give_up(struct store *s, struct batch *b)
{
	finish_entries(s, b, -EAGAIN);
	if (is_rewrite(b))
		store_rewrite_later(s, b);
	else
		store_recycle_batch(s, b);
}

static void on_answer(const struct redis_value *v, void *arg)
{
	struct batch *b = arg;
	struct store *s = b->store;

	s->under_way[b->kind]--;
	s->counters.pending -= b->n;
	if (v != NULL && v->type == REDIS_VALUE_ERROR) {
		s->counters.errors_total++;
		counters_add(COUNTER_STORE_ERRORS, 1);
		if (strncmp(v->str, "NOSCRIPT", 8) == 0 && b->loads++ < 2) {
			store_load_script(s, b->kind);
			store_send_batch(s, b);
			return;
		}
		log_error("script failed in redis", LOG_STR("error", v->str));
		if (is_rewrite(b))      /* what must be written can't be: nothing else may pass it */
			redis_client_reconnect(s->client, "redis: rewriting failed");
	}
	if (v == NULL || v->type == REDIS_VALUE_ERROR) {
		give_up(s, b);
		return;
	}
	count_answers(s, b);
	take_details(s, b, v);
	finish_entries(s, b, 0);
	if (b->kind == BATCH_CLAIM)
		store_recycle_batch(s, b);
	else
		store_retain(s, b);
}

/* ---- out ---- */

void store_send_batch(struct store *s, struct batch *b)
{
	int64_t quiet_us = s->up_us + ((int64_t)s->o.reconnect_ms_max + 5000) * 1000 - clock_mono_us();
	const struct batch_constants k = {
		.sha = s->sha[b->kind], .args = s->args[b->kind].data, .args_len = s->args[b->kind].len,
		.n_args = b->kind == BATCH_MAP ? 1 : 3, .quiet_ms = quiet_us > 0 ? quiet_us / 1000 + 1 : 0, .now_ms = clock_wall_ms(),
	};

	s->under_way[b->kind]++;
	s->counters.pending += b->n;
	batch_format(b, &k, &s->out);
	if (!s->out.oom && redis_client_command(s->client, s->out.data, s->out.len, on_answer, b) == 0) {
		s->counters.scripts_total++;
		counters_add(COUNTER_STORE_SCRIPTS, 1);
		return;
	}
	s->under_way[b->kind]--;
	s->counters.pending -= b->n;
	give_up(s, b);
}

void store_fail_open(struct store *s)
{
	struct batch *b;

	for (unsigned kind = BATCH_CLAIM; kind < BATCH_KINDS; kind++) {
		while ((b = next_batch(s, kind)) != NULL) {
			finish_entries(s, b, -EAGAIN);
			store_recycle_batch(s, b);
		}
	}
}

static bool gathered(const struct store *s)
{
	for (unsigned kind = BATCH_CLAIM; kind < BATCH_KINDS; kind++)
		if ((s->open[kind] != NULL && s->open[kind]->n > 0) || !list_empty(&s->full[kind]))
			return true;
	return false;
}

void store_on_turn_end(void *arg)
{
	struct store *s = arg;
	struct batch *b;

	if (!list_empty(&s->rewriting))
		store_pump_rewrites(s);
	if (s->meta == META_MISSING && s->expect_existing && store_is_writable(s))
		store_look_again(s);
	if (!gathered(s) || !store_is_writable(s) || s->meta == META_CREATING)
		return;
	if (s->meta == META_MISSING && !s->expect_existing) {
		store_create_meta(s);
		return;
	}
	for (unsigned kind = BATCH_CLAIM; kind < BATCH_KINDS; kind++)
		while (s->under_way[kind] < (kind == BATCH_CLAIM ? STORE_CLAIM_CALLS : STORE_OUTCOME_CALLS) &&
		       (b = next_batch(s, kind)) != NULL)
			store_send_batch(s, b);
	counters_set(COUNTER_STORE_PENDING, (int64_t)s->counters.pending);
	counters_set(COUNTER_STORE_RETAINED, (int64_t)s->n_retained);
}
