/* store_batch.c: gathers messages into script calls. Bytes only: it knows neither the connection nor what answers mean. */
#include "metrics/store_batch.h"

#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/clock.h"
#include "metrics/resp.h"

struct batch *batch_new(struct store *store, enum batch_kind kind)
{
	struct batch *b = mem_zalloc(sizeof *b);

	if (b == NULL)
		return NULL;
	list_init(&b->node);
	b->store = store;
	b->kind = kind;
	return b;
}

void batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	list_remove(&b->node);
	buf_fini(&b->keys);
	buf_fini(&b->args);
	buf_fini(&b->labels);
	mem_free(b);
}

void batch_reset(struct batch *b, enum batch_kind kind)
{
	b->kind = kind;
	b->n = b->n_cohorts = b->n_labels = b->loads = b->n_repeats = 0;
	b->ack = 0;
	buf_reset(&b->keys);
	buf_reset(&b->args);
	buf_reset(&b->labels);
}

uint8_t batch_cohort(struct batch *b, uint8_t shard, uint32_t minute)
{
	unsigned i;

	for (i = 0; i < b->n_cohorts; i++)
		if (b->cohorts[i].shard == shard && b->cohorts[i].minute == minute)
			return (uint8_t)(i + 1);
	CHECK(i < STORE_BATCH);
	b->cohorts[i].shard = shard;
	b->cohorts[i].minute = minute;
	b->n_cohorts++;
	return (uint8_t)(i + 1);
}

/* Where an entry's arguments have them, behind "$8\r\n" ("$7\r\n" of a claim): step, policy, cohort, label, ... */
enum { COHORT_BYTE = 4 + 2, LABEL_BYTE = 4 + 3 };

/* Labels lie one behind the other as bulk strings; `label_at` has their beginnings. */
static uint8_t find_label(struct batch *b, const char *label, size_t len)
{
	char *p, *bulk;
	size_t n;
	unsigned i;

	p = bulk = buf_room(&b->labels, resp_bulk_max(len));
	if (p == NULL)
		return 1;               /* marked: the call fails as a whole */
	p = resp_put_bulk(p, label, len);
	n = (size_t)(p - bulk);
	for (i = 0; i < b->n_labels; i++) {
		size_t end = i + 1 < b->n_labels ? b->label_at[i + 1] : b->labels.len;

		if (end - b->label_at[i] == n && memcmp(b->labels.data + b->label_at[i], bulk, n) == 0)
			return (uint8_t)(i + 1);
	}
	CHECK(i < STORE_BATCH);
	b->label_at[b->n_labels++] = (uint32_t)b->labels.len;
	buf_add(&b->labels, n);
	return (uint8_t)(i + 1);
}

static char *put(char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return p + len;
}

uint8_t batch_label(struct batch *b, const struct batch_label *label)
{
	char text[256], *p = text;
	size_t provider_len = label->provider != NULL ? strlen(label->provider) : 0, country_len = strlen(label->country);

	if (provider_len + label->campaign_len + country_len + 2 > sizeof text)
		provider_len = 0;
	if (label->with_provider) {
		p = provider_len > 0 ? put(p, label->provider, provider_len) : p;
		*p++ = '|';
	}
	CHECK(label->campaign_len + country_len + 2 <= sizeof text);
	p = put(p, label->campaign, label->campaign_len);
	*p++ = '|';
	p = put(p, label->country, country_len);
	return find_label(b, text, (size_t)(p - text));
}

/* "sms:{12}:m:" */
static char *put_prefix(char *p, uint8_t shard, char what)
{
	p = put(p, "sms:{", 5);
	p = resp_put_u64(p, shard);
	p = put(p, "}:", 2);
	*p++ = what;
	*p++ = ':';
	return p;
}

static void open_entry(struct batch *b, struct store_call *call)
{
	struct batch_entry *e = &b->entries[b->n];

	CHECK(b->n < STORE_BATCH);
	if (b->n == 0)
		b->boot_ms = clock_boot_ms();
	e->call = call;
	e->key_at = (uint32_t)b->keys.len;
	e->args_at = (uint32_t)b->args.len;
	b->n++;
}

static size_t prefix_len(uint8_t shard)
{
	return shard >= 100 ? 12 : shard >= 10 ? 11 : 10;
}

void batch_add_record(struct batch *b, struct store_call *call, uint8_t shard, const char *id, size_t id_len)
{
	char *start, *p;

	open_entry(b, call);
	p = start = buf_room(&b->keys, resp_bulk_max(id_len + 16));
	if (p == NULL)
		return;
	p = resp_put_head(p, '$', prefix_len(shard) + id_len);
	p = put_prefix(p, shard, 'm');
	p = put(p, id, id_len);
	p = put(p, "\r\n", 2);
	buf_add(&b->keys, (size_t)(p - start));
}

void batch_add_map(struct batch *b, struct store_call *call, uint8_t shard, const char *provider, const char *pid, size_t pid_len,
		   const char *id, size_t id_len)
{
	size_t provider_len = strlen(provider);
	char *start, *p;

	open_entry(b, call);
	p = start = buf_room(&b->keys, resp_bulk_max(provider_len + pid_len + 17));
	if (p == NULL)
		return;
	p = resp_put_head(p, '$', prefix_len(shard) + provider_len + 1 + pid_len);
	p = put_prefix(p, shard, 'x');
	p = put(p, provider, provider_len);
	*p++ = ':';
	p = put(p, pid, pid_len);
	p = put(p, "\r\n", 2);
	buf_add(&b->keys, (size_t)(p - start));
	p = start = buf_room(&b->args, resp_bulk_max(id_len));
	if (p == NULL)
		return;
	buf_add(&b->args, (size_t)(resp_put_bulk(p, id, id_len) - start));
}

const char *batch_id(const struct batch *b, unsigned i, size_t *ret_len)
{
	const char *key = b->keys.data + b->entries[i].key_at;
	const char *end = i + 1 < b->n ? b->keys.data + b->entries[i + 1].key_at : b->keys.data + b->keys.len;
	const char *id = (const char *)memchr(key, '}', (size_t)(end - key)) + 4;

	*ret_len = (size_t)(end - 2 - id);
	return id;
}

void batch_add_again(struct batch *b, struct store_call *call, const struct batch *from, unsigned i, uint32_t minute)
{
	const struct batch_entry *e = &from->entries[i];
	size_t key_end = i + 1 < from->n ? e[1].key_at : from->keys.len, args_end = i + 1 < from->n ? e[1].args_at : from->args.len;
	const char *args = from->args.data + e->args_at;
	unsigned cohort = (uint8_t)args[COHORT_BYTE] - 1u, label = (uint8_t)args[LABEL_BYTE] - 1u;
	size_t label_end = label + 1 < from->n_labels ? from->label_at[label + 1] : from->labels.len;
	const char *text = memchr(from->labels.data + from->label_at[label], '\n', from->labels.len - from->label_at[label]);
	size_t text_len = label_end - 2 - (size_t)(text + 1 - from->labels.data), at = b->args.len;

	open_entry(b, call);
	buf_put(&b->keys, from->keys.data + e->key_at, key_end - e->key_at);
	buf_put(&b->args, args, args_end - e->args_at);
	cohort = batch_cohort(b, from->cohorts[cohort].shard, minute);
	label = find_label(b, text + 1, text_len);
	if (b->args.oom)
		return;
	b->args.data[at + COHORT_BYTE] = (char)cohort;
	b->args.data[at + LABEL_BYTE] = (char)label;
}

/* Behind the record's array head of 3 bytes. What the network has said since stays: the script keeps the later of both. */
static void say_sent(char *record)
{
	enum { STATE_BYTE = 3 };

	if (record[STATE_BYTE] > STORE_SENT && record[STATE_BYTE] <= STORE_UNKNOWN)
		record[STATE_BYTE] = STORE_SENT;
}

void batch_add_repeat(struct batch *b, struct store_call *call, const struct batch *from, unsigned i, uint32_t minute,
		      const struct batch_label *label, const char *record, size_t len)
{
	const struct batch_entry *e = &from->entries[i];
	size_t key_end = i + 1 < from->n ? e[1].key_at : from->keys.len;
	char head[BATCH_HEAD_MAX] = { STORE_SETTLE }, *p, *start;

	open_entry(b, call);
	b->n_repeats++;
	buf_put(&b->keys, from->keys.data + e->key_at, key_end - e->key_at);
	head[2] = (char)batch_cohort(b, from->cohorts[(uint8_t)from->args.data[e->args_at + COHORT_BYTE] - 1u].shard, minute);
	head[3] = (char)batch_label(b, label);
	start = buf_room(&b->args, resp_bulk_max(sizeof head) + resp_bulk_max(len));
	if (start == NULL)
		return;                 /* the batch is marked: it fails as a whole */
	p = resp_put_bulk(start, head, sizeof head);
	p = resp_put_bulk(p, record, len);
	say_sent(p - 2 - len);
	buf_add(&b->args, (size_t)(p - start));
}

static char *put_cohorts(const struct batch *b, char *p)
{
	char key[32], *end;

	for (unsigned i = 0; i < b->n_cohorts; i++) {
		end = resp_put_u64(put_prefix(key, b->cohorts[i].shard, 'r'), b->cohorts[i].minute);
		p = resp_put_bulk(p, key, (size_t)(end - key));
	}
	return p;
}

static unsigned count_args(const struct batch *b, const struct batch_constants *k)
{
	switch (b->kind) {
	case BATCH_CLAIM:
		return 2 + k->n_args + 2 + b->n_labels + 2 * b->n;
	case BATCH_OUTCOME:
		return 2 + k->n_args + 1 + b->n_labels + 2 * b->n;
	case BATCH_MAP:
		return k->n_args + b->n;
	}
	return 0;
}

void batch_format(const struct batch *b, const struct batch_constants *k, struct buf *out)
{
	char *p, *start;

	buf_reset(out);
	p = start = buf_room(out, 320 + b->keys.len + b->args.len + b->labels.len + k->args_len + b->n_cohorts * 48u);
	if (p == NULL || b->keys.oom || b->args.oom || b->labels.oom) {
		out->oom = true;
		return;
	}
	p = resp_put_head(p, '*', 3 + b->n + b->n_cohorts + count_args(b, k));
	p = resp_put_bulk(p, "EVALSHA", 7);
	p = resp_put_bulk(p, k->sha, 40);
	p = resp_put_bulk_u64(p, b->n + b->n_cohorts);
	p = put(p, b->keys.data, b->keys.len);
	p = put_cohorts(b, p);
	if (b->kind != BATCH_MAP) {
		p = resp_put_bulk_u64(p, b->n);
		p = resp_put_bulk_u64(p, (uint64_t)k->now_ms);
	}
	p = put(p, k->args, k->args_len);
	if (b->kind == BATCH_CLAIM)
		p = resp_put_bulk_u64(p, (uint64_t)k->quiet_ms);
	if (b->kind != BATCH_MAP) {
		p = resp_put_bulk_u64(p, b->n_labels);
		p = b->n_labels > 0 ? put(p, b->labels.data, b->labels.len) : p;
	}
	p = put(p, b->args.data, b->args.len);
	buf_add(out, (size_t)(p - start));
}
